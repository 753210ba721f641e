//! `issuers:`.

use super::material::{self, PublicKeys};
use super::scope::Scope;
use crate::config::node::Mark;
use crate::config::plan::{Algorithm, ClaimsPlan, IssuerPlan, KeySource, KeyUrl};
use crate::config::raw::{RawClaims, RawIssuer, RawKeys};
use crate::config::read::{At, Named};

pub(super) fn resolve(raw: &Named<At<RawIssuer>>, scope: &mut Scope<'_>) -> Vec<IssuerPlan> {
    raw.0
        .iter()
        .filter_map(|(name, issuer)| one(name, issuer, scope))
        .collect()
}

fn one(name: &At<String>, raw: &At<RawIssuer>, scope: &mut Scope<'_>) -> Option<IssuerPlan> {
    let issuer = &raw.value;
    if issuer.audience.value.0.is_empty() {
        scope.error(
            "empty-list",
            issuer.audience.mark,
            "`audience` names nobody",
            "name what the tokens for this gateway carry in `aud`; without it a token for another service is taken here",
        );
    }
    let mut algorithms: Vec<Algorithm> = Vec::new();
    for algorithm in &issuer.algorithms.value.0 {
        if algorithms.contains(&algorithm.value.0) {
            scope.error(
                "duplicate",
                algorithm.mark,
                format!("`{:?}` stands here twice", algorithm.value.0),
                "remove one of them",
            );
        } else {
            algorithms.push(algorithm.value.0);
        }
    }
    if algorithms.is_empty() {
        scope.error(
            "empty-list",
            issuer.algorithms.mark,
            "`algorithms` accepts none",
            "name what the issuer signs with, such as `[ES256]`",
        );
    }
    let keys: Vec<KeySource> = issuer
        .keys
        .value
        .0
        .iter()
        .filter_map(|keys| source(keys, scope))
        .collect();
    if issuer.keys.value.0.is_empty() {
        scope.error(
            "empty-list",
            issuer.keys.mark,
            "`keys` names no source",
            "add `file:`, `url:` or `secret:`",
        );
    } else if keys.len() == issuer.keys.value.0.len() {
        match_algorithms(&algorithms, issuer, scope);
    }
    Some(IssuerPlan {
        name: material::name(name, "issuer", scope)?,
        issuer: issuer.issuer.0.clone(),
        audience: issuer
            .audience
            .value
            .0
            .iter()
            .map(|audience| audience.0.clone())
            .collect(),
        algorithms,
        keys,
        claims: claims(&issuer.claims),
        leeway: issuer.leeway.0,
        types: issuer.types.0.iter().map(|name| name.0.clone()).collect(),
        cache: issuer.cache as usize,
    })
}

/// Which claim means what.
pub(super) fn claims(raw: &RawClaims) -> ClaimsPlan {
    ClaimsPlan {
        subject: raw.subject.0.clone(),
        customer: raw.customer.as_ref().map(|claim| claim.0.clone()),
        tenant: raw.tenant.as_ref().map(|claim| claim.0.clone()),
        tenants: raw.tenants.as_ref().map(|claim| claim.0.clone()),
        region: raw.region.as_ref().map(|claim| claim.value.0.clone()),
        scope: Some(raw.scope.0.clone()),
        roles: raw.roles.as_ref().map(|claim| claim.0.clone()),
    }
}

/// HS256 and a secret belong together; every other algorithm needs another source.
fn match_algorithms(algorithms: &[Algorithm], issuer: &RawIssuer, scope: &mut Scope<'_>) {
    let sources = &issuer.keys.value.0;
    let secret = sources.iter().find_map(|keys| keys.value.secret.as_ref());
    let public = sources.iter().any(|keys| keys.value.secret.is_none());
    let hs256 = algorithms.contains(&Algorithm::HS256);
    match (hs256, secret) {
        (true, None) => scope.error(
            "algorithm-without-key",
            mark_of(issuer, |algorithm| algorithm == Algorithm::HS256),
            "HS256 is signed with a shared secret, and `keys` has none",
            "add `keys: { secret: { file: FILE } }`, or remove HS256",
        ),
        (false, Some(secret)) => scope.error(
            "algorithm-without-key",
            secret.mark,
            "a `secret` is for HS256, which `algorithms` does not accept",
            "add HS256 to `algorithms`, or remove the secret",
        ),
        (true, Some(_)) | (false, None) => {}
    }
    if !public && algorithms.iter().any(|algorithm| *algorithm != Algorithm::HS256) {
        scope.error(
            "algorithm-without-key",
            mark_of(issuer, |algorithm| algorithm != Algorithm::HS256),
            "this algorithm needs a public key, and `keys` has only a secret",
            "add `keys: { file: FILE }` or `keys: { url: URL }`",
        );
    }
}

fn mark_of(issuer: &RawIssuer, wanted: impl Fn(Algorithm) -> bool) -> Mark {
    issuer
        .algorithms
        .value
        .0
        .iter()
        .find(|algorithm| wanted(algorithm.value.0))
        .map_or(issuer.algorithms.mark, |algorithm| algorithm.mark)
}

fn source(raw: &At<RawKeys>, scope: &mut Scope<'_>) -> Option<KeySource> {
    let keys = &raw.value;
    match (&keys.file, &keys.url, &keys.secret) {
        (Some(file), None, None) => Some(match material::public_keys(file, scope) {
            PublicKeys::Pem(path) => KeySource::Pem(path),
            PublicKeys::Jwk(path) => KeySource::JwkFile(path),
        }),
        (None, Some(_), None) => url(keys, scope).map(KeySource::Url),
        (None, None, Some(secret)) => material::secret(secret, scope).map(KeySource::Secret),
        (None, None, None) if scope.findings.is_damaged(raw.mark) => None,
        (None, None, None) => {
            scope.error(
                "one-of",
                raw.mark,
                "`keys` names no source",
                "one of `file`, `url`, `secret`",
            );
            None
        }
        (Some(_), _, _) | (_, Some(_), _) => {
            scope.error(
                "one-of",
                raw.mark,
                "`keys` takes exactly one of `file`, `url` and `secret`",
                "several sources are a list: `keys: [{ file: … }, { url: … }]`",
            );
            None
        }
    }
}

fn url(keys: &RawKeys, scope: &mut Scope<'_>) -> Option<KeyUrl> {
    let url = keys.url.as_ref()?;
    let uri = url.value.0.clone();
    if uri.scheme_str() == Some("http") && !is_loopback(&uri) {
        if keys.danger_plain_http.value {
            scope.findings.warning(
                "danger",
                keys.danger_plain_http.mark,
                "`danger_plain_http` is on: whoever is on the way to the keys can forge every token",
                "fetch the keys by `https`",
            );
        } else {
            scope.error(
                "plain-http",
                url.mark,
                "keys are fetched by `https`, or by `http` from a loopback address",
                "whoever is on the way could forge every token; `danger_plain_http: true` accepts that",
            );
        }
    }
    if keys.refresh.value.0 > keys.stale.value.0 {
        scope.error(
            "contradiction",
            keys.refresh.mark,
            "`refresh` is longer than `stale`: the keys would be dropped before they are fetched again",
            "make `stale` several times as long as `refresh`",
        );
    }
    Some(KeyUrl {
        url: uri,
        ca: keys.ca.as_ref().map(|file| material::certificates(file, scope)),
        refresh: keys.refresh.value.0,
        floor: keys.floor.0,
        stale: keys.stale.value.0,
    })
}

pub(super) fn is_loopback(uri: &http::Uri) -> bool {
    let host = uri
        .host()
        .unwrap_or_default()
        .trim_start_matches('[')
        .trim_end_matches(']');
    // RFC 6761 section 6.3: `localhost` resolves to loopback.
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

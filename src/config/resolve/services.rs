//! `token-services:` and `introspections:`, and the names that they share with `issuers:`.

use std::collections::HashMap;

use super::issuers;
use super::material::{self, Source};
use super::scope::Scope;
use crate::base::secret::Secret;
use crate::config::node::Mark;
use crate::config::plan::{
    AccessFormat, AccessTokenPlan, IntrospectionPlan, PkceRule, RealmPlan, RealmRef, RefreshTokenPlan,
    SigningAlgorithm, TokenServicePlan,
};
use crate::config::raw::{
    RawIntrospection, RawPkce, RawRealm, RawRoot, RawSecret, RawSigningAlgorithm, RawTokenFormat,
    RawTokenService,
};
use crate::config::read::{At, Named, OneOrMany};
use crate::config::suggest;
use crate::config::text::VerbOrEvery;
use crate::http::host;
use crate::identity::Scope as ScopeToken;
use crate::identity::scopes::{Methods, ScopeMethods};

/// A credential names one of the three, so no two of them may have one name.
pub(super) fn names_in_common(raw: &RawRoot, scope: &mut Scope<'_>) {
    let mut taken: HashMap<&str, (&str, Mark)> = HashMap::new();
    let issuers = raw.issuers.0.iter().map(|(name, _)| (name, "an issuer"));
    let services = raw
        .token_services
        .0
        .iter()
        .map(|(name, _)| (name, "a token service"));
    let introspections = raw
        .introspections
        .0
        .iter()
        .map(|(name, _)| (name, "an introspection"));
    for (name, kind) in issuers.chain(services).chain(introspections) {
        match taken.get(name.value.as_str()) {
            Some((other, first)) => {
                let hint = format!(
                    "it stands at {}; give each a name of its own",
                    scope.other_place(name.mark, *first)
                );
                let message = format!("`{}` is the name of {other} already", name.value);
                scope.error("duplicate", name.mark, message, hint);
            }
            None => {
                taken.insert(&name.value, (kind, name.mark));
            }
        }
    }
}

pub(super) fn resolve(raw: &Named<At<RawTokenService>>, scope: &mut Scope<'_>) -> Vec<TokenServicePlan> {
    let mut issuers: HashMap<&str, (&str, Mark)> = HashMap::new();
    let mut folders: HashMap<std::path::PathBuf, (SigningAlgorithm, String)> = HashMap::new();
    raw.0
        .iter()
        .filter_map(|(name, service)| {
            let issuer = &service.value.issuer;
            if let Some((other, first)) = issuers.get(issuer.value.0.as_str()) {
                let hint = format!("it stands at {}", scope.other_place(issuer.mark, *first));
                let message = format!("the token service `{other}` has the same `issuer`");
                scope.error("duplicate", issuer.mark, message, hint);
            } else {
                issuers.insert(&issuer.value.0, (&name.value, issuer.mark));
            }
            one(name, service, &mut folders, scope)
        })
        .collect()
}

fn one(
    name: &At<String>,
    at: &At<RawTokenService>,
    folders: &mut HashMap<std::path::PathBuf, (SigningAlgorithm, String)>,
    scope: &mut Scope<'_>,
) -> Option<TokenServicePlan> {
    let raw = &at.value;
    let realm = scope.realms.find(&raw.realm, scope.findings);
    if let Err(why) = check_issuer(&raw.issuer.value.0) {
        scope.error(
            "bad-value",
            raw.issuer.mark,
            format!("`{}` {why}", raw.issuer.shown(&raw.issuer.value.0)),
            "write the URL under which clients find the service, such as `https://login.example.com`",
        );
    }
    if raw.audience.value.0.is_empty() {
        scope.error(
            "empty-list",
            raw.audience.mark,
            "`audience` names nobody",
            "name what the tokens are for; who takes them looks for it in `aud`",
        );
    }
    let format = format(name, at, folders, scope);
    let lifetime = material::whole_seconds("lifetime", &raw.access.lifetime, scope);
    if lifetime.as_secs() <= 60 {
        scope.findings.warning(
            "short-lifetime",
            raw.access.lifetime.mark,
            "clients that take a token for expired a minute early cannot use these at all",
            "make it longer than `1m`",
        );
    }
    let refresh = raw.refresh.as_ref().map(|refresh| RefreshTokenPlan {
        lifetime: material::whole_seconds("lifetime", &refresh.lifetime, scope),
        grace: material::whole_seconds("grace", &refresh.grace, scope),
    });
    Some(TokenServicePlan {
        name: material::name(name, "token service", scope)?,
        realm: RealmRef::new(realm?),
        issuer: raw.issuer.value.0.clone(),
        audience: raw.audience.value.0.iter().map(|name| name.0.clone()).collect(),
        access: AccessTokenPlan {
            format: format?,
            lifetime,
        },
        refresh,
        code_lifetime: material::whole_seconds("lifetime", &raw.code.lifetime, scope),
        scopes: scopes(&raw.scopes, scope),
        pkce: match raw.pkce {
            RawPkce::Public => PkceRule::Public,
            RawPkce::Always => PkceRule::Always,
        },
        cache: raw.cache as usize,
    })
}

/// RFC 8414 section 2: "a URL that uses the "https" scheme and has no query or fragment components".
fn check_issuer(text: &str) -> Result<(), &'static str> {
    if text.contains(['?', '#']) {
        return Err("has a query or a fragment, which no issuer of tokens has");
    }
    let uri: http::Uri = text.parse().map_err(|_| "is not a URL")?;
    let authority = uri.authority().ok_or("is not a URL with a host")?.as_str();
    if !host::is_authority(authority) {
        return Err("is not a URL with a host");
    }
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if issuers::is_loopback(&uri) => Ok(()),
        Some("http") => Err("is not HTTPS; `http` is for loopback addresses"),
        Some(_) | None => Err("is not an `https` URL"),
    }
}

fn format(
    name: &At<String>,
    at: &At<RawTokenService>,
    folders: &mut HashMap<std::path::PathBuf, (SigningAlgorithm, String)>,
    scope: &mut Scope<'_>,
) -> Option<AccessFormat> {
    let raw = &at.value;
    let algorithm = match raw.access.algorithm.as_ref().map(|algorithm| algorithm.value) {
        None | Some(RawSigningAlgorithm::Es256) => SigningAlgorithm::ES256,
        Some(RawSigningAlgorithm::Es384) => SigningAlgorithm::ES384,
        Some(RawSigningAlgorithm::Rs256) => SigningAlgorithm::RS256,
        Some(RawSigningAlgorithm::EdDsa) => SigningAlgorithm::EdDSA,
    };
    match (raw.access.format, &raw.keys) {
        (RawTokenFormat::Opaque, keys) => {
            let unused = [
                raw.access.algorithm.as_ref().map(|at| ("algorithm", at.mark)),
                keys.as_ref().map(|at| ("keys", at.mark)),
            ];
            for (key, mark) in unused.into_iter().flatten() {
                scope.error(
                    "contradiction",
                    mark,
                    format!("`{key}` is for tokens that are signed, and these are opaque"),
                    "write `access: { format: jwt }`, or remove it",
                );
            }
            Some(AccessFormat::Opaque)
        }
        (RawTokenFormat::Jwt, None) => {
            if !scope.findings.is_damaged(at.mark) {
                scope.error(
                    "missing-key",
                    name.mark,
                    format!(
                        "the token service `{}` signs its tokens and has no `keys`",
                        name.value
                    ),
                    "add `keys: { directory: FOLDER }`; the keys are made at the first start",
                );
            }
            None
        }
        (RawTokenFormat::Jwt, Some(keys)) => {
            let directory = &keys.value.directory;
            let path = material::written_folder(directory, scope);
            match folders.get(&path) {
                Some((other, service)) if *other != algorithm => scope.error(
                    "contradiction",
                    directory.mark,
                    format!(
                        "`{service}` keeps keys for {other:?} in this folder, and these are for {algorithm:?}"
                    ),
                    "give each a folder of its own",
                ),
                Some(_) => {}
                None => {
                    folders.insert(path.clone(), (algorithm, name.value.clone()));
                }
            }
            Some(AccessFormat::Jwt {
                algorithm,
                keys: path,
            })
        }
    }
}

fn scopes(raw: &Named<OneOrMany<At<VerbOrEvery>>>, scope: &mut Scope<'_>) -> ScopeMethods {
    let mut found = Vec::new();
    for (name, methods) in &raw.0 {
        let token = match ScopeToken::try_from(name.value.as_str()) {
            Ok(token) => token,
            Err(bad) => {
                scope.error(
                    "bad-name",
                    name.mark,
                    format!("the name of this scope {bad}"),
                    "scopes are visible ASCII without `\"` and `\\` (RFC 6749 section 3.3)",
                );
                continue;
            }
        };
        let every = methods.0.iter().find(|method| method.value.0.is_none());
        let worth = match (every, methods.0.as_slice()) {
            (Some(_), [_]) => Methods::Every,
            (Some(every), _) => {
                scope.error(
                    "contradiction",
                    every.mark,
                    "`every` stands alone",
                    "remove the methods, or `every`",
                );
                continue;
            }
            (None, []) => {
                scope.error(
                    "empty-list",
                    name.mark,
                    format!("the scope `{}` lets no method through", name.value),
                    "name methods, or write `every`",
                );
                continue;
            }
            (None, list) => Methods::These(list.iter().filter_map(|method| method.value.0.clone()).collect()),
        };
        found.push((token, worth));
    }
    ScopeMethods::new(found)
}

/// Scopes of applications are scopes that a token service of their realm has.
pub(super) fn check_application_scopes(
    raw: &Named<At<RawRealm>>,
    realms: &[RealmPlan],
    services: &[TokenServicePlan],
    scope: &mut Scope<'_>,
) {
    for (name, realm) in &raw.0 {
        let Some(index) = realms.iter().position(|plan| plan.name.as_str() == name.value) else {
            continue;
        };
        let known: Vec<&ScopeToken> = services
            .iter()
            .filter(|service| service.realm.index() == index)
            .flat_map(|service| service.scopes.scopes())
            .collect();
        let has_service = services.iter().any(|service| service.realm.index() == index);
        if !has_service {
            continue;
        }
        let words = || known.iter().map(|scope| scope.as_str());
        for (_, application) in &realm.value.applications.0 {
            for asked in application
                .value
                .scopes
                .0
                .iter()
                .filter(|asked| !known.contains(&&asked.value.0))
            {
                let message = format!(
                    "no token service of this realm has the scope `{}`{}",
                    asked.shown(&asked.value.0),
                    suggest::did_you_mean(asked.value.0.as_str(), words())
                );
                let hint = if known.is_empty() {
                    "their `scopes:` declare none".to_owned()
                } else {
                    format!("they have {}", suggest::list(words()))
                };
                scope.error("unknown-name", asked.mark, message, hint);
            }
        }
    }
}

pub(super) fn introspections(
    raw: &Named<At<RawIntrospection>>,
    scope: &mut Scope<'_>,
) -> Vec<IntrospectionPlan> {
    raw.0
        .iter()
        .filter_map(|(name, introspection)| introspection_plan(name, &introspection.value, scope))
        .collect()
}

fn introspection_plan(
    name: &At<String>,
    raw: &RawIntrospection,
    scope: &mut Scope<'_>,
) -> Option<IntrospectionPlan> {
    let url = raw.url.value.0.clone();
    if url.scheme_str() == Some("http") && !issuers::is_loopback(&url) {
        if raw.danger_plain_http.value {
            scope.findings.warning(
                "danger",
                raw.danger_plain_http.mark,
                "`danger_plain_http` is on: whoever is on the way to the introspection endpoint reads tokens and lets anybody in",
                "ask by `https`",
            );
        } else {
            scope.error(
                "plain-http",
                raw.url.mark,
                "introspection is asked for by `https`, or by `http` at a loopback address",
                "whoever is on the way could let anybody in; `danger_plain_http: true` accepts that",
            );
        }
    }
    let ca = raw.ca.as_ref().map(|file| material::certificates(file, scope));
    let secret = their_secret(&raw.client.secret, scope);
    Some(IntrospectionPlan {
        name: material::name(name, "introspection", scope)?,
        url,
        ca,
        client_id: raw.client.id.0.clone(),
        client_secret: secret?,
        audience: raw.audience.0.iter().map(|name| name.0.clone()).collect(),
        claims: issuers::claims(&raw.claims),
        cache: raw.cache as usize,
        remember: raw.remember.0,
        deadline: raw.deadline.0,
    })
}

/// A secret that somebody else made: its length is not ours to judge.
pub(super) fn their_secret(raw: &At<RawSecret>, scope: &mut Scope<'_>) -> Option<Secret> {
    const HINT: &str = "it holds the secret that the endpoint's operator gave to the gateway";
    let source = match &raw.value {
        RawSecret::File(file) => Source::File(file),
        RawSecret::Environment(variable) => Source::Environment(variable),
    };
    let (text, mark, from) = material::text_of(source, HINT, scope)?;
    if text.is_empty() || text.chars().any(char::is_control) {
        let message = if text.is_empty() {
            format!("the secret in {from} is empty")
        } else {
            format!("the secret in {from} has control characters")
        };
        scope.error("bad-value", mark, message, HINT);
        return None;
    }
    Some(Secret::new(text.into_bytes()))
}

//! `signed-urls:`, and the target that makes them.

use http::Method;

use super::answers;
use super::endpoints::{Callers, Here};
use super::material;
use super::scope::Scope;
use crate::config::plan::{AccessPlan, CredentialPlan, OwnPlan, SignUrlPlan, SignedUrlPlan, SignedUrlRef};
use crate::config::raw::{RawSignUrl, RawSignedUrl};
use crate::config::read::{At, Named};
use crate::http::pattern::Pattern;

pub(super) fn resolve(raw: &Named<At<RawSignedUrl>>, scope: &mut Scope<'_>) -> Vec<SignedUrlPlan> {
    raw.0
        .iter()
        .filter_map(|(name, at)| one(name, at, scope))
        .collect()
}

fn one(name: &At<String>, at: &At<RawSignedUrl>, scope: &mut Scope<'_>) -> Option<SignedUrlPlan> {
    let raw = &at.value;
    if raw.keys.0.is_empty() && !scope.findings.is_damaged(at.mark) {
        scope.error(
            "empty-list",
            at.mark,
            format!("`{}` has no key", name.value),
            "write `keys: { k1: { file: FILE } }` with 32 random bytes or more in the file",
        );
    }
    let mut keys = Vec::new();
    for (id, secret) in &raw.keys.0 {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if id.value.is_empty() || id.value.len() > 32 || !id.value.chars().all(is_plain) {
            scope.error(
                "bad-name",
                id.mark,
                format!("`{}` cannot stand in a URL as it is", id.value),
                "up to 32 letters, digits, `-`, `_` and `.`",
            );
        }
        keys.push((id.value.clone(), material::secret(secret, scope)));
    }
    let keys = keys.into_iter().map(|(id, secret)| Some((id, secret?)));
    Some(SignedUrlPlan {
        name: material::name(name, "set of keys", scope)?,
        keys: keys.collect::<Option<Vec<_>>>()?,
    })
}

pub(super) fn sign(at: &At<RawSignUrl>, here: Here<'_>, scope: &mut Scope<'_>) -> Option<OwnPlan> {
    let raw = &at.value;
    here.check(
        "the making of a signed URL",
        &Callers::Known,
        &[Method::POST],
        scope,
    );
    if let AccessPlan::Required { credentials, .. } = here.access
        && credentials
            .iter()
            .any(|credential| matches!(credential, CredentialPlan::SignedUrl(_)))
    {
        scope.error(
            "contradiction",
            at.mark,
            "a signed URL could make others here, and so last for ever",
            "give the route `credentials` without `signed-url`",
        );
    }
    let mut paths = Vec::new();
    for path in &raw.paths.value.0 {
        // Read already, as a pattern.
        paths.extend(Pattern::parse(&path.value.0));
    }
    if raw.paths.value.0.is_empty() {
        scope.error(
            "empty-list",
            raw.paths.mark,
            "no path may be signed",
            "write patterns of routes: `paths: [\"/files/{*rest}\"]`",
        );
    }
    let lifetime = material::whole_seconds("lifetime", &raw.lifetime, scope);
    let longest = match &raw.longest {
        Some(longest) => material::whole_seconds("longest", longest, scope),
        None => lifetime,
    };
    if longest < lifetime {
        scope.error(
            "contradiction",
            raw.lifetime.mark,
            "`lifetime` is longer than `longest`",
            "lifetime ≤ longest",
        );
    }
    let answer = answers::resolve(raw.answer.as_ref(), &[], scope);
    let index = scope.signed_urls.find(&raw.keys, scope.findings)?;
    Some(OwnPlan::SignUrl(Box::new(SignUrlPlan {
        keys: SignedUrlRef::new(index),
        paths,
        methods: raw
            .methods
            .0
            .iter()
            .map(|method| method.value.0.clone())
            .collect(),
        lifetime,
        longest,
        answer: answer?,
    })))
}

//! `credentials:` of an api or a route: how callers may say who they are.

use super::apis::{World, authority};
use super::remote;
use super::scope::Scope;
use crate::config::node::Mark;
use crate::config::plan::{
    AccessFormat, Authority, ClaimsPlan, CredentialPlan, RealmRef, ServiceRef, SignedUrlRef,
};
use crate::config::raw::{RawApi, RawApiKey, RawCredential};
use crate::config::read::At;

/// An ordered list of credentials.
pub(super) fn resolve(
    raw: &[At<RawCredential>],
    api: &At<RawApi>,
    world: &World<'_>,
    scope: &mut Scope<'_>,
) -> Vec<CredentialPlan> {
    let mut found: Vec<CredentialPlan> = Vec::new();
    for at in raw {
        let Some((plan, mark, shown)) = one(at, api, world, scope) else {
            continue;
        };
        if found.contains(&plan) {
            scope.error(
                "duplicate",
                mark,
                format!("{shown} stands here twice"),
                "remove one of them",
            );
        } else if let Some((message, hint)) = objection(&plan, &shown, &found, world) {
            scope.error("contradiction", mark, message, hint);
        } else {
            found.push(plan);
        }
    }
    found
}

/// A credential, where it stands, and how to call it.
fn one(
    at: &At<RawCredential>,
    api: &At<RawApi>,
    world: &World<'_>,
    scope: &mut Scope<'_>,
) -> Option<(CredentialPlan, Mark, String)> {
    match &at.value {
        RawCredential::Bearer(name) => {
            let index = scope.authorities.find(name, scope.findings)?;
            let authority = world.authority(index);
            Some((
                CredentialPlan::Bearer(authority),
                name.mark,
                format!("`{}`", name.value),
            ))
        }
        RawCredential::Session => {
            if api.value.session.is_none() && !scope.findings.is_damaged(api.mark) {
                scope.error(
                    "no-session",
                    at.mark,
                    "calls by session are taken, and the api has no `session`",
                    "add `session: { realm: NAME }` to the api: which cookies, and whose users",
                );
            }
            Some((CredentialPlan::Session, at.mark, "`session`".to_owned()))
        }
        RawCredential::Basic(name) => {
            let realm = RealmRef::new(scope.realms.find(name, scope.findings)?);
            if !world.https {
                scope.findings.warning(
                    "no-https",
                    name.mark,
                    "passwords are taken over TLS only, no listener has it, and no proxy is trusted to say `https`",
                    "add a listener with `tls`, or name the load balancer in `server.trusted-proxies`",
                );
            }
            Some((CredentialPlan::Basic(realm), name.mark, "`basic`".to_owned()))
        }
        RawCredential::SignedIn(name) => {
            let sign_in = remote::find(name, &api.value, scope)?;
            Some((
                CredentialPlan::SignedIn(sign_in),
                name.mark,
                format!("`{}`", name.value),
            ))
        }
        RawCredential::SignedUrl(name) => {
            let index = scope.signed_urls.find(name, scope.findings)?;
            Some((
                CredentialPlan::SignedUrl(SignedUrlRef::new(index)),
                name.mark,
                format!("`{}`", name.value),
            ))
        }
        RawCredential::ApiKey(key) => api_key(&key.value, api, scope).map(|plan| {
            (
                plan,
                key.value.header.mark,
                format!("`{}`", key.value.header.value.0),
            )
        }),
    }
}

fn api_key(raw: &RawApiKey, api: &At<RawApi>, scope: &mut Scope<'_>) -> Option<CredentialPlan> {
    let header = &raw.header.value.0;
    let names = &api.value.headers;
    let taken = [
        ("the `tenant-selector`", api.value.tenant_selector.as_ref()),
        ("the tenant", names.tenant.as_ref()),
        ("the customer", names.customer.as_ref()),
        ("the subject", names.subject.as_ref()),
        ("the region", names.region.as_ref()),
        ("the scopes", names.scopes.as_ref()),
        ("the roles", names.roles.as_ref()),
        ("the request id", Some(&names.request_id)),
    ];
    let other = taken
        .into_iter()
        .find(|(_, name)| name.is_some_and(|name| name.value.0 == *header));
    if let Some((what, _)) = other {
        scope.error(
            "contradiction",
            raw.header.mark,
            format!("`{header}` carries {what} already"),
            "give the key a header of its own",
        );
    }
    let service = ServiceRef::new(scope.services.find(&raw.service, scope.findings)?);
    Some(CredentialPlan::ApiKey {
        service,
        header: header.clone(),
    })
}

/// Why a credential cannot stand beside those before it: nothing in a call would tell which of two is meant.
fn objection(
    new: &CredentialPlan,
    shown: &str,
    before: &[CredentialPlan],
    world: &World<'_>,
) -> Option<(String, &'static str)> {
    match new {
        CredentialPlan::Bearer(Authority::Introspection(_)) => before
            .iter()
            .any(|other| matches!(other, CredentialPlan::Bearer(Authority::Introspection(_))))
            .then(|| {
                (
                    format!("{shown} is the second introspection, and nothing tells which of them an opaque token is for"),
                    "give each its own routes",
                )
            }),
        // A signed token's own `iss` says which of them is asked: which of two readings of its claims holds must not depend
        // on which was asked before.
        CredentialPlan::Bearer(authority) => {
            let issuer = world.signed_as(*authority)?;
            let other = before.iter().find_map(|other| match other {
                CredentialPlan::Bearer(other) if world.signed_as(*other) == Some(issuer) => Some(world.name_of(*other)),
                CredentialPlan::Bearer(_)
                | CredentialPlan::Session
                | CredentialPlan::Basic(_)
                | CredentialPlan::SignedUrl(_)
                | CredentialPlan::SignedIn(_)
                | CredentialPlan::ApiKey { .. } => None,
            })?;
            Some((
                format!("{shown} and `{other}` have the same `issuer`, so nothing tells which of them a token is for"),
                "make them one issuer with both audiences, or give each its own routes",
            ))
        }
        CredentialPlan::Basic(_) => before
            .iter()
            .any(|other| matches!(other, CredentialPlan::Basic(_)))
            .then(|| {
                (
                    "names of two realms are taken here, and nothing tells which of them a password is for".to_owned(),
                    "give each its own routes",
                )
            }),
        CredentialPlan::ApiKey { header, .. } => before
            .iter()
            .any(|other| matches!(other, CredentialPlan::ApiKey { header: own, .. } if own == header))
            .then(|| {
                (
                    format!("the header {shown} has keys of another token service already"),
                    "give each a header of its own",
                )
            }),
        CredentialPlan::SignedUrl(_) => before
            .iter()
            .any(|other| matches!(other, CredentialPlan::SignedUrl(_)))
            .then(|| {
                (
                    format!("{shown} is the second set of keys for signed URLs here"),
                    "put all keys into one set",
                )
            }),
        CredentialPlan::Session | CredentialPlan::SignedIn(_) => None,
    }
}

impl World<'_> {
    /// The authority at an index of [`Scope::authorities`]: issuers, token services, introspections.
    fn authority(&self, index: usize) -> Authority {
        authority(self.issuers.len(), self.services.len(), index)
    }

    /// The `iss` of its tokens, if they are signed.
    fn signed_as(&self, authority: Authority) -> Option<&str> {
        match authority {
            Authority::Issuer(issuer) => self.issuers.get(issuer.index()).map(|plan| plan.issuer.as_str()),
            Authority::Service(service) => {
                let plan = self.services.get(service.index())?;
                match plan.access.format {
                    AccessFormat::Jwt { .. } => Some(&plan.issuer),
                    AccessFormat::Opaque => None,
                }
            }
            Authority::Introspection(_) => None,
        }
    }

    /// The name of an authority.
    pub(super) fn name_of(&self, authority: Authority) -> &str {
        match authority {
            Authority::Issuer(issuer) => self.issuers.get(issuer.index()).map(|plan| plan.name.as_str()),
            Authority::Service(service) => self.services.get(service.index()).map(|plan| plan.name.as_str()),
            Authority::Introspection(introspection) => {
                (self.introspections.get(introspection.index())).map(|plan| plan.name.as_str())
            }
        }
        .unwrap_or_default()
    }

    /// The claims that say what a credential means, with who maps them. `None` for those of our own accounts, which know it
    /// all.
    pub(super) fn mapped(&self, credential: &CredentialPlan) -> Option<(String, &ClaimsPlan)> {
        match credential {
            CredentialPlan::Bearer(Authority::Issuer(issuer)) => {
                let plan = self.issuers.get(issuer.index())?;
                Some((format!("the issuer `{}`", plan.name), &plan.claims))
            }
            CredentialPlan::Bearer(Authority::Introspection(introspection)) => {
                let plan = self.introspections.get(introspection.index())?;
                Some((format!("the introspection `{}`", plan.name), &plan.claims))
            }
            CredentialPlan::Bearer(Authority::Service(_))
            | CredentialPlan::Session
            | CredentialPlan::Basic(_)
            | CredentialPlan::SignedUrl(_)
            | CredentialPlan::SignedIn(_)
            | CredentialPlan::ApiKey { .. } => None,
        }
    }

    /// Whose account a credential is of, if it is of one of ours. A session's realm is the api's.
    pub(super) fn realm_of(
        &self,
        credential: &CredentialPlan,
        session: Option<RealmRef>,
    ) -> Option<RealmRef> {
        match credential {
            CredentialPlan::Session => session,
            CredentialPlan::Basic(realm) => Some(*realm),
            CredentialPlan::Bearer(Authority::Service(service)) | CredentialPlan::ApiKey { service, .. } => {
                self.services.get(service.index()).map(|plan| plan.realm)
            }
            CredentialPlan::Bearer(Authority::Issuer(_) | Authority::Introspection(_))
            | CredentialPlan::SignedUrl(_)
            | CredentialPlan::SignedIn(_) => None,
        }
    }
}

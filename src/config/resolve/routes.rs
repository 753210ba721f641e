//! The routes of an api: what they inherit, who may call, and where calls go.

use std::collections::HashMap;

use http::{HeaderValue, Method};

use super::apis::{World, limits};
use super::backends::answer;
use super::credentials;
use super::endpoints::{self, Here, Plain};
use super::nodes;
use super::remote::{self, Step};
use super::rewrite;
use super::scope::Scope;
use super::sign_in;
use super::signed_urls;
use super::status;
use crate::config::node::Mark;
use crate::config::plan::{
    AccessPlan, BackendRef, ClaimsPlan, CredentialPlan, ItemCapPlan, ItemCount, LimitKey, LimitRef, OwnPlan,
    ParameterPlaces, RangePlan, RealmRef, RoutePlan, TargetPlan,
};
use crate::config::raw::{RawApi, RawItems, RawRange, RawRoute, RawTarget};
use crate::config::read::At;
use crate::identity::RouteName;

/// What routes get from their api.
pub(super) struct Inherited<'a> {
    pub api: &'a At<RawApi>,
    /// Whose sessions the api has, if it has good ones.
    pub session: Option<RealmRef>,
    pub credentials: &'a [CredentialPlan],
    pub limits: &'a [At<LimitRef>],
}

pub(super) fn resolve(
    raw: &[At<RawRoute>],
    inherited: &Inherited<'_>,
    world: &World<'_>,
    scope: &mut Scope<'_>,
) -> Vec<RoutePlan> {
    let mut names: HashMap<RouteName, Mark> = HashMap::new();
    let mut paths: HashMap<String, Vec<(Vec<Method>, Mark)>> = HashMap::new();
    raw.iter()
        .filter_map(|route| one(route, inherited, world, &mut names, &mut paths, scope))
        .collect()
}

fn one(
    at: &At<RawRoute>,
    inherited: &Inherited<'_>,
    world: &World<'_>,
    names: &mut HashMap<RouteName, Mark>,
    paths: &mut HashMap<String, Vec<(Vec<Method>, Mark)>>,
    scope: &mut Scope<'_>,
) -> Option<RoutePlan> {
    let raw = &at.value;
    let methods: Vec<Method> = raw
        .methods
        .0
        .iter()
        .map(|method| method.value.0.clone())
        .collect();
    conflicts(raw, &methods, paths, scope);
    let access = access(at, inherited, world, scope);
    let here = Here {
        route: at,
        access: &access,
        inherited,
        world,
    };
    let target = target(here, scope);
    // A target that is wrong has been reported; what it would have said of the client is not known.
    let names_client = target
        .as_ref()
        .is_none_or(|target| target.client_source().is_some());
    let limits = match &raw.limits {
        Some(own) => {
            let own = limits(&own.0, scope);
            check_limits(&own, &access, (Own::Yes, names_client), world, scope);
            own
        }
        None => {
            let mut own = inherited.limits.to_vec();
            // Nobody is known on a public route: what counts by identity is not inherited there.
            own.retain(|limit| {
                access != AccessPlan::Public || by_whom(limit.value, names_client, world).is_none()
            });
            check_limits(&own, &access, (Own::Inherited, names_client), world, scope);
            own
        }
    };
    if let Some(target) = &target {
        unseen_client(target, &limits, world, scope);
    }
    check_claims(at, inherited, &access, world, scope);
    let name = name(at, &methods, names, scope);
    let items = raw.items.as_ref().and_then(|items| item_cap(items, scope));
    Some(RoutePlan {
        name: name?,
        path: raw.path.value.0.clone(),
        methods,
        access,
        limits: limits.iter().map(|limit| limit.value).collect(),
        items,
        media_types: match (&raw.media_types, &target) {
            (Some(own), _) => own.0.iter().map(|media| media.0.clone()).collect(),
            // Targets of our own know what they read.
            (None, Some(TargetPlan::Backend { .. })) => {
                let inherited = &inherited.api.value.media_types;
                inherited.0.iter().map(|media| media.0.clone()).collect()
            }
            (None, Some(_) | None) => Vec::new(),
        },
        ranges: raw
            .ranges
            .0
            .iter()
            .map(|(name, at)| range(name, at, scope))
            .collect(),
        body_limit: raw
            .body_limit
            .as_ref()
            .unwrap_or(&inherited.api.value.body_limit)
            .0,
        deprecated: raw.deprecated.as_ref().and_then(|day| {
            // RFC 9745 section 2.1: an Item Structured Field of type Date.
            HeaderValue::try_from(format!("@{}", day.0)).ok()
        }),
        target: target?,
        place: scope.place(at.mark),
    })
}

/// Two routes of one api for the same calls.
fn conflicts(
    raw: &RawRoute,
    methods: &[Method],
    paths: &mut HashMap<String, Vec<(Vec<Method>, Mark)>>,
    scope: &mut Scope<'_>,
) {
    let shape: String = raw
        .path
        .value
        .0
        .split('/')
        .map(|segment| match segment.strip_prefix('{') {
            Some(inside) if inside.starts_with('*') => "{*}",
            Some(_) => "{}",
            None => segment,
        })
        .collect::<Vec<_>>()
        .join("/");
    let others = paths.entry(shape).or_default();
    let overlap = |other: &[Method]| {
        (methods.is_empty() && other.is_empty()) || methods.iter().any(|method| other.contains(method))
    };
    if let Some((_, first)) = others.iter().find(|(other, _)| overlap(other)) {
        let message = format!("two routes for `{}` with the same method", raw.path.value.0);
        let hint = format!("the first is at {}", scope.other_place(raw.path.mark, *first));
        scope.error("duplicate-route", raw.path.mark, message, hint);
    }
    others.push((methods.to_vec(), raw.path.mark));
}

fn name(
    at: &At<RawRoute>,
    methods: &[Method],
    names: &mut HashMap<RouteName, Mark>,
    scope: &mut Scope<'_>,
) -> Option<RouteName> {
    let (name, mark) = match &at.value.name {
        Some(name) => (name.value.0.clone(), name.mark),
        None => {
            let path = &at.value.path;
            let methods = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(",");
            // No blank: a name is one word in logs and in the key of a bucket.
            let text = if methods.is_empty() {
                path.value.0.clone()
            } else {
                format!("{methods}:{}", path.value.0)
            };
            match RouteName::try_from(text.as_str()) {
                Ok(name) => (name, path.mark),
                Err(bad) => {
                    let message = format!("the name of this route, made of methods and path, {bad}");
                    scope.error("bad-name", path.mark, message, "give it a `name`");
                    return None;
                }
            }
        }
    };
    if let Some(first) = names.get(&name) {
        // Two routes without a name and with the same path have been reported as a conflict.
        if at.value.name.is_some() {
            let hint = format!("the first is at {}", scope.other_place(mark, *first));
            scope.error(
                "duplicate",
                mark,
                format!("two routes of this api are called `{name}`"),
                hint,
            );
        }
    } else {
        names.insert(name.clone(), mark);
    }
    Some(name)
}

fn access(
    at: &At<RawRoute>,
    inherited: &Inherited<'_>,
    world: &World<'_>,
    scope: &mut Scope<'_>,
) -> AccessPlan {
    let raw = &at.value;
    if raw.public.value {
        if let Some(access) = &raw.access {
            scope.error(
                "contradiction",
                access.mark,
                "the route is `public`, and asks for `access`",
                "remove one of them",
            );
        }
        if let Some(credentials) = &raw.credentials
            && !credentials.value.is_empty()
        {
            scope.error(
                "contradiction",
                credentials.mark,
                "the route is `public`: nobody is asked for `credentials`",
                "remove one of them",
            );
        }
        return AccessPlan::Public;
    }
    let credentials = match &raw.credentials {
        Some(own) => credentials::resolve(&own.value, inherited.api, world, scope),
        None => inherited.credentials.to_vec(),
    };
    let Some(access) = raw.access.as_ref().or(inherited.api.value.access.as_ref()) else {
        if !scope.findings.is_damaged(at.mark) && !scope.findings.is_damaged(inherited.api.mark) {
            scope.error(
                "no-access",
                at.mark,
                format!(
                    "the route `{}` has neither `access` nor `public: true`",
                    raw.path.value.0
                ),
                "write `access: {}` if a credential is enough, here or at the api",
            );
        }
        // What follows is then about what would have been required.
        return AccessPlan::Required {
            credentials,
            scopes_any: Vec::new(),
            scopes_all: Vec::new(),
            roles_any: Vec::new(),
            roles_all: Vec::new(),
        };
    };
    let none_named = match &raw.credentials {
        Some(own) => own.value.is_empty(),
        None => inherited.api.value.credentials.is_empty(),
    };
    if none_named && !scope.findings.is_damaged(inherited.api.mark) {
        scope.error(
            "no-credentials",
            raw.credentials.as_ref().map_or(at.mark, |own| own.mark),
            format!(
                "the route `{}` asks for access, but nobody can vouch for callers",
                raw.path.value.0
            ),
            "add `credentials: [{ bearer: ISSUER }]`, here or at the api",
        );
    }
    let access = &access.value;
    AccessPlan::Required {
        credentials,
        scopes_any: access.any_scope.0.iter().map(|scope| scope.0.clone()).collect(),
        scopes_all: access.scopes.0.iter().map(|scope| scope.0.clone()).collect(),
        roles_any: access.any_role.0.iter().map(|role| role.0.clone()).collect(),
        roles_all: access.roles.0.iter().map(|role| role.0.clone()).collect(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    Yes,
    Inherited,
}

/// What of a limit's key is not known on a public route. Some targets are told which application a call is for before
/// anybody is known.
fn by_whom(limit: LimitRef, names_client: bool, world: &World<'_>) -> Option<LimitKey> {
    let limit = world.limits.get(limit.index())?;
    limit.per.iter().copied().find(|key| match key {
        LimitKey::Customer | LimitKey::Tenant | LimitKey::Subject => true,
        LimitKey::Client => !names_client,
        LimitKey::Address | LimitKey::Route => false,
    })
}

/// A limit that counts by a claim needs everybody who vouches on the route to map that claim.
fn check_limits(
    limits: &[At<LimitRef>],
    access: &AccessPlan,
    (own, names_client): (Own, bool),
    world: &World<'_>,
    scope: &mut Scope<'_>,
) {
    for at in limits {
        let Some(limit) = world.limits.get(at.value.index()) else {
            continue;
        };
        let AccessPlan::Required { credentials, .. } = access else {
            match by_whom(at.value, names_client, world).filter(|_| own == Own::Yes) {
                Some(LimitKey::Client) => scope.error(
                    "limit-needs-identity",
                    at.mark,
                    format!(
                        "the limit `{}` counts by client, and a call of this route does not say for which it is",
                        limit.name
                    ),
                    "add `client: { query: client_id }` to a sign-in, or use a limit `per: address`",
                ),
                Some(_) => scope.error(
                    "limit-needs-identity",
                    at.mark,
                    format!(
                        "the limit `{}` counts by who is calling, and on a public route nobody is known",
                        limit.name
                    ),
                    "use a limit `per: address`, or ask for `access`",
                ),
                None => {}
            }
            continue;
        };
        for key in &limit.per {
            let (claim, mapped): (&str, fn(&ClaimsPlan) -> bool) = match key {
                LimitKey::Customer => ("customer", |claims| claims.customer.is_some()),
                LimitKey::Tenant => ("tenant", |claims| {
                    claims.tenant.is_some() || claims.customer.is_some()
                }),
                LimitKey::Subject | LimitKey::Client | LimitKey::Address | LimitKey::Route => continue,
            };
            missing_claim(credentials, world, mapped, |who| {
                scope.error(
                    "claim-not-mapped",
                    at.mark,
                    format!(
                        "the limit `{}` counts per {claim}, but {who} maps no such claim",
                        limit.name
                    ),
                    format!("add `claims: {{ {claim}: NAME }}` to the issuer"),
                );
            });
        }
    }
}

/// Limits are spent before a body is read: of a form's client nothing is known then but what HTTP Basic says.
fn unseen_client(target: &TargetPlan, limits: &[At<LimitRef>], world: &World<'_>, scope: &mut Scope<'_>) {
    let form_only = match target {
        TargetPlan::Own(OwnPlan::Token(plan)) => plan.parameters == ParameterPlaces::Form,
        TargetPlan::Own(OwnPlan::Revoke(_) | OwnPlan::Introspect(_)) => true,
        TargetPlan::Own(_) | TargetPlan::Backend { .. } | TargetPlan::Respond(_) | TargetPlan::Gone => false,
    };
    for at in limits.iter().filter(|_| form_only) {
        if let Some(limit) = world.limits.get(at.value.index())
            && limit.per.contains(&LimitKey::Client)
        {
            scope.findings.warning(
                "limit-needs-identity",
                at.mark,
                format!(
                    "the limit `{}` counts by client, and here only clients that use HTTP Basic say who they are before the body is read",
                    limit.name
                ),
                "add a limit `per: address` for the others",
            );
        }
    }
}

fn missing_claim(
    credentials: &[CredentialPlan],
    world: &World<'_>,
    mapped: fn(&ClaimsPlan) -> bool,
    mut report: impl FnMut(&str),
) {
    for (who, claims) in credentials
        .iter()
        .filter_map(|credential| world.mapped(credential))
    {
        if !mapped(claims) {
            report(&who);
        }
    }
}

/// What the api tells the backend, what the route asks for and what the client may select need claims too.
fn check_claims(
    at: &At<RawRoute>,
    inherited: &Inherited<'_>,
    access: &AccessPlan,
    world: &World<'_>,
    scope: &mut Scope<'_>,
) {
    let AccessPlan::Required {
        credentials,
        roles_any,
        roles_all,
        ..
    } = access
    else {
        return;
    };
    let headers = &inherited.api.value.headers;
    if let Some(header) = &headers.customer {
        missing_claim(
            credentials,
            world,
            |claims| claims.customer.is_some(),
            |who| {
                scope.error(
                    "claim-not-mapped",
                    header.mark,
                    format!(
                        "`{}` carries the customer, but {who} maps no such claim",
                        header.value.0
                    ),
                    "add `claims: { customer: NAME }` to the issuer",
                );
            },
        );
    }
    if let Some(header) = &headers.tenant {
        missing_claim(
            credentials,
            world,
            |claims| claims.tenant.is_some() || claims.customer.is_some(),
            |who| {
                scope.error(
                    "claim-not-mapped",
                    header.mark,
                    format!(
                        "`{}` carries the tenant, but {who} maps neither tenant nor customer",
                        header.value.0
                    ),
                    "add `claims: { tenant: NAME }` to the issuer",
                );
            },
        );
    }
    let api = &inherited.api.value;
    if let Some(selector) = api.tenant_selector.as_ref().or(api.tenant_uuid_selector.as_ref()) {
        let any = |claims: &ClaimsPlan| {
            claims.customer.is_some() || claims.tenant.is_some() || claims.tenants.is_some()
        };
        missing_claim(credentials, world, any, |who| {
            scope.error(
                "claim-not-mapped",
                selector.mark,
                format!("{who} maps no claim that could allow a tenant, so `tenant-selector` always refuses"),
                "add `claims: { customer: NAME }` or `{ tenants: NAME }` to the issuer",
            );
        });
    }
    if !roles_any.is_empty() || !roles_all.is_empty() {
        let mark = at
            .value
            .access
            .as_ref()
            .or(inherited.api.value.access.as_ref())
            .map_or(at.mark, |access| access.mark);
        missing_claim(
            credentials,
            world,
            |claims| claims.roles.is_some(),
            |who| {
                // A warning: tenants of the file can give roles that no token has.
                scope.findings.warning(
                    "claim-not-mapped",
                    mark,
                    format!("roles are asked for, but {who} maps no claim with roles"),
                    "add `claims: { roles: NAME }` to the issuer",
                );
            },
        );
    }
}

fn range(name: &At<String>, at: &At<RawRange>, scope: &mut Scope<'_>) -> RangePlan {
    if at.value.min > at.value.max && !scope.findings.is_damaged(at.mark) {
        scope.error(
            "contradiction",
            at.mark,
            format!("no number is from {} to {}", at.value.min, at.value.max),
            "`min` is the least and `max` the most",
        );
    }
    RangePlan {
        name: name.value.clone(),
        min: at.value.min,
        max: at.value.max,
    }
}

fn item_cap(at: &At<RawItems>, scope: &mut Scope<'_>) -> Option<ItemCapPlan> {
    let count = match (&at.value.query, &at.value.body) {
        (Some(query), None) => ItemCount::Query(query.0.clone()),
        (None, Some(pointer)) => ItemCount::Body(pointer.0.clone()),
        (None, None) if scope.findings.is_damaged(at.mark) => return None,
        (None, None) | (Some(_), Some(_)) => {
            scope.error(
                "one-of",
                at.mark,
                "`items` takes exactly one of `query` and `body`",
                "`query: NAME` for a parameter, `body: /pointer` for an array in the body",
            );
            return None;
        }
    };
    Some(ItemCapPlan {
        max: u64::from(at.value.max),
        count,
    })
}

fn target(here: Here<'_>, scope: &mut Scope<'_>) -> Option<TargetPlan> {
    let raw = &here.route.value;
    if let Some(rewrite) = &raw.rewrite
        && !matches!(raw.to.value, RawTarget::Backend(_))
    {
        scope.error(
            "contradiction",
            rewrite.mark,
            "`rewrite` is for calls to a backend",
            "remove it, or write `to: { backend: NAME }`",
        );
    }
    let endpoint = match &raw.to.value {
        RawTarget::Backend(name) => {
            let rewrite = rewrite::resolve(raw, scope);
            let index = scope.backends.find(name, scope.findings)?;
            return Some(TargetPlan::Backend {
                backend: BackendRef::new(index),
                rewrite,
            });
        }
        RawTarget::Respond(respond) => return Some(TargetPlan::Respond(answer(respond, scope))),
        RawTarget::Gone => return Some(TargetPlan::Gone),
        RawTarget::SignIn(at) => sign_in::sign_in(at, here, scope),
        RawTarget::SignOut(sign_out) => endpoints::sign_out(sign_out, here, scope),
        RawTarget::Authorize(service) => endpoints::plain(Plain::Authorize, service, here, scope),
        RawTarget::AuthorizeStep(step) => endpoints::authorize_step(step, here, scope),
        RawTarget::MintClient(mint) => endpoints::mint_client(mint, here, scope),
        RawTarget::Token(token) => endpoints::token(token, here, scope),
        RawTarget::Revoke(service) => endpoints::plain(Plain::Revoke, service, here, scope),
        RawTarget::DeleteToken(delete) => endpoints::delete_token(delete, here, scope),
        RawTarget::Introspect(service) => endpoints::plain(Plain::Introspect, service, here, scope),
        RawTarget::Metadata(service) => endpoints::plain(Plain::Metadata, service, here, scope),
        RawTarget::BeginSignIn(name) => remote::step(Step::Begin, name, here, scope),
        RawTarget::FinishSignIn(name) => remote::step(Step::Finish, name, here, scope),
        RawTarget::EndSignIn(name) => remote::step(Step::End, name, here, scope),
        RawTarget::EnrolmentTokens(tokens) => nodes::tokens(tokens, here, scope),
        RawTarget::Enrol(enrol) => nodes::enrol(enrol, here, scope),
        RawTarget::Nodes(all) => nodes::nodes(all, here, scope),
        RawTarget::SignUrl(sign) => signed_urls::sign(sign, here, scope),
        RawTarget::Status(status) => status::resolve(status, here, scope),
        RawTarget::Keys(service) => endpoints::plain(Plain::Keys, service, here, scope),
    };
    endpoint.map(TargetPlan::Own)
}

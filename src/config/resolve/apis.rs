//! `apis:`: hosts, headers, regions, and what routes inherit.

use std::collections::{BTreeSet, HashMap};

use http::{HeaderName, Method};

use super::credentials;
use super::endpoints;
use super::material;
use super::remote;
use super::routes::{self, Inherited};
use super::scope::Scope;
use super::sessions;
use crate::config::node::Mark;
use crate::config::plan::{
    AccessPlan, ApiPlan, Authority, BackendPlan, BackendRef, CredentialPlan, CustomerPlan, DialectRef,
    HostPattern, IdentityHeaders, IntrospectionPlan, IntrospectionRef, IssuerPlan, IssuerRef, LimitPlan,
    LimitRef, Presence, ProviderPlan, RealmPlan, RegionPlan, RegionRef, RegionRule, RegionSource, RoutePlan,
    ServiceRef, TenantSelector, TokenServicePlan, VersionRule, WrongDoor,
};
use crate::config::raw::{RawApi, RawHeaders, RawRegionRule, RawRegionSource, RawWrongDoor};
use crate::config::read::{At, Named};
use crate::config::suggest;
use crate::config::text;

/// The sections that apis refer to, resolved.
pub(super) struct World<'w> {
    /// Can a call come by HTTPS: over TLS here, or by word of a trusted proxy?
    pub https: bool,
    pub regions: &'w [RegionPlan],
    pub issuers: &'w [IssuerPlan],
    pub customers: &'w [CustomerPlan],
    pub realms: &'w [RealmPlan],
    pub services: &'w [TokenServicePlan],
    pub introspections: &'w [IntrospectionPlan],
    pub providers: &'w [ProviderPlan],
    pub limits: &'w [LimitPlan],
    pub backends: &'w [BackendPlan],
}

/// The authority at an index of [`Scope::authorities`]: issuers, token services, introspections.
pub(super) fn authority(issuers: usize, services: usize, index: usize) -> Authority {
    if index < issuers {
        Authority::Issuer(IssuerRef::new(index))
    } else if index < issuers + services {
        Authority::Service(ServiceRef::new(index - issuers))
    } else {
        Authority::Introspection(IntrospectionRef::new(index - issuers - services))
    }
}

pub(super) fn resolve(raw: &Named<At<RawApi>>, world: &World<'_>, scope: &mut Scope<'_>) -> Vec<ApiPlan> {
    let mut taken: HashMap<HostPattern, (String, Mark)> = HashMap::new();
    raw.0
        .iter()
        .filter_map(|(name, api)| one(name, api, world, &mut taken, scope))
        .collect()
}

fn one(
    name: &At<String>,
    at: &At<RawApi>,
    world: &World<'_>,
    taken: &mut HashMap<HostPattern, (String, Mark)>,
    scope: &mut Scope<'_>,
) -> Option<ApiPlan> {
    let raw = &at.value;
    let hosts = hosts(name, raw, world, taken, scope);
    let dialect = scope
        .dialects
        .find(&raw.dialect, scope.findings)
        .map_or(DialectRef::new(0), DialectRef::new);
    let session = raw
        .session
        .as_ref()
        .and_then(|session| sessions::resolve(session, world, scope));
    let mut sign_ins = remote::sign_ins(raw, world, scope);
    let credentials = credentials::resolve(&raw.credentials, at, world, scope);
    let limits = limits(&raw.limits.0, scope);
    let tenant_selector = TenantSelector {
        name: raw.tenant_selector.as_ref().map(|at| at.value.0.clone()),
        uuid: raw.tenant_uuid_selector.as_ref().map(|at| at.value.0.clone()),
    };
    let headers = headers(&raw.headers, raw, scope);
    let version = version(raw, scope);
    if raw.routes.value.is_empty() {
        scope.error(
            "empty-list",
            raw.routes.mark,
            format!("the api `{}` has no route", name.value),
            "nothing is served that no route names",
        );
    }
    let inherited = Inherited {
        api: at,
        session: session.as_ref().map(|session| session.realm),
        credentials: &credentials,
        limits: &limits,
    };
    let mut routes = routes::resolve(&raw.routes.value, &inherited, world, scope);
    endpoints::fill_metadata(&mut routes, world.services);
    remote::complete(raw, &mut sign_ins, &routes, scope);
    unguarded(raw, &routes, scope);
    versioned(raw, &routes, world, scope);
    scope_methods(raw, &routes, world, scope);
    let region = region(&raw.region, &routes, world, scope);
    reachable(name, &region, &hosts, &routes, world, scope);
    Some(ApiPlan {
        name: material::name(name, "api", scope)?,
        hosts,
        dialect,
        headers,
        tenant_selector,
        version,
        region,
        session,
        sign_ins,
        scope_methods: raw.scope_methods.value,
        routes,
    })
}

fn hosts(
    name: &At<String>,
    raw: &RawApi,
    world: &World<'_>,
    taken: &mut HashMap<HostPattern, (String, Mark)>,
    scope: &mut Scope<'_>,
) -> Vec<HostPattern> {
    let mut found: Vec<(HostPattern, Mark)> = Vec::new();
    for host in &raw.hosts.value.0 {
        if host.value == "regions" {
            let all = world.regions.iter().flat_map(|region| &region.hosts);
            let before = found.len();
            found.extend(all.map(|name| (HostPattern::Exact(name.clone()), host.mark)));
            if found.len() == before {
                scope.error(
                    "empty-list",
                    host.mark,
                    "`hosts: regions` stands for the hosts of all regions, and there are none",
                    "add `hosts` to the regions",
                );
            }
            continue;
        }
        match text::host(&host.value) {
            Ok(pattern) => found.push((pattern, host.mark)),
            Err(message) => {
                // What the environment gave is not repeated.
                let message = if host.shown(&host.value) == host.value {
                    message
                } else {
                    format!("what `{}` stands for is not a host name", host.shown(&host.value))
                };
                scope.findings.error("bad-value", host.mark, message);
            }
        }
    }
    if raw.hosts.value.0.is_empty() {
        scope.error(
            "empty-list",
            raw.hosts.mark,
            format!("the api `{}` has no host", name.value),
            "name its hosts, or write `hosts: [\"*\"]` for any",
        );
    }
    let mut own = Vec::new();
    for (pattern, mark) in found {
        match taken.get(&pattern) {
            Some((other, _)) if *other == name.value => {
                if own.contains(&pattern) {
                    continue;
                }
            }
            Some((other, first)) => {
                let message = format!(
                    "the host `{}` belongs to the api `{other}` already",
                    shown(&pattern)
                );
                let hint = format!("it stands at {}", scope.other_place(mark, *first));
                scope.error("duplicate-host", mark, message, hint);
                continue;
            }
            None => {
                taken.insert(pattern.clone(), (name.value.clone(), mark));
            }
        }
        own.push(pattern);
    }
    own
}

fn shown(pattern: &HostPattern) -> String {
    match pattern {
        HostPattern::Exact(name) => name.clone(),
        HostPattern::Suffix(suffix) => format!("*{suffix}"),
        HostPattern::Any => "*".to_owned(),
    }
}

/// A list of limits, each with the place that names it.
pub(super) fn limits(raw: &[At<String>], scope: &mut Scope<'_>) -> Vec<At<LimitRef>> {
    let mut found: Vec<At<LimitRef>> = Vec::new();
    for name in raw {
        if let Some(index) = scope.limits.find(name, scope.findings) {
            let limit = LimitRef::new(index);
            if found.iter().any(|other| other.value == limit) {
                scope.error(
                    "duplicate",
                    name.mark,
                    format!(
                        "`{}` stands here twice: each call would be counted twice",
                        name.value
                    ),
                    "remove one of them",
                );
            } else {
                found.push(name.with(limit));
            }
        }
    }
    found
}

fn headers(raw: &RawHeaders, api: &RawApi, scope: &mut Scope<'_>) -> IdentityHeaders {
    // Names that differ only in `-`, `_` or `.` are one name to many backends.
    let folded = |name: &HeaderName| -> String {
        name.as_str()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect()
    };
    let mut seen: HashMap<String, &'static str> = HashMap::new();
    let named = [
        ("tenant", raw.tenant.as_ref()),
        ("tenant-uuid", raw.tenant_uuid.as_ref()),
        ("customer", raw.customer.as_ref()),
        ("subject", raw.subject.as_ref()),
        ("region", raw.region.as_ref()),
        ("scopes", raw.scopes.as_ref()),
        ("roles", raw.roles.as_ref()),
        ("request-id", Some(&raw.request_id)),
    ];
    for (what, at) in named {
        let Some(at) = at else { continue };
        if let Some(other) = seen.insert(folded(&at.value.0), what) {
            scope.error(
                "duplicate",
                at.mark,
                format!(
                    "`{what}` and `{other}` go to the backend under one name, `{}`",
                    at.value.0
                ),
                "give each a name of its own",
            );
        }
        for (key, carries, selector) in [
            ("tenant-selector", "tenant", &api.tenant_selector),
            ("tenant-uuid-selector", "tenant-uuid", &api.tenant_uuid_selector),
        ] {
            let is_it =
                (selector.as_ref()).is_some_and(|selector| folded(&selector.value.0) == folded(&at.value.0));
            if is_it && what != carries {
                scope.error(
                    "contradiction",
                    at.mark,
                    format!("`{}` is the `{key}`, so it cannot carry the {what}", at.value.0),
                    "give it another name",
                );
            }
        }
        if let Some(version) = &api.version
            && folded(&version.value.header.value.0) == folded(&at.value.0)
        {
            scope.error(
                "contradiction",
                at.mark,
                format!(
                    "`{}` is the header of the `version`, so it cannot carry the {what}",
                    at.value.0
                ),
                "give it another name",
            );
        }
    }
    let name = |at: &Option<At<text::Field>>| at.as_ref().map(|at| at.value.0.clone());
    IdentityHeaders {
        tenant: name(&raw.tenant),
        tenant_uuid: name(&raw.tenant_uuid),
        customer: name(&raw.customer),
        subject: name(&raw.subject),
        region: name(&raw.region),
        scopes: name(&raw.scopes),
        roles: name(&raw.roles),
        request_id: Some(raw.request_id.value.0.clone()),
        remove: raw.remove.iter().map(|name| name.0.clone()).collect(),
        keep_authorization: raw.keep_authorization,
    }
}

/// Three headers that decide something, each its own.
fn version(raw: &RawApi, scope: &mut Scope<'_>) -> Option<VersionRule> {
    let named = [
        ("tenant-selector", raw.tenant_selector.as_ref()),
        ("tenant-uuid-selector", raw.tenant_uuid_selector.as_ref()),
        ("version", raw.version.as_ref().map(|at| &at.value.header)),
    ];
    // What a reader of one takes for another spelling of its name.
    let letters = |name: &HeaderName| -> String {
        name.as_str()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect()
    };
    for (place, (what, at)) in named.iter().enumerate() {
        let Some(at) = at else { continue };
        let before = named.iter().take(place);
        let same = before
            .filter(|(_, other)| other.is_some_and(|other| letters(&other.value.0) == letters(&at.value.0)))
            .map(|(other, _)| *other)
            .next();
        if let Some(other) = same {
            scope.error(
                "duplicate",
                at.mark,
                format!("`{what}` and `{other}` are one header, `{}`", at.value.0),
                "give each a name of its own",
            );
        }
    }
    raw.version.as_ref().map(|at| VersionRule {
        header: at.value.header.value.0.clone(),
        presence: if at.value.required {
            Presence::Required
        } else {
            Presence::Optional
        },
    })
}

/// Versions that nothing is known of to compare with.
fn versioned(raw: &RawApi, routes: &[RoutePlan], world: &World<'_>, scope: &mut Scope<'_>) {
    let Some(at) = &raw.version else { return };
    let used = used_backends(routes);
    let mut backends = used.iter().filter_map(|index| world.backends.get(*index));
    if let Some(backend) = backends.find(|backend| backend.version.is_none()) {
        scope.error(
            "contradiction",
            at.mark,
            format!(
                "calls say for which version they are, and the backend `{}` has none to compare it with",
                backend.name
            ),
            "add `version: 1.0.0` to the backend: the newest that it speaks",
        );
    }
}

/// Indices of the backends that routes go to.
fn used_backends(routes: &[RoutePlan]) -> BTreeSet<usize> {
    let backends = routes.iter().filter_map(|route| route.target.backend());
    backends.map(BackendRef::index).collect()
}

/// The credentials that a route takes.
fn taken(route: &RoutePlan) -> &[CredentialPlan] {
    match &route.access {
        AccessPlan::Public => &[],
        AccessPlan::Required { credentials, .. } => credentials,
    }
}

/// Do calls by session change things, without anything that shows that they were meant?
fn unguarded(raw: &RawApi, routes: &[RoutePlan], scope: &mut Scope<'_>) {
    let Some(session) = &raw.session else { return };
    // RFC 9110 section 9.2.1.
    let is_safe =
        |method: &Method| [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(method);
    let changes = |route: &RoutePlan| route.methods.is_empty() || !route.methods.iter().all(is_safe);
    let found = routes
        .iter()
        .find(|route| changes(route) && taken(route).contains(&CredentialPlan::Session));
    if let Some(route) = found
        && session.value.csrf.is_none()
        && !scope.findings.is_damaged(session.mark)
    {
        scope.findings.warning(
            "no-csrf",
            session.mark,
            format!(
                "the route `{}` takes sessions and changes things, and nothing shows that a call was meant",
                route.name
            ),
            "add `csrf: {}`; without it another site can make a browser call in its user's name",
        );
    }
}

/// Scopes that are to let methods through, and nobody who has any.
fn scope_methods(raw: &RawApi, routes: &[RoutePlan], world: &World<'_>, scope: &mut Scope<'_>) {
    if !raw.scope_methods.value {
        return;
    }
    let mut services: Vec<&TokenServicePlan> = Vec::new();
    for credential in routes.iter().flat_map(taken) {
        let service = match credential {
            CredentialPlan::Bearer(Authority::Service(service)) | CredentialPlan::ApiKey { service, .. } => {
                service
            }
            CredentialPlan::Bearer(Authority::Issuer(_) | Authority::Introspection(_))
            | CredentialPlan::Session
            | CredentialPlan::Basic(_)
            | CredentialPlan::SignedUrl(_)
            | CredentialPlan::SignedIn(_) => continue,
        };
        services.extend(world.services.get(service.index()));
    }
    let mark = raw.scope_methods.mark;
    if services.is_empty() && scope.findings.errors() == 0 {
        scope.error(
            "contradiction",
            mark,
            "`scope-methods` is about tokens of a token service, and no route of this api takes any",
            "add `bearer: TOKEN-SERVICE` to `credentials`, or remove it",
        );
    }
    if let Some(service) = services
        .iter()
        .find(|service| service.scopes.scopes().next().is_none())
    {
        scope.error(
            "contradiction",
            mark,
            format!(
                "the token service `{}` has no scopes, so its tokens let no method through",
                service.name
            ),
            "add `scopes: { all: every }` to the token service, or remove `scope-methods`",
        );
    }
}

fn region(raw: &RawRegionRule, routes: &[RoutePlan], world: &World<'_>, scope: &mut Scope<'_>) -> RegionRule {
    let mapping: Vec<_> = (routes.iter().flat_map(taken))
        .filter_map(|credential| world.mapped(credential))
        .collect();
    let claim_mapped = mapping.iter().any(|(_, claims)| claims.region.is_some());
    let mut from = Vec::new();
    match &raw.from {
        Some(list) => {
            for source in &list.value.0 {
                let plan = match source.value {
                    RawRegionSource::Claim => RegionSource::Claim,
                    RawRegionSource::Directory => RegionSource::Directory,
                    RawRegionSource::Host => RegionSource::Host,
                };
                if source.value == RawRegionSource::Claim && !claim_mapped && !mapping.is_empty() {
                    scope.error(
                        "claim-not-mapped",
                        source.mark,
                        "the region is to come from a claim, but no issuer of this api maps one",
                        "add `claims: { region: NAME }` to the issuer, or remove `claim` here",
                    );
                }
                if from.contains(&plan) {
                    scope.error(
                        "duplicate",
                        source.mark,
                        "this stands in `from` twice",
                        "remove one of them",
                    );
                } else {
                    from.push(plan);
                }
            }
        }
        None => {
            from.extend(claim_mapped.then_some(RegionSource::Claim));
            from.extend([RegionSource::Directory, RegionSource::Host]);
        }
    }
    let default = raw
        .default
        .as_ref()
        .and_then(|name| scope.regions.find(name, scope.findings))
        .map(RegionRef::new);
    let wrong_door = match raw.wrong_door.value {
        RawWrongDoor::Refuse => WrongDoor::Refuse,
        RawWrongDoor::Forward => WrongDoor::Forward,
        RawWrongDoor::Redirect => WrongDoor::Redirect,
    };
    if wrong_door == WrongDoor::Redirect
        && let Some(region) = world.regions.iter().find(|region| region.hosts.is_empty())
    {
        scope.error(
            "region-without-host",
            raw.wrong_door.mark,
            format!(
                "clients cannot be redirected to the region `{}`: it has no host",
                region.name
            ),
            "add `hosts` to the region, or write `wrong-door: forward`",
        );
    }
    RegionRule {
        from,
        default,
        wrong_door,
    }
}

/// Does each region that calls can be for have a backend that serves it?
fn reachable(
    api: &At<String>,
    rule: &RegionRule,
    hosts: &[HostPattern],
    routes: &[RoutePlan],
    world: &World<'_>,
    scope: &mut Scope<'_>,
) {
    let backends: Vec<&BackendPlan> = used_backends(routes)
        .iter()
        .filter_map(|index| world.backends.get(*index))
        .collect();
    let mut nowhere = Vec::new();
    for (index, region) in world.regions.iter().enumerate() {
        let here = RegionRef::new(index);
        let door = region
            .hosts
            .iter()
            .any(|host| hosts.contains(&HostPattern::Exact(host.clone())));
        let comes_here = door || rule.default == Some(here) || rule.wrong_door == WrongDoor::Forward;
        if !comes_here || backends.is_empty() {
            continue;
        }
        let without: Vec<&str> = backends
            .iter()
            .filter(|b| !serves(b, here))
            .map(|b| b.name.as_str())
            .collect();
        if without.len() == backends.len() {
            nowhere.push(region.name.as_str());
        } else if !without.is_empty() {
            scope.findings.warning(
                "region-not-served",
                api.mark,
                format!(
                    "calls of the api `{}` for the region `{}` find no endpoint behind {}",
                    api.value,
                    region.name,
                    suggest::list(without)
                ),
                "add the region to the backend, or `endpoints:` that serve every region",
            );
        }
    }
    if !nowhere.is_empty() {
        scope.error(
            "region-unreachable",
            api.mark,
            format!(
                "no backend of the api `{}` serves {}",
                api.value,
                suggest::list(nowhere)
            ),
            "add the region to a backend, or `endpoints:` that serve every region",
        );
    }
}

fn serves(backend: &BackendPlan, region: RegionRef) -> bool {
    // A backend without endpoints answers by itself, or has been reported.
    backend.endpoints.is_empty()
        || backend
            .endpoints
            .iter()
            .any(|endpoint| endpoint.region.is_none_or(|own| own == region))
}

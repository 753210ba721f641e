//! From raw types to the plan: every name found, every rule that spans several keys checked, everything wrong reported.

mod accounts;
mod answers;
mod apis;
mod backends;
mod credentials;
mod customers;
mod dialects;
mod endpoints;
mod issuers;
mod limits;
mod listeners;
mod material;
mod nodes;
mod remote;
mod rewrite;
mod routes;
mod scope;
mod server;
mod services;
mod sessions;
mod sign_in;
mod signed_urls;
mod status;
mod telemetry;

use std::path::PathBuf;

use super::findings::Findings;
use super::node::Node;
use super::plan::{ListenerMode, Plan};
use super::raw::RawRoot;
use super::shape;
use super::source::Files;
use scope::{Names, Scope};

/// Makes the plan. It is of use only if `findings` has no error afterwards.
///
/// `declared` is the tree before anything was taken out of it: who refers to a broken entry has made no second mistake.
pub(super) fn plan(
    raw: RawRoot,
    declared: &Declared,
    files: &Files,
    environment: &dyn Fn(&str) -> Option<String>,
    findings: &mut Findings,
) -> Plan {
    let mut scope = Scope::new(files, environment, findings);
    let server = server::resolve(&raw.server, &mut scope);
    let listeners = listeners::resolve(&raw.listeners, &mut scope);
    let admin = listeners::admin(raw.admin.as_ref(), &listeners, &mut scope);
    if raw.listeners.is_empty() && !declared.has_listeners && scope.findings.is_whole() {
        scope.whole_file(
            "missing-key",
            "the configuration needs at least one listener",
            "write `listeners: [{ address: 127.0.0.1:8080 }]`",
        );
    }
    let regions = listeners::regions(&raw.regions, &mut scope);
    scope.regions = Names::new(
        "region",
        "regions",
        &declared.regions,
        regions.iter().map(|r| r.name.as_str()),
    );
    let issuers = issuers::resolve(&raw.issuers, &mut scope);
    let limits = limits::resolve(&raw.limits, &mut scope);
    scope.limits = Names::new(
        "limit",
        "limits",
        &declared.limits,
        limits.iter().map(|l| l.name.as_str()),
    );
    let plans = limits::plans(&raw.plans, &limits, &mut scope);
    scope.plans = Names::new(
        "plan",
        "plans",
        &declared.plans,
        raw.plans.0.iter().map(|(name, _)| name.value.as_str()),
    );
    let customers = customers::resolve(&raw.customers, &plans, &limits, &mut scope);
    services::names_in_common(&raw, &mut scope);
    let store = accounts::store(&raw.store, &raw.realms, &mut scope);
    let realms = accounts::resolve(&raw.realms, &store, &customers, &mut scope);
    scope.realms = Names::new(
        "realm",
        "realms",
        &declared.realms,
        realms.iter().map(|r| r.name.as_str()),
    );
    let token_services = services::resolve(&raw.token_services, &mut scope);
    scope.services = Names::new(
        "token service",
        "token-services",
        &declared.services,
        token_services.iter().map(|s| s.name.as_str()),
    );
    services::check_application_scopes(&raw.realms, &realms, &token_services, &mut scope);
    let introspections = services::introspections(&raw.introspections, &mut scope);
    scope.authorities = Names::joined(
        &[
            ("issuer", "issuers", &declared.issuers),
            ("token service", "token-services", &declared.services),
            ("introspection", "introspections", &declared.introspections),
        ],
        (issuers.iter().map(|i| i.name.as_str()))
            .chain(token_services.iter().map(|s| s.name.as_str()))
            .chain(introspections.iter().map(|i| i.name.as_str())),
    );
    let authority = |index: usize| apis::authority(issuers.len(), token_services.len(), index);
    let providers = remote::providers(&raw.providers, &authority, &mut scope);
    scope.providers = Names::new(
        "provider",
        "providers",
        &declared.providers,
        providers.iter().map(|provider| provider.name.as_str()),
    );
    let signed = signed_urls::resolve(&raw.signed_urls, &mut scope);
    scope.signed_urls = Names::new(
        "set of keys",
        "signed-urls",
        &declared.signed_urls,
        signed.iter().map(|keys| keys.name.as_str()),
    );
    let backends = backends::resolve(&raw.backends, &mut scope);
    scope.backends = Names::new(
        "backend",
        "backends",
        &declared.backends,
        backends.iter().map(|b| b.name.as_str()),
    );
    let dialects = dialects::resolve(&raw.dialects, &mut scope);
    scope.dialects = Names::new(
        "dialect",
        "dialects",
        &declared.dialects,
        dialects.iter().map(|d| d.name.as_str()),
    );
    let has_tls = listeners.iter().any(|l| matches!(l.mode, ListenerMode::Tls(_)));
    let world = apis::World {
        https: has_tls || !server.trusted_proxies.is_empty(),
        regions: &regions,
        issuers: &issuers,
        customers: &customers,
        realms: &realms,
        services: &token_services,
        introspections: &introspections,
        providers: &providers,
        limits: &limits,
        backends: &backends,
    };
    let apis = apis::resolve(&raw.apis, &world, &mut scope);
    if raw.apis.0.is_empty() && !declared.has_apis && scope.findings.is_whole() {
        scope.whole_file(
            "missing-key",
            "the configuration needs at least one api",
            "write `apis:`, by name, each with `hosts:` and `routes:`",
        );
    }
    let telemetry = telemetry::resolve(&raw.telemetry, &mut scope);
    let mut watched: Vec<PathBuf> = files.paths().map(std::path::Path::to_owned).collect();
    for file in scope.named_files {
        if !watched.contains(&file) {
            watched.push(file);
        }
    }
    Plan {
        server,
        listeners,
        admin,
        regions,
        issuers,
        store,
        realms,
        services: token_services,
        introspections,
        providers,
        signed_urls: signed,
        limits,
        customers,
        backends,
        dialects,
        apis,
        telemetry,
        files: watched,
        warnings: Vec::new(),
    }
}

/// The names that the file declares, broken or not.
#[derive(Debug, Default)]
pub(super) struct Declared {
    regions: Vec<String>,
    issuers: Vec<String>,
    realms: Vec<String>,
    services: Vec<String>,
    introspections: Vec<String>,
    providers: Vec<String>,
    signed_urls: Vec<String>,
    limits: Vec<String>,
    plans: Vec<String>,
    backends: Vec<String>,
    dialects: Vec<String>,
    has_listeners: bool,
    has_apis: bool,
}

impl Declared {
    /// From the tree as it was read.
    pub(in crate::config) fn of(root: &Node) -> Declared {
        Declared {
            regions: shape::names(root, "regions"),
            issuers: shape::names(root, "issuers"),
            realms: shape::names(root, "realms"),
            services: shape::names(root, "token-services"),
            introspections: shape::names(root, "introspections"),
            providers: shape::names(root, "providers"),
            signed_urls: shape::names(root, "signed-urls"),
            limits: shape::names(root, "limits"),
            plans: shape::names(root, "plans"),
            backends: shape::names(root, "backends"),
            dialects: shape::names(root, "dialects"),
            // Present and wrong has been reported as wrong.
            has_listeners: root.get("listeners").is_some_and(|node| !is_empty(node)),
            has_apis: root.get("apis").is_some_and(|node| !is_empty(node)),
        }
    }
}

fn is_empty(node: &Node) -> bool {
    use super::node::Value;
    match &node.value {
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) => false,
    }
}

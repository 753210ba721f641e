//! From the plan to the view.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use super::callers::Callers;
use super::own::{self, Makings};
use super::{Backend, Fixed, Live, Route, Target, View};
use crate::accounts::Directory;
use crate::auth::access::{Access, RequiredClaims, ScopeRule, TenantUuids};
use crate::auth::credentials::Credentials;
use crate::conditions::Conditions;
use crate::config::plan::{
    AccessPlan, ApiPlan, BackendPlan, CredentialPlan, DialectPlan, HostPattern, LimitKey, Plan, RegionSource,
    RoutePlan, SessionCookie, TargetPlan,
};
use crate::endpoints::UNDER_WAY;
use crate::headers::Outgoing;
use crate::http::guard::Guard;
use crate::identity::RouteName;
use crate::limits::Limit;
use crate::limits::Limits;
use crate::limits::items::ItemCap;
use crate::limits::table::Table;
use crate::rejection::rendering::{Look, Looks, Offered};
use crate::routing::region::Regions;
use crate::routing::router::{Builder, HostMatch};
use crate::telemetry::metrics::{NONE, UpstreamMetrics};
use crate::telemetry::record::Recorder;
use crate::upstream::{Readiness, Service};

/// At most so much of a body is held while its items are counted (1 MiB).
const HELD_FOR_COUNTING: u64 = 1 << 20;

/// And at most for so long where no backend says otherwise: what an exchange may take by default.
const COUNTED_WITHIN: Duration = Duration::from_secs(5 * 60);

/// A part of the plan that cannot be put to work.
#[derive(Debug, thiserror::Error)]
#[error("{what} `{name}`: {cause}")]
pub struct CompileError {
    /// What kind of part.
    pub what: &'static str,
    /// Its name.
    pub name: String,
    /// Why.
    pub cause: String,
}

pub(super) fn refused(what: &'static str, name: impl ToString, cause: impl ToString) -> CompileError {
    CompileError {
        what,
        name: name.to_string(),
        cause: cause.to_string(),
    }
}

impl View {
    /// Compiles `plan` for `shards` workers, taking over from `old` what has the same name and settings.
    ///
    /// # Errors
    /// The first part that cannot be put to work: a file of keys, a certificate, a route that conflicts.
    pub fn compile(
        plan: &Plan,
        old: &Live,
        shards: usize,
        recorder: &Arc<Recorder>,
    ) -> Result<(View, Live), CompileError> {
        let mut directory = Directory::new(&plan.customers, &plan.regions);
        if let Some(accounts) = &old.accounts {
            directory = directory.beside(Arc::clone(accounts.customers()), &plan.limits);
        }
        let directory = Arc::new(directory);
        let callers = Callers::compile(plan, old, recorder)?;
        let live = Live {
            services: services(plan, old, shards)?,
            readiness: readiness(plan, old, recorder)?,
            token_services: own::token_services(plan, &callers, &directory)?,
            callers,
            directory: Arc::clone(&directory),
            accounts: old.accounts.clone(),
            limits: limits(plan, old, &directory, recorder),
            regions: plan
                .regions
                .iter()
                .map(|region| region.name.to_string())
                .collect(),
        };
        let looks = plan
            .dialects
            .iter()
            .map(|dialect| compile_looks(dialect, &Offered::Bearer))
            .collect::<Result<Vec<_>, _>>()?;
        let standard = Arc::new(Looks::standard());
        let parts = Parts {
            plan,
            live: &live,
            directory: &directory,
            recorder,
        };
        // A backend that believes a name believes it whichever api a call came through.
        let identity: Vec<HeaderName> = (plan.apis.iter())
            .flat_map(|api| api.headers.identity().cloned())
            .collect();
        let mut router = Builder::new();
        let mut apis = Vec::with_capacity(plan.apis.len());
        for (index, api) in plan.apis.iter().enumerate() {
            apis.push(match (plan.dialects.get(api.dialect.index()), offered(api)) {
                (Some(dialect), offered @ Offered::BearerAndBasic { .. }) => {
                    compile_looks(dialect, &offered)?
                }
                (Some(_), Offered::Bearer) | (None, _) => {
                    Arc::clone(looks.get(api.dialect.index()).unwrap_or(&standard))
                }
            });
            for host in &api.hosts {
                router.host(host_match(host), index);
            }
            let mut names = api.headers.clone();
            names.remove.extend(identity.iter().cloned());
            names.remove.extend(api_key_headers(api));
            let outgoing = Outgoing::new(&names, &api.tenant_selector);
            let outgoing = Arc::new(outgoing.without_cookies(own_cookies(api)));
            for route in &api.routes {
                let compiled = parts.route(api, route, &outgoing)?;
                router
                    .route(index, &route.path, &route.methods, compiled)
                    .map_err(|cause| refused("route", &route.place, cause))?;
            }
        }
        let head = plan.server.head;
        let view = View {
            guard: Guard::new(head.fields, head.bytes, head.target, plan.server.danger_guard_off),
            router: router.build(),
            apis,
            standard,
            regions: Regions::new(&plan.regions),
            trusted: plan.server.trusted_proxies.clone(),
            body_idle: plan.server.timeouts.body,
            recorder: Arc::clone(recorder),
        };
        Ok((view, live))
    }
}

fn services(plan: &Plan, old: &Live, shards: usize) -> Result<HashMap<String, Service>, CompileError> {
    plan.backends
        .iter()
        .map(|backend| {
            let service = Service::new(backend, shards, old.services.get(&backend.name))
                .map_err(|cause| refused("backend", &backend.name, cause))?;
            Ok((backend.name.clone(), service))
        })
        .collect()
}

fn readiness(
    plan: &Plan,
    old: &Live,
    recorder: &Recorder,
) -> Result<HashMap<String, Arc<Readiness>>, CompileError> {
    let watched = plan.backends.iter().map(|backend| {
        let before = old.readiness.get(&backend.name);
        let readiness = Readiness::new(backend, recorder.clock(), before)
            .map_err(|cause| refused("backend", &backend.name, cause))?;
        Ok(readiness.map(|readiness| (backend.name.clone(), readiness)))
    });
    watched.filter_map(Result::transpose).collect()
}

fn limits(
    plan: &Plan,
    old: &Live,
    directory: &Arc<Directory>,
    recorder: &Recorder,
) -> HashMap<crate::identity::LimitName, Arc<Limit>> {
    plan.limits
        .iter()
        .enumerate()
        .map(|(index, limit)| {
            let table = old
                .limits
                .get(&limit.name)
                .map_or_else(|| Arc::new(Table::default()), |before| Arc::clone(before.table()));
            let reference = crate::config::plan::LimitRef::new(index);
            let compiled = Limit::new(limit, reference, table, Arc::clone(directory))
                .measured(recorder.metrics().limit(limit.name.as_str()));
            (limit.name.clone(), Arc::new(compiled))
        })
        .collect()
}

/// What a 401 of an api offers. Sessions are of people with browsers, which would ask for a password by themselves.
fn offered(api: &ApiPlan) -> Offered {
    let takes_passwords = credentials(api).any(|credential| match credential {
        CredentialPlan::Basic(_) => true,
        CredentialPlan::Bearer(_)
        | CredentialPlan::Session
        | CredentialPlan::ApiKey { .. }
        | CredentialPlan::SignedUrl(_)
        | CredentialPlan::SignedIn(_) => false,
    });
    if takes_passwords && api.session.is_none() {
        Offered::BearerAndBasic {
            realm: api.name.clone(),
        }
    } else {
        Offered::Bearer
    }
}

/// What the routes of an api take.
fn credentials(api: &ApiPlan) -> impl Iterator<Item = &CredentialPlan> {
    api.routes.iter().flat_map(|route| match &route.access {
        AccessPlan::Public => &[][..],
        AccessPlan::Required { credentials, .. } => credentials.as_slice(),
    })
}

fn compile_looks(dialect: &DialectPlan, offered: &Offered) -> Result<Arc<Looks>, CompileError> {
    let rows: Vec<_> = dialect
        .rows
        .iter()
        .map(|(code, row)| {
            let look = Look {
                status: row.status,
                headers: row.headers.clone(),
                content_type: row.content_type.clone(),
                body: row.body.clone(),
            };
            (*code, look)
        })
        .collect();
    Looks::offering(&rows, offered)
        .map(Arc::new)
        .map_err(|cause| refused("dialect", &dialect.name, cause))
}

fn host_match(host: &HostPattern) -> HostMatch {
    match host {
        HostPattern::Exact(name) => HostMatch::Exact(name.clone()),
        HostPattern::Suffix(suffix) => HostMatch::Suffix(suffix.clone()),
        HostPattern::Any => HostMatch::Any,
    }
}

/// Fields of an api that carry tokens to the gateway, not to the backend.
fn api_key_headers(api: &ApiPlan) -> impl Iterator<Item = HeaderName> {
    credentials(api).filter_map(|credential| match credential {
        CredentialPlan::ApiKey { service: _, header } => Some(header.clone()),
        CredentialPlan::Bearer(_)
        | CredentialPlan::Session
        | CredentialPlan::Basic(_)
        | CredentialPlan::SignedUrl(_)
        | CredentialPlan::SignedIn(_) => None,
    })
}

/// Cookies of an api that are the gateway's own.
fn own_cookies(api: &ApiPlan) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut add = |cookie: &SessionCookie| names.push(cookie.https.name().to_owned());
    if let Some(session) = &api.session {
        add(&session.cookie);
        session.csrf.iter().for_each(|csrf| add(&csrf.cookie));
    }
    for sign_in in &api.sign_ins {
        add(&sign_in.cookie);
        sign_in.csrf.iter().for_each(|csrf| add(&csrf.cookie));
    }
    if !api.sign_ins.is_empty() {
        names.push(format!("{UNDER_WAY}*"));
    }
    names.extend(
        api.session
            .iter()
            .flat_map(|session| session.read.iter().cloned()),
    );
    names.sort_unstable();
    names.dedup();
    names
}

struct Parts<'p> {
    plan: &'p Plan,
    live: &'p Live,
    directory: &'p Arc<Directory>,
    recorder: &'p Arc<Recorder>,
}

impl Parts<'_> {
    fn route(
        &self,
        api: &ApiPlan,
        route: &RoutePlan,
        outgoing: &Arc<Outgoing>,
    ) -> Result<Route, CompileError> {
        let credentials = match &route.access {
            AccessPlan::Public => Credentials::public(),
            AccessPlan::Required { credentials, .. } => Credentials::of(
                (credentials.iter())
                    .map(|credential| self.live.callers.accepted(self.plan, api, route, credential))
                    .collect::<Result<Vec<_>, _>>()?,
            ),
        };
        let access = Access::new(
            &route.access,
            self.needed_claims(api, route),
            Arc::clone(self.directory),
            &api.tenant_selector,
        )
        .with_uuids(if api.headers.tenant_uuid.is_some() {
            TenantUuids::Told
        } else {
            TenantUuids::Untold
        })
        .with_scopes(if api.scope_methods {
            ScopeRule::Methods
        } else {
            ScopeRule::Named
        });
        let limits = route
            .limits
            .iter()
            .filter_map(|limit| self.plan.limits.get(limit.index()))
            .filter_map(|plan| self.live.limits.get(&plan.name).cloned())
            .collect();
        Ok(Route {
            name: route.name.clone(),
            credentials,
            access,
            limits: match route.target.client_source() {
                Some(_) => Limits::new(api.name.clone(), route.name.clone(), limits).by_named_client(),
                None => Limits::new(api.name.clone(), route.name.clone(), limits),
            },
            client: route.target.client_source(),
            conditions: self.conditions(api, route),
            items: route.items.as_ref().map(|items| {
                let hold = HELD_FOR_COUNTING.min(route.body_limit);
                ItemCap::new(items, hold, self.whole_time(&route.target))
            }),
            region: api.region.clone(),
            outgoing: Arc::clone(outgoing),
            body_limit: route.body_limit,
            deprecated: route.deprecated.clone(),
            metrics: self
                .recorder
                .metrics()
                .route(api.name.as_str(), route.name.as_str()),
            target: self.target(api, &route.name, &route.target)?,
        })
    }

    fn backend(&self, target: &TargetPlan) -> Option<&BackendPlan> {
        self.plan.backends.get(target.backend()?.index())
    }

    fn conditions(&self, api: &ApiPlan, route: &RoutePlan) -> Option<Box<Conditions>> {
        let backend = self.backend(&route.target);
        let version = backend.and_then(|backend| Some((api.version.as_ref()?, backend.version.as_ref()?)));
        let conditions = Conditions::new(version, &route.media_types, &route.ranges);
        conditions.map(Box::new)
    }

    /// How long a call to `target` may take. A body that is counted is not under way to a backend yet, whose deadlines
    /// would hold it.
    fn whole_time(&self, target: &TargetPlan) -> Duration {
        self.backend(target)
            .map_or(COUNTED_WITHIN, |backend| backend.timeouts.whole)
    }

    /// The metrics of a backend, by region; the last is for calls without one.
    fn measured(&self, backend: &str) -> Box<[Arc<UpstreamMetrics>]> {
        let regions = self.plan.regions.iter().map(|region| region.name.as_str());
        regions
            .chain([NONE])
            .map(|region| self.recorder.metrics().upstream(backend, region))
            .collect()
    }

    /// A claim that the route limits by or injects is needed there. A region claim only where nothing else can say where
    /// the call belongs.
    fn needed_claims(&self, api: &ApiPlan, route: &RoutePlan) -> RequiredClaims {
        let keys = route
            .limits
            .iter()
            .filter_map(|limit| self.plan.limits.get(limit.index()))
            .flat_map(|limit| limit.per.iter().copied())
            .collect::<Vec<_>>();
        RequiredClaims {
            customer: api.headers.customer.is_some() || keys.contains(&LimitKey::Customer),
            tenant: api.headers.tenant.is_some() || keys.contains(&LimitKey::Tenant),
            region: api.region.from == [RegionSource::Claim] && api.region.default.is_none(),
        }
    }

    fn target(&self, api: &ApiPlan, route: &RouteName, target: &TargetPlan) -> Result<Target, CompileError> {
        Ok(match target {
            TargetPlan::Respond(answer) => Target::Fixed(Fixed::new(answer.clone())),
            TargetPlan::Gone => Target::Gone,
            TargetPlan::Own(endpoint) => {
                let makings = Makings {
                    plan: self.plan,
                    live: self.live,
                    directory: self.directory,
                };
                Target::Own(Box::new(makings.endpoint(api, route, endpoint)?))
            }
            TargetPlan::Backend { backend, rewrite } => {
                let plan = self.plan.backends.get(backend.index());
                match plan.and_then(|plan| Some((plan, self.live.services.get(&plan.name)?))) {
                    Some((plan, _)) if plan.fixed.is_some() => plan
                        .fixed
                        .clone()
                        .map_or(Target::Gone, |answer| Target::Fixed(Fixed::new(answer))),
                    Some((plan, service)) => Target::Backend(Backend {
                        name: plan.name.as_str().into(),
                        service: service.clone(),
                        readiness: self.live.readiness.get(&plan.name).cloned(),
                        rewrite: rewrite.clone(),
                        measured: self.measured(&plan.name),
                    }),
                    None => return Err(refused("route", route, "its backend is not there")),
                }
            }
        })
    }
}

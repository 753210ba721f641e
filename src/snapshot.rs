//! The view: the plan, compiled. A request sees exactly one from beginning to end.
//!
//! Compiling takes over what is at work under the view before, by name: buckets, pools, key rings, verified tokens.

mod callers;
mod compile;
mod fixed;
mod live;
mod own;

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderValue, Response};
use bytes::Bytes;
use ipnet::IpNet;

pub use compile::CompileError;
pub use fixed::Fixed;
pub use live::Live;

use crate::auth::access::Access;
use crate::auth::credentials::Credentials;
use crate::conditions::Conditions;
use crate::config::plan::{ClientSource, RegionRef, RegionRule, Rewrite};
use crate::endpoints::Endpoint;
use crate::headers::Outgoing;
use crate::http::guard::Guard;
use crate::identity::RouteName;
use crate::limits::Limits;
use crate::limits::items::ItemCap;
use crate::rejection::Rejection;
use crate::rejection::rendering::Looks;
use crate::routing::region::Regions;
use crate::routing::router::Router;
use crate::telemetry::metrics::{RouteMetrics, UpstreamMetrics};
use crate::telemetry::record::{Record, Recorder};
use crate::upstream::{Readiness, Service};

/// The compiled configuration.
pub struct View {
    /// What is refused before anything else.
    pub guard: Guard,
    /// Which route.
    pub router: Router<Route>,
    /// Which region.
    pub regions: Regions,
    /// Whose `Forwarded` fields are believed.
    pub trusted: Vec<IpNet>,
    /// Between two reads of a request's body.
    pub body_idle: Duration,
    apis: Vec<Arc<Looks>>,
    standard: Arc<Looks>,
    recorder: Arc<Recorder>,
}

/// A path and methods of an api with its stages; reading it is reading the policy.
pub struct Route {
    /// Its name.
    pub name: RouteName,
    /// Who may come.
    pub credentials: Credentials,
    /// What it may do.
    pub access: Access,
    /// Where a request names the application that it is for, to be counted by.
    pub client: Option<ClientSource>,
    /// On whose quota.
    pub limits: Limits,
    /// What calls must be like, where that is asked.
    pub conditions: Option<Box<Conditions>>,
    /// How many items at once.
    pub items: Option<ItemCap>,
    /// To which region.
    pub region: RegionRule,
    /// With which header fields.
    pub outgoing: Arc<Outgoing>,
    /// With how much of a body.
    pub body_limit: u64,
    /// What the answer says of the route's future.
    pub deprecated: Option<HeaderValue>,
    /// Where it goes.
    pub target: Target,
    /// How it is counted.
    pub metrics: Arc<RouteMetrics>,
}

/// Where a call goes.
pub enum Target {
    /// To a backend.
    Backend(Backend),
    /// An answer from configuration.
    Fixed(Fixed),
    /// An endpoint of our own.
    Own(Box<Endpoint>),
    /// The route existed once.
    Gone,
}

/// A backend as one route uses it.
pub struct Backend {
    /// Its name.
    pub name: Arc<str>,
    /// Its endpoints.
    pub service: Service,
    /// Whether it can work, where it is asked.
    pub readiness: Option<Arc<Readiness>>,
    /// What becomes of the path.
    pub rewrite: Rewrite,
    measured: Box<[Arc<UpstreamMetrics>]>,
}

impl Backend {
    /// May a call for `region` be sent?
    ///
    /// # Errors
    /// [`Rejection::UpstreamNotReady`].
    pub fn check_ready(&self, region: Option<RegionRef>) -> Result<(), Rejection> {
        match &self.readiness {
            Some(readiness) => readiness.check(region),
            None => Ok(()),
        }
    }

    /// What is measured of it in `region`.
    pub fn measured(&self, region: Option<RegionRef>) -> Option<&UpstreamMetrics> {
        let index = region.map_or(self.measured.len().saturating_sub(1), RegionRef::index);
        self.measured.get(index).map(|metrics| &**metrics)
    }
}

impl View {
    /// Opens the record of a request.
    pub fn open_record(&self) -> Record {
        Record::open(&self.recorder)
    }

    /// The refusal as the client of that api expects it; the standard look where no api is known.
    pub fn refuse(&self, rejection: &Rejection, api: Option<usize>, request_id: &str) -> Response<Bytes> {
        let looks = api.and_then(|api| self.apis.get(api)).unwrap_or(&self.standard);
        looks.render(rejection, request_id)
    }

    /// The region's name as a header value.
    pub fn region_value(&self, region: Option<RegionRef>) -> Option<&HeaderValue> {
        region.and_then(|region| self.regions.value(region))
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View")
            .field("apis", &self.apis.len())
            .finish_non_exhaustive()
    }
}

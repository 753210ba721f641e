//! All metrics of one gateway.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use prometheus::process_collector::ProcessCollector;
use prometheus::{Registry, TextEncoder};

use super::cells::{Counted, Counter, Gauge, Level};
use super::endpoints::{EndpointReading, Endpoints, ReadyReading, write_ready};
use super::handles::{
    CredentialMetrics, IntrospectionMetrics, IssuerMetrics, LimitMetrics, ListenerMetrics, RouteMetrics,
    SignInMetrics, UpstreamMetrics,
};
use super::table::Families;
use crate::base::clock::UnixTime;

/// The label for what belongs to no api, no route or no region.
pub const NONE: &str = "none";

/// Every metric of one gateway. There is one in a process; a test makes as many as it likes.
pub struct Metrics {
    registry: Registry,
    families: Arc<Families>,
    /// Requests under way.
    pub in_flight: Arc<Level>,
    /// Lines handed to the access log.
    pub access_log_lines: Arc<Counter>,
    /// Lines that the access log lost.
    pub access_log_dropped: Arc<Counter>,
    reloads_ok: Arc<Counter>,
    reloads_failed: Arc<Counter>,
    generation: Arc<Gauge>,
    loaded: Arc<Gauge>,
    current: Arc<Gauge>,
    endpoints: Mutex<Endpoints>,
    program_log_dropped: Arc<Counted>,
    program_log: OnceLock<Box<dyn Fn() -> u64 + Send + Sync>>,
}

/// Where the gateway is in its life, for the metric `tollgate_state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifeState {
    /// Not ready yet.
    Starting,
    /// Serving.
    Ready,
    /// Still accepting, and asking clients to leave.
    Draining,
    /// Not accepting any more; what is under way finishes.
    Closing,
    /// Done.
    Stopped,
}

impl LifeState {
    /// All states, in the order in which they come.
    pub const ALL: [LifeState; 5] = [
        LifeState::Starting,
        LifeState::Ready,
        LifeState::Draining,
        LifeState::Closing,
        LifeState::Stopped,
    ];

    /// The word for logs, metrics and `/ready`.
    pub fn as_str(self) -> &'static str {
        match self {
            LifeState::Starting => "starting",
            LifeState::Ready => "ready",
            LifeState::Draining => "draining",
            LifeState::Closing => "closing",
            LifeState::Stopped => "stopped",
        }
    }
}

impl Metrics {
    /// Registers every row of the table, and the figures of the process (memory, file descriptors, CPU time).
    pub fn new() -> Arc<Metrics> {
        let registry = Registry::new();
        let families = Arc::new(Families::register(&registry));
        // Nothing to do if it fails: then there is no /proc, and these figures are missing.
        let _ = registry.register(Box::new(ProcessCollector::for_self()));
        families.build.cell(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        let metrics = Metrics {
            in_flight: families.in_flight.cell(&[]),
            access_log_lines: families.access_log_lines.cell(&[]),
            access_log_dropped: families.access_log_dropped.cell(&[]),
            reloads_ok: families.reloads.cell(&["ok"]),
            reloads_failed: families.reloads.cell(&["failed"]),
            generation: families.config_generation.cell(&[]),
            loaded: families.config_loaded.cell(&[]),
            current: families.config_current.cell(&[]),
            program_log_dropped: families.program_log_dropped.cell(&[]),
            program_log: OnceLock::new(),
            endpoints: Mutex::default(),
            registry,
            families,
        };
        metrics.entered(LifeState::Starting);
        Arc::new(metrics)
    }

    /// The counters of a route. Use [`NONE`] for what was refused before an api or a route was known.
    pub fn route(&self, api: &str, route: &str) -> Arc<RouteMetrics> {
        Arc::new(RouteMetrics::new(Arc::clone(&self.families), api, route))
    }

    /// What is measured of a backend in a region; the region may be [`NONE`].
    pub fn upstream(&self, backend: &str, region: &str) -> Arc<UpstreamMetrics> {
        Arc::new(UpstreamMetrics::new(&self.families, backend, region))
    }

    /// What the pools of all backends say of their addresses now: all of them, before each scrape. Counters go on where
    /// the name of an endpoint gets other addresses, or a reload makes its pools anew.
    pub fn endpoints(&self, readings: &[EndpointReading]) {
        self.endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(&self.families, readings);
    }

    /// What the readiness checks of all backends say now: all of them, before each scrape.
    pub fn ready(&self, readings: &[ReadyReading]) {
        write_ready(&self.families, readings);
    }

    /// The counters of an issuer and its keys.
    pub fn issuer(&self, issuer: &str) -> Arc<IssuerMetrics> {
        Arc::new(IssuerMetrics::new(&self.families, issuer))
    }

    /// The counters of one kind of credential (a word of [`CredentialKind`](crate::identity::CredentialKind)) of an
    /// authority of the configuration.
    pub fn credential(&self, authority: &str, kind: &'static str) -> Arc<CredentialMetrics> {
        Arc::new(CredentialMetrics::new(&self.families, authority, kind))
    }

    /// The counters of sign-ins of a realm.
    pub fn sign_ins(&self, realm: &str) -> Arc<SignInMetrics> {
        Arc::new(SignInMetrics::new(&self.families, realm))
    }

    /// The counters of an introspection endpoint.
    pub fn introspection(&self, issuer: &str) -> Arc<IntrospectionMetrics> {
        Arc::new(IntrospectionMetrics::new(&self.families, issuer))
    }

    /// So many passwords were hashed since the start.
    pub fn password_hashes(&self, computed: u64) {
        self.families.password_hashes.cell(&[]).set(computed);
    }

    /// The counters of a limit.
    pub fn limit(&self, limit: &str) -> Arc<LimitMetrics> {
        Arc::new(LimitMetrics::new(&self.families, limit))
    }

    /// The counters of a listener, by its configured address.
    pub fn listener(&self, listener: &str) -> Arc<ListenerMetrics> {
        Arc::new(ListenerMetrics::new(&self.families, listener))
    }

    /// A configuration came into use at `now` as the `generation`th, counted from 1.
    pub fn reload_succeeded(&self, generation: u64, now: UnixTime) {
        self.reloads_ok.inc();
        self.generation.set(generation as f64);
        self.loaded.set(now.0 as f64);
        self.current.set(1.0);
    }

    /// A configuration was not accepted; the old one stays.
    pub fn reload_failed(&self) {
        self.reloads_failed.inc();
        self.current.set(0.0);
    }

    /// The certificates in use, each by its configured name or file, and when it ends. Replaces what was known before.
    pub fn certificates<'n>(&self, ends: impl IntoIterator<Item = (&'n str, UnixTime)>) {
        self.families.certificate_expiry.clear();
        for (name, end) in ends {
            self.families.certificate_expiry.cell(&[name]).set(end.0 as f64);
        }
    }

    /// The gateway is in this state now.
    pub fn entered(&self, state: LifeState) {
        for each in LifeState::ALL {
            let value = if each == state { 1.0 } else { 0.0 };
            self.families.state.cell(&[each.as_str()]).set(value);
        }
    }

    /// Asks `dropped` at each scrape how many lines the program log has lost. Only the first call has an effect.
    pub fn program_log(&self, dropped: impl Fn() -> u64 + Send + Sync + 'static) {
        let _ = self.program_log.set(Box::new(dropped));
    }

    /// Everything in the text exposition format 0.0.4.
    pub fn render(&self) -> String {
        if let Some(dropped) = self.program_log.get() {
            self.program_log_dropped.set(dropped());
        }
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "the metrics could not be written as text");
        }
        text
    }
}

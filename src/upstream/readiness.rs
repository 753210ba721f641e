//! Readiness of a backend: each of its endpoints is asked at an interval whether it can work. While no endpoint of a region
//! says so, calls for the region are refused before they are sent; an endpoint that does not say so is passed over as long
//! as others do.
//!
//! An endpoint counts as not ready until it has said that it is. It is asked in the way that calls go to it: same address,
//! same TLS, same protocol, on connections of the check's own.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{HeaderValue, Request, Uri};
use http_body_util::BodyExt as _;
use tokio::time::Instant;

use super::UpstreamNote;
use super::service::{Service, ServiceError};
use crate::base::clock::{Clock, UnixTime};
use crate::base::tasks;
use crate::config::plan::{BackendPlan, EndpointPlan, PoolPlan, ReadyPlan, RegionRef, UpstreamTimeouts};
use crate::http::body::Body;
use crate::rejection::Rejection;

/// Most bytes of the answer to a check that are read; an endless one is no sign of health.
const MOST_READ: usize = 64 << 10;

/// The readiness of one backend.
#[derive(Debug)]
pub struct Readiness {
    backend: String,
    plan: ReadyPlan,
    clock: Clock,
    watched: Box<[Watched]>,
    /// By region, as far as there are endpoints of it; the last is that of endpoints of no region.
    gates: Box<[Gate]>,
    started: AtomicBool,
}

/// Are there endpoints, and is one of them ready?
#[derive(Debug, Default)]
struct Gate {
    has_endpoints: bool,
    is_open: AtomicBool,
}

/// One endpoint.
#[derive(Debug)]
struct Watched {
    endpoint: EndpointPlan,
    label: String,
    request: Asked,
    service: Service,
    state: Arc<State>,
}

#[derive(Debug)]
struct Asked {
    host: HeaderValue,
    target: Uri,
}

/// What is known of an endpoint; outlives a reload.
#[derive(Debug, Default)]
struct State {
    /// 0: never asked to the end; 1: ready; 2: not ready.
    word: AtomicU8,
    /// Checks that have failed since the last that did not.
    failures: AtomicU32,
    /// Since when it is as it is, and when it was looked at last.
    since: AtomicI64,
    checked: AtomicI64,
    /// Of the last check that did not fail, in microseconds.
    latency: AtomicU64,
}

/// Can an endpoint, or a region, work?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// It was not asked yet.
    Unknown,
    /// It says so.
    Yes,
    /// It does not.
    No,
}

/// What can be said of one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyFacts {
    /// Host (or name) and port as configured.
    pub endpoint: String,
    /// Its region, if it belongs to one.
    pub region: Option<RegionRef>,
    /// Can it work?
    pub ready: Ready,
    /// Since when it is so; `None` before the first check.
    pub since: Option<UnixTime>,
    /// When it was last looked at.
    pub checked: Option<UnixTime>,
    /// How long the last good check took.
    pub latency: Option<Duration>,
}

impl Readiness {
    /// Watches the endpoints of `plan`; `None` when the plan has no check. What `carry` knows of an endpoint that is asked in
    /// the same way is taken over. Nothing is asked before [`Readiness::start`].
    ///
    /// # Errors
    /// When files for TLS cannot be read or used.
    pub fn new(
        plan: &BackendPlan,
        clock: &Clock,
        carry: Option<&Arc<Readiness>>,
    ) -> Result<Option<Arc<Readiness>>, ServiceError> {
        let Some(ready) = &plan.ready else {
            return Ok(None);
        };
        let mut watched = Vec::with_capacity(plan.endpoints.len());
        for endpoint in &plan.endpoints {
            let known = carry.filter(|old| old.plan == *ready).and_then(|old| {
                let mut watched = old.watched.iter();
                watched.find(|watched| watched.endpoint == *endpoint)
            });
            watched.push(Watched {
                label: label(endpoint),
                request: Asked {
                    host: host(ready, endpoint),
                    target: ready.path.parse().unwrap_or_else(|_| Uri::from_static("/")),
                },
                service: Service::new(&alone(plan, ready, endpoint), 1, None)?,
                state: known.map_or_else(Arc::default, |known| Arc::clone(&known.state)),
                endpoint: endpoint.clone(),
            });
        }
        let regions = plan.endpoints.iter().filter_map(|endpoint| endpoint.region);
        let count = regions.map(|region| region.index() + 1).max().unwrap_or(0);
        let place = |region: Option<RegionRef>| region.map_or(count, RegionRef::index);
        let gates = (0..=count).map(|index| Gate {
            has_endpoints: plan.endpoints.iter().any(|one| place(one.region) == index),
            is_open: AtomicBool::new(false),
        });
        let readiness = Readiness {
            backend: plan.name.clone(),
            plan: ready.clone(),
            clock: clock.clone(),
            watched: watched.into(),
            gates: gates.collect(),
            started: AtomicBool::new(false),
        };
        readiness.open_gates();
        Ok(Some(Arc::new(readiness)))
    }

    /// May a call for `region` be sent? Two loads.
    ///
    /// # Errors
    /// [`Rejection::UpstreamNotReady`].
    pub fn check(&self, region: Option<RegionRef>) -> Result<(), Rejection> {
        let anywhere = self.gates.len().saturating_sub(1);
        // The same choice that `Board::group` makes.
        let own = region.map(RegionRef::index).filter(|index| *index < anywhere);
        let gate = own
            .and_then(|index| self.gates.get(index))
            .filter(|gate| gate.has_endpoints)
            .or_else(|| self.gates.get(anywhere));
        match gate {
            // Without an endpoint the call has another refusal before it.
            Some(gate) if gate.has_endpoints && !gate.is_open.load(Ordering::Relaxed) => {
                Err(Rejection::UpstreamNotReady {
                    retry_after_seconds: self.plan.interval.as_secs().max(1),
                })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Asks every endpoint once, and starts the task that goes on asking. It ends when the last holder of `self` is gone.
    /// `passes` are told of the endpoints that calls go to.
    pub async fn start(self: &Arc<Readiness>, calls: &Service) {
        if self.started.swap(true, Ordering::AcqRel) {
            return;
        }
        // The task goes on where the caller does not wait for the first answers.
        let (first, done) = tokio::sync::oneshot::channel();
        let watching = watch(Arc::downgrade(self), calls.downgrade(), first);
        tasks::spawn("readiness", watching);
        let _ = done.await;
    }

    /// What can be said of each endpoint.
    pub fn facts(&self) -> Vec<ReadyFacts> {
        let time = |at: &AtomicI64| {
            Some(at.load(Ordering::Relaxed))
                .filter(|at| *at != 0)
                .map(UnixTime)
        };
        let facts = self.watched.iter().map(|watched| ReadyFacts {
            endpoint: watched.label.clone(),
            region: watched.endpoint.region,
            ready: watched.state.ready(),
            since: time(&watched.state.since),
            checked: time(&watched.state.checked),
            latency: match watched.state.latency.load(Ordering::Relaxed) {
                0 => None,
                micros => Some(Duration::from_micros(micros)),
            },
        });
        facts.collect()
    }

    async fn ask_all(&self, calls: &Service) {
        let answers = self.watched.iter().map(|watched| async move {
            let began = Instant::now();
            let outcome = watched.ask(self.plan.timeout).await;
            (watched, outcome, began.elapsed())
        });
        for (watched, outcome, took) in join_all(answers).await {
            self.note(watched, outcome, took);
        }
        self.open_gates();
        let others = self.plan.interval.saturating_add(self.plan.timeout);
        for watched in &self.watched {
            let span = match watched.state.ready() {
                Ready::Yes => None,
                // Until it was asked again.
                Ready::Unknown | Ready::No => Some(others),
            };
            calls.pass_over(&watched.endpoint, span);
        }
    }

    fn note(&self, watched: &Watched, outcome: Result<(), String>, took: Duration) {
        let now = self.clock.unix().0;
        let state = &watched.state;
        state.checked.store(now, Ordering::Relaxed);
        let before = state.ready();
        let after = match &outcome {
            Ok(()) => {
                state.failures.store(0, Ordering::Relaxed);
                let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
                state.latency.store(micros, Ordering::Relaxed);
                Ready::Yes
            }
            Err(_) => {
                let failed = state.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                // One that has never been ready need not fail often.
                if before == Ready::Yes && failed < self.plan.failures {
                    Ready::Yes
                } else {
                    Ready::No
                }
            }
        };
        if before == after {
            return;
        }
        state.word.store(after as u8, Ordering::Relaxed);
        state.since.store(now, Ordering::Relaxed);
        let (backend, endpoint) = (self.backend.as_str(), watched.label.as_str());
        match outcome {
            Ok(()) => tracing::info!(backend, endpoint, "an endpoint is ready"),
            Err(why) => tracing::warn!(
                backend,
                endpoint,
                why,
                "an endpoint is not ready; calls pass it over"
            ),
        }
    }

    fn open_gates(&self) {
        let anywhere = self.gates.len().saturating_sub(1);
        for (index, gate) in self.gates.iter().enumerate() {
            let mut own = (self.watched.iter())
                .filter(|watched| watched.endpoint.region.map_or(anywhere, RegionRef::index) == index);
            let is_ready = own.any(|watched| watched.state.ready() == Ready::Yes);
            gate.is_open.store(is_ready, Ordering::Relaxed);
        }
    }
}

impl State {
    fn ready(&self) -> Ready {
        match self.word.load(Ordering::Relaxed) {
            1 => Ready::Yes,
            2 => Ready::No,
            _ => Ready::Unknown,
        }
    }
}

impl Watched {
    /// Asks whether it can work: an answer of the class 2xx within `within` says so. The reason is for the log.
    async fn ask(&self, within: Duration) -> Result<(), String> {
        if self.service.has_names() {
            self.service.resolve().await;
        }
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = self.request.target.clone();
        let fields = request.headers_mut();
        fields.insert(HOST, self.request.host.clone());
        fields.insert(USER_AGENT, HeaderValue::from_static("tollgate"));
        fields.insert(ACCEPT, HeaderValue::from_static("*/*"));
        let mut note = UpstreamNote::default();
        let asking = async {
            let answer = (self.service.forward(0, None, request, None, &mut note).await)
                .map_err(|refused| refused.to_string())?;
            if !answer.status().is_success() {
                return Err(format!("it answers {}", answer.status().as_u16()));
            }
            let (mut body, mut read) = (answer.into_body(), 0_usize);
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|broken| broken.to_string())?;
                read = read.saturating_add(frame.data_ref().map_or(0, bytes::Bytes::len));
                if read > MOST_READ {
                    return Err("its answer is too long".to_owned());
                }
            }
            Ok(())
        };
        let outcome = tokio::time::timeout(within, Box::pin(asking)).await;
        outcome.unwrap_or_else(|_| Err(format!("no answer within {within:?}")))
    }
}

/// The backend with this endpoint alone, for the check: nothing is kept of its connections.
fn alone(plan: &BackendPlan, ready: &ReadyPlan, endpoint: &EndpointPlan) -> BackendPlan {
    BackendPlan {
        endpoints: vec![EndpointPlan {
            region: None,
            ..endpoint.clone()
        }],
        timeouts: UpstreamTimeouts {
            connect: ready.timeout,
            first_byte: ready.timeout,
            idle: ready.timeout,
            whole: ready.timeout,
        },
        pool: PoolPlan { idle: 0, ..plan.pool },
        set_aside: Duration::ZERO,
        ready: None,
        ..plan.clone()
    }
}

fn label(endpoint: &EndpointPlan) -> String {
    if endpoint.host.contains(':') {
        format!("[{}]:{}", endpoint.host, endpoint.port)
    } else {
        format!("{}:{}", endpoint.host, endpoint.port)
    }
}

fn host(ready: &ReadyPlan, endpoint: &EndpointPlan) -> HeaderValue {
    let own = || HeaderValue::try_from(label(endpoint)).ok();
    let said = ready
        .host
        .as_ref()
        .and_then(|host| HeaderValue::try_from(host).ok());
    said.or_else(own)
        .unwrap_or_else(|| HeaderValue::from_static("localhost"))
}

async fn watch(
    readiness: Weak<Readiness>,
    calls: super::service::WeakService,
    first: tokio::sync::oneshot::Sender<()>,
) {
    let mut first = Some(first);
    loop {
        let interval = {
            let (Some(readiness), Some(calls)) = (readiness.upgrade(), calls.upgrade()) else {
                return;
            };
            readiness.ask_all(&calls).await;
            readiness.plan.interval
        };
        if let Some(first) = first.take() {
            let _ = first.send(());
        }
        tokio::time::sleep(interval).await;
    }
}

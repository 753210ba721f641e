//! The gateway: assembly, reload, and the life of the process.
//!
//! A reload builds the new view beside the old one, warms it, and swaps once; on any error the old one stays. What the
//! old view had at work (buckets, pools, keys, verified tokens) is taken over by name.

mod error;
mod process;
mod service;
mod store_watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{Request, Response};
use tokio::sync::Mutex;

pub use error::StartError;
pub use process::run;
pub use service::GatewayService;

use self::store_watch::StoreWatch;
use crate::accounts::{self, Accounts};
use crate::admin::{self, AdminState, Control, Readiness};
use crate::base::clock::Clock;
use crate::base::digest::Digest;
use crate::base::random::Ids;
use crate::config::diff;
use crate::config::plan::{ListenerMode, Plan};
use crate::http::body::Body;
use crate::net::peer::Peer;
use crate::pipeline;
use crate::reply::Reply;
use crate::server::drain::{Drained, Life, Phase};
use crate::server::handler::{Handler, Incoming};
use crate::server::listener::{Listener, Mode};
use crate::server::tls::Tls;
use crate::server::worker::{self, Server};
use crate::shard::Shard;
use crate::snapshot::{Live, View};
use crate::store::Store;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::metrics::{LifeState, Metrics};
use crate::telemetry::record::Recorder;

/// What the embedding program chooses.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where time comes from.
    pub clock: Clock,
    /// How long a start or a reload waits for verification keys that are fetched.
    pub warm: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            clock: Clock::system(),
            warm: Duration::from_secs(2),
        }
    }
}

/// A running gateway. Dropping it does not stop it; [`Gateway::drain`] and [`Gateway::stop`] do.
pub struct Gateway {
    shared: Arc<Shared>,
    server: Server,
    admin: Option<admin::Handle>,
}

/// What reloads, probes and the process share.
struct Shared {
    options: Options,
    life: Life,
    metrics: Arc<Metrics>,
    shards: Vec<Arc<Shard>>,
    tls: Vec<Option<Arc<Tls>>>,
    access_log: Option<AccessLog>,
    /// The plan in force and what is at work under it; locked by a reload from beginning to end.
    current: Mutex<Current>,
    /// Whether the store of accounts answers, once it is open.
    watch: std::sync::OnceLock<StoreWatch>,
    /// Issuers, for readiness: replaced by a reload.
    live: arc_swap::ArcSwap<Live>,
}

struct Current {
    plan: Plan,
    generation: u64,
}

impl Gateway {
    /// Binds, builds, warms, and serves. Must be called in a tokio runtime, which then runs the background tasks.
    ///
    /// # Errors
    /// [`StartError`] says what cannot be had: an address, a certificate, a file of keys, a log file.
    pub async fn start(plan: Plan, options: Options) -> Result<Gateway, StartError> {
        let metrics = Metrics::new();
        let life = Life::new();
        metrics.entered(LifeState::Starting);
        let access_log = match &plan.telemetry.access_log {
            Some(log) => {
                Some(AccessLog::open(log, &metrics).map_err(|cause| StartError::AccessLog { cause })?)
            }
            None => None,
        };
        let shard_count = worker::shards(plan.server.workers);
        let recorder = Recorder::new(options.clock.clone(), Arc::clone(&metrics), access_log.clone());
        let nothing = match open_accounts(&plan, &options.clock).await? {
            Some(accounts) => Live::default().with_accounts(accounts),
            None => Live::default(),
        };
        let (view, live) = View::compile(&plan, &nothing, shard_count, &recorder)?;
        live.warm(options.warm).await;
        let view = Arc::new(view);
        let ids = Arc::new(Ids::new());
        let shards: Vec<_> = (0..shard_count)
            .map(|number| {
                Arc::new(Shard::new(
                    number,
                    options.clock.clone(),
                    Arc::clone(&ids),
                    Arc::clone(&view),
                ))
            })
            .collect();
        let (listeners, tls) = bind(&plan)?;
        let shared = Arc::new(Shared {
            options,
            life: life.clone(),
            metrics: Arc::clone(&metrics),
            shards: shards.clone(),
            tls,
            access_log,
            watch: std::sync::OnceLock::new(),
            live: arc_swap::ArcSwap::from_pointee(live),
            current: Mutex::new(Current {
                plan: plan.clone(),
                generation: 1,
            }),
        });
        shared.watch_store();
        shared.show_certificates();
        let admin = match plan.admin {
            Some(admin_plan) => Some(admin::serve(
                admin_plan.address,
                shared.admin_state(admin_plan.token),
            )?),
            None => None,
        };
        #[expect(
            clippy::indexing_slicing,
            reason = "there is a shard for each worker, at least one"
        )]
        let server = Server::start(&plan.server, listeners, &life, &metrics, |number| Pipeline {
            shard: Arc::clone(&shards[number % shards.len()]),
        })
        .map_err(|cause| StartError::Threads { cause })?;
        metrics.reload_succeeded(1, shared.options.clock.unix());
        metrics.entered(LifeState::Ready);
        life.ready();
        Ok(Gateway {
            shared,
            server,
            admin,
        })
    }

    /// Where it listens, in the order of the plan.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.server.addresses().to_vec()
    }

    /// Where the admin listener is.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(admin::Handle::address)
    }

    /// Puts `plan` in force: new requests see it, requests under way end under the old one.
    ///
    /// # Errors
    /// [`StartError`]; the old plan stays in force. Among them, by name, what cannot change without a restart.
    pub async fn reload(&self, plan: Plan) -> Result<(), StartError> {
        let outcome = self.shared.reload(plan, &self.server).await;
        if outcome.is_err() {
            self.shared.metrics.reload_failed();
        }
        outcome
    }

    /// Opens the access log's file anew, for whoever moved it away.
    pub fn reopen_log(&self) {
        if let Some(log) = &self.shared.access_log {
            log.reopen();
        }
    }

    /// Counts a configuration that could not even be read.
    pub fn note_unreadable_configuration(&self) {
        self.shared.metrics.reload_failed();
    }

    /// Stops being ready, lets what is in flight finish, and ends.
    pub async fn drain(&self) -> Drained {
        let plan = self.shared.current.lock().await.plan.server.drain;
        self.shared.metrics.entered(LifeState::Draining);
        let drained = self.shared.life.drain(plan).await;
        self.shared.metrics.entered(LifeState::Stopped);
        if let Some(accounts) = self.shared.live.load().accounts()
            && let Err(error) = accounts.store().close().await
        {
            tracing::warn!(%error, "the store did not close well; what was acknowledged is safe");
        }
        if let Some(log) = &self.shared.access_log {
            // The last lines are worth a moment, not a hang.
            log.flush(Duration::from_secs(1));
        }
        drained
    }

    /// Ends at once.
    pub fn stop(&self) {
        self.shared.life.stop();
    }

    /// The gateway as a `tower::Service`, without its listeners: for tests, for other people's layers, for embedding.
    #[expect(
        clippy::indexing_slicing,
        reason = "there is a shard for each worker, at least one"
    )]
    pub fn service(&self) -> GatewayService {
        GatewayService::new(Arc::clone(&self.shared.shards[0]))
    }

    /// The metrics, to register more in.
    pub fn metrics_registry(&self) -> &Arc<Metrics> {
        &self.shared.metrics
    }

    /// The metrics in the text format of Prometheus.
    pub fn metrics(&self) -> String {
        self.shared.render_metrics()
    }
}

impl Shared {
    async fn reload(&self, plan: Plan, server: &Server) -> Result<(), StartError> {
        let mut current = self.current.lock().await;
        let restart = diff::restart_needed(&current.plan, &plan);
        if !restart.is_empty() {
            return Err(StartError::NeedsRestart(restart));
        }
        let generation = current.generation + 1;
        let mut old = self.live.load_full();
        if old.accounts().is_none()
            && let Some(accounts) = open_accounts(&plan, &self.options.clock).await?
        {
            old = Arc::new(Live::clone(&old).with_accounts(accounts));
        }
        let recorder = Recorder::new(
            self.options.clock.clone(),
            Arc::clone(&self.metrics),
            self.access_log.clone(),
        );
        let (view, live) = View::compile(&plan, &old, self.shards.len(), &recorder)?;
        let mut prepared = Vec::new();
        for (listener, tls) in plan.listeners.iter().zip(&self.tls) {
            if let (ListenerMode::Tls(tls_plan), Some(tls)) = (&listener.mode, tls) {
                let new = tls.prepare(tls_plan).map_err(|cause| StartError::Tls {
                    address: listener.address,
                    cause: Box::new(cause),
                })?;
                prepared.push((Arc::clone(tls), new));
            }
        }
        live.warm(self.options.warm).await;
        // From here on nothing can fail: everything is swapped.
        for (tls, new) in prepared {
            tls.swap(new);
        }
        server.change(&plan.server);
        let view = Arc::new(view);
        for shard in &self.shards {
            shard.renew(Arc::clone(&view));
        }
        self.live.store(Arc::new(live));
        self.watch_store();
        self.show_certificates();
        *current = Current { plan, generation };
        self.metrics
            .reload_succeeded(generation, self.options.clock.unix());
        Ok(())
    }

    /// Watches over the store from the moment on at which there is one.
    fn watch_store(&self) {
        if let Some(accounts) = self.live.load().accounts() {
            self.watch
                .get_or_init(|| StoreWatch::start(accounts.store().clone()));
        }
    }

    fn readiness(&self) -> Readiness {
        match self.life.phase() {
            Phase::Starting => return Readiness::not("starting", "the gateway is starting"),
            Phase::Ready => {}
            Phase::Draining | Phase::Closing | Phase::Stopped => {
                return Readiness::not("draining", "the gateway is draining");
            }
        }
        if self.watch.get().is_some_and(|watch| !watch.answers()) {
            return Readiness::not("store_unavailable", "the store of accounts does not answer");
        }
        match self.live.load().without_keys() {
            Some(issuer) => Readiness::not(
                "keys_missing",
                format!("issuer `{issuer}` has no verification keys yet"),
            ),
            None => Readiness::ready(),
        }
    }

    fn render_metrics(&self) -> String {
        if self.life.phase() == Phase::Closing {
            self.metrics.entered(LifeState::Closing);
        }
        self.live.load().show(&self.metrics);
        self.metrics.render()
    }

    /// What an operator who has the token may work on.
    fn control(self: &Arc<Shared>, token: Digest) -> Control {
        let (realm, realms, store) = (Arc::clone(self), Arc::clone(self), Arc::clone(self));
        let directory = Arc::clone(self);
        Control {
            token,
            clock: self.options.clock.clone(),
            realm: Arc::new(move |name| realm.live.load().realm(name)),
            realms: Arc::new(move || realms.live.load().realm_names()),
            directory: Arc::new(move || Arc::clone(directory.live.load().directory())),
            store: Arc::new(move || {
                store
                    .live
                    .load()
                    .accounts()
                    .map(|accounts| accounts.store().clone())
            }),
        }
    }

    fn admin_state(self: &Arc<Shared>, token: Option<Digest>) -> AdminState {
        let (readiness, metrics) = (Arc::clone(self), Arc::clone(self));
        AdminState {
            readiness: Arc::new(move || readiness.readiness()),
            metrics: Arc::new(move || metrics.render_metrics()),
            control: token.map(|token| self.control(token)),
        }
    }

    fn show_certificates(&self) {
        let ends: Vec<_> = (self.tls.iter().flatten())
            .flat_map(|tls| tls.certificates())
            .map(|facts| (facts.chain.display().to_string(), facts.not_after))
            .collect();
        self.metrics
            .certificates(ends.iter().map(|(file, ends)| (file.as_str(), *ends)));
    }
}

/// The accounts of a configuration that has realms.
async fn open_accounts(plan: &Plan, clock: &Clock) -> Result<Option<Arc<Accounts>>, StartError> {
    if !plan.needs_store() {
        return Ok(None);
    }
    let store = Store::open(&plan.store)
        .await
        .map_err(|cause| StartError::Store { cause })?;
    let accounts = Accounts::open(store, accounts::usual_passwords()?);
    accounts.tend(clock);
    Ok(Some(accounts))
}

type Bound = (Vec<(Listener, Mode)>, Vec<Option<Arc<Tls>>>);

fn bind(plan: &Plan) -> Result<Bound, StartError> {
    let mut listeners = Vec::with_capacity(plan.listeners.len());
    let mut all_tls = Vec::with_capacity(plan.listeners.len());
    for listener in &plan.listeners {
        let address = listener.address;
        let (mode, tls) = match &listener.mode {
            ListenerMode::Plain => (Mode::Plain, None),
            ListenerMode::Tls(tls) => {
                let tls = Arc::new(Tls::new(tls).map_err(|cause| StartError::Tls {
                    address,
                    cause: Box::new(cause),
                })?);
                (Mode::Tls(Arc::clone(&tls)), Some(tls))
            }
            ListenerMode::RedirectToHttps { port } => (Mode::Redirect { port: *port }, None),
        };
        let bound = Listener::bind(address).map_err(|cause| StartError::Bind { address, cause })?;
        listeners.push((bound, mode));
        all_tls.push(tls);
    }
    Ok((listeners, all_tls))
}

/// The handler of one worker: hands requests to the pipeline.
#[derive(Debug, Clone)]
struct Pipeline {
    shard: Arc<Shard>,
}

impl Handler for Pipeline {
    type Body = Reply;

    fn handle(
        &self,
        peer: &Arc<Peer>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Reply>> + Send + use<> {
        let (shard, peer) = (Arc::clone(&self.shard), Arc::clone(peer));
        async move {
            let (request, leftover) = Body::received(request);
            let answer = pipeline::handle(&shard, &peer, request).await;
            // Where the answer ends the connection anyway, nothing has to be taken off it.
            if let Some(leftover) = leftover
                && !answer.headers().contains_key(CONNECTION)
            {
                // In a box: few requests have one, and each would carry the room for it.
                Box::pin(leftover.read()).await;
            }
            answer
        }
    }

    fn whole(answer: Response<Bytes>) -> Response<Reply> {
        answer.map(Reply::whole)
    }
}

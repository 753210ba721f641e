//! The threads that serve connections, in two shapes: one current-thread runtime a worker, or one that steals.
//!
//! With one worker it accepts for itself. With several an acceptor thread deals each socket to the worker with the
//! fewest open connections: one hop a connection, none a request, and neither the imbalance of `SO_REUSEPORT` nor the
//! thundering herd of a shared socket. Futures are `Send` in both shapes, so that the other one stays a setting.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::task::{Context, Poll, ready};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;

use super::caps::Caps;
use super::connection::{self, End};
use super::drain::{Life, Phase};
use super::handler::{Door, Handler};
use super::listener::{Acceptor, Arrival, Host, Listener, Mode};
use super::progress::{Progress, Stage};
use super::settings::Settings;
use super::timed_io::Expired;
use crate::base::tasks;
use crate::config::plan::{ServerPlan, Workers};
use crate::net::peer::Peer;
use crate::telemetry::metrics::{ListenerMetrics, Metrics};

/// Sockets on their way to one worker. Beyond it accepting waits, and then the kernel's backlog.
const DEALT: usize = 1024;

/// The server: listeners and workers at work until the life ends.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<SocketAddr>,
    settings: Arc<ArcSwap<Settings>>,
    caps: Arc<Caps>,
    runtimes: Vec<Handle>,
    threads: Vec<JoinHandle<()>>,
}

/// How many shards a setting means: so many handlers are made, and so many pool slots are needed.
pub fn shards(workers: Workers) -> usize {
    match workers {
        Workers::Sharded(count) => count_or_cores(count),
        Workers::Stealing(_) => 1,
    }
}

fn count_or_cores(count: usize) -> usize {
    match count {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        count => count,
    }
}

impl Server {
    /// Starts serving `listeners`. `make` makes the handler of each shard, numbered from 0 to [`shards`] - 1.
    ///
    /// # Errors
    /// When a thread or a runtime cannot be made.
    pub fn start<H: Handler>(
        plan: &ServerPlan,
        listeners: Vec<(Listener, Mode)>,
        life: &Life,
        metrics: &Metrics,
        mut make: impl FnMut(usize) -> H,
    ) -> io::Result<Server> {
        let settings = Arc::new(ArcSwap::from_pointee(Settings::new(plan)));
        let caps = Caps::new(plan.max_connections, plan.max_connections_per_address);
        let addresses: Vec<_> = listeners.iter().map(|(listener, _)| listener.address()).collect();
        let mut acceptors = Vec::new();
        let mut gates = Vec::new();
        for (index, (listener, mode)) in listeners.into_iter().enumerate() {
            let local = listener.address();
            let metrics = metrics.listener(&local.to_string());
            gates.push(Gate {
                mode,
                local,
                metrics: Arc::clone(&metrics),
            });
            acceptors.push(Acceptor {
                listener,
                index,
                caps: Arc::clone(&caps),
                settings: Arc::clone(&settings),
                metrics,
                life: life.clone(),
            });
        }
        let gates: Arc<[Gate]> = gates.into();
        let mut crew = |shard| Worker {
            handler: make(shard),
            gates: Arc::clone(&gates),
            settings: Arc::clone(&settings),
            life: life.clone(),
            open: Arc::default(),
        };
        let mut threads = Vec::new();
        let runtimes = match plan.workers {
            Workers::Stealing(count) => {
                let runtime = Builder::new_multi_thread()
                    .worker_threads(count_or_cores(count))
                    .thread_name("tollgate-worker")
                    .enable_all()
                    .build()?;
                let worker = Arc::new(crew(0));
                let handle = runtime.handle().clone();
                threads.push(run(
                    "tollgate-main".to_owned(),
                    runtime,
                    accept(acceptors, worker, life.clone()),
                )?);
                vec![handle]
            }
            Workers::Sharded(count) if count_or_cores(count) == 1 => {
                let runtime = current_thread()?;
                let handle = runtime.handle().clone();
                let worker = Arc::new(crew(0));
                threads.push(run(
                    "tollgate-worker".to_owned(),
                    runtime,
                    accept(acceptors, worker, life.clone()),
                )?);
                vec![handle]
            }
            Workers::Sharded(count) => {
                let mut handles = Vec::new();
                let mut dealer = Dealer { workers: Vec::new() };
                for shard in 0..count_or_cores(count) {
                    let runtime = current_thread()?;
                    handles.push(runtime.handle().clone());
                    let (sender, arrivals) = mpsc::channel(DEALT);
                    let worker = crew(shard);
                    dealer.workers.push((sender, Arc::clone(&worker.open)));
                    threads.push(run(
                        format!("tollgate-worker-{shard}"),
                        runtime,
                        serve_dealt(worker, arrivals, life.clone()),
                    )?);
                }
                let dealer = Arc::new(dealer);
                threads.push(run(
                    "tollgate-accept".to_owned(),
                    current_thread()?,
                    accept(acceptors, dealer, life.clone()),
                )?);
                handles
            }
        };
        Ok(Server {
            addresses,
            settings,
            caps,
            runtimes,
            threads,
        })
    }

    /// Where it listens, in the order of the plan.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Connections opened from now on follow `plan`. Its workers are fixed.
    pub fn change(&self, plan: &ServerPlan) {
        self.settings.store(Arc::new(Settings::new(plan)));
        self.caps
            .change(plan.max_connections, plan.max_connections_per_address);
    }

    /// The runtime of each worker, for tasks that belong to one.
    pub fn runtimes(&self) -> &[Handle] {
        &self.runtimes
    }

    /// Waits until all threads have ended, which they do once the life is [`Phase::Stopped`]. Blocks.
    pub fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker thread ended by a panic");
            }
        }
    }
}

fn current_thread() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

fn run(
    name: String,
    runtime: Runtime,
    work: impl Future<Output = ()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name).spawn(move || {
        runtime.block_on(work);
        // Connections that were told to end have ended; tasks of others must not hold up the exit.
        runtime.shutdown_background();
    })
}

async fn accept<R: Host + Send + Sync + 'static>(acceptors: Vec<Acceptor>, host: Arc<R>, life: Life) {
    for acceptor in acceptors {
        drop(tasks::spawn("listener", acceptor.run(Arc::clone(&host))));
    }
    stopped(&life).await;
}

async fn serve_dealt<H: Handler>(worker: Worker<H>, mut arrivals: mpsc::Receiver<Dealt>, life: Life) {
    let mut end = std::pin::pin!(stopped(&life));
    loop {
        tokio::select! {
            arrival = arrivals.recv() => match arrival {
                Some((tcp, arrival)) => {
                    // Counted when it was dealt.
                    worker.open.fetch_sub(1, AcqRel);
                    if let Ok(tcp) = TcpStream::from_std(tcp) {
                        worker.serve(tcp, arrival);
                    }
                }
                None => break,
            },
            () = &mut end => return,
        }
    }
    end.await;
}

/// The life is over, and this runtime's connections had their turn to end.
async fn stopped(life: &Life) {
    life.reached(Phase::Stopped).await;
    // Each was woken when the life ended and needs one turn.
    let _ = tokio::time::timeout(LAST_TURN, life.emptied()).await;
}

/// The end waits no longer than this for connections that were told to end at once.
const LAST_TURN: std::time::Duration = std::time::Duration::from_millis(200);

/// A socket between two runtimes.
type Dealt = (std::net::TcpStream, Arrival);

#[derive(Debug)]
struct Dealer {
    workers: Vec<(mpsc::Sender<Dealt>, Arc<AtomicUsize>)>,
}

impl Host for Dealer {
    /// To the worker with the fewest open connections.
    async fn receive(&self, tcp: TcpStream, arrival: Arrival) {
        let Some((sender, open)) = self.workers.iter().min_by_key(|(_, open)| open.load(Relaxed)) else {
            return;
        };
        // From this runtime's poll set to the worker's: two system calls more than accepting there.
        let Ok(tcp) = tcp.into_std() else { return };
        // Counted now, or a burst would all go to the one that was emptiest before it.
        open.fetch_add(1, AcqRel);
        if sender.send((tcp, arrival)).await.is_err() {
            open.fetch_sub(1, AcqRel);
        }
    }
}

/// What a worker knows of a listener.
struct Gate {
    mode: Mode,
    local: SocketAddr,
    metrics: Arc<ListenerMetrics>,
}

struct Worker<H> {
    handler: H,
    gates: Arc<[Gate]>,
    settings: Arc<ArcSwap<Settings>>,
    life: Life,
    open: Arc<AtomicUsize>,
}

impl<H: Handler> Worker<H> {
    /// Serves a connection in a task of its own.
    fn serve(&self, tcp: TcpStream, arrival: Arrival) {
        let Arrival {
            address,
            listener,
            trusted,
            ticket,
        } = arrival;
        let Some(gate) = self.gates.get(listener) else {
            return;
        };
        // An answer must not wait for the acknowledgement of the one before it. An error means that the client is gone.
        if tcp.set_nodelay(true).is_err() {
            return;
        }
        let local = tcp.local_addr().unwrap_or(gate.local);
        let peer = Peer::new(address, local, listener, trusted);
        let (tls, door, stage) = match &gate.mode {
            Mode::Plain => (None, Door::Gateway(self.handler.clone()), Stage::FirstByte),
            Mode::Tls(tls) => (
                Some(Arc::clone(tls)),
                Door::Gateway(self.handler.clone()),
                Stage::Handshake,
            ),
            Mode::Redirect { port } => (None, Door::Redirect { port: *port }, Stage::FirstByte),
        };
        let progress = Progress::new(self.life.clone(), address, listener, stage);
        let open = Open {
            _ticket: ticket,
            _stay: self.life.enter(&progress),
            worker: Arc::clone(&self.open),
            metrics: Arc::clone(&gate.metrics),
        };
        open.worker.fetch_add(1, AcqRel);
        open.metrics.open.inc();
        let served = connection::serve_socket(
            tcp,
            peer,
            tls,
            door,
            self.settings.load_full(),
            Arc::clone(&progress),
        );
        drop(tasks::spawn(
            "connection",
            Attended {
                served,
                progress,
                open,
            },
        ));
    }
}

impl<H: Handler> Host for Worker<H> {
    async fn receive(&self, tcp: TcpStream, arrival: Arrival) {
        self.serve(tcp, arrival);
    }
}

pin_project_lite::pin_project! {
    /// A connection and what counts it. Written out for its size, as `Bounded` is.
    struct Attended<F> {
        #[pin]
        served: F,
        progress: Arc<Progress>,
        open: Open,
    }
}

impl<F: Future<Output = End>> Future for Attended<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let end = ready!(this.served.poll(cx));
        note(&end, this.progress, &this.open.metrics);
        Poll::Ready(())
    }
}

fn note(end: &End, progress: &Progress, metrics: &ListenerMetrics) {
    let reason = match end {
        End::Closed | End::Cut => return,
        End::Handshake(_) => "handshake",
        End::Socket(_) => "socket",
        End::Broken(_) => "protocol",
        End::Expired(Expired::Handshake) => "handshake_timeout",
        End::Expired(Expired::FirstByte) => "first_byte_timeout",
        End::Expired(Expired::Head) => "header_timeout",
        End::Expired(Expired::Write) => "write_timeout",
        // Neither is anybody's fault.
        End::Expired(Expired::Idle | Expired::Goodbye) => return,
    };
    if progress.calls() == 0 {
        metrics.refused.inc(reason);
    }
    tracing::debug!(peer = %progress.address(), reason, ?end, "a connection ended");
}

/// What counts a connection while it is open.
struct Open {
    _ticket: super::caps::Ticket,
    /// Last: who waits for the last connection finds its place free.
    _stay: super::drain::Stay,
    worker: Arc<AtomicUsize>,
    metrics: Arc<ListenerMetrics>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.worker.fetch_sub(1, AcqRel);
        self.metrics.open.dec();
    }
}

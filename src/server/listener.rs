//! Listening sockets: bind, accept without ever giving up, admit by the caps.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;

use super::caps::{Caps, Share, Ticket};
use super::drain::{Life, Phase};
use super::settings::Settings;
use super::tls::Tls;
use crate::telemetry::metrics::ListenerMetrics;

/// Connections that the kernel completes while nobody accepts. A burst beyond it sees its SYN dropped and waits a
/// second to send it again. The kernel caps it at `net.core.somaxconn`, 4096 by default.
const BACKLOG: i32 = 4096;
/// After an error of the whole process (no file descriptors left) accepting pauses so long, doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A bound socket.
#[derive(Debug)]
pub struct Listener {
    socket: std::net::TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds and listens. Port 0 lets the system choose; [`Listener::address`] says which it chose.
    ///
    /// # Errors
    /// When the address is taken or not the machine's, or the port needs a privilege.
    pub fn bind(address: SocketAddr) -> io::Result<Listener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // A restart must not wait for old connections in TIME_WAIT.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        let socket = std::net::TcpListener::from(socket);
        let address = socket.local_addr()?;
        Ok(Listener { socket, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// What is spoken behind a listener.
#[derive(Debug, Clone)]
pub enum Mode {
    /// HTTP without TLS.
    Plain,
    /// HTTP over TLS.
    Tls(Arc<Tls>),
    /// The redirect to HTTPS.
    Redirect {
        /// The port to name in it; `None` leaves it out (443).
        port: Option<u16>,
    },
}

/// A connection that got a place.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) address: SocketAddr,
    pub(super) listener: usize,
    pub(super) trusted: bool,
    pub(super) ticket: Ticket,
}

/// Who takes arrivals.
pub(super) trait Host {
    /// Takes `tcp` to where it is served; waits while there is no room.
    fn receive(&self, tcp: TcpStream, arrival: Arrival) -> impl Future<Output = ()> + Send;
}

/// A listener at work.
pub(super) struct Acceptor {
    pub(super) listener: Listener,
    pub(super) index: usize,
    pub(super) caps: Arc<Caps>,
    pub(super) settings: Arc<ArcSwap<Settings>>,
    pub(super) metrics: Arc<ListenerMetrics>,
    pub(super) life: Life,
}

impl Acceptor {
    /// Accepts until the life reaches [`Phase::Closing`], then closes the socket. `host` takes what got a place.
    pub(super) async fn run<R: Host + Send + Sync + 'static>(self, host: Arc<R>) {
        let address = self.listener.address;
        let socket = match tokio::net::TcpListener::from_std(self.listener.socket) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::error!(%address, %error, "cannot wait for connections");
                return;
            }
        };
        let mut closing = std::pin::pin!(self.life.reached(Phase::Closing));
        let mut pause = FIRST_PAUSE;
        loop {
            // Accepting takes part in tokio's budget, so that a flood of connections leaves others their turn.
            let accepted = tokio::select! {
                biased;
                () = &mut closing => return,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((tcp, from)) => {
                    pause = FIRST_PAUSE;
                    let from = SocketAddr::new(from.ip().to_canonical(), from.port());
                    if let Some(arrival) = admit(from, self.index, &self.caps, &self.settings, &self.metrics)
                    {
                        host.receive(tcp, arrival).await;
                    }
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    self.metrics.refused.inc("accept_error");
                    tracing::warn!(%address, %error, ?pause, "cannot accept; trying again after a pause");
                    tokio::select! {
                        () = &mut closing => return,
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }
}

/// A place for a connection; without one it is dropped, which closes it at once and without a word: a TLS client could
/// not read one, and words cost.
fn admit(
    address: SocketAddr,
    listener: usize,
    caps: &Arc<Caps>,
    settings: &ArcSwap<Settings>,
    metrics: &ListenerMetrics,
) -> Option<Arrival> {
    metrics.accepted.inc();
    let trusted = trusts(settings, address.ip());
    let share = if trusted { Share::Exempt } else { Share::Counted };
    match caps.enter(address.ip(), share) {
        Ok(ticket) => Some(Arrival {
            address,
            listener,
            trusted,
            ticket,
        }),
        Err(full) => {
            metrics.refused.inc(full.reason());
            None
        }
    }
}

fn trusts(settings: &ArcSwap<Settings>, address: IpAddr) -> bool {
    settings.load().trusts(address)
}

/// These say that the connection at the head of the queue is gone (accept(2)); the next one may be fine.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::TimedOut
    )
}

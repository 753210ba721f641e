//! One client connection: which protocol is spoken, its deadlines, its graceful end.
//!
//! After TLS the protocol is what ALPN agreed on. On a plain socket the first bytes tell: HTTP/2 with prior knowledge
//! begins with a fixed preface (RFC 9113 section 3.4), everything else is HTTP/1.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::drain::Phase;
use super::handler::{Answerer, Door, Handler};
use super::progress::{Progress, Stage};
use super::settings::Settings;
use super::streams::Streams;
use super::timed_io::{Deadlines, Expired, Front, Opening, TimedIo};
use super::tls::Tls;
use crate::net::peer::Peer;
use crate::net::stream::Stream;

/// How a connection ended.
#[derive(Debug)]
pub enum End {
    /// Orderly, by either side.
    Closed,
    /// The TLS handshake failed.
    Handshake(io::Error),
    /// The connection broke, or what came was not the protocol. hyper has answered what can be answered.
    Broken(hyper::Error),
    /// The socket failed before any protocol was spoken.
    Socket(io::Error),
    /// A deadline passed.
    Expired(Expired),
    /// The process ended first.
    Cut,
}

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 or 1.0.
    Http1,
    /// HTTP/2.
    Http2,
    /// The first bytes will tell.
    Unknown,
}

/// Serves a socket as it came from a listener: TLS if `tls` is there, then requests.
pub fn serve_socket<H: Handler>(
    tcp: TcpStream,
    peer: Peer,
    tls: Option<Arc<Tls>>,
    door: Door<H>,
    settings: Arc<Settings>,
    progress: Arc<Progress>,
) -> impl Future<Output = End> + Send {
    let work = open(tcp, peer, tls, door, Arc::clone(&settings), Arc::clone(&progress));
    Bounded::new(work, progress, settings)
}

async fn open<H: Handler>(
    tcp: TcpStream,
    mut peer: Peer,
    tls: Option<Arc<Tls>>,
    door: Door<H>,
    settings: Arc<Settings>,
    progress: Arc<Progress>,
) -> End {
    let (stream, protocol) = match tls {
        None => (Stream::Plain(tcp), Protocol::Unknown),
        Some(tls) => {
            // In a box: it is larger than what an idle connection keeps, and gone before there is one.
            let (session, facts) = match Box::pin(tls.accept(tcp)).await {
                Ok(accepted) => accepted,
                Err(error) => return End::Handshake(error),
            };
            let protocol = if facts.http2 {
                Protocol::Http2
            } else {
                Protocol::Http1
            };
            peer.tls = Some(facts);
            progress.enter(Stage::Idle);
            (Stream::Tls(session), protocol)
        }
    };
    serve(stream, protocol, Arc::new(peer), door, settings, progress).await
}

pin_project_lite::pin_project! {
    /// Runs a connection until it ends, one of its deadlines passes, or the process stops.
    ///
    /// Written out, since an `async fn` that takes a future keeps room for it twice, and this is what an idle connection
    /// costs.
    pub(super) struct Bounded<F> {
        #[pin]
        work: F,
        deadlines: Deadlines,
        progress: Arc<Progress>,
        settings: Arc<Settings>,
    }
}

impl<F> Bounded<F> {
    pub(super) fn new(work: F, progress: Arc<Progress>, settings: Arc<Settings>) -> Bounded<F> {
        Bounded {
            work,
            deadlines: Deadlines::new(),
            progress,
            settings,
        }
    }
}

impl<F: Future<Output = End>> Future for Bounded<F> {
    type Output = End;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        let mut this = self.project();
        let progress = &**this.progress;
        // Before looking at the life, or a change in between would wake nobody.
        progress.register(cx.waker());
        let phase = progress.phase();
        if phase == Phase::Stopped {
            return Poll::Ready(End::Cut);
        }
        loop {
            if let Poll::Ready(end) = this.work.as_mut().poll(cx) {
                return Poll::Ready(end);
            }
            if phase == Phase::Closing {
                match progress.stage() {
                    // Nothing was asked on it yet.
                    Stage::Handshake | Stage::FirstByte => return Poll::Ready(End::Cut),
                    // The goodbye was said by the work; it need not be waited for as long as for a request.
                    Stage::Streams if progress.in_flight() == 0 => progress.enter(Stage::Closing),
                    Stage::Streams
                    | Stage::Idle
                    | Stage::Head
                    | Stage::Busy
                    | Stage::Answered
                    | Stage::Closing => {}
                }
            }
            match this.deadlines.poll(cx, progress, &this.settings.timeouts) {
                Poll::Pending => return Poll::Pending,
                // An idle connection ends with the protocol's own goodbye.
                Poll::Ready(Expired::Idle) if !progress.is_finishing() => {
                    progress.finish();
                    progress.enter(Stage::Closing);
                }
                Poll::Ready(expired) => return Poll::Ready(End::Expired(expired)),
            }
        }
    }
}

/// Speaks `protocol` on `io` until it ends. Deadlines are the caller's.
pub(super) async fn serve<T, H>(
    mut io: T,
    protocol: Protocol,
    peer: Arc<Peer>,
    door: Door<H>,
    settings: Arc<Settings>,
    progress: Arc<Progress>,
) -> End
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handler,
{
    let mut front = Front::default();
    let protocol = match protocol {
        Protocol::Http1 | Protocol::Http2 => protocol,
        Protocol::Unknown => match tell(&mut io, &mut front, &progress).await {
            Ok(Some(protocol)) => protocol,
            Ok(None) => return End::Closed,
            Err(error) => return End::Socket(error),
        },
    };
    let streams = match protocol {
        Protocol::Http2 => Some(Streams::new(settings.timeouts.write)),
        Protocol::Http1 | Protocol::Unknown => None,
    };
    let answerer = Answerer {
        door,
        peer,
        progress: Arc::clone(&progress),
        streams: streams.clone(),
    };
    let opening = match &streams {
        Some(_) => Opening::EXPECTED,
        None => Opening::OVER,
    };
    let io = TokioIo::new(TimedIo::new(io, front, opening, Arc::clone(&progress)));
    let outcome = match streams {
        Some(streams) => {
            progress.enter(Stage::Streams);
            // In a box: it is several times the size of an HTTP/1 connection.
            let mut connection = Box::pin(settings.http2(streams).serve_connection(io, answerer));
            until_done(connection.as_mut(), &progress, Phase::Draining, |connection| {
                connection.graceful_shutdown();
            })
            .await
        }
        None => {
            let connection = pin!(settings.http1.serve_connection(io, answerer));
            // While draining every answer says `Connection: close`; an idle connection is closed only afterwards,
            // since a request may be on its way on it. HTTP/2 has a goodbye without that race (RFC 9113 6.8).
            until_done(connection, &progress, Phase::Closing, |connection| {
                connection.graceful_shutdown()
            })
            .await
        }
    };
    match outcome {
        Ok(()) => End::Closed,
        // After a goodbye an error is the other side's way to close.
        Err(_) if progress.stage() == Stage::Closing => End::Closed,
        Err(error) => End::Broken(error),
    }
}

/// Polls a hyper connection to its end; tells it to finish from `phase` on, or when the connection's own time is up.
async fn until_done<C>(
    mut connection: Pin<&mut C>,
    progress: &Progress,
    phase: Phase,
    shutdown: impl Fn(Pin<&mut C>),
) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut told = false;
    poll_fn(|cx| {
        // First what has already come: a request that was read is answered.
        if let Poll::Ready(done) = connection.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        if !told && (progress.is_finishing() || progress.phase() >= phase) {
            told = true;
            shutdown(connection.as_mut());
            return connection.as_mut().poll(cx);
        }
        Poll::Pending
    })
    .await
}

/// Reads until it is clear what is spoken. `None` when the other side closed before that.
async fn tell<T: AsyncRead + Unpin>(
    io: &mut T,
    front: &mut Front,
    progress: &Progress,
) -> io::Result<Option<Protocol>> {
    const PREFACE: &[u8; Front::CAPACITY] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    loop {
        if front.fill(io).await? == 0 {
            return Ok(None);
        }
        progress.note_read();
        if !PREFACE.starts_with(front.rest()) {
            return Ok(Some(Protocol::Http1));
        }
        if front.rest().len() == PREFACE.len() {
            return Ok(Some(Protocol::Http2));
        }
    }
}

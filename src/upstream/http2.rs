//! Open HTTP/2 connections to an endpoint, with the tasks that drive them.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::client::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::Instant;

use super::outbound::Outbound;
use super::pool::lock;
use crate::base::tasks;
use crate::net::dial::Line;

/// What waits to be sent at most.
const SEND_BUFFER: usize = 64 * 1024;
/// The fields of an HTTP/2 answer, decoded, at most (RFC 9113 section 6.5.2).
const ANSWER_FIELD_BYTES: u32 = 64 * 1024;
/// HTTP/2 windows: enough that one stream is not held up by the round trip in a data centre, little enough that a stuck
/// client costs no more than one stream's window.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;
/// A busy HTTP/2 connection that says nothing is asked by PING after so long, and given up after [`PING_TIMEOUT`]: many
/// calls hang on it, and none of their deadlines would take it out of the pool.
const PING_INTERVAL: Duration = Duration::from_secs(15);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

type Driver = http2::Connection<TokioIo<Line>, Outbound, Named>;

/// An HTTP/2 connection: many exchanges at a time.
pub(super) struct Http2 {
    sender: http2::SendRequest<Outbound>,
    /// Shared with the task that drives it, since only the connection itself knows how many streams the peer allows.
    driver: Arc<Mutex<Option<Driver>>>,
    pub(super) born: Instant,
    /// Streams in use.
    streams: AtomicUsize,
    /// When the last stream ended, in milliseconds from `born`.
    quiet_since: AtomicU64,
}

impl Http2 {
    pub(super) async fn open(line: Line) -> hyper::Result<Arc<Http2>> {
        let (sender, connection) = http2::Builder::new(Named)
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(ANSWER_FIELD_BYTES)
            // Nothing is ever pushed to us (RFC 9113 section 8.4); the library switches it off.
            .max_send_buf_size(SEND_BUFFER)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(false)
            .handshake(TokioIo::new(line))
            .await?;
        let driver = Arc::new(Mutex::new(Some(connection)));
        tasks::spawn("upstream http/2", Drive(Arc::clone(&driver)));
        Ok(Arc::new(Http2 {
            sender,
            driver,
            born: Instant::now(),
            streams: AtomicUsize::new(0),
            quiet_since: AtomicU64::new(0),
        }))
    }

    /// A sender of its own for one exchange.
    pub(super) fn sender(&self) -> http2::SendRequest<Outbound> {
        self.sender.clone()
    }

    /// The peer went away or said so (GOAWAY): no new streams. Those that run go on.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Takes up a stream if the peer's limit leaves one and the connection has not ended.
    pub(super) fn stream(self: &Arc<Self>) -> Option<Stream> {
        // A peer that allows none for now (RFC 9113 section 6.5.2) still gets one: the request waits for its permission
        // until the deadline, instead of a new connection for every request.
        let limit = lock(&self.driver).as_ref()?.current_max_send_streams().max(1);
        self.streams
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                (used < limit).then_some(used + 1)
            })
            .ok()?;
        Some(Stream(Arc::clone(self)))
    }

    /// For how long no stream has been in use; `None` while one is.
    pub(super) fn quiet(&self, now: Instant) -> Option<Duration> {
        if self.streams.load(Ordering::Acquire) > 0 {
            return None;
        }
        let since = self.born + Duration::from_millis(self.quiet_since.load(Ordering::Relaxed));
        Some(now.saturating_duration_since(since))
    }
}

/// The use of one stream of a connection; given back when it is dropped.
pub(super) struct Stream(pub(super) Arc<Http2>);

impl Drop for Stream {
    fn drop(&mut self) {
        let now = u64::try_from(self.0.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.quiet_since.store(now, Ordering::Relaxed);
        self.0.streams.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Polls a connection that others may look at in between.
struct Drive(Arc<Mutex<Option<Driver>>>);

impl Future for Drive {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut driver = lock(&self.0);
        let Some(connection) = driver.as_mut() else {
            return Poll::Ready(());
        };
        let Poll::Ready(ended) = Pin::new(connection).poll(cx) else {
            return Poll::Pending;
        };
        // Its end must be its drop: that is what gives back the requests it had not begun, to be sent elsewhere.
        *driver = None;
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection to an endpoint ended");
        }
        Poll::Ready(())
    }
}

/// Starts the library's own tasks by our rules.
#[derive(Debug, Clone, Copy)]
struct Named;

impl<F> hyper::rt::Executor<F> for Named
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        tasks::spawn("upstream http/2 stream", task);
    }
}

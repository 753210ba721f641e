//! The streams of an HTTP/2 connection: spawned as tasks, and ended when their client does not take the answer.
//!
//! A client that keeps its windows at zero (CVE-2019-9517) lets the connection's writes go through, so that the
//! connection's own write deadline sees nothing. hyper then does not ask for the body either; each stream's task looks
//! for that.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::base::tasks;

/// What one stream is doing, noted by its answer's body and looked at by its task.
///
/// The lowest bit says that the client is to take bytes; the rest counts the frames handed over.
#[derive(Debug, Default)]
pub(super) struct Flow(AtomicU32);

impl Flow {
    /// The gateway's side has given what it had so far; it is the client's turn to take it.
    pub(super) fn note_given(&self) {
        let word = self.0.load(Relaxed);
        self.0.store((word | 1).wrapping_add(2), Relaxed);
    }

    /// It is the backend's turn: other deadlines hold.
    pub(super) fn note_waiting(&self) {
        let word = self.0.load(Relaxed);
        self.0.store(word & !1, Relaxed);
    }
}

/// Spawns the streams of one connection.
///
/// hyper calls the service for a request and then, in the same breath, spawns the stream's task: what the service put
/// down is the [`Flow`] of the stream that is spawned next.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    next: Arc<Mutex<Option<Arc<Flow>>>>,
    limit: Duration,
}

impl Streams {
    /// Streams whose client may let an answer wait for `limit`.
    pub(super) fn new(limit: Duration) -> Streams {
        Streams {
            next: Arc::default(),
            limit,
        }
    }

    /// Puts down the flow of the request that the service was just called for.
    pub(super) fn open(&self) -> Arc<Flow> {
        let flow = Arc::new(Flow::default());
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&flow));
        flow
    }
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let flow = self.next.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Owned by the connection: when that ends, the stream's future sees an error and ends.
        drop(tasks::spawn(
            "http2 stream",
            Taken {
                stream,
                flow,
                seen: 0,
                limit: self.limit,
                timer: None,
            },
        ));
    }
}

pin_project_lite::pin_project! {
    /// A stream that ends when its client takes nothing of its answer for too long. Dropping it resets the stream.
    struct Taken<F> {
        #[pin]
        stream: F,
        flow: Option<Arc<Flow>>,
        seen: u32,
        limit: Duration,
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl<F: Future<Output = ()>> Future for Taken<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.stream.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(flow) = this.flow else {
            return Poll::Pending;
        };
        let word = flow.0.load(Relaxed);
        if word & 1 == 0 {
            return Poll::Pending;
        }
        // Made at the first wait only: most answers fit into the windows and never come here.
        let due = Instant::now() + *this.limit;
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if *this.seen != word {
            *this.seen = word;
            timer.as_mut().reset(due);
        }
        timer.as_mut().poll(cx)
    }
}

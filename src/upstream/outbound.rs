//! The request's body on its way to the endpoint, and how far it has come.
//!
//! The deadline for the head of the answer must not run while the client is still sending: a slow upload is not a slow
//! backend. So the body notes when it last gave something away and whether it is the client that is waited for.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

use crate::http::body::{Body, BodyError};

/// The last thing that happened to the body was that a part of it was given to the connection.
const SENDING: u8 = 0;
/// The connection asked for more and the client had nothing.
const WAITING: u8 = 1;
/// The body has ended, failed or been dropped: nothing more will be sent.
const OVER: u8 = 2;

/// How far a request's body has come. Written by the connection's task, read by the exchange.
#[derive(Debug)]
pub(super) struct Progress {
    began: Instant,
    state: AtomicU8,
    /// Microseconds from `began` to the last change.
    last: AtomicU64,
}

impl Progress {
    fn new(began: Instant) -> Progress {
        Progress {
            began,
            state: AtomicU8::new(SENDING),
            last: AtomicU64::new(0),
        }
    }

    fn note(&self, state: u8) {
        let now = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
        self.state.store(state, Ordering::Release);
    }

    /// Is it the client that has to move?
    pub(super) fn waits_for_client(&self) -> bool {
        self.state.load(Ordering::Acquire) == WAITING
    }

    /// Will nothing more be sent?
    pub(super) fn is_over(&self) -> bool {
        self.state.load(Ordering::Acquire) == OVER
    }

    /// When the body last moved.
    pub(super) fn last(&self) -> Instant {
        self.began + Duration::from_micros(self.last.load(Ordering::Relaxed))
    }
}

/// A request's body as the connection takes it.
#[derive(Default)]
pub(super) struct Outbound {
    body: Body,
    /// `None` for a request without a body: nothing to follow, and no allocation for it.
    progress: Option<Arc<Progress>>,
}

impl Outbound {
    pub(super) fn new(body: Body, now: Instant) -> Outbound {
        let progress = (!body.is_end_stream()).then(|| Arc::new(Progress::new(now)));
        Outbound { body, progress }
    }

    /// The same body once more, if nothing of it was used up and it can be had twice.
    pub(super) fn replay(&self) -> Option<Body> {
        self.body.replay()
    }

    pub(super) fn progress(&self) -> Option<Arc<Progress>> {
        self.progress.clone()
    }
}

impl HttpBody for Outbound {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Some(progress) = &self.progress {
            progress.note(match &polled {
                Poll::Pending => WAITING,
                Poll::Ready(Some(Ok(_))) if !self.body.is_end_stream() => SENDING,
                Poll::Ready(_) => OVER,
            });
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Outbound {
    /// The connection drops the body when it has written all that the framing lets it write, which may be before the
    /// body itself says that it has ended.
    fn drop(&mut self) {
        if let Some(progress) = &self.progress
            && !progress.is_over()
        {
            progress.note(OVER);
        }
    }
}

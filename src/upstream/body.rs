//! The body of an endpoint's answer on its way to the client.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::deadlines::Deadlines;
use super::lease::Lease;
use crate::http::trailers;

/// Why a body was not passed on to its end. The client must be shown that it is not whole: by closing the connection
/// (RFC 9112 section 8) or resetting the stream (RFC 9113 section 8.1).
#[derive(Debug, thiserror::Error)]
pub enum UpstreamBodyError {
    /// The endpoint broke off, or what it sent breaks the framing.
    #[error("the endpoint's answer broke off: {0}")]
    Broken(#[source] hyper::Error),
    /// The body ended before the length that its head announced, or the stream was reset within it.
    #[error("the endpoint's answer ended early")]
    Short,
    /// The endpoint sent nothing for the idle deadline.
    #[error("the endpoint sent nothing for {after:?}")]
    Idle {
        /// The deadline that passed.
        after: Duration,
    },
    /// The deadline of the whole exchange passed.
    #[error("the exchange took longer than {after:?}")]
    Whole {
        /// The deadline that passed.
        after: Duration,
    },
}

/// An answer's body: frames as the endpoint sends them, of the trailers those that may travel
/// ([`trailers::keep_allowed`]).
///
/// When it has ended cleanly its connection goes back to the pool; when it is dropped before, or fails, the connection is
/// closed. The idle deadline counts only while the endpoint is what is waited for: a client that reads slowly does not
/// use it up.
pub struct UpstreamBody {
    body: Incoming,
    lease: Option<Lease>,
    deadlines: Deadlines,
    /// The endpoint is waited for, and the alarm is set for that.
    waiting: bool,
    failed: bool,
}

impl UpstreamBody {
    pub(super) fn new(body: Incoming, lease: Lease, deadlines: Deadlines) -> UpstreamBody {
        let lease = if body.is_end_stream() {
            lease.finish();
            None
        } else {
            Some(lease)
        };
        UpstreamBody {
            body,
            lease,
            deadlines,
            waiting: false,
            failed: false,
        }
    }

    /// The body has ended. Returns whether it is whole.
    fn end(&mut self) -> bool {
        let Some(lease) = self.lease.take() else {
            return !self.failed;
        };
        let whole = match self.body.size_hint().exact() {
            Some(left) => left == 0,
            // HTTP/2: the library ends a body also when its stream is reset with NO_ERROR. That is right after a whole
            // answer to a request that was still being sent (RFC 9113 section 8.1), and only then.
            None if lease.is_http2() => self.body.is_end_stream() || lease.is_sending(),
            None => true,
        };
        if whole {
            lease.finish();
        }
        whole
    }

    fn fail(&mut self, error: UpstreamBodyError) -> Poll<Option<Result<Frame<Bytes>, UpstreamBodyError>>> {
        self.failed = true;
        self.lease = None;
        Poll::Ready(Some(Err(error)))
    }

    /// The endpoint has nothing at the moment: has it had its time?
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<UpstreamBodyError> {
        let Some(lease) = &mut self.lease else {
            return Poll::Pending;
        };
        if !self.waiting {
            self.waiting = true;
            lease
                .alarm
                .set(self.deadlines.within_whole(Instant::now() + self.deadlines.idle));
        }
        lease.alarm.poll(cx).map(|()| {
            if Instant::now() >= self.deadlines.whole_at {
                UpstreamBodyError::Whole {
                    after: self.deadlines.whole,
                }
            } else {
                UpstreamBodyError::Idle {
                    after: self.deadlines.idle,
                }
            }
        })
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = UpstreamBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamBodyError>>> {
        if self.failed {
            // Once broken it stays broken: whoever polls again must not take it for an end.
            return Poll::Ready(Some(Err(UpstreamBodyError::Short)));
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                self.waiting = false;
                if let Some(fields) = frame.trailers_mut() {
                    trailers::keep_allowed(fields, None);
                }
                // Whoever sees that the stream has ended does not poll again, so the end must be noticed here.
                if (frame.is_trailers() || self.body.is_end_stream()) && !self.end() {
                    return self.fail(UpstreamBodyError::Short);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => self.fail(UpstreamBodyError::Broken(error)),
            Poll::Ready(None) if self.end() => Poll::Ready(None),
            Poll::Ready(None) => self.fail(UpstreamBodyError::Short),
            Poll::Pending => match self.poll_deadline(cx) {
                Poll::Ready(error) => self.fail(error),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream() && !self.failed
    }

    fn size_hint(&self) -> SizeHint {
        if self.body.is_end_stream() {
            // An answer to HEAD over HTTP/2 keeps its announced length here, although nothing follows.
            return SizeHint::with_exact(0);
        }
        self.body.size_hint()
    }
}

impl std::fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamBody")
            .field("ended", &self.lease.is_none())
            .field("failed", &self.failed)
            .finish()
    }
}

//! The body of an endpoint's answer on its way to the client.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::deadlines::Deadlines;
use super::http1::{BadAnswer, BodyFailure};
use super::lease::{Held, Lease};
use crate::http::trailers;

/// Why a body was not passed on to its end. The client must be shown that it is not whole: by closing the connection
/// (RFC 9112 section 8) or resetting the stream (RFC 9113 section 8.1).
#[derive(Debug, thiserror::Error)]
pub enum UpstreamBodyError {
    /// The endpoint broke off, or what it sent breaks the framing (HTTP/2).
    #[error("the endpoint's answer broke off: {0}")]
    Broken(#[source] hyper::Error),
    /// The connection to the endpoint failed.
    #[error("the endpoint's answer broke off: {0}")]
    Connection(#[source] io::Error),
    /// What the endpoint sent breaks the framing.
    #[error(transparent)]
    Malformed(BadAnswer),
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

impl From<BodyFailure> for UpstreamBodyError {
    fn from(failure: BodyFailure) -> UpstreamBodyError {
        match failure {
            BodyFailure::Short => UpstreamBodyError::Short,
            BodyFailure::Broken(error) => UpstreamBodyError::Connection(error),
            BodyFailure::Bad(bad) => UpstreamBodyError::Malformed(bad),
        }
    }
}

/// An answer's body: frames as the endpoint sends them, of the trailers those that may travel
/// ([`trailers::keep_allowed`]).
///
/// When it has ended cleanly its connection goes back to the pool; when it is dropped before, or fails, the connection is
/// closed. The idle deadline counts only while the endpoint is what is waited for: a client that reads slowly does not
/// use it up.
pub struct UpstreamBody(Kind);

enum Kind {
    /// There as a whole; its connection is free already.
    Whole(Bytes),
    /// In a box, since answers are moved and most are small ones.
    Streamed(Box<Streamed>),
}

struct Streamed {
    source: Source,
    deadlines: Deadlines,
    /// The endpoint is waited for, and the alarm is set for that.
    waiting: bool,
}

enum Source {
    Http1(Lease),
    Http2(Incoming, Lease),
    /// It has ended, and its connection went where it belongs.
    Ended,
    Failed,
}

type Polled = Poll<Option<Result<Frame<Bytes>, UpstreamBodyError>>>;

impl UpstreamBody {
    /// The body of an answer that came on `lease` at `now`, over HTTP/1.1.
    pub(super) fn http1(mut lease: Lease, deadlines: Deadlines, now: Instant) -> UpstreamBody {
        if let Held::Http1(connection) = &mut lease.held
            && let Some(whole) = connection.whole_body()
        {
            lease.finish(now);
            return UpstreamBody(Kind::Whole(whole));
        }
        UpstreamBody::streamed(Source::Http1(lease), deadlines)
    }

    /// The body of an answer that came on `lease` at `now`, over HTTP/2.
    pub(super) fn http2(body: Incoming, lease: Lease, deadlines: Deadlines, now: Instant) -> UpstreamBody {
        if body.is_end_stream() {
            lease.finish(now);
            return UpstreamBody(Kind::Whole(Bytes::new()));
        }
        UpstreamBody::streamed(Source::Http2(body, lease), deadlines)
    }

    fn streamed(source: Source, deadlines: Deadlines) -> UpstreamBody {
        UpstreamBody(Kind::Streamed(Box::new(Streamed {
            source,
            deadlines,
            waiting: false,
        })))
    }
}

impl Streamed {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled {
        let polled = match &mut self.source {
            // Once broken it stays broken: whoever polls again must not take it for an end.
            Source::Failed => return Poll::Ready(Some(Err(UpstreamBodyError::Short))),
            Source::Ended => return Poll::Ready(None),
            Source::Http1(lease) => match &mut lease.held {
                Held::Http1(connection) => connection.poll_frame(cx).map_err(UpstreamBodyError::from),
                Held::Http2(_) => Poll::Ready(None),
            },
            Source::Http2(body, _) => Pin::new(body).poll_frame(cx).map_err(UpstreamBodyError::Broken),
        };
        match polled {
            Poll::Ready(Some(Ok(mut frame))) => {
                self.waiting = false;
                if let Some(fields) = frame.trailers_mut() {
                    trailers::keep_allowed(fields, None);
                }
                // Whoever sees that the stream has ended does not poll again, so the end must be noticed here.
                if (frame.is_trailers() || self.source.is_over()) && !self.end() {
                    return self.fail(UpstreamBodyError::Short);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => self.fail(error),
            Poll::Ready(None) if self.end() => Poll::Ready(None),
            Poll::Ready(None) => self.fail(UpstreamBodyError::Short),
            Poll::Pending => match self.poll_deadline(cx) {
                Poll::Ready(error) => self.fail(error),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    /// The body has ended. Returns whether it is whole.
    fn end(&mut self) -> bool {
        let lease = match std::mem::replace(&mut self.source, Source::Ended) {
            Source::Ended => return true,
            Source::Failed => return false,
            Source::Http1(lease) => lease,
            Source::Http2(body, lease) => {
                let whole = match body.size_hint().exact() {
                    Some(left) => left == 0,
                    // The library ends a body also when its stream is reset with NO_ERROR. That is right after a whole
                    // answer to a request that was still being sent (RFC 9113 section 8.1), and only then.
                    None => body.is_end_stream() || lease.is_sending(),
                };
                if !whole {
                    return false;
                }
                lease
            }
        };
        lease.finish(Instant::now());
        true
    }

    fn fail(&mut self, error: UpstreamBodyError) -> Polled {
        self.source = Source::Failed;
        Poll::Ready(Some(Err(error)))
    }

    /// The endpoint has nothing at the moment: has it had its time?
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<UpstreamBodyError> {
        let lease = match &mut self.source {
            Source::Http1(lease) | Source::Http2(_, lease) => lease,
            Source::Ended | Source::Failed => return Poll::Pending,
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

impl Source {
    fn is_over(&self) -> bool {
        match self {
            Source::Http1(lease) => match &lease.held {
                Held::Http1(connection) => connection.is_over(),
                Held::Http2(_) => true,
            },
            Source::Http2(body, _) => body.is_end_stream(),
            Source::Ended => true,
            Source::Failed => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Source::Http1(lease) => match &lease.held {
                Held::Http1(connection) => connection
                    .left()
                    .map_or_else(SizeHint::default, SizeHint::with_exact),
                Held::Http2(_) => SizeHint::default(),
            },
            // An answer to HEAD over HTTP/2 keeps its announced length here, although nothing follows.
            Source::Http2(body, _) if body.is_end_stream() => SizeHint::with_exact(0),
            Source::Http2(body, _) => body.size_hint(),
            Source::Ended => SizeHint::with_exact(0),
            Source::Failed => SizeHint::default(),
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = UpstreamBodyError;

    #[inline]
    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        match &mut self.get_mut().0 {
            Kind::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Streamed(streamed) => streamed.poll_frame(cx),
        }
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Streamed(streamed) => streamed.source.is_over(),
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Streamed(streamed) => streamed.source.size_hint(),
        }
    }
}

impl std::fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match &self.0 {
            Kind::Whole(_) => "whole",
            Kind::Streamed(streamed) => match &streamed.source {
                Source::Http1(_) | Source::Http2(..) => "streamed",
                Source::Ended => "ended",
                Source::Failed => "failed",
            },
        };
        f.debug_tuple("UpstreamBody").field(&state).finish()
    }
}

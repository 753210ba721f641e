//! The one body: what a client sends, whatever it is made of.
//!
//! Limit, idle deadline, count and the filter for trailers are *one* wrapper ([`Body::guarded`]), not four nested
//! ones. What went wrong with a body is also told to whoever holds its [`Fate`]: the connection to the backend only
//! says that the request's body failed, not why.

use std::collections::VecDeque;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::header::EXPECT;
use http::{Request, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

use super::managed::ManagedNames;
use super::trailers;

/// Why a client's body cannot be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is larger than the route allows.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The client sent nothing for too long.
    #[error("the body did not go on in time")]
    Idle,
    /// It was not there as a whole when it was due.
    #[error("the body did not arrive as a whole in time")]
    Late,
    /// It is malformed, or the client went away in the middle of it.
    #[error("the body is malformed or ended early")]
    Broken,
}

/// What became of a client's body, for whoever no longer holds it.
#[derive(Debug, Clone, Default)]
pub struct Fate(Arc<Told>);

#[derive(Debug, Default)]
struct Told {
    failure: OnceLock<BodyError>,
    seen: AtomicU64,
}

impl Fate {
    /// What went wrong, if something did so far.
    pub fn failure(&self) -> Option<BodyError> {
        self.0.failure.get().copied()
    }

    /// Bytes of it that were read so far.
    pub fn seen(&self) -> u64 {
        self.0.seen.load(Ordering::Relaxed)
    }
}

/// Bytes of a body that is waited for although nobody reads it, at most.
const LEFT_AT_MOST: u64 = 16 << 10;
/// How long it is waited for.
const LEFT_FOR: Duration = Duration::from_secs(5);

/// What nobody read of a client's body, to be taken off the connection before the answer goes out.
///
/// Many libraries send head and body in two packets. Whoever refuses a call by its head alone answers before the second one, and
/// the server then has to close the connection without having said so: the request that the client sends next on it is lost.
#[derive(Debug)]
pub struct Leftover(oneshot::Receiver<Incoming>);

impl Leftover {
    /// Reads it to its end, if it was let go before. Gives up after [`LEFT_FOR`]; the connection then ends with the answer.
    pub async fn read(mut self) {
        let Ok(mut incoming) = self.0.try_recv() else {
            return;
        };
        let whole = async { while let Some(Ok(_)) = incoming.frame().await {} };
        // Late or broken: the server finds out by itself.
        let _ = tokio::time::timeout(LEFT_FOR, whole).await;
    }
}

/// A client's body on its connection. When it is let go before its end, it goes to whoever holds its [`Leftover`].
#[derive(Debug)]
struct Received {
    /// `None` only while it is dropped.
    incoming: Option<Incoming>,
    /// `None` where nobody waits for the rest, or while it is dropped.
    leftover: Option<oneshot::Sender<Incoming>>,
}

impl Received {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(incoming) = &mut self.incoming else {
            return Poll::Ready(None);
        };
        Pin::new(incoming).poll_frame(cx).map_err(|cause| {
            tracing::debug!(%cause, "a client's body broke off");
            BodyError::Broken
        })
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if let (Some(incoming), Some(leftover)) = (self.incoming.take(), self.leftover.take())
            && !incoming.is_end_stream()
        {
            // Nobody may wait any more; then it is dropped.
            let _ = leftover.send(incoming);
        }
    }
}

/// A body. `Send`, `Unpin`; the default is an empty one.
#[derive(Debug, Default)]
pub struct Body(Kind);

#[derive(Debug, Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    Incoming(Received),
    Boxed(UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>),
    Held {
        front: VecDeque<Bytes>,
        rest: Box<Body>,
    },
    Guarded(Box<Guarded>),
}

impl Body {
    /// A body without bytes.
    pub fn empty() -> Body {
        Body(Kind::Empty)
    }

    /// A body that is there as a whole.
    pub fn full(bytes: impl Into<Bytes>) -> Body {
        let bytes = bytes.into();
        if bytes.is_empty() {
            Body::empty()
        } else {
            Body(Kind::Full(bytes))
        }
    }

    /// What a client sends on a connection. One that is known to be empty already is [`Body::empty`].
    pub fn incoming(incoming: Incoming) -> Body {
        if incoming.is_end_stream() {
            Body::empty()
        } else {
            Body(Kind::Incoming(Received {
                incoming: Some(incoming),
                leftover: None,
            }))
        }
    }

    /// The same of a request over HTTP/1, and what is left of it when it is let go. `None` where nobody has to wait for that:
    /// the body is empty, larger than 16 KiB or of unknown length, or the client waits to be asked for it
    /// (RFC 9110 section 10.1.1).
    pub fn received(request: Request<Incoming>) -> (Request<Body>, Option<Leftover>) {
        let length = request.body().size_hint().exact();
        let waits_to_be_asked = request.headers().contains_key(EXPECT);
        let is_waited_for = length.is_some_and(|length| (1..=LEFT_AT_MOST).contains(&length));
        if !is_waited_for || waits_to_be_asked || request.version() > Version::HTTP_11 {
            return (request.map(Body::incoming), None);
        }
        let (sender, receiver) = oneshot::channel();
        let request = request.map(|incoming| {
            Body(Kind::Incoming(Received {
                incoming: Some(incoming),
                leftover: Some(sender),
            }))
        });
        (request, Some(Leftover(receiver)))
    }

    /// Any other body, from a program that uses the gateway as a library.
    pub fn boxed(body: UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>) -> Body {
        Body(Kind::Boxed(body))
    }

    /// A body whose beginning was read already: `front`, then `rest`.
    pub fn held(front: Vec<Bytes>, rest: Body) -> Body {
        let mut front: VecDeque<Bytes> = front.into_iter().filter(|part| !part.is_empty()).collect();
        match (front.len(), rest.is_empty_now()) {
            (0, _) => rest,
            (1, true) => Body::full(front.pop_front().unwrap_or_default()),
            _ => Body(Kind::Held {
                front,
                rest: Box::new(rest),
            }),
        }
    }

    /// Watches over the body while it is read:
    ///
    /// * more than `limit` bytes: [`BodyError::TooLarge`]. A length that is declared and too large fails at the first
    ///   poll, before a byte is read;
    /// * nothing for `idle` while somebody waits: [`BodyError::Idle`]. Time in which nobody asks does not count, so a
    ///   slow backend is not the client's fault;
    /// * trailers that `managed` or RFC 9110 section 6.5.1 forbid are dropped.
    ///
    /// After a failure the body is never polled again. Needs no [`Fate`] (`None`) where nothing can go wrong: the
    /// body is empty, or whole and within the limit.
    pub fn guarded(
        self,
        limit: u64,
        idle: Duration,
        managed: Option<Arc<ManagedNames>>,
    ) -> (Body, Option<Fate>) {
        match &self.0 {
            Kind::Empty => return (self, None),
            Kind::Full(bytes) if bytes.len() as u64 <= limit => return (self, None),
            Kind::Full(_) | Kind::Incoming(_) | Kind::Boxed(_) | Kind::Held { .. } | Kind::Guarded(_) => {}
        }
        let fate = Fate::default();
        let guarded = Guarded {
            failed: (self.size_hint().lower() > limit).then_some(BodyError::TooLarge { limit }),
            ended: false,
            source: self,
            seen: 0,
            limit,
            idle,
            due: None,
            timer: None,
            waiting: false,
            managed,
            fate: fate.clone(),
        };
        (Body(Kind::Guarded(Box::new(guarded))), Some(fate))
    }

    /// Sets a time for the whole body: what is not there `span` from now is [`BodyError::Late`]. It comes on top of the bounds
    /// of [`Body::guarded`], and counts whether anybody reads or not.
    ///
    /// For a body that something waits for as a whole: without it a client that sends a byte now and then is never idle.
    /// A body that is there already stays as it is.
    #[must_use]
    pub fn due_within(self, span: Duration) -> Body {
        let mut body = match &self.0 {
            Kind::Guarded(_) => self,
            Kind::Empty | Kind::Full(_) | Kind::Incoming(_) | Kind::Boxed(_) | Kind::Held { .. } => {
                self.guarded(u64::MAX, span, None).0
            }
        };
        if let Kind::Guarded(guarded) = &mut body.0 {
            guarded.due = Some(Instant::now() + span);
            guarded.waiting = false;
        }
        body
    }

    /// Is there certainly nothing (more) to read?
    pub fn is_empty_now(&self) -> bool {
        self.is_end_stream()
    }

    /// Can the same body be sent a second time? True for one that is empty or there as a whole.
    pub fn is_replayable(&self) -> bool {
        match &self.0 {
            Kind::Empty | Kind::Full(_) => true,
            Kind::Incoming(_) | Kind::Boxed(_) | Kind::Held { .. } | Kind::Guarded(_) => false,
        }
    }

    /// The same body again, if it [is replayable](Body::is_replayable). Shares the bytes.
    pub fn replay(&self) -> Option<Body> {
        match &self.0 {
            Kind::Empty => Some(Body::empty()),
            Kind::Full(bytes) => Some(Body::full(bytes.clone())),
            Kind::Incoming(_) | Kind::Boxed(_) | Kind::Held { .. } | Kind::Guarded(_) => None,
        }
    }

    /// How many bytes are still to come, if the message says so.
    pub fn declared(&self) -> Option<u64> {
        self.size_hint().exact()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        Body::full(bytes)
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let kind = &mut self.get_mut().0;
        match kind {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *kind = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Incoming(received) => received.poll_frame(cx),
            Kind::Boxed(boxed) => Pin::new(boxed).poll_frame(cx).map_err(|cause| {
                tracing::debug!(%cause, "a body given to the library failed");
                BodyError::Broken
            }),
            Kind::Held { front, rest } => match front.pop_front() {
                Some(part) => Poll::Ready(Some(Ok(Frame::data(part)))),
                None => {
                    let mut rest = std::mem::take(&mut **rest);
                    let polled = Pin::new(&mut rest).poll_frame(cx);
                    *kind = rest.0;
                    polled
                }
            },
            Kind::Guarded(guarded) => guarded.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(bytes) => bytes.is_empty(),
            Kind::Incoming(received) => received.incoming.as_ref().is_none_or(Incoming::is_end_stream),
            Kind::Boxed(boxed) => boxed.is_end_stream(),
            Kind::Held { front, rest } => front.is_empty() && rest.is_end_stream(),
            Kind::Guarded(guarded) => {
                guarded.ended || (guarded.failed.is_none() && guarded.source.is_end_stream())
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Incoming(received) => {
                (received.incoming.as_ref()).map_or_else(SizeHint::default, Incoming::size_hint)
            }
            Kind::Boxed(boxed) => boxed.size_hint(),
            Kind::Held { front, rest } => {
                let held = front.iter().map(|part| part.remaining() as u64).sum::<u64>();
                let rest = rest.size_hint();
                let mut hint = SizeHint::new();
                hint.set_lower(rest.lower().saturating_add(held));
                if let Some(upper) = rest.upper() {
                    hint.set_upper(upper.saturating_add(held));
                }
                hint
            }
            Kind::Guarded(guarded) => guarded.source.size_hint(),
        }
    }
}

/// See [`Body::guarded`].
#[derive(Debug)]
struct Guarded {
    source: Body,
    seen: u64,
    limit: u64,
    idle: Duration,
    /// See [`Body::due_within`].
    due: Option<Instant>,
    /// Made at the first wait and set anew at each later one: most bodies come with the head and never wait.
    timer: Option<Pin<Box<Sleep>>>,
    /// The timer runs for the present wait.
    waiting: bool,
    managed: Option<Arc<ManagedNames>>,
    /// To be reported at the next poll.
    failed: Option<BodyError>,
    ended: bool,
    fate: Fate,
}

impl Guarded {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Some(error) = self.failed {
            return self.fail(error);
        }
        loop {
            match Pin::new(&mut self.source).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.waiting = false;
                    let frame = match frame.into_trailers() {
                        Ok(mut fields) => {
                            trailers::keep_allowed(&mut fields, self.managed.as_deref());
                            if fields.is_empty() {
                                continue;
                            }
                            Frame::trailers(fields)
                        }
                        Err(frame) => frame,
                    };
                    if let Some(data) = frame.data_ref() {
                        self.seen = self.seen.saturating_add(data.len() as u64);
                        self.fate.0.seen.store(self.seen, Ordering::Relaxed);
                        if self.seen > self.limit {
                            return self.fail(BodyError::TooLarge { limit: self.limit });
                        }
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                Poll::Ready(Some(Err(error))) => return self.fail(error),
                Poll::Ready(None) => {
                    self.ended = true;
                    return Poll::Ready(None);
                }
                Poll::Pending => return self.wait(cx),
            }
        }
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if !self.waiting {
            let idle_at = Instant::now() + self.idle;
            let until = self.due.map_or(idle_at, |due| due.min(idle_at));
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(until),
                none => *none = Some(Box::pin(tokio::time::sleep_until(until))),
            }
            self.waiting = true;
        }
        match self.timer.as_mut().map(|timer| timer.as_mut().poll(cx)) {
            Some(Poll::Ready(())) => {
                let is_late = self.due.is_some_and(|due| due <= Instant::now());
                self.fail(if is_late { BodyError::Late } else { BodyError::Idle })
            }
            Some(Poll::Pending) | None => Poll::Pending,
        }
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.ended = true;
        self.failed = Some(error);
        // The first failure is the one that counts.
        let _ = self.fate.0.failure.set(error);
        // What is left of the client's message is let go at once: nobody may read it by mistake.
        self.source = Body::empty();
        Poll::Ready(Some(Err(error)))
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;

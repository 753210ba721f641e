//! What the server asks of whoever answers requests, and how an answer is tied to its connection.

use std::any::Any;
use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::CatchUnwind;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
pub use hyper::body::Incoming;

use super::drain::Phase;
use super::progress::{InFlight, Progress};
use super::streams::{Flow, Streams};
use crate::local::redirect;
use crate::net::peer::Peer;

/// Answers requests. One is made for each worker; it is cloned for each connection.
///
/// Written as
///
/// ```ignore
/// fn handle(&self, peer: &Arc<Peer>, request: Request<Incoming>)
///     -> impl Future<Output = Response<Self::Body>> + Send + use<>
/// {
///     let (shard, peer) = (Arc::clone(&self.shard), Arc::clone(peer));
///     async move { pipeline::handle(&shard, &peer, request).await }
/// }
/// ```
pub trait Handler: Clone + Send + Sync + 'static {
    /// The body of its answers. It is dropped when its last byte was handed over, or when the client left.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static;

    /// Answers `request`. The future is dropped when the client leaves before the answer. A panic in it is caught,
    /// logged, and answered with 500 and the end of the connection.
    fn handle(
        &self,
        peer: &Arc<Peer>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Self::Body>> + Send + use<Self>;

    /// An answer of the server's own (redirect, panic) as one of this handler's.
    fn whole(answer: Response<Bytes>) -> Response<Self::Body>;
}

/// What stands behind a listener.
#[derive(Debug, Clone)]
pub enum Door<H> {
    /// The gateway.
    Gateway(H),
    /// Nothing but the way to HTTPS: there is no path from here to the handler's `handle`.
    Redirect {
        /// The port to name in the redirect; `None` leaves it out (443).
        port: Option<u16>,
    },
}

/// One connection's way from a request to its answer: the service that hyper calls.
#[derive(Debug)]
pub(super) struct Answerer<H> {
    pub(super) door: Door<H>,
    pub(super) peer: Arc<Peer>,
    pub(super) progress: Arc<Progress>,
    /// The streams of an HTTP/2 connection; `None` for HTTP/1.
    pub(super) streams: Option<Streams>,
}

impl<H: Handler> hyper::service::Service<Request<Incoming>> for Answerer<H> {
    type Response = Response<Sent<H::Body>>;
    type Error = Infallible;
    type Future = Answering<H>;

    fn call(&self, request: Request<Incoming>) -> Answering<H> {
        let in_flight = self.progress.begin(!request.body().is_end_stream());
        let flow = self.streams.as_ref().map(Streams::open);
        let work = match &self.door {
            // In a box, though that is an allocation for each request: hyper keeps room for this future in each
            // connection, and an idle connection should not carry what only a busy one needs.
            Door::Gateway(handler) => {
                let work: Pin<Box<dyn Future<Output = Response<H::Body>> + Send>> =
                    Box::pin(handler.handle(&self.peer, request));
                Work::Asked {
                    work: AssertUnwindSafe(work).catch_unwind(),
                }
            }
            Door::Redirect { port } => Work::Known {
                answer: Some(H::whole(redirect::answer(&request, *port))),
            },
        };
        Answering {
            work,
            in_flight: Some(in_flight),
            flow,
        }
    }
}

type Asked<B> = CatchUnwind<AssertUnwindSafe<Pin<Box<dyn Future<Output = Response<B>> + Send>>>>;

enum Work<B> {
    Asked { work: Asked<B> },
    Known { answer: Option<Response<B>> },
}

/// An answer in the making.
pub(super) struct Answering<H: Handler> {
    work: Work<H::Body>,
    in_flight: Option<InFlight>,
    /// With HTTP/2 only.
    flow: Option<Arc<Flow>>,
}

// Nothing in it is pinned in place: the work is in a box.
impl<H: Handler> Unpin for Answering<H> {}

impl<H: Handler> Future for Answering<H> {
    type Output = Result<Response<Sent<H::Body>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let http1 = this.flow.is_none();
        let mut answer = match &mut this.work {
            Work::Known { answer } => match answer.take() {
                Some(answer) => answer,
                None => return Poll::Pending,
            },
            Work::Asked { work } => match ready!(Pin::new(work).poll(cx)) {
                Ok(answer) => answer,
                Err(panic) => H::whole(after_panic(panic.as_ref(), http1)),
            },
        };
        // RFC 9112 section 9.6: "close" tells the client that this answer is the last. Hop-by-hop, so HTTP/1 only.
        let leaving = this
            .in_flight
            .as_ref()
            .is_some_and(|request| request.phase() >= Phase::Draining);
        if http1 && leaving {
            answer
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let (flow, in_flight) = (this.flow.take(), this.in_flight.take());
        if let Some(flow) = &flow {
            flow.note_given();
        }
        Poll::Ready(Ok(answer.map(|body| Sent {
            body,
            flow,
            rest: Bytes::new(),
            _in_flight: in_flight,
        })))
    }
}

fn after_panic(panic: &(dyn Any + Send), http1: bool) -> Response<Bytes> {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(panic = message, "a bug: answering a request panicked");
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    if http1 {
        // Whatever the request's body was to be read by is gone.
        answer
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

/// An HTTP/2 answer is handed over in pieces of at most so many bytes, so that a client that takes a large piece slowly
/// is seen to take it.
const PIECE: usize = 64 * 1024;

pin_project_lite::pin_project! {
    /// An answer's body that holds its request in flight.
    pub(super) struct Sent<B> {
        #[pin]
        body: B,
        flow: Option<Arc<Flow>>,
        // Of a large piece, what has not been handed over. Empty with HTTP/1.
        rest: Bytes,
        _in_flight: Option<InFlight>,
    }
}

impl<B: Body<Data = Bytes>> Body for Sent<B> {
    type Data = Bytes;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.project();
        let Some(flow) = this.flow else {
            return this.body.poll_frame(cx);
        };
        if !this.rest.is_empty() {
            flow.note_given();
            let piece = this.rest.split_to(PIECE.min(this.rest.len()));
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let Poll::Ready(frame) = this.body.poll_frame(cx) else {
            flow.note_waiting();
            return Poll::Pending;
        };
        flow.note_given();
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| {
                frame.map_data(|mut data| {
                    if data.len() > PIECE {
                        *this.rest = data.split_off(PIECE);
                    }
                    data
                })
            })
        }))
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        if rest > 0 {
            if let Some(upper) = hint.upper() {
                hint.set_upper(upper.saturating_add(rest));
            }
            hint.set_lower(hint.lower().saturating_add(rest));
        }
        hint
    }
}

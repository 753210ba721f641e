//! One exchange: find a connection, send, wait for the head, hand over the body. And what may be tried again.
//!
//! A request is sent a second time only if
//!
//! - nothing of it was sent. That holds for every method.
//! - or it went out on a connection that was open before and ended without a byte of an answer, the method is idempotent
//!   and the body can be had again. The endpoint closed an idle connection at the moment we took it up, most likely.
//!
//! It is tried once, on another connection. An endpoint that cannot be connected to was sent nothing either; then the next
//! endpoint's turn comes, until the deadline.

use std::future::Future;

use http::{Request, Response};
use tokio::time::Instant;

use super::answer;
use super::balance::Walk;
use super::body::UpstreamBody;
use super::deadlines::Deadlines;
use super::http1::{Failure, Http1};
use super::http2::Stream;
use super::lease::{Held, Lease};
use super::outbound::Outbound;
use super::pool::{Avoid, count};
use super::request::{self, Copy};
use super::service::Service;
use super::{UpstreamNote, endpoint::Endpoint};
use crate::config::plan::RegionRef;
use crate::http::body::{Body, Fate};
use crate::rejection::Rejection;

/// A request that was given back so often is given up: something accepts connections and closes them at once.
const GIVEN_BACK: u8 = 3;

impl Service {
    /// Sends `request` to an endpoint of `region` (or to one of no region, if the region has none) and returns its answer
    /// when the head is there. `shard` is the number of the calling worker.
    ///
    /// `request` comes as the headers stage leaves it: target in origin form, `Host` as the client named it, no hop-by-hop fields, no
    /// `Expect`. Interim answers (1xx) of the endpoint end here: the gateway asks for none, it answers `100-continue`
    /// itself, and its server side cannot send others.
    ///
    /// `fate` tells what became of the client's body, so that its failure is not taken for the endpoint's.
    ///
    /// # Errors
    /// - [`Rejection::RegionUnavailable`]: no endpoint for the region;
    /// - [`Rejection::UpstreamUnreachable`]: none can be connected to, or the name does not resolve;
    /// - [`Rejection::UpstreamInvalid`]: it broke off before the head, or the head must not be passed on;
    /// - [`Rejection::UpstreamTimeout`]: no head within the first-byte deadline, or the exchange's whole time is up;
    /// - what became of the client's body: [`Rejection::BodyTooLarge`], [`Rejection::RequestTimeout`],
    ///   [`Rejection::BadRequest`].
    pub fn forward<'a>(
        &'a self,
        shard: usize,
        region: Option<RegionRef>,
        request: Request<Body>,
        fate: Option<Fate>,
        note: &'a mut UpstreamNote,
    ) -> impl Future<Output = Result<Response<UpstreamBody>, Rejection>> + Send + 'a {
        // No `async fn`: it would keep a second place for the request, and this state is part of every connection's.
        let began = Instant::now();
        let outgoing = request.map(|body| Outbound::new(body, began));
        self.exchange(shard, region, outgoing, fate, note, began)
    }

    #[expect(clippy::manual_async_fn, reason = "see above")]
    fn exchange<'a>(
        &'a self,
        shard: usize,
        region: Option<RegionRef>,
        mut outgoing: Request<Outbound>,
        fate: Option<Fate>,
        note: &'a mut UpstreamNote,
        began: Instant,
    ) -> impl Future<Output = Result<Response<UpstreamBody>, Rejection>> + Send + 'a {
        async move {
            request::prepare(&mut outgoing, self.0.protocol)?;
            let deadlines = Deadlines::new(began, &self.0.timeouts);
            let mut avoid = Avoid::Nothing;
            let mut given_back = 0;
            let mut retried = false;
            loop {
                let (mut lease, reused, sent) = self.lease(shard, region, &deadlines, &avoid, note).await?;
                note.attempts = note.attempts.saturating_add(1);
                request::address(&mut outgoing, &lease.shard().connector);
                lease.progress = outgoing.body().progress();
                let Lease {
                    held,
                    alarm,
                    progress,
                    ..
                } = &mut lease;
                let again = reused && !retried;
                let attempt = match held {
                    Held::Http1(connection) => {
                        let attempt = attempt_http1(connection, &mut outgoing, again, sent);
                        deadlines.head(attempt, sent, alarm, progress.as_deref()).await?
                    }
                    // In a box: its state is larger, and most backends speak HTTP/1.1.
                    Held::Http2(stream) => {
                        let attempt = Box::pin(attempt_http2(stream, &mut outgoing, again, sent));
                        deadlines.head(attempt, sent, alarm, progress.as_deref()).await?
                    }
                };
                let failed = match attempt {
                    Attempt::Http1(answer) => {
                        let now = Instant::now();
                        note.first_byte = now - sent;
                        return Ok(answer.map(|()| UpstreamBody::http1(lease, deadlines, now)));
                    }
                    Attempt::Http2(answer) => {
                        let now = Instant::now();
                        note.first_byte = now - sent;
                        return Ok(answer.map(|body| UpstreamBody::http2(body, lease, deadlines, now)));
                    }
                    Attempt::Failed(failed) => failed,
                };
                if let Some(failure) = fate.as_ref().and_then(Fate::failure) {
                    return Err(failure.into());
                }
                match failed {
                    Failed::Unsent if given_back < GIVEN_BACK => given_back += 1,
                    Failed::Unsent => return Err(Rejection::UpstreamUnreachable),
                    Failed::Again => retried = true,
                    Failed::ForGood(why) => {
                        tracing::debug!(
                            endpoint = &*lease.shard().label,
                            why,
                            "an endpoint gave no answer that may be passed on"
                        );
                        return Err(Rejection::UpstreamInvalid);
                    }
                }
                count(&lease.shard().counts.retries);
                avoid = lease.to_avoid();
            }
        }
    }

    /// A connection for one exchange, whether it had been open before, and the moment at which it was there.
    async fn lease(
        &self,
        shard: usize,
        region: Option<RegionRef>,
        deadlines: &Deadlines,
        avoid: &Avoid,
        note: &mut UpstreamNote,
    ) -> Result<(Lease, bool, Instant), Rejection> {
        // One look at the clock is enough for a request that finds its connection open.
        let before = if note.attempts == 0 {
            deadlines.began
        } else {
            Instant::now()
        };
        let walk = match self.pooled(shard, region, avoid, before)? {
            Ok(lease) => {
                note.endpoint = Some(lease.shard().label.clone());
                return Ok((lease, true, before));
            }
            Err(walk) => walk,
        };
        // Opening a connection is rare and its state large; in a box it does not make every request's state large.
        let opened = Box::pin(self.open(shard, region, walk, deadlines, avoid, note)).await;
        let now = Instant::now();
        note.connect += now - before;
        opened.map(|(lease, reused)| (lease, reused, now))
    }

    /// The endpoint whose turn it is: a connection that is open, or where to begin to open one.
    fn pooled(
        &self,
        shard: usize,
        region: Option<RegionRef>,
        avoid: &Avoid,
        now: Instant,
    ) -> Result<Result<Lease, Walk>, Rejection> {
        let board = self.0.board.load();
        let group = board.group(region).ok_or(Rejection::RegionUnavailable)?;
        let is_aside = |endpoint: &Endpoint| endpoint.is_aside(now);
        let Some(first) = group.first(shard, self.0.balance, is_aside) else {
            // The region has endpoints, but none of their names has resolved.
            self.0.suspect_names();
            return Err(Rejection::UpstreamUnreachable);
        };
        let walk = Walk::from(first, group.endpoints.len());
        let turn = Walk::from(first, group.endpoints.len())
            .next(|at| group.endpoints.get(at).is_some_and(|endpoint| is_aside(endpoint)));
        let lease = turn
            .and_then(|at| group.endpoints.get(at))
            .and_then(|endpoint| endpoint.pooled(shard, now, &self.0.pool, avoid));
        Ok(lease.ok_or(walk))
    }

    /// Opens a connection to the first endpoint of the walk that lets us.
    async fn open(
        &self,
        shard: usize,
        region: Option<RegionRef>,
        mut walk: Walk,
        deadlines: &Deadlines,
        avoid: &Avoid,
        note: &mut UpstreamNote,
    ) -> Result<(Lease, bool), Rejection> {
        let board = self.0.board.load_full();
        let group = board.group(region).ok_or(Rejection::RegionUnavailable)?;
        loop {
            let now = Instant::now();
            if now >= deadlines.all_connects_by() {
                return Err(Rejection::UpstreamUnreachable);
            }
            let Some(endpoint) = walk
                .next(|at| {
                    group
                        .endpoints
                        .get(at)
                        .is_some_and(|endpoint| endpoint.is_aside(now))
                })
                .and_then(|at| group.endpoints.get(at))
            else {
                return Err(Rejection::UpstreamUnreachable);
            };
            if let Some(lease) = endpoint.pooled(shard, now, &self.0.pool, avoid) {
                note.endpoint = Some(lease.shard().label.clone());
                return Ok((lease, true));
            }
            match endpoint
                .open(shard, &self.0.pool, avoid, deadlines.connect_by(now))
                .await
            {
                Ok((lease, reused)) => {
                    note.endpoint = Some(lease.shard().label.clone());
                    return Ok((lease, reused));
                }
                Err(error) => {
                    note.failed_connects = note.failed_connects.saturating_add(1);
                    note.endpoint = Some(endpoint.connector.label().into());
                    let (label, address) = (endpoint.connector.label(), endpoint.address);
                    // Once when it begins; while it lasts every call may find out anew.
                    if endpoint.is_aside(now) {
                        tracing::debug!(endpoint = label, %address, %error, "still no connection to an endpoint");
                    } else {
                        tracing::warn!(
                            endpoint = label, %address, %error,
                            "cannot connect to an endpoint; it is set aside"
                        );
                    }
                    endpoint.set_aside(self.0.set_aside);
                    self.0.suspect_names();
                }
            }
        }
    }
}

/// What came of sending a request on a connection.
enum Attempt {
    Http1(Response<()>),
    Http2(Response<hyper::body::Incoming>),
    Failed(Failed),
}

/// Why there is no answer. Unless it is for good, the request is whole again.
enum Failed {
    /// Nothing of it was sent.
    Unsent,
    /// It may be sent once more.
    Again,
    /// It may not, or the answer is one that must not be passed on. The reason is for the log.
    ForGood(String),
}

async fn attempt_http1(
    connection: &mut Http1,
    request: &mut Request<Outbound>,
    again: bool,
    now: Instant,
) -> Attempt {
    let body = request.body().replay();
    let failure = match connection.exchange(request).await {
        Ok(answer) => return Attempt::Http1(answer),
        Err(failure) => failure,
    };
    let failed = match (failure, body) {
        (Failure::Unsent, Some(body)) => {
            *request.body_mut() = Outbound::new(body, now);
            Failed::Unsent
        }
        // "A proxy MUST NOT automatically retry non-idempotent requests" (RFC 9110 section 9.2.2).
        (Failure::Silent(_), Some(body)) if again && request.method().is_idempotent() => {
            *request.body_mut() = Outbound::new(body, now);
            Failed::Again
        }
        (failure, _) => Failed::ForGood(failure.to_string()),
    };
    Attempt::Failed(failed)
}

async fn attempt_http2(
    stream: &mut Stream,
    request: &mut Request<Outbound>,
    again: bool,
    now: Instant,
) -> Attempt {
    let copy = if again { Copy::of(request) } else { None };
    let sent = std::mem::take(request);
    let mut error = match stream.0.sender().try_send_request(sent).await {
        Ok(mut answer) => {
            if answer::fit(&mut answer) {
                return Attempt::Http2(answer);
            }
            let why = format!("status {} or its framing must not be passed on", answer.status());
            return Attempt::Failed(Failed::ForGood(why));
        }
        Err(error) => error,
    };
    Attempt::Failed(match (error.take_message(), copy) {
        (Some(message), _) => {
            *request = message;
            Failed::Unsent
        }
        (None, Some(copy)) => {
            *request = copy.into_request(now);
            Failed::Again
        }
        (None, None) => Failed::ForGood(error.into_error().to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compiles only if the pipeline can run on a runtime with several threads.
    #[expect(dead_code, reason = "its being compiled is the test")]
    fn forwarding_may_change_threads(service: &Service, note: &mut UpstreamNote) {
        fn is_send<T: Send>(_: T) {}
        is_send(service.forward(0, None, Request::new(Body::empty()), None, note));
    }

    /// The state of every call that is under way, and of every idle connection of a client, contains this.
    #[tokio::test]
    async fn the_state_of_forwarding_stays_small() {
        let plan = crate::upstream::tests::plan(&[]);
        let service = Service::seeded(&plan, 1, None, 1).unwrap();
        let mut note = UpstreamNote::default();
        let call = service.forward(0, None, Request::new(Body::empty()), None, &mut note);
        assert!(size_of_val(&call) <= 1280, "{}", size_of_val(&call));
    }
}

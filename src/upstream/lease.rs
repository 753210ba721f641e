//! The use of a connection for one exchange.
//!
//! Whoever holds the lease decides how the exchange ended. [`Lease::finish`] is the only way back into the pool; a lease
//! that is just dropped (an error, a deadline, a client that left) takes an HTTP/1.1 connection with it, since nobody
//! can tell where the next answer on it would begin.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::alarm::Alarm;
use super::http1::Http1;
use super::http2::Stream;
use super::outbound::Progress;
use super::pool::{Avoid, Shard};
use crate::config::plan::PoolPlan;

/// What is leased.
pub(super) enum Held {
    /// A whole connection. Dropped, it is closed.
    Http1(Box<Http1>),
    /// One stream of a connection. The library resets a stream whose answer is dropped.
    Http2(Stream),
}

/// See the module.
pub(super) struct Lease {
    pub(super) held: Held,
    pub(super) alarm: Alarm,
    /// Of the request's body, if it has one.
    pub(super) progress: Option<Arc<Progress>>,
    place: InFlight,
    rules: PoolPlan,
}

/// Counts an exchange as running for as long as it lives.
struct InFlight(Arc<Shard>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lease {
    pub(super) fn new(shard: Arc<Shard>, mut held: Held, rules: PoolPlan) -> Lease {
        shard.in_flight.fetch_add(1, Ordering::Relaxed);
        let alarm = match &mut held {
            Held::Http1(connection) => std::mem::take(&mut connection.alarm),
            Held::Http2(_) => Alarm::default(),
        };
        Lease {
            held,
            alarm,
            progress: None,
            place: InFlight(shard),
            rules,
        }
    }

    pub(super) fn shard(&self) -> &Shard {
        &self.place.0
    }

    /// What the next try has to stay away from, this one having failed.
    pub(super) fn to_avoid(&self) -> Avoid {
        match &self.held {
            Held::Http1(_) => Avoid::Idle,
            Held::Http2(stream) => Avoid::This(Arc::clone(&stream.0)),
        }
    }

    /// Is there more of the request's body to send?
    pub(super) fn is_sending(&self) -> bool {
        match &self.held {
            Held::Http1(connection) => connection.is_sending(),
            Held::Http2(_) => self.progress.as_ref().is_some_and(|progress| !progress.is_over()),
        }
    }

    /// The answer ended as it should, at `now`.
    ///
    /// An endpoint may answer before it has read the whole request. The rest of the body would have to be sent before
    /// the connection is good for another request, and nobody waits for that; so the connection is cut then.
    pub(super) fn finish(self, now: Instant) {
        let Lease {
            held,
            alarm,
            place,
            rules,
            ..
        } = self;
        match held {
            Held::Http1(mut connection) if connection.is_reusable() => {
                connection.alarm = alarm;
                place.0.put(connection, &rules, now);
            }
            Held::Http1(_) | Held::Http2(_) => {}
        }
    }
}

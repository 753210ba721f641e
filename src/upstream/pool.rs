//! The connections of one endpoint that one worker holds.
//!
//! Nothing here is shared between workers, so the locks are never contended on the way of a request; only the task that
//! closes what has been idle for too long takes them from outside.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::endpoint::Connector;
use super::http1::Http1;
use super::http2::Http2;
use super::lease::{Held, Lease};
use crate::config::plan::PoolPlan;

/// One worker's connections to one endpoint, and what it counted there. Own cache lines: see the module.
#[repr(align(128))]
pub(super) struct Shard {
    /// The endpoint's name. Each worker has its own copy, so that counting references to it stays in its own cache.
    pub(super) label: Arc<str>,
    /// How the endpoint is spoken to.
    pub(super) connector: Arc<Connector>,
    /// Idle HTTP/1.1 connections, oldest first.
    idle: Mutex<VecDeque<Box<Http1>>>,
    /// HTTP/2 connections, oldest first.
    shared: Mutex<Vec<Arc<Http2>>>,
    /// Held while an HTTP/2 connection is being opened: the others wait for it instead of opening one each.
    pub(super) opening: tokio::sync::Mutex<()>,
    pub(super) in_flight: AtomicU32,
    pub(super) counts: Counts,
}

/// What happened on one worker at one endpoint since the start. Counters only go up.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) connects: AtomicU64,
    pub(super) connect_failures: AtomicU64,
    pub(super) reuses: AtomicU64,
    pub(super) retries: AtomicU64,
}

/// Adds one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// What a second try must not use.
pub(super) enum Avoid {
    /// Nothing: the first try.
    Nothing,
    /// Every idle HTTP/1.1 connection. If one had died, so probably have the others (the endpoint was restarted), and
    /// there is only one second try.
    Idle,
    /// The HTTP/2 connection that failed, which may not know yet that it is closed.
    This(Arc<Http2>),
}

impl Shard {
    pub(super) fn new(connector: &Arc<Connector>) -> Arc<Shard> {
        Arc::new(Shard {
            label: Arc::from(connector.label()),
            connector: Arc::clone(connector),
            idle: Mutex::default(),
            shared: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            in_flight: AtomicU32::new(0),
            counts: Counts::default(),
        })
    }

    /// An open connection that is free, the most recently used first, so that the others grow old and go.
    pub(super) fn take_http1(self: &Arc<Self>, now: Instant, rules: &PoolPlan) -> Option<Lease> {
        let mut idle = lock(&self.idle);
        drop_stale(&mut idle, now, rules);
        while let Some(mut connection) = idle.pop_back() {
            if now < connection.born + rules.lifetime && connection.is_open() {
                std::mem::drop(idle);
                count(&self.counts.reuses);
                return Some(Lease::new(Arc::clone(self), Held::Http1(connection), *rules));
            }
        }
        None
    }

    /// A stream on an open HTTP/2 connection.
    pub(super) fn take_http2(
        self: &Arc<Self>,
        now: Instant,
        rules: &PoolPlan,
        avoid: &Avoid,
    ) -> Option<Lease> {
        let mut shared = lock(&self.shared);
        // Out of the list it takes no new streams; those that run keep it open until they end.
        shared.retain(|connection| !connection.is_closed() && now < connection.born + rules.lifetime);
        let stream = shared
            .iter()
            .filter(|connection| !matches!(avoid, Avoid::This(failed) if Arc::ptr_eq(failed, connection)))
            .find_map(Http2::stream)?;
        std::mem::drop(shared);
        count(&self.counts.reuses);
        Some(Lease::new(Arc::clone(self), Held::Http2(stream), *rules))
    }

    /// Puts a connection back whose exchange was over at `now`.
    pub(super) fn put(&self, mut connection: Box<Http1>, rules: &PoolPlan, now: Instant) {
        if now >= connection.born + rules.lifetime {
            return;
        }
        connection.rest();
        connection.idle_since = now;
        let mut idle = lock(&self.idle);
        drop_stale(&mut idle, now, rules);
        if idle.len() >= rules.idle {
            idle.pop_front();
        }
        if idle.len() < rules.idle {
            idle.push_back(connection);
        }
    }

    /// Makes a new HTTP/2 connection known to others.
    pub(super) fn share(&self, connection: Arc<Http2>) {
        lock(&self.shared).push(connection);
    }

    /// Closes what has been idle or open for too long.
    pub(super) fn trim(&self, now: Instant, rules: &PoolPlan) {
        let mut idle = lock(&self.idle);
        drop_stale(&mut idle, now, rules);
        idle.retain_mut(|connection| now < connection.born + rules.lifetime && connection.is_open());
        std::mem::drop(idle);
        lock(&self.shared).retain(|connection| {
            !connection.is_closed()
                && now < connection.born + rules.lifetime
                && connection
                    .quiet(now)
                    .is_none_or(|quiet| quiet < rules.idle_timeout)
        });
    }

    /// Connections that are open and idle (HTTP/1.1) or shared (HTTP/2).
    pub(super) fn pooled(&self) -> usize {
        lock(&self.idle).len() + lock(&self.shared).len()
    }
}

/// The oldest stand in front, so this looks at one more than it drops.
fn drop_stale(idle: &mut VecDeque<Box<Http1>>, now: Instant, rules: &PoolPlan) {
    while idle
        .front()
        .is_some_and(|oldest| now >= oldest.idle_since + rules.idle_timeout)
    {
        idle.pop_front();
    }
}

/// Nothing is left half done under these locks when a holder panics, so a poisoned one is still good.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

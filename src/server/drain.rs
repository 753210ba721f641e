//! The life of the process: starting, ready, draining, closing, stopped; and who still holds on.
//!
//! Decisions are the gateway's; listeners and connections watch. A drain asks clients to leave for a while before it
//! closes anything, since a client that sends into a connection just being closed loses its request.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::progress::Progress;
use crate::config::plan::DrainPlan;

/// Where the process is in its life. Only goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Not everything stands yet: not ready.
    Starting = 0,
    /// Serving.
    Ready = 1,
    /// Not ready any more, still accepting; every answer asks the client to leave (`Connection: close`, GOAWAY).
    Draining = 2,
    /// Not accepting; idle connections are closed, what is in flight finishes.
    Closing = 3,
    /// The end: what is left is cut.
    Stopped = 4,
}

impl Phase {
    fn of(number: u8) -> Phase {
        match number {
            0 => Phase::Starting,
            1 => Phase::Ready,
            2 => Phase::Draining,
            3 => Phase::Closing,
            _ => Phase::Stopped,
        }
    }

    /// Its name in logs, metrics and the admin API.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Ready => "ready",
            Phase::Draining => "draining",
            Phase::Closing => "closing",
            Phase::Stopped => "stopped",
        }
    }
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut, since they held on beyond the maximum or a second signal came.
    pub cut: usize,
    /// Requests in flight on those.
    pub requests: usize,
}

/// A connection that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The other end.
    pub address: SocketAddr,
    /// Index of its listener.
    pub listener: usize,
    /// Requests not answered whole.
    pub in_flight: u32,
}

/// The life of the process. Cheap to clone; all clones are one life.
#[derive(Debug, Clone)]
pub struct Life(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// What connections look at: one relaxed load each time they are polled.
    phase: AtomicU8,
    /// What listeners and the gateway wait on.
    changes: watch::Sender<Phase>,
    open: AtomicUsize,
    empty: Notify,
    next: AtomicU64,
    /// Who is there, in parts, so that opening connections on several workers does not meet in one lock.
    rosters: [Mutex<HashMap<u64, Arc<Progress>>>; PARTS],
}

const PARTS: usize = 8;

impl Life {
    /// A life that begins in [`Phase::Starting`].
    pub fn new() -> Life {
        Life(Arc::new(Shared {
            phase: AtomicU8::new(Phase::Starting as u8),
            changes: watch::Sender::new(Phase::Starting),
            open: AtomicUsize::new(0),
            empty: Notify::new(),
            next: AtomicU64::new(0),
            rosters: Default::default(),
        }))
    }

    /// Where it is.
    pub fn phase(&self) -> Phase {
        Phase::of(self.0.phase.load(Relaxed))
    }

    /// Everything stands: serving. No effect later in life.
    pub fn ready(&self) {
        self.advance(Phase::Ready);
    }

    /// Waits until `phase` or a later one.
    pub async fn reached(&self, phase: Phase) {
        let mut changes = self.0.changes.subscribe();
        // An error would mean that the sender is gone; it lives in `self`.
        let _ = changes.wait_for(|now| *now >= phase).await;
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.0.open.load(Acquire)
    }

    /// Everybody who still holds on.
    pub fn holders(&self) -> Vec<Holder> {
        let mut holders = Vec::new();
        self.each(|progress| {
            holders.push(Holder {
                address: progress.address(),
                listener: progress.listener(),
                in_flight: progress.in_flight(),
            });
        });
        holders
    }

    /// Drains: asks clients to leave for `plan.min`, then closes what is idle and lets what is in flight finish until
    /// `plan.max` (both from now), then cuts. Returns when the last connection is gone or was told to be cut.
    pub async fn drain(&self, plan: DrainPlan) -> Drained {
        let begin = Instant::now();
        let (min, max) = (begin + plan.min, begin + plan.max.max(plan.min));
        self.advance(Phase::Draining);
        // Said when it is so: whoever reads it may ask whether the gateway is ready.
        tracing::info!("draining");
        tokio::select! {
            () = sleep_until(min) => {}
            () = self.reached(Phase::Stopped) => {}
        }
        self.advance(Phase::Closing);
        tokio::select! {
            _ = timeout_at(max, self.emptied()) => {}
            () = self.reached(Phase::Stopped) => {}
        }
        let left = self.holders();
        self.stop();
        Drained {
            cut: left.len(),
            requests: left.iter().map(|holder| holder.in_flight as usize).sum(),
        }
    }

    /// Ends at once: what is left is cut. A second signal does this.
    pub fn stop(&self) {
        self.advance(Phase::Stopped);
    }

    /// Waits until no connection is open.
    pub async fn emptied(&self) {
        loop {
            let notified = self.0.empty.notified();
            tokio::pin!(notified);
            // Registered before the look, or the last one could leave in between.
            notified.as_mut().enable();
            if self.open() == 0 {
                return;
            }
            notified.await;
        }
    }

    /// Enters a connection; it is on the roster until the stay is dropped.
    pub(super) fn enter(&self, progress: &Arc<Progress>) -> Stay {
        let id = self.0.next.fetch_add(1, Relaxed);
        self.0.open.fetch_add(1, AcqRel);
        if let Some(roster) = self.roster(id) {
            locked(roster).insert(id, Arc::clone(progress));
        }
        Stay {
            life: self.clone(),
            id,
        }
    }

    fn advance(&self, phase: Phase) {
        let before = self.0.phase.fetch_max(phase as u8, AcqRel);
        if before >= phase as u8 {
            return;
        }
        self.0.changes.send_if_modified(|now| {
            let later = *now < phase;
            *now = (*now).max(phase);
            later
        });
        self.each(|progress| progress.wake());
    }

    fn each(&self, mut visit: impl FnMut(&Progress)) {
        for roster in &self.0.rosters {
            for progress in locked(roster).values() {
                visit(progress);
            }
        }
    }

    fn roster(&self, id: u64) -> Option<&Mutex<HashMap<u64, Arc<Progress>>>> {
        let part = usize::try_from(id % PARTS as u64).unwrap_or(0);
        self.0.rosters.get(part)
    }
}

impl Default for Life {
    fn default() -> Life {
        Life::new()
    }
}

/// A connection on the roster.
#[derive(Debug)]
pub(super) struct Stay {
    life: Life,
    id: u64,
}

impl Drop for Stay {
    fn drop(&mut self) {
        if let Some(roster) = self.life.roster(self.id) {
            locked(roster).remove(&self.id);
        }
        if self.life.0.open.fetch_sub(1, Release) == 1 {
            self.life.0.empty.notify_waiters();
        }
    }
}

/// The roster stays whole if a thread panicked while it held the lock: each change is one call.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

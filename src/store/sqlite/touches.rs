//! Session touches that wait to be written down, many at a time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::store::model::Session;

/// Sessions that may wait at once; about 5 MiB. One more has all of them written.
const MOST: usize = 65_536;

/// When sessions were used since it was last written down. Read by whoever reads a session.
#[derive(Debug, Default)]
pub(super) struct Touches(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    seen: HashMap<Digest, UnixTime>,
    since: Option<Instant>,
}

/// Is it time to write?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// Not yet.
    Enough,
    /// Yes.
    Full,
}

impl Touches {
    /// The session was used at `now`.
    pub(super) fn note(&self, digest: Digest, now: UnixTime) -> Room {
        let mut waiting = self.lock();
        let seen = waiting.seen.entry(digest).or_insert(now);
        *seen = now.max(*seen);
        waiting.since.get_or_insert_with(Instant::now);
        if waiting.seen.len() < MOST {
            Room::Enough
        } else {
            Room::Full
        }
    }

    /// When the session was last seen, if that is later than what is stored.
    pub(super) fn last_seen(&self, digest: &Digest, stored: UnixTime) -> UnixTime {
        match self.lock().seen.get(digest) {
            Some(seen) => stored.max(*seen),
            None => stored,
        }
    }

    /// Have some waited long enough?
    pub(super) fn are_due(&self) -> bool {
        self.lock()
            .since
            .is_some_and(|since| since.elapsed() >= Session::TOUCH_EVERY)
    }

    /// All that wait. They stay until [`Touches::written`], so that nobody reads an older time meanwhile.
    pub(super) fn all(&self) -> Vec<(Digest, UnixTime)> {
        self.lock()
            .seen
            .iter()
            .map(|(digest, seen)| (*digest, *seen))
            .collect()
    }

    /// These were committed. What was touched again since then goes on waiting.
    pub(super) fn written(&self, written: &[(Digest, UnixTime)]) {
        let mut waiting = self.lock();
        for (digest, seen) in written {
            if waiting.seen.get(digest) == Some(seen) {
                waiting.seen.remove(digest);
            }
        }
        waiting.since = (!waiting.seen.is_empty()).then(Instant::now);
    }

    /// They could not be written down; the next time is not at once.
    pub(super) fn put_off(&self) {
        let mut waiting = self.lock();
        waiting.since = (!waiting.seen.is_empty()).then(Instant::now);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

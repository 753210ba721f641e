//! What is true now of whoever stands behind a credential that is remembered: read by every request, in a few loads, without
//! a lock.
//!
//! A [`Cell`] stands for one thing that can change or end under a credential: a user, an application, a family, a session, one
//! access token, the lock on a name. [`Cells`] gives the cell of a thing to whoever asks, the same to all, and is told of
//! every change before the operation that made it is answered ([`Listener`]). So whoever has the answer to a revocation in
//! hand knows that no request from then on gets past it.
//!
//! What a look-up has read may be outdated when it is remembered: the thing was revoked while it was read, when nobody held
//! its cell yet. [`Cells::observe`] is the way around that, and the only way to [`Marks`].

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::hash::BuildHasher;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::identity::{AccountKey, ClientId, FamilyId, RealmName, UserId};
use crate::store::Listener;
use crate::store::model::{AccessKey, Change};

/// What a cell stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Thing {
    /// A user's record: state, roles, tenants, password.
    User(RealmName, UserId),
    /// An application's record.
    Application(RealmName, ClientId),
    /// A family of tokens.
    Family(FamilyId),
    /// A session.
    Session(Digest),
    /// One access token.
    Access(AccessKey),
    /// A lock on a name.
    Lock(RealmName, AccountKey),
}

/// The highest bit of [`Cell::word`]: the thing has ended, and nothing brings it back.
const ENDED: u64 = 1 << 63;

/// No lock.
const OPEN: i64 = i64::MIN;

/// What is true of one thing.
#[derive(Debug)]
struct Cell {
    /// How often it has changed, and [`ENDED`].
    word: AtomicU64,
    /// Of a name: the end of the lock as of the last change. Written before `word`.
    locked_until: AtomicI64,
}

impl Cell {
    fn new() -> Cell {
        Cell {
            word: AtomicU64::new(0),
            locked_until: AtomicI64::new(OPEN),
        }
    }

    fn word(&self) -> u64 {
        self.word.load(Ordering::Acquire)
    }

    fn note(&self, event: Event) {
        match event {
            Event::Changed => self.word.fetch_add(1, Ordering::AcqRel),
            Event::Ended => self.word.fetch_or(ENDED, Ordering::AcqRel),
            Event::Lock(until) => {
                self.locked_until
                    .store(until.map_or(OPEN, |until| until.0), Ordering::Release);
                self.word.fetch_add(1, Ordering::AcqRel)
            }
        };
    }
}

/// What became of a thing.
#[derive(Debug, Clone, Copy)]
enum Event {
    Changed,
    Ended,
    Lock(Option<UnixTime>),
}

/// A cell, and how far it was when what is remembered was read.
#[derive(Debug)]
struct Mark {
    cell: Arc<Cell>,
    word: u64,
}

/// What a remembered credential holds to learn what has become of it.
#[derive(Debug)]
pub struct Marks {
    epoch: u64,
    marks: Box<[Mark]>,
    /// The lock on the account's name, where one suspends tokens and sessions; and its end as it was read.
    lock: Option<(Mark, Option<UnixTime>)>,
}

/// What is true of a remembered credential now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// All is as it was when it was read.
    Fine,
    /// Something has changed since; what it means has to be read anew.
    Stale,
    /// It was revoked, or the session was ended.
    Ended,
    /// The account is locked.
    Suspended {
        /// The first second in which that is over.
        until: UnixTime,
    },
}

/// What was read of the store, and of which things it speaks.
#[derive(Debug)]
pub struct Reading<T> {
    /// What was read.
    pub value: T,
    /// Whatever changes or ends it.
    pub of: Vec<Thing>,
    /// The name whose lock suspends it, and the end of the lock now.
    pub lock: Option<(RealmName, AccountKey, Option<UnixTime>)>,
}

/// A look-up under way. Boxed, since none is on the way of a warm request.
pub type Read<'r, T, E> = Pin<Box<dyn Future<Output = Result<Reading<T>, E>> + Send + 'r>>;

/// Things change faster than they can be read. Fail closed: 503.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what is read of the store changes while it is read")]
pub struct Unsettled;

/// A power of two, so that a hash is cut to a shard's number.
const SHARDS: usize = 16;

/// A shard with fewer cells than that is not searched for dead ones.
const FEW: usize = 64;

/// Reads of [`Cells::observe`] at most. The second is enough unless the first and the second speak of other things.
const MOST_READS: usize = 4;

/// The cells of all things that somebody remembers. A cell lives as long as somebody holds it, so there are never more than
/// twice as many as credentials are remembered (times the things of each).
#[derive(Debug)]
pub struct Cells {
    hasher: foldhash::fast::RandomState,
    shards: [Mutex<Shard>; SHARDS],
    /// Grows with every change of anything.
    changes: AtomicU64,
    /// Grows when changes were missed.
    epoch: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    cells: HashMap<Thing, Weak<Cell>, foldhash::fast::RandomState>,
    /// So many cells make it worth to look for dead ones.
    full: usize,
}

impl Default for Cells {
    fn default() -> Cells {
        Cells {
            hasher: foldhash::fast::RandomState::default(),
            shards: std::array::from_fn(|_| Mutex::default()),
            changes: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
        }
    }
}

impl Cells {
    /// Reads something that is to be remembered: `read` asks the store, and says what its answer speaks of.
    ///
    /// What it returns is as of a moment at which all the cells were held already: a change before that moment is in the
    /// answer, one after it is in the cells. Usually one read does. If anything at all has changed meanwhile, it is read once
    /// more, now that the cells are held.
    ///
    /// # Errors
    /// Those of `read`; `Err(None)` when it cannot be settled.
    pub async fn observe<'r, T, E>(
        &self,
        read: impl Fn() -> Read<'r, T, E>,
    ) -> Result<(T, Marks), Observed<E>> {
        let mut held: Option<(Vec<Thing>, Marks)> = None;
        for _ in 0..MOST_READS {
            let before = self.changes.load(Ordering::Acquire);
            let epoch = self.epoch.load(Ordering::Acquire);
            let again = held.take().map(|(things, marks)| (things, marks.renewed(epoch)));
            let Reading { value, of, lock } = read().await.map_err(Observed::Failed)?;
            let locked_until = lock.as_ref().and_then(|(_, _, until)| *until);
            let name = lock.map(|(realm, key, _)| Thing::Lock(realm, key));
            let things: Vec<Thing> = of.into_iter().chain(name.clone()).collect();
            match again {
                Some((known, mut marks)) if known == things => {
                    if let Some((_, until)) = &mut marks.lock {
                        *until = locked_until;
                    }
                    return Ok((value, marks));
                }
                Some(_) | None => {}
            }
            let marks = self.marks(&things, name.is_some(), locked_until, epoch);
            if self.changes.load(Ordering::Acquire) == before {
                return Ok((value, marks));
            }
            held = Some((things, marks));
        }
        Err(Observed::Unsettled(Unsettled))
    }

    /// Holds the cells of `things`, of which the last is a lock if there `has_lock` one.
    fn marks(&self, things: &[Thing], has_lock: bool, locked_until: Option<UnixTime>, epoch: u64) -> Marks {
        let mut marks: Vec<Mark> = things
            .iter()
            .map(|thing| {
                let cell = self.cell(thing);
                Mark {
                    word: cell.word(),
                    cell,
                }
            })
            .collect();
        let lock = if has_lock { marks.pop() } else { None };
        Marks {
            epoch,
            marks: marks.into(),
            lock: lock.map(|mark| (mark, locked_until)),
        }
    }

    fn cell(&self, thing: &Thing) -> Arc<Cell> {
        let mut shard = self.shard(thing);
        if let Some(cell) = shard.cells.get(thing).and_then(Weak::upgrade) {
            return cell;
        }
        if shard.cells.len() >= shard.full.max(FEW) {
            shard.cells.retain(|_, cell| cell.strong_count() > 0);
            shard.full = 2 * shard.cells.len();
        }
        let cell = Arc::new(Cell::new());
        match shard.cells.entry(thing.clone()) {
            Entry::Occupied(mut dead) => drop(dead.insert(Arc::downgrade(&cell))),
            Entry::Vacant(free) => drop(free.insert(Arc::downgrade(&cell))),
        }
        cell
    }

    fn note(&self, thing: &Thing, event: Event) {
        let held = self.shard(thing).cells.get(thing).and_then(Weak::upgrade);
        if let Some(cell) = held {
            cell.note(event);
        }
    }

    #[expect(clippy::indexing_slicing, reason = "cut to the number of shards")]
    fn shard(&self, thing: &Thing) -> MutexGuard<'_, Shard> {
        let hash = self.hasher.hash_one(thing);
        let index = usize::try_from(hash >> 32).unwrap_or(0) % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cells, dead ones that were not found yet included.
    pub fn len(&self) -> usize {
        let shards = self.shards.iter();
        shards
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).cells.len())
            .sum()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why nothing was observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed<E> {
    /// The read itself failed.
    Failed(E),
    /// See there.
    Unsettled(Unsettled),
}

impl Marks {
    /// The same cells as they are now, before they are read again.
    fn renewed(self, epoch: u64) -> Marks {
        let renewed = |mark: Mark| Mark {
            word: mark.cell.word(),
            cell: mark.cell,
        };
        Marks {
            epoch,
            marks: self.marks.into_iter().map(renewed).collect(),
            lock: self.lock.map(|(mark, until)| (renewed(mark), until)),
        }
    }

    /// What is true at `now`. A few loads; neither locks nor allocates.
    pub fn state(&self, cells: &Cells, now: UnixTime) -> State {
        let mut stale = self.epoch != cells.epoch.load(Ordering::Acquire);
        for mark in &self.marks {
            let word = mark.cell.word();
            if word & ENDED != 0 {
                return State::Ended;
            }
            stale |= word != mark.word;
        }
        if stale {
            return State::Stale;
        }
        match self.locked_until() {
            Some(until) if now < until => State::Suspended { until },
            Some(_) | None => State::Fine,
        }
    }

    /// The end of the lock: what was read, unless it has changed since.
    fn locked_until(&self) -> Option<UnixTime> {
        let (mark, read) = self.lock.as_ref()?;
        if mark.cell.word() == mark.word {
            return *read;
        }
        let until = mark.cell.locked_until.load(Ordering::Acquire);
        (until != OPEN).then_some(UnixTime(until))
    }
}

impl Listener for Cells {
    fn changed(&self, changes: &[Change]) {
        // First: whoever does not find its cell touched finds this moved. See `observe`.
        self.changes.fetch_add(1, Ordering::AcqRel);
        for change in changes {
            match change {
                Change::UserChanged { realm, user } => {
                    self.note(&Thing::User(realm.clone(), *user), Event::Changed);
                }
                Change::ApplicationChanged { realm, client_id } => {
                    let thing = Thing::Application(realm.clone(), client_id.clone());
                    self.note(&thing, Event::Changed);
                }
                Change::FamilyRevoked(family) => self.note(&Thing::Family(*family), Event::Ended),
                Change::AccessRevoked(key) => self.note(&Thing::Access(key.clone()), Event::Ended),
                Change::SessionEnded(digest) => self.note(&Thing::Session(*digest), Event::Ended),
                Change::SessionChanged(digest) => self.note(&Thing::Session(*digest), Event::Changed),
                Change::AttemptsChanged {
                    realm,
                    key,
                    locked_until,
                } => {
                    let thing = Thing::Lock(realm.clone(), key.clone());
                    self.note(&thing, Event::Lock(*locked_until));
                }
                // Customers are looked up by each request: `super::customers`.
                Change::CustomerChanged(_) => {}
            }
        }
    }

    fn reload(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.changes.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
#[path = "standing_tests.rs"]
mod tests;

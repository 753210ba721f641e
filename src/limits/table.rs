//! The cells of one limit: every bucket's state, found by key, kept over reloads, bounded.
//!
//! A bucket that is full again and that nobody holds is as good as one that was never used, so its slot goes
//! to the next newcomer. A bucket that is *not* full is never given away, also not when the table is full:
//! forgetting it would refill it, and whoever can invent keys could refill a customer's bucket by inventing
//! enough. A newcomer that finds no room is refused instead.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;

use super::bucket::Bucket;
use super::key::{Key, KeyMaker, KeyParts};
use crate::base::clock::Tick;

/// Locks of one table. A lock is taken when a bucket is looked up, not when it is spent from.
const SHARDS: usize = 64;
/// Slots of one chunk: with the counters of the `Arc`, just under a page.
const CHUNK: u32 = 127;
/// Slots looked at for every newcomer, so that the hand goes round once while a quarter of the slots is
/// filled.
const SWEEP: u32 = 4;
/// Slots looked at when there is no room. The hand goes on where it stopped, so a flood of newcomers finds
/// every slot that has become free, while one of them costs little more than anybody else.
const SWEEP_FULL: u32 = 64;
/// End of the list of free slots.
const NONE: u32 = u32::MAX;

/// The buckets of one limit. Lives as long as a limit of that name does; a reload takes it over.
#[derive(Debug)]
pub struct Table {
    id: u64,
    shards: Box<[Mutex<Shard>]>,
    keys: KeyMaker,
    most_per_shard: u32,
    /// Numbers of sets given out so far.
    numbered: AtomicU64,
    /// The newest set that was used.
    generation: AtomicU64,
}

/// The table has as many live buckets as it may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no room for another live bucket")]
pub struct Full;

#[derive(Debug)]
struct Shard {
    /// Numbers of the slots in use, by key.
    index: HashTable<u32>,
    chunks: Vec<Arc<Chunk>>,
    /// Slots that were in use at least once; all below this number exist.
    touched: u32,
    /// First of the free slots below `touched`; the next one stands in its key.
    free: u32,
    /// The slot that the sweep looks at next.
    hand: u32,
}

#[derive(Debug)]
struct Chunk([Slot; CHUNK as usize]);

/// 32 bytes: one live customer costs these and about 10 bytes of index.
#[derive(Debug)]
struct Slot {
    /// The bucket's state.
    word: AtomicU64,
    /// Read and written under the shard's lock only; atomic because a chunk is shared.
    key: [AtomicU64; 2],
    /// Cells that point here. Rises under the shard's lock, falls without.
    pins: AtomicU32,
    /// Under what span `word` was written, as [`Bucket::stamp`]; 0 for a slot that is not in use.
    stamp: AtomicU32,
}

const _: () = assert!(size_of::<Slot>() == 32);

impl Slot {
    const fn empty() -> Slot {
        Slot {
            word: AtomicU64::new(0),
            key: [AtomicU64::new(0), AtomicU64::new(0)],
            pins: AtomicU32::new(0),
            stamp: AtomicU32::new(0),
        }
    }

    fn key(&self) -> Key {
        let [first, second] = &self.key;
        Key([first.load(Ordering::Relaxed), second.load(Ordering::Relaxed)])
    }

    fn set_key(&self, key: Key) {
        let ([first, second], Key([a, b])) = (&self.key, key);
        first.store(a, Ordering::Relaxed);
        second.store(b, Ordering::Relaxed);
    }
}

/// A hold on one bucket. As long as it lives, the bucket keeps its place; spending through it takes no lock.
#[derive(Debug)]
pub struct Cell {
    chunk: Arc<Chunk>,
    slot: u8,
}

const _: () = assert!(CHUNK <= 255);

/// Stands for a slot that its chunk does not have. No cell is made for such a slot; if one were, its callers
/// would share this bucket, which limits them too much and not too little.
static NOWHERE: Slot = Slot::empty();

impl Cell {
    fn slot(&self) -> &Slot {
        self.chunk.0.get(usize::from(self.slot)).unwrap_or(&NOWHERE)
    }

    /// The bucket's state, for the functions of [`Bucket`].
    pub fn word(&self) -> &AtomicU64 {
        &self.slot().word
    }
}

impl Clone for Cell {
    fn clone(&self) -> Cell {
        // There is a pin already, so the slot cannot be given away in between.
        self.slot().pins.fetch_add(1, Ordering::Relaxed);
        Cell {
            chunk: Arc::clone(&self.chunk),
            slot: self.slot,
        }
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        // Release: what was spent through this cell is seen by whoever finds the slot without pins.
        self.slot().pins.fetch_sub(1, Ordering::Release);
    }
}

/// Source of the tables' numbers.
static NEXT: AtomicU64 = AtomicU64::new(1);

impl Table {
    /// Live buckets that a limit may have at the same time, unless said otherwise: half as many again as the
    /// million that a gateway must bear, and together below 64 MiB.
    pub const MOST: usize = 3 << 19;

    /// An empty table for at most `most` live buckets, rounded up to a multiple of 64. It takes memory as it
    /// fills.
    pub fn new(most: usize) -> Table {
        let most_per_shard =
            u32::try_from(most.div_ceil(SHARDS)).map_or(NONE - 1, |most| most.clamp(1, NONE - 1));
        Table {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new())).collect(),
            keys: KeyMaker::new(),
            most_per_shard,
            numbered: AtomicU64::new(0),
            generation: AtomicU64::new(0),
        }
    }

    /// A number that no other table of this process has.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Starts the key of a bucket of this table.
    pub fn key(&self) -> KeyParts {
        self.keys.start()
    }

    /// Numbers a new set of quotas. It takes the place of the one before with its first use: a reload that is refused
    /// in the end changes nothing.
    pub fn renew(&self) -> u64 {
        self.numbered.fetch_add(1, Ordering::AcqRel).saturating_add(1)
    }

    /// The bucket of `key`, made full if there is none. `bucket` is its rule in the set `generation`: if the
    /// bucket's state was written under another one, it is rescaled. Only the newest set that was used does so, so that a
    /// call in flight on the old configuration does not scale back what the new one has scaled.
    ///
    /// # Errors
    /// [`Full`] if the key is new, and every slot that may be used holds a bucket that is not full or is
    /// held.
    pub fn acquire(&self, key: Key, bucket: &Bucket, generation: u64, now: Tick) -> Result<Cell, Full> {
        let mut shard = self.shard(key);
        let number = match shard.find(key) {
            Some(number) => number,
            None => shard.place(key, bucket.stamp(), self.most_per_shard, now)?,
        };
        let cell = shard.cell(number).ok_or(Full)?;
        let slot = cell.slot();
        let stamp = slot.stamp.load(Ordering::Relaxed);
        let newest = self.generation.load(Ordering::Acquire);
        if generation > newest {
            self.generation.fetch_max(generation, Ordering::AcqRel);
        }
        if stamp != bucket.stamp() && generation >= newest {
            bucket.rescale(&slot.word, stamp, now);
            slot.stamp.store(bucket.stamp(), Ordering::Relaxed);
        }
        Ok(cell)
    }

    /// Buckets that have a slot now: live ones, and full ones that the sweep has not come to yet.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).index.len()).sum()
    }

    /// No bucket at all?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Slots that take memory, in use or free. Does not shrink.
    pub fn slots(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| lock(shard).chunks.len() * CHUNK as usize)
            .sum()
    }

    fn shard(&self, Key([_, second]): Key) -> MutexGuard<'_, Shard> {
        // The first half places the key inside the shard, the second chooses the shard.
        let at = usize::try_from(second % SHARDS as u64).unwrap_or(0);
        #[expect(
            clippy::indexing_slicing,
            reason = "there are SHARDS shards, and `at` is a remainder of that"
        )]
        lock(&self.shards[at])
    }
}

impl Default for Table {
    fn default() -> Table {
        Table::new(Table::MOST)
    }
}

/// A panic inside the lock leaves at worst a slot that nobody uses; better than refusing every customer of
/// the shard.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    fn new() -> Shard {
        Shard {
            index: HashTable::new(),
            chunks: Vec::new(),
            touched: 0,
            free: NONE,
            hand: 0,
        }
    }

    fn slot(&self, number: u32) -> Option<&Slot> {
        slot_of(&self.chunks, number)
    }

    fn find(&self, key: Key) -> Option<u32> {
        let Key([first, _]) = key;
        self.index
            .find(first, |number| {
                self.slot(*number).is_some_and(|slot| slot.key() == key)
            })
            .copied()
    }

    fn cell(&self, number: u32) -> Option<Cell> {
        let chunk = self.chunks.get(usize::try_from(number / CHUNK).ok()?)?;
        let cell = Cell {
            chunk: Arc::clone(chunk),
            slot: u8::try_from(number % CHUNK).ok()?,
        };
        cell.slot().pins.fetch_add(1, Ordering::Relaxed);
        Some(cell)
    }

    /// Gives a newcomer a slot, and sweeps a little.
    fn place(&mut self, key: Key, stamp: u32, most: u32, now: Tick) -> Result<u32, Full> {
        self.sweep(SWEEP, now);
        if self.free == NONE && self.touched >= most {
            self.sweep(SWEEP_FULL, now);
        }
        let number = match self.take_free() {
            Some(number) => number,
            None if self.touched < most => self.touch(),
            None => return Err(Full),
        };
        let slot = self.slot(number).ok_or(Full)?;
        slot.set_key(key);
        slot.word.store(0, Ordering::Relaxed);
        slot.stamp.store(stamp, Ordering::Relaxed);
        let Key([first, _]) = key;
        let Shard { index, chunks, .. } = self;
        index.insert_unique(first, number, |other| {
            slot_of(chunks, *other).map_or(0, |slot| {
                let Key([first, _]) = slot.key();
                first
            })
        });
        Ok(number)
    }

    fn take_free(&mut self) -> Option<u32> {
        let number = self.free;
        let next = self.slot(number)?.key();
        let Key([next, _]) = next;
        self.free = u32::try_from(next).unwrap_or(NONE);
        Some(number)
    }

    /// A slot that was never used.
    fn touch(&mut self) -> u32 {
        let number = self.touched;
        self.touched += 1;
        if number.is_multiple_of(CHUNK) {
            self.chunks
                .push(Arc::new(Chunk([const { Slot::empty() }; CHUNK as usize])));
        }
        number
    }

    /// Looks at the next `count` slots and frees those that hold a full bucket and are not held.
    fn sweep(&mut self, count: u32, now: Tick) {
        for _ in 0..count.min(self.touched) {
            let number = self.hand;
            self.hand = if number + 1 < self.touched { number + 1 } else { 0 };
            let Some(slot) = slot_of(&self.chunks, number) else {
                return;
            };
            // Acquire pairs with the release of the last cell. No new cell can appear: that takes the lock we
            // hold.
            let idle = slot.stamp.load(Ordering::Relaxed) != 0
                && slot.pins.load(Ordering::Acquire) == 0
                && slot.word.load(Ordering::Relaxed) <= now.0;
            if !idle {
                continue;
            }
            let Key([first, _]) = slot.key();
            if let Ok(entry) = self.index.find_entry(first, |other| *other == number) {
                entry.remove();
            }
            slot.stamp.store(0, Ordering::Relaxed);
            slot.set_key(Key([u64::from(self.free), 0]));
            self.free = number;
        }
    }
}

fn slot_of(chunks: &[Arc<Chunk>], number: u32) -> Option<&Slot> {
    let chunk = chunks.get(usize::try_from(number / CHUNK).ok()?)?;
    chunk.0.get(usize::try_from(number % CHUNK).ok()?)
}

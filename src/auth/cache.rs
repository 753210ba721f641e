//! Bounded caches by digest, in which callers are remembered.
//!
//! The digest (SHA-256, not a hash with collisions to be found) is the key, so that no credential lies in memory longer than
//! its request.

use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle, PlaceholderGuard};

use crate::base::digest::Digest;

/// A digest is spread evenly already, and only credentials that were found good get in: its first bytes are its hash.
#[derive(Default, Clone, Copy)]
pub(super) struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 = u64::from_le_bytes(*first);
        }
    }
}

/// Of good credentials only.
pub(super) type Verified<V> = Remembered<V, BuildHasherDefault<FirstBytes>>;

/// Of whatever clients send. Somebody could look for texts whose digests begin alike, so the hash is keyed.
pub(super) type Tried<V> = Remembered<V, RandomState>;

type Inside<V, H> = Cache<Digest, V, UnitWeighter, H>;

/// At most so many values; 0 remembers nothing.
pub(super) struct Remembered<V, H>(Option<Inside<V, H>>);

/// The right to find out a value that is not known, while others who ask for the same wait.
pub(super) struct Turn<'c, V, H: BuildHasher + Clone>(Option<Place<'c, V, H>>);

type Place<'c, V, H> = PlaceholderGuard<'c, Digest, V, UnitWeighter, H, DefaultLifecycle<Digest, V>>;

impl<V: Clone, H: BuildHasher + Clone + Default> Remembered<V, H> {
    pub(super) fn new(most: usize) -> Remembered<V, H> {
        Remembered((most > 0).then(|| {
            Cache::with(
                most,
                u64::try_from(most).unwrap_or(u64::MAX),
                UnitWeighter,
                H::default(),
                DefaultLifecycle::default(),
            )
        }))
    }

    pub(super) fn get(&self, digest: &Digest) -> Option<V> {
        self.0.as_ref()?.get(digest)
    }

    pub(super) fn insert(&self, digest: Digest, value: V) {
        if let Some(cache) = &self.0 {
            cache.insert(digest, value);
        }
    }

    pub(super) fn remove(&self, digest: &Digest) {
        if let Some(cache) = &self.0 {
            cache.remove(digest);
        }
    }

    /// The value, or the turn to find it out. Who drops the turn hands it to the next.
    pub(super) async fn get_or_turn(&self, digest: &Digest) -> Result<V, Turn<'_, V, H>> {
        match &self.0 {
            None => Err(Turn(None)),
            Some(cache) => cache
                .get_value_or_guard_async(digest)
                .await
                .map_err(|guard| Turn(Some(guard))),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, Cache::len)
    }
}

impl<V: Clone, H: BuildHasher + Clone> Turn<'_, V, H> {
    /// Remembers the value, and gives it to those who wait.
    pub(super) fn take(self, value: V) {
        if let Some(guard) = self.0 {
            // Another value that came between is as good.
            let _ = guard.insert(value);
        }
    }
}

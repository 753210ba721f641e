//! The keys that a token service signs by, and by which its own tokens are verified: those of a [`KeyFolder`] as of the last
//! look.
//!
//! Reading is one atomic load. A look finds another index when somebody has rotated the keys; the verifying set gets a new
//! number then ([`KeySet::generation`]), and whatever was verified under another number is verified again: the tokens of a
//! key that is gone stop with it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::jwk::{Key, KeyError};
use super::key_folder::{self, FolderKeys, KeyEntry, KeyFolder, KeyFolderError, KeyState};
use super::key_set::KeySet;
use super::sign::{SignError, SigningKey};
use crate::base::clock::UnixTime;
use crate::base::tasks;
use crate::config::plan::Algorithm;

/// How often a running gateway looks whether the keys were rotated.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// The folder or what is in it.
    #[error(transparent)]
    Folder(#[from] KeyFolderError),
    /// A key has no public half that can be published.
    #[error("a signing key cannot be published: {0}")]
    Public(#[from] SignError),
    /// A public half that verifies nothing.
    #[error("a signing key cannot verify: {0}")]
    Verify(#[from] KeyError),
}

/// Did a look find other keys?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// No.
    Same,
    /// Yes, and they are used from now on.
    Renewed,
}

/// Signing keys that follow their folder.
pub struct KeyStore {
    folder: KeyFolder,
    algorithm: Algorithm,
    loaded: ArcSwap<Loaded>,
    /// The number of the verifying set, so that the warm path needs no reference count.
    generation: AtomicU64,
    looking: Mutex<()>,
    /// Whether the last look failed: a folder that is out of order is told once, not every second.
    failing: AtomicBool,
    watched: AtomicBool,
}

struct Loaded {
    signer: Arc<SigningKey>,
    verifying: Arc<KeySet>,
    /// The published set (RFC 7517 section 5).
    published: Bytes,
    entries: Vec<KeyEntry>,
    index: Vec<u8>,
}

impl KeyStore {
    /// Opens the keys of `folder`, and makes them before if there are none.
    ///
    /// # Errors
    /// [`KeyStoreError`]; [`KeyFolderError::Algorithm`] when they cannot sign by `algorithm`.
    pub fn open(folder: &Path, algorithm: Algorithm, now: UnixTime) -> Result<Arc<KeyStore>, KeyStoreError> {
        let folder = KeyFolder::new(folder);
        folder.make(algorithm, now)?;
        let loaded = load(&folder, algorithm)?;
        Ok(Arc::new(KeyStore {
            generation: AtomicU64::new(loaded.verifying.generation()),
            loaded: ArcSwap::from_pointee(loaded),
            folder,
            algorithm,
            looking: Mutex::new(()),
            failing: AtomicBool::new(false),
            watched: AtomicBool::new(false),
        }))
    }

    /// The store of a new configuration: `previous` itself if it is of the same folder and algorithm.
    ///
    /// # Errors
    /// Those of [`KeyStore::open`].
    pub fn carried(
        folder: &Path,
        algorithm: Algorithm,
        now: UnixTime,
        previous: Option<&Arc<KeyStore>>,
    ) -> Result<Arc<KeyStore>, KeyStoreError> {
        match previous {
            Some(own) if own.folder.path() == folder && own.algorithm == algorithm => {
                own.look_again()?;
                Ok(Arc::clone(own))
            }
            Some(_) | None => KeyStore::open(folder, algorithm, now),
        }
    }

    /// The algorithm that tokens are signed by.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The keys by which own tokens are verified: previous, current and next.
    pub fn verifying(&self) -> Arc<KeySet> {
        Arc::clone(&self.loaded.load().verifying)
    }

    /// The number of [`KeyStore::verifying`]. Cheap: this is asked on every request.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The key set document (RFC 7517 section 5): public halves alone, the current one first.
    pub fn published(&self) -> Bytes {
        self.loaded.load().published.clone()
    }

    /// The keys by name and state.
    pub fn entries(&self) -> Vec<KeyEntry> {
        self.loaded.load().entries.clone()
    }

    /// Signs claims by the current key, as a token of this type (`typ`, RFC 8725 section 3.11).
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign(&self, kind: &str, claims: &Map<String, Value>) -> Result<String, SignError> {
        let signer = Arc::clone(&self.loaded.load().signer);
        signer.sign_as(kind, self.algorithm, claims)
    }

    /// Reads the keys again if the index is another one. On an error the keys stay as they are.
    ///
    /// # Errors
    /// [`KeyStoreError`].
    pub fn look_again(&self) -> Result<Looked, KeyStoreError> {
        let _one_at_a_time = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        if self.folder.index()? == self.loaded.load().index {
            return Ok(Looked::Same);
        }
        let loaded = load(&self.folder, self.algorithm)?;
        let generation = loaded.verifying.generation();
        // The set first: whoever sees the new number finds the new set.
        self.loaded.store(Arc::new(loaded));
        self.generation.store(generation, Ordering::Release);
        Ok(Looked::Renewed)
    }

    /// Looks again every [`LOOK_EVERY`] from now on, on the current runtime; ends with the store. A second call changes
    /// nothing.
    pub fn start(self: &Arc<KeyStore>) {
        if !self.watched.swap(true, Ordering::AcqRel) {
            tasks::spawn("signing keys", follow(Arc::downgrade(self)));
        }
    }

    fn note(&self, looked: Result<Looked, KeyStoreError>) {
        let folder = self.folder.path().display();
        match looked {
            Ok(looked) => {
                self.failing.store(false, Ordering::Relaxed);
                if looked == Looked::Renewed {
                    tracing::info!(%folder, "signing keys were rotated");
                }
            }
            Err(error) => {
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::error!(%folder, %error, "signing keys cannot be read; those known are used on");
                }
            }
        }
    }
}

async fn follow(keys: Weak<KeyStore>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(keys) = keys.upgrade() else { return };
        // Disks wait; the requests of this thread do not.
        let done = tokio::task::spawn_blocking(move || keys.note(keys.look_again())).await;
        if done.is_err() {
            return;
        }
    }
}

fn load(folder: &KeyFolder, algorithm: Algorithm) -> Result<Loaded, KeyStoreError> {
    let FolderKeys { mut keys, index } = folder.read()?;
    let place = |state| match state {
        KeyState::Current => 0,
        KeyState::Next => 1,
        KeyState::Previous => 2,
    };
    keys.sort_by_key(|(entry, _)| place(entry.state));
    let mut public = Vec::with_capacity(keys.len());
    let mut verifying = Vec::with_capacity(keys.len());
    let mut entries = Vec::with_capacity(keys.len());
    let mut signer = None;
    for (entry, key) in keys {
        let jwk = key.public_jwk()?;
        if let Value::Object(members) = &jwk {
            verifying.push(Arc::new(Key::from_jwk(members)?));
        }
        public.push(jwk);
        if entry.state == KeyState::Current {
            key_folder::check_algorithm(folder, key.kind(), algorithm)?;
            signer = Some(Arc::new(key));
        }
        entries.push(entry);
    }
    // The folder sees to it that there is a current key.
    let signer = signer.ok_or(SignError::Key("there is no current key"))?;
    Ok(Loaded {
        signer,
        verifying: Arc::new(KeySet::new(verifying)),
        published: Bytes::from(json!({ "keys": public }).to_string()),
        entries,
        index,
    })
}

impl std::fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyStore")
            .field("folder", &self.folder.path())
            .field("algorithm", &self.algorithm)
            .field("keys", &self.entries())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "key_store_tests.rs"]
mod tests;

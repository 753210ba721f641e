//! A folder of signing keys: one PEM file a key, and `index.json` that says which key stands where.
//!
//! A key is published before it signs and after it has signed: `next` is in the key set already, so that verifiers that ask
//! once in a while know it on the day it becomes `current`; `previous` stays there until its tokens have ended. The index is
//! the truth: a PEM file that it does not name is no key. It is replaced as a whole, so a crash leaves the old one or the new
//! one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::algorithm::{self, KeyKind};
use super::sign::{SignError, SigningKey};
use crate::base::clock::UnixTime;
use crate::base::random;
use crate::base::secret::Secret;
use crate::config::plan::Algorithm;

/// How long tokens live at the most: so long a previous key is wanted.
pub const LONGEST_TOKEN: Duration = Duration::from_secs(86_400);

const INDEX: &str = "index.json";
const LOCK: &str = ".lock";

/// Most bytes of an index: three entries have a few hundred.
const LONGEST_INDEX: u64 = 64 << 10;

/// Where a key stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Published, signs nothing yet.
    Next,
    /// Signs.
    Current,
    /// Signs nothing any more; its tokens are good.
    Previous,
}

impl KeyState {
    /// The word in the index.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyState::Next => "next",
            KeyState::Current => "current",
            KeyState::Previous => "previous",
        }
    }
}

impl std::fmt::Display for KeyState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A key of the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    /// Its `kid`, and the name of its file without `.pem`: 1 to 64 letters, digits and `_`.
    pub kid: String,
    /// Where it stands.
    pub state: KeyState,
    /// Since when.
    #[serde(with = "seconds")]
    pub since: UnixTime,
}

/// Seconds since 1970, as the index writes them.
mod seconds {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::UnixTime;

    pub(super) fn serialize<S: Serializer>(time: &UnixTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UnixTime, D::Error> {
        i64::deserialize(deserializer).map(UnixTime)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    keys: Vec<KeyEntry>,
}

/// What a rotation does with the key that signed until now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retiring {
    /// It becomes the previous one, and the previous one goes. Refused while that one's tokens may be good.
    Keep,
    /// The same, whatever becomes of the tokens of the one that goes.
    KeepAndForce,
    /// It goes at once, and the previous one with it: every token signed so far stops working. For a key that was stolen.
    Revoke,
}

/// Why there are no keys, or they are not changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyFolderError {
    /// A file or folder cannot be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// `read`, `write` and the like.
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no index.
    #[error("{} has no {INDEX}: keys are made when a token service starts that names this folder", .0.display())]
    Empty(PathBuf),
    /// The index is not what it should be.
    #[error("{}: {why}", path.display())]
    Index {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A PEM file of the index holds no key, or the library cannot make one.
    #[error("{}: {source}", path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: SignError,
    },
    /// The keys are for another algorithm.
    #[error("{} has keys that cannot sign by {wanted}; name another folder for that", path.display())]
    Algorithm {
        /// The folder.
        path: PathBuf,
        /// The algorithm asked for.
        wanted: &'static str,
    },
    /// The previous key's tokens may still be good.
    #[error("the key {kid} signed until a moment ago, and tokens by it may be good for another {} min", left.as_secs().div_ceil(60))]
    TooEarly {
        /// The previous key.
        kid: String,
        /// How long its tokens may be good.
        left: Duration,
    },
}

/// The keys of a folder at one moment.
#[derive(Debug)]
pub struct FolderKeys {
    /// The entries with their keys, as the index has them. Exactly one is current, and all are of one kind.
    pub keys: Vec<(KeyEntry, SigningKey)>,
    /// The index as it was read: while it is the same, so are the keys.
    pub index: Vec<u8>,
}

/// A folder of signing keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFolder {
    path: PathBuf,
}

impl KeyFolder {
    /// The folder at `path`, there or not.
    pub fn new(path: &Path) -> KeyFolder {
        KeyFolder {
            path: path.to_owned(),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder (0700) with a current and a next key (0600), unless it has an index already. Several processes may
    /// do so at once; one of them makes the keys.
    ///
    /// # Errors
    /// [`KeyFolderError`].
    pub fn make(&self, algorithm: Algorithm, now: UnixTime) -> Result<(), KeyFolderError> {
        if self.path.join(INDEX).exists() {
            return Ok(());
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .map_err(failed("make", &self.path))?;
        let _one_at_a_time = self.lock()?;
        if self.path.join(INDEX).exists() {
            return Ok(());
        }
        let keys = vec![
            self.new_key(algorithm, KeyState::Current, now)?,
            self.new_key(algorithm, KeyState::Next, now)?,
        ];
        self.replace_index(&Index { keys })
    }

    /// The index as it stands there. Compared with [`FolderKeys::index`] it says whether the keys are to be read anew.
    ///
    /// # Errors
    /// [`KeyFolderError::Empty`], [`KeyFolderError::File`], [`KeyFolderError::Index`] for one that is too large.
    pub fn index(&self) -> Result<Vec<u8>, KeyFolderError> {
        let path = self.path.join(INDEX);
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(KeyFolderError::Empty(self.path.clone()));
            }
            Ok(facts) if facts.len() > LONGEST_INDEX => {
                return Err(KeyFolderError::Index {
                    path,
                    why: format!("has more than {LONGEST_INDEX} bytes"),
                });
            }
            Ok(_) | Err(_) => {}
        }
        fs::read(&path).map_err(failed("read", &path))
    }

    /// The entries of the index, checked: names that are names, one current key.
    ///
    /// # Errors
    /// [`KeyFolderError`].
    pub fn entries(&self) -> Result<Vec<KeyEntry>, KeyFolderError> {
        self.parse(&self.index()?)
    }

    fn parse(&self, index: &[u8]) -> Result<Vec<KeyEntry>, KeyFolderError> {
        let wrong = |why: String| KeyFolderError::Index {
            path: self.path.join(INDEX),
            why,
        };
        let index: Index = serde_json::from_slice(index).map_err(|error| wrong(error.to_string()))?;
        for (place, entry) in index.keys.iter().enumerate() {
            // It becomes a file's name.
            let is_name = (1..=64).contains(&entry.kid.len())
                && entry
                    .kid
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !is_name {
                return Err(wrong("a `kid` is not 1 to 64 letters, digits and `_`".to_owned()));
            }
            if index.keys.iter().take(place).any(|other| other.kid == entry.kid) {
                return Err(wrong(format!("the key {} is there twice", entry.kid)));
            }
        }
        let current = index.keys.iter().filter(|entry| entry.state == KeyState::Current);
        if current.count() != 1 {
            return Err(wrong("there must be one `current` key".to_owned()));
        }
        Ok(index.keys)
    }

    /// Reads all keys.
    ///
    /// # Errors
    /// [`KeyFolderError`]; of keys that are not all of one kind too.
    pub fn read(&self) -> Result<FolderKeys, KeyFolderError> {
        let index = self.index()?;
        let mut keys: Vec<(KeyEntry, SigningKey)> = Vec::new();
        for entry in self.parse(&index)? {
            let path = self.pem(&entry.kid);
            let text = Secret::new(fs::read(&path).map_err(failed("read", &path))?);
            let key = SigningKey::from_pem(text.reveal())
                .map_err(|source| KeyFolderError::Key {
                    path: path.clone(),
                    source,
                })?
                .named(entry.kid.clone());
            if keys.first().is_some_and(|(_, first)| first.kind() != key.kind()) {
                return Err(KeyFolderError::Index {
                    path: self.path.join(INDEX),
                    why: "the keys are of different kinds".to_owned(),
                });
            }
            warn_if_others_may_read(&path);
            keys.push((entry, key));
        }
        Ok(FolderKeys { keys, index })
    }

    /// Moves every key one step on, and makes a new next one of the same kind. Returns the entries after it. Only what the
    /// index no longer names is removed from the disk, and that last.
    ///
    /// # Errors
    /// [`KeyFolderError::TooEarly`] where `retiring` heeds it; the others.
    pub fn rotate(&self, retiring: Retiring, now: UnixTime) -> Result<Vec<KeyEntry>, KeyFolderError> {
        if !self.path.join(INDEX).exists() {
            return Err(KeyFolderError::Empty(self.path.clone()));
        }
        let _one_at_a_time = self.lock()?;
        let FolderKeys { keys, .. } = self.read()?;
        let algorithm = keys
            .iter()
            .find(|(entry, _)| entry.state == KeyState::Current)
            .map_or(Algorithm::ES256, |(_, key)| key.usual_algorithm());
        let (mut after, mut gone) = (Vec::new(), Vec::new());
        let mut has_current = false;
        for (entry, _) in keys {
            let stays = match (entry.state, retiring) {
                (KeyState::Next, _) if !has_current => {
                    has_current = true;
                    Some(KeyState::Current)
                }
                (KeyState::Current, Retiring::Keep | Retiring::KeepAndForce) => Some(KeyState::Previous),
                (KeyState::Previous, Retiring::Keep) => {
                    let until = entry.since.plus(LONGEST_TOKEN);
                    if now < until {
                        return Err(KeyFolderError::TooEarly {
                            kid: entry.kid,
                            left: until.since(now),
                        });
                    }
                    None
                }
                (KeyState::Previous, Retiring::KeepAndForce | Retiring::Revoke)
                | (KeyState::Current, Retiring::Revoke)
                | (KeyState::Next, _) => None,
            };
            match stays {
                Some(state) => after.push(KeyEntry {
                    state,
                    since: now,
                    ..entry
                }),
                None => gone.push(entry),
            }
        }
        if !has_current {
            // Somebody took the next one out: what signs now was not published before, which verifiers that look up an
            // unknown key stand.
            after.push(self.new_key(algorithm, KeyState::Current, now)?);
        }
        after.push(self.new_key(algorithm, KeyState::Next, now)?);
        let index = Index { keys: after };
        self.replace_index(&index)?;
        for entry in gone {
            let path = self.pem(&entry.kid);
            fs::remove_file(&path).map_err(failed("remove", &path))?;
        }
        Ok(index.keys)
    }

    fn pem(&self, kid: &str) -> PathBuf {
        self.path.join(format!("{kid}.pem"))
    }

    fn new_key(
        &self,
        algorithm: Algorithm,
        state: KeyState,
        now: UnixTime,
    ) -> Result<KeyEntry, KeyFolderError> {
        let number = u128::from_be_bytes(random::bytes16()) >> 64;
        let kid = format!("{number:016x}");
        let path = self.pem(&kid);
        let bad = |source| KeyFolderError::Key {
            path: path.clone(),
            source,
        };
        let pem = SigningKey::generate(algorithm)
            .and_then(|key| key.to_pem())
            .map_err(bad)?;
        let pem = Secret::new(pem.into_bytes());
        write_new(&path, pem.reveal())?;
        Ok(KeyEntry {
            kid,
            state,
            since: now,
        })
    }

    fn replace_index(&self, index: &Index) -> Result<(), KeyFolderError> {
        let path = self.path.join(INDEX);
        let mut text = serde_json::to_vec_pretty(index).map_err(|error| KeyFolderError::Index {
            path: path.clone(),
            why: error.to_string(),
        })?;
        text.push(b'\n');
        let fresh = self.path.join(".index.json.new");
        // Left behind by a crash; nobody else writes it while the lock is held.
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &fresh)(error));
            }
            Ok(()) | Err(_) => {}
        }
        write_new(&fresh, &text)?;
        fs::rename(&fresh, &path).map_err(failed("write", &path))?;
        // The names of the folder are on the disk when the folder is.
        File::open(&self.path)
            .and_then(|folder| folder.sync_all())
            .map_err(failed("write", &self.path))
    }

    /// Held until it is dropped; other processes wait.
    fn lock(&self) -> Result<File, KeyFolderError> {
        let path = self.path.join(LOCK);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed("write", &path))?;
        file.lock().map_err(failed("lock", &path))?;
        Ok(file)
    }
}

/// Can keys of this kind sign by `algorithm`?
///
/// # Errors
/// [`KeyFolderError::Algorithm`].
pub(super) fn check_algorithm(
    folder: &KeyFolder,
    kind: KeyKind,
    algorithm: Algorithm,
) -> Result<(), KeyFolderError> {
    if kind.algorithms().contains(&algorithm) {
        Ok(())
    } else {
        Err(KeyFolderError::Algorithm {
            path: folder.path.clone(),
            wanted: algorithm::name(algorithm),
        })
    }
}

fn write_new(path: &Path, content: &[u8]) -> Result<(), KeyFolderError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        })
        .map_err(failed("write", path))
}

/// A folder that is mounted into a container has the rights that its volume gives, so this is no error.
fn warn_if_others_may_read(path: &Path) {
    if let Ok(facts) = fs::metadata(path)
        && facts.permissions().mode() & 0o077 != 0
    {
        tracing::warn!(file = %path.display(), "a signing key can be read by others than its owner; set its mode to 0600");
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyFolderError {
    let path = path.to_owned();
    move |source| KeyFolderError::File { doing, path, source }
}

#[cfg(test)]
#[path = "key_folder_tests.rs"]
mod tests;

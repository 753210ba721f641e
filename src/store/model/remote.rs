//! Sessions of those who signed in somewhere else.

use std::time::Duration;

use crate::base::clock::UnixTime;
use crate::base::digest::Digest;

/// A session whose user signed in at a provider. The tokens that came of it are sealed with a key that follows from the
/// session's id, which only the client has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteSession {
    /// Digest of the session id.
    pub digest: Digest,
    /// By which sign-in of which api it came to be: `API/NAME`.
    pub sign_in: String,
    /// Digest of the CSRF value that belongs to it.
    pub csrf: Digest,
    /// The tokens, sealed.
    pub sealed: Vec<u8>,
    /// When it was opened.
    pub created_at: UnixTime,
    /// When it was last used.
    pub last_seen: UnixTime,
    /// Its end, whatever happens.
    pub expires_at: UnixTime,
    /// Its end without use: this long after `last_seen`.
    pub idle: Duration,
}

impl RemoteSession {
    /// When it ends unless it is used again.
    pub fn ends_at(&self) -> UnixTime {
        self.expires_at.min(self.last_seen.plus(self.idle))
    }

    /// Does it hold at `now`?
    pub fn is_live(&self, now: UnixTime) -> bool {
        now < self.ends_at()
    }
}

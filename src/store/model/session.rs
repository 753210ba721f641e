//! Sessions: a user signed in by a browser or a script.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::identity::{ClientId, RealmName, UserId};

/// A session. Its id and its CSRF value are known to the client alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Digest of the session id.
    pub digest: Digest,
    /// The world of accounts.
    pub realm: RealmName,
    /// Who signed in.
    pub user: UserId,
    /// The application on whose behalf, where signing in is the first step of a grant.
    pub client_id: Option<ClientId>,
    /// Digest of the CSRF value that belongs to it.
    pub csrf: Digest,
    /// When it was opened.
    pub created_at: UnixTime,
    /// When it was last used. In the process that answers the calls exact; in the file up to
    /// [`Session::TOUCH_EVERY`] older.
    pub last_seen: UnixTime,
    /// Its end, whatever happens.
    pub expires_at: UnixTime,
    /// Its end without use: this long after `last_seen`.
    pub idle: Duration,
}

impl Session {
    /// How often the use of a session is written down, at most.
    pub const TOUCH_EVERY: Duration = Duration::from_secs(60);

    /// When it ends unless it is used again.
    pub fn ends_at(&self) -> UnixTime {
        self.expires_at.min(self.last_seen.plus(self.idle))
    }

    /// Does it hold at `now`?
    pub fn is_live(&self, now: UnixTime) -> bool {
        now < self.ends_at()
    }
}

/// A session to open.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The session.
    pub session: Session,
    /// One that ends by this: a sign-in from within a session gets a new id, and the old one must not go on.
    pub replaces: Option<Digest>,
    /// The most sessions a user may have; opening one more ends the one that was used longest ago.
    pub at_most: Option<NonZeroU32>,
}

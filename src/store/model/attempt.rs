//! Attempts to sign in, counted for lockout.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::base::clock::UnixTime;

/// When an account is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockPolicy {
    /// Attempts within `window`; when all of them have failed, the account is locked. Never are more under way.
    pub attempts: NonZeroU32,
    /// How long attempts are remembered, from the first of them on.
    pub window: Duration,
    /// How long a lock lasts.
    pub duration: Duration,
}

/// The attempts on one name, known or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempts {
    /// How many were begun since `since`.
    pub count: u32,
    /// How many of them have failed.
    pub failed: u32,
    /// When the first was begun.
    pub since: UnixTime,
    /// When the latest was begun.
    pub last: UnixTime,
    /// The end of the lock, once there is one.
    pub locked_until: Option<UnixTime>,
    /// From when on the record says nothing any more.
    pub forget_at: UnixTime,
}

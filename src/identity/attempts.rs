//! Attempts to sign in, counted: when a name is locked, and for how long. Plain arithmetic over a record and a time; who keeps
//! the record applies each step atomically.
//!
//! An attempt is counted **before** its password is looked at ([`Attempts::begin`]), so a hundred guesses at once get as
//! many looks as a hundred in a row. It holds its place until the window ends or a success clears the record, whether or
//! not its end is ever told: who breaks off has had his attempt. When all places have failed ([`Attempts::fail`]) the
//! name is locked. A lock ends by itself, and attempts while it lasts do not prolong it, so that nobody is locked out for
//! good by a stranger.
//!
//! Times are whole seconds of the wall clock, because they outlive the process. A clock that is set back locks nobody for
//! longer than twice a lock's time; set back by more than one lock's time, it ends the lock.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::base::clock::UnixTime;

/// How many attempts there are, and what follows when they are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptPolicy {
    attempts: NonZeroU32,
    /// Seconds, more than 0.
    window: i64,
    /// Seconds, more than 0.
    duration: i64,
    success: OnSuccess,
}

/// What a success does to the attempts before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnSuccess {
    /// They are forgotten.
    Forget,
    /// They stay until their window ends; the success itself takes no place.
    Keep,
}

/// Why a policy cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAttemptPolicy {
    /// Fewer than 1 or more than 1000 attempts.
    #[error("there must be 1 to 1000 attempts")]
    Attempts,
    /// The window.
    #[error("the window must be whole seconds, from 1s to 30d")]
    Window,
    /// The duration of a lock.
    #[error("the duration of a lock must be whole seconds, from 1s to 1d")]
    Duration,
}

/// The attempts on one name, known or not. The default is that of a name that nobody has tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attempts {
    /// How many were begun since `since` and hold a place.
    pub count: u32,
    /// How many of them have failed.
    pub failed: u32,
    /// When the first was begun.
    pub since: UnixTime,
    /// When the latest was begun.
    pub last: UnixTime,
    /// The end of the lock, if there is one.
    pub locked_until: Option<UnixTime>,
}

/// May this attempt go on to the password?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It may. Its end is told by [`Attempts::fail`] or [`Attempts::succeed`].
    Go,
    /// All attempts are under way and none may be added before one of them has ended. Nothing is locked.
    Busy,
    /// No. The answer is that of a wrong password.
    Locked {
        /// From when on it may.
        until: UnixTime,
    },
}

/// What a name's record says of it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// Nothing.
    Open,
    /// No attempt succeeds, and where the api says so no token works.
    Locked {
        /// The first second in which that is over.
        until: UnixTime,
    },
}

impl AttemptPolicy {
    /// `attempts` within `window`, which begins with the first of them, lead to a lock of `duration`.
    ///
    /// # Errors
    /// What is out of its range.
    pub fn new(
        attempts: u32,
        window: Duration,
        duration: Duration,
        success: OnSuccess,
    ) -> Result<AttemptPolicy, BadAttemptPolicy> {
        const DAY: i64 = 86_400;
        Ok(AttemptPolicy {
            attempts: NonZeroU32::new(attempts)
                .filter(|attempts| attempts.get() <= 1000)
                .ok_or(BadAttemptPolicy::Attempts)?,
            window: seconds(window, 30 * DAY).ok_or(BadAttemptPolicy::Window)?,
            duration: seconds(duration, DAY).ok_or(BadAttemptPolicy::Duration)?,
            success,
        })
    }

    /// How many attempts there are.
    pub fn attempts(&self) -> NonZeroU32 {
        self.attempts
    }
}

/// Whole seconds from 1 to `most`.
fn seconds(span: Duration, most: i64) -> Option<i64> {
    let seconds = i64::try_from(span.as_secs()).ok()?;
    (span.subsec_nanos() == 0 && (1..=most).contains(&seconds)).then_some(seconds)
}

fn after(time: UnixTime, seconds: i64) -> UnixTime {
    UnixTime(time.0.saturating_add(seconds))
}

impl Attempts {
    /// Counts an attempt, before anything else is done for it.
    pub fn begin(self, policy: &AttemptPolicy, now: UnixTime) -> (Attempts, Begun) {
        let mut attempts = self.at(policy, now);
        if let Some(until) = attempts.locked_until {
            return (attempts, Begun::Locked { until });
        }
        if attempts.count >= policy.attempts.get() {
            return (attempts, Begun::Busy);
        }
        attempts.add_one(now);
        (attempts, Begun::Go)
    }

    /// An attempt that was let go on has failed. With the last place the lock begins.
    pub fn fail(self, policy: &AttemptPolicy, now: UnixTime) -> (Attempts, Lock) {
        let mut attempts = self.at(policy, now);
        if attempts.locked_until.is_some() {
            return (attempts, attempts.lock());
        }
        // Its own place may be gone with a window or a success in between; it has failed all the same.
        if attempts.failed >= attempts.count {
            attempts.add_one(now);
        }
        attempts.failed = attempts.failed.saturating_add(1);
        if attempts.failed >= policy.attempts.get() {
            attempts.locked_until = Some(after(now, policy.duration));
        }
        (attempts, attempts.lock())
    }

    /// An attempt that was let go on has named the right password. It does not count ([`Lock::Locked`]) when the name was
    /// locked in the meantime: its answer is that of a wrong password then.
    pub fn succeed(self, policy: &AttemptPolicy, now: UnixTime) -> (Attempts, Lock) {
        let mut attempts = self.at(policy, now);
        if attempts.locked_until.is_some() {
            return (attempts, attempts.lock());
        }
        match policy.success {
            OnSuccess::Forget => attempts = Attempts::default(),
            OnSuccess::Keep => {
                attempts.count = attempts.count.saturating_sub(1).max(attempts.failed);
                if attempts.count == 0 {
                    attempts = Attempts::default();
                }
            }
        }
        (attempts, Lock::Open)
    }

    /// Is the name locked?
    pub fn standing(self, policy: &AttemptPolicy, now: UnixTime) -> Lock {
        self.at(policy, now).lock()
    }

    /// From when on the record says nothing any more and can be dropped.
    pub fn forget_at(self, policy: &AttemptPolicy) -> UnixTime {
        self.locked_until.unwrap_or(after(self.since, policy.window))
    }

    /// The record as it is to be read at `now`: what is over is gone.
    fn at(self, policy: &AttemptPolicy, now: UnixTime) -> Attempts {
        let mut attempts = self;
        if let Some(until) = self.locked_until {
            // More than twice as long is no lock of this policy: the clock was set back, or the policy was changed.
            if now >= until || until > after(now, policy.duration.saturating_mul(2)) {
                return Attempts::default();
            }
            attempts.locked_until = Some(until.min(after(now, policy.duration)));
            return attempts;
        }
        attempts.since = self.since.min(now);
        attempts.last = self.last.min(now);
        let all_taken = self.count >= policy.attempts.get();
        // Attempts whose end was never told (the process died under them) free their places as a lock would.
        if now >= after(attempts.since, policy.window)
            || (all_taken && now >= after(attempts.last, policy.duration))
        {
            return Attempts::default();
        }
        attempts
    }

    fn add_one(&mut self, now: UnixTime) {
        if self.count == 0 {
            self.since = now;
        }
        self.count = self.count.saturating_add(1);
        self.last = now;
    }

    fn lock(&self) -> Lock {
        match self.locked_until {
            Some(until) => Lock::Locked { until },
            None => Lock::Open,
        }
    }
}

#[cfg(test)]
#[path = "attempts_tests.rs"]
mod tests;

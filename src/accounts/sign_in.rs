//! Signing in with a name and a password.
//!
//! An attempt is counted before its password is looked at, and by the store, so that any number of them at once, also over
//! several processes, get no more looks than as many in a row. A name that nobody has is counted, hashed and answered like
//! one that somebody has, a user of the file like one of the store.

use std::sync::Arc;
use std::time::Duration;

use super::account::Account;
use super::password_pool::Verdict;
use super::realm::{Credential, Realm};
use crate::base::clock::UnixTime;
use crate::base::secret::Secret;
use crate::identity::AccountKey;
use crate::rejection::Rejection;
use crate::store::StoreError;
use crate::store::model::{Actor, By, UserState};
use crate::store::outcome::{Attempt, Failure};

/// How long a sign-in waits for others of the same name that are under way, when they take all attempts there are.
pub const WAIT_FOR_OTHERS: Duration = Duration::from_secs(5);

/// How a sign-in ended.
#[derive(Debug)]
pub enum Outcome {
    /// The right password of an account that may sign in.
    Welcome(Arc<Account>),
    /// Wrong password, or nobody has that name: which of them, nobody is told.
    Wrong,
    /// The name is locked; the password was not looked at.
    Locked {
        /// The first second in which that is over.
        until: UnixTime,
    },
    /// The right password of an account that may not sign in.
    NotActive(UserState),
    /// Too many passwords wait to be hashed, or too many of this name. It was not counted.
    Overloaded,
    /// The store does not answer, so nothing can be counted, and what cannot be counted is not tried.
    StoreDown,
}

impl Outcome {
    /// The account, or what to answer at `now`.
    ///
    /// # Errors
    /// The refusal of each other outcome.
    pub fn into_result(self, now: UnixTime) -> Result<Arc<Account>, Rejection> {
        match self {
            Outcome::Welcome(account) => Ok(account),
            Outcome::Wrong => Err(Rejection::SignInFailed),
            Outcome::Locked { until } => Err(Rejection::LockedOut {
                retry_after_seconds: until.since(now).as_secs().max(1),
            }),
            Outcome::NotActive(state) => Err(Rejection::AccountInactive(state.as_str())),
            Outcome::Overloaded => Err(Rejection::Overloaded("too many passwords wait to be hashed")),
            Outcome::StoreDown => Err(Rejection::StoreUnavailable),
        }
    }

    /// The word for metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Outcome::Welcome(_) => "welcome",
            Outcome::Wrong => "wrong",
            Outcome::Locked { .. } => "locked",
            Outcome::NotActive(_) => "not_active",
            Outcome::Overloaded => "overloaded",
            Outcome::StoreDown => "store_unavailable",
        }
    }
}

/// What became of the question for a place.
enum Place {
    Taken,
    Locked(UnixTime),
    Full,
}

impl Realm {
    /// Signs in. `domain` is what the client names beside the name, if its api has one: see [`Realm::key_of`].
    ///
    /// Dropping the future leaves the attempt counted: whoever breaks off has had it.
    pub async fn sign_in(
        &self,
        name: &str,
        domain: Option<&str>,
        password: Secret,
        now: UnixTime,
    ) -> Outcome {
        let outcome = match self.try_password(self.key_of(name, domain), password, now).await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::warn!(realm = %self.name(), %error, "a sign-in failed for want of the store");
                Outcome::StoreDown
            }
        };
        self.metrics.outcomes.inc(outcome.as_str());
        outcome
    }

    async fn try_password(
        &self,
        key: Option<AccountKey>,
        password: Secret,
        now: UnixTime,
    ) -> Result<Outcome, StoreError> {
        let Some(key) = key else {
            // Nobody's name: the same work, and nothing to count it by.
            let verdict = self.accounts().passwords().verify(None, password).await;
            return Ok(verdict.map_or(Outcome::Overloaded, |_| Outcome::Wrong));
        };
        match self.take_place(&key, now).await? {
            Place::Taken => {}
            Place::Locked(until) => return Ok(Outcome::Locked { until }),
            Place::Full => return Ok(Outcome::Overloaded),
        }
        let outcome = self.judge(&key, password, now).await;
        self.attempt_ended.notify_waiters();
        outcome
    }

    /// Counts the attempt. While others of the same name take all attempts and none of them is decided, it waits for them:
    /// a program that signs in many times at once with the right password locks nobody out.
    async fn take_place(&self, key: &AccountKey, now: UnixTime) -> Result<Place, StoreError> {
        let store = self.accounts().store();
        let deadline = tokio::time::Instant::now() + WAIT_FOR_OTHERS;
        loop {
            let ended = self.attempt_ended.notified();
            let mut ended = std::pin::pin!(ended);
            // From here on nothing is missed.
            ended.as_mut().enable();
            let policy = self.lock_policy();
            let attempt = store.begin_attempt(self.name().clone(), key.clone(), policy, now);
            let until = match attempt.await? {
                Attempt::Allowed { ordinal: _ } => return Ok(Place::Taken),
                Attempt::Locked { until } => until,
            };
            if self.locked_until(key, now).await?.is_some() {
                return Ok(Place::Locked(until));
            }
            if tokio::time::timeout_at(deadline, ended).await.is_err() {
                return Ok(Place::Full);
            }
        }
    }

    async fn locked_until(&self, key: &AccountKey, now: UnixTime) -> Result<Option<UnixTime>, StoreError> {
        let store = self.accounts().store();
        store.locked_until(self.name().clone(), key.clone(), now).await
    }

    /// The place is taken: looks at the password, and settles the attempt.
    async fn judge(&self, key: &AccountKey, password: Secret, now: UnixTime) -> Result<Outcome, StoreError> {
        let found = match self.credential(key).await {
            Ok(found) => found,
            Err(error) => {
                self.withdraw(key).await;
                return Err(error);
            }
        };
        let stored = found.as_ref().and_then(|found| found.password.as_ref());
        let verdict = self.accounts().passwords().verify(stored, password.clone()).await;
        let matches = match verdict {
            Ok(Verdict::Match) => true,
            Ok(Verdict::Mismatch) => false,
            Err(_overloaded) => {
                self.withdraw(key).await;
                return Ok(Outcome::Overloaded);
            }
        };
        match found.filter(|_| matches) {
            None => self.failed(key, now).await,
            Some(found) => self.matched(key, found, password, now).await,
        }
    }

    async fn failed(&self, key: &AccountKey, now: UnixTime) -> Result<Outcome, StoreError> {
        let store = self.accounts().store();
        let failure = store.fail_attempt(self.name().clone(), key.clone(), self.lock_policy(), now);
        match failure.await? {
            Failure::Counted { left: _ } => {}
            Failure::Locked { until } => {
                tracing::info!(realm = %self.name(), until = until.0, "a name is locked after failed sign-ins");
            }
        }
        Ok(Outcome::Wrong)
    }

    async fn matched(
        &self,
        key: &AccountKey,
        found: Credential,
        password: Secret,
        now: UnixTime,
    ) -> Result<Outcome, StoreError> {
        // The window may have ended under this attempt, and others have locked the name since: then it came too late.
        if let Some(until) = self.locked_until(key, now).await? {
            return Ok(Outcome::Locked { until });
        }
        let account = Arc::clone(&found.account);
        let by = By::new(Actor::User(account.id), now);
        let store = self.accounts().store();
        store.clear_attempts(self.name().clone(), key.clone(), by).await?;
        match account.state {
            UserState::Active => {}
            other @ (UserState::Pending
            | UserState::Activated
            | UserState::Rejected
            | UserState::Disabled) => return Ok(Outcome::NotActive(other)),
        }
        self.strengthen(&found, password).await;
        Ok(Outcome::Welcome(account))
    }

    /// Makes a hash anew that was made at less than today's cost: now the password is at hand. If that fails, the next
    /// sign-in tries again.
    async fn strengthen(&self, found: &Credential, password: Secret) {
        let passwords = self.accounts().passwords();
        let (Some(parsed), Some(old)) = (&found.password, &found.stored) else {
            return;
        };
        if !parsed.needs_rehash(passwords.cost()) {
            return;
        }
        let Ok(stronger) = passwords.hash(password).await else {
            return;
        };
        let new = Secret::new(stronger.to_phc().into_bytes());
        let replaced =
            self.accounts()
                .store()
                .rehash_password(self.name().clone(), found.account.id, old.clone(), new);
        if let Err(error) = replaced.await {
            tracing::warn!(realm = %self.name(), %error, "a password's hash could not be made stronger");
        }
    }

    async fn withdraw(&self, key: &AccountKey) {
        let withdrawn = self
            .accounts()
            .store()
            .withdraw_attempt(self.name().clone(), key.clone());
        // It ends by itself after a while.
        if let Err(error) = withdrawn.await {
            tracing::debug!(%error, "an attempt to sign in stays counted");
        }
    }
}

//! Callers by name and password (RFC 7617).
//!
//! Every request carries the password, and comparing it is made to be dear. So a right one is remembered for a minute, by a
//! digest that only this process can make, and what is true of the account is looked at each time. A wrong one is remembered
//! too: clients repeat it at once, four times and more, and the same wrong guess is one guess. Whatever else is presented is a
//! sign-in, counted and hashed like any other.

use std::sync::Arc;

use super::cache::Tried;
use super::known::Known;
use super::opaque::{MOST_LOOKS, store_failed};
use super::own::Own;
use super::presented::Presented;
use crate::accounts::standing::{Marks, Observed, Read, Reading, State, Thing};
use crate::accounts::{Outcome, Realm};
use crate::base::clock::UnixTime;
use crate::base::digest::KeyedDigest;
use crate::http::authorization::{BadAuthorization, Basic, basic};
use crate::http::origin::Scheme;
use crate::rejection::{BadRequest, Rejection};
use crate::store::StoreError;
use crate::telemetry::metrics::CredentialMetrics;

/// How long a right password is remembered, in seconds.
const REMEMBER_RIGHT: i64 = 60;

/// How long a wrong one is, in seconds, unless the account changes before. Shorter: nobody tells when an account comes to be.
const REMEMBER_WRONG: i64 = 10;

/// Passwords of one realm that are remembered, right and wrong ones.
const REMEMBERED: usize = 10_000;

/// The users of a realm, to recognise callers by their passwords.
pub struct Logins {
    realm: Arc<Realm>,
    digests: KeyedDigest,
    tried: Tried<Memory>,
    metrics: Arc<CredentialMetrics>,
}

#[derive(Clone)]
enum Memory {
    /// Good until [`crate::identity::Identity::expires`].
    Right(Arc<Known>),
    Wrong(Arc<Wrong>),
}

struct Wrong {
    until: UnixTime,
    marks: Marks,
}

impl Logins {
    /// The users of `realm`.
    pub fn new(realm: Arc<Realm>, metrics: Arc<CredentialMetrics>) -> Arc<Logins> {
        Arc::new(Logins {
            realm,
            digests: KeyedDigest::new(),
            tried: Tried::new(REMEMBERED),
            metrics,
        })
    }

    /// The caller; `None` when there is no credential of this scheme.
    ///
    /// # Errors
    /// [`Rejection::BadRequest`] for two credentials; [`Rejection::CredentialsInvalid`] for what is none, or came without
    /// TLS; [`Rejection::SignInFailed`], [`Rejection::LockedOut`], [`Rejection::AccountInactive`],
    /// [`Rejection::Overloaded`], [`Rejection::StoreUnavailable`].
    pub(super) async fn identify(
        &self,
        presented: &Presented<'_>,
        now: UnixTime,
    ) -> Result<Option<Arc<Known>>, Rejection> {
        let credential = match basic(presented.headers) {
            Ok(Some(credential)) => credential,
            Ok(None) | Err(BadAuthorization::Scheme) => return Ok(None),
            Err(BadAuthorization::Repeated) => return Err(Rejection::BadRequest(BadRequest::Field)),
            Err(BadAuthorization::Malformed) => {
                self.metrics.refused.inc("malformed");
                return Err(Rejection::CredentialsInvalid("not a name and a password"));
            }
        };
        match presented.scheme {
            Scheme::Https => {}
            Scheme::Http => {
                self.metrics.refused.inc("plain");
                return Err(Rejection::CredentialsInvalid("a password is taken over TLS only"));
            }
        }
        // Rare, and it hashes: not a part of every request's future.
        Box::pin(self.sign_in(&credential, now)).await.map(Some)
    }

    async fn sign_in(&self, credential: &Basic, now: UnixTime) -> Result<Arc<Known>, Rejection> {
        let digest = self
            .digests
            .of(&[credential.user().as_bytes(), credential.password().reveal()]);
        for _ in 0..MOST_LOOKS {
            let turn = match self.tried.get_or_turn(&digest).await {
                Err(turn) => turn,
                Ok(memory) => match self.recall(&memory, now) {
                    Some(Ok(known)) => {
                        self.metrics.hits.inc();
                        return Ok(known);
                    }
                    Some(Err(rejection)) => return Err(rejection),
                    None => {
                        self.tried.remove(&digest);
                        continue;
                    }
                },
            };
            self.metrics.misses.inc();
            // The account is marked before its password is looked at: a password that is changed meanwhile is not
            // remembered.
            let marks = self.observe(credential, now).await?;
            let password = credential.password().clone();
            let outcome = self.realm.sign_in(credential.user(), None, password, now).await;
            return match outcome {
                Outcome::Welcome(account) => {
                    let expires = UnixTime(now.0.saturating_add(REMEMBER_RIGHT));
                    let known = Own::by_password(&self.realm, account, expires, marks)
                        .ok_or(Rejection::CredentialsInvalid("the user has no usable name"))?;
                    let known = Arc::new(known);
                    turn.take(Memory::Right(Arc::clone(&known)));
                    Ok(known)
                }
                Outcome::Wrong => {
                    self.metrics.refused.inc("wrong");
                    turn.take(Memory::Wrong(Arc::new(Wrong {
                        until: UnixTime(now.0.saturating_add(REMEMBER_WRONG)),
                        marks,
                    })));
                    Err(Rejection::SignInFailed)
                }
                other @ (Outcome::Locked { .. }
                | Outcome::NotActive(_)
                | Outcome::Overloaded
                | Outcome::StoreDown) => {
                    self.metrics.refused.inc(other.as_str());
                    Err(other.into_result(now).err().unwrap_or(Rejection::SignInFailed))
                }
            };
        }
        Err(Rejection::StoreUnavailable)
    }

    /// What is remembered; `None` when that is no longer so.
    fn recall(&self, memory: &Memory, now: UnixTime) -> Option<Result<Arc<Known>, Rejection>> {
        let cells = self.realm.accounts().cells();
        let (state, until, good) = match memory {
            Memory::Right(known) => (
                known.own()?.state(cells, now),
                known.identity.expires,
                Some(known),
            ),
            Memory::Wrong(wrong) => (wrong.marks.state(cells, now), wrong.until, None),
        };
        if now >= until {
            return None;
        }
        match state {
            State::Stale | State::Ended => None,
            State::Suspended { until } => {
                self.metrics.refused.inc("locked");
                let locked = Outcome::Locked { until };
                Some(Err(locked.into_result(now).err()?))
            }
            State::Fine => Some(match good {
                Some(known) => Ok(Arc::clone(known)),
                None => {
                    self.metrics.refused.inc("wrong");
                    Err(Rejection::SignInFailed)
                }
            }),
        }
    }

    /// Marks of the user of that name, if there is one, and of the lock on it, which holds here whatever the realm says of
    /// tokens: each of these calls is a sign-in.
    async fn observe(&self, credential: &Basic, now: UnixTime) -> Result<Marks, Rejection> {
        let read = || -> Read<'_, _, _> { Box::pin(self.read(credential, now)) };
        match self.realm.accounts().cells().observe(read).await {
            Ok(((), marks)) => Ok(marks),
            Err(Observed::Failed(error)) => Err(store_failed(&error)),
            Err(Observed::Unsettled(_)) => Err(Rejection::StoreUnavailable),
        }
    }

    async fn read(&self, credential: &Basic, now: UnixTime) -> Result<Reading<()>, StoreError> {
        let mut of = Vec::new();
        let mut lock = None;
        if let Some(key) = self.realm.key_of(credential.user(), None) {
            let name = self.realm.name().clone();
            if let Some(account) = self.realm.user_by_key(&key).await? {
                of.push(Thing::User(name.clone(), account.id));
            }
            let store = self.realm.accounts().store();
            let until = store.locked_until(name.clone(), key.clone(), now).await?;
            lock = Some((name, key, until));
        }
        Ok(Reading { value: (), of, lock })
    }

    /// Tells how many passwords are remembered now.
    pub fn show(&self) {
        let remembered = u32::try_from(self.tried.len()).unwrap_or(u32::MAX);
        self.metrics.remembered.set(f64::from(remembered));
    }
}

impl std::fmt::Debug for Logins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logins")
            .field("realm", self.realm.name())
            .finish_non_exhaustive()
    }
}

//! Callers by session cookie.
//!
//! Clients repeat names and send several: the values of the names that the api reads are looked at one after the other, a few
//! of them, and any that is a live session will do. If there is such a cookie and no live session, the call is refused, and a
//! credential of another kind beside it does not help.

use std::sync::Arc;

use super::cache::Verified;
use super::csrf::CsrfRule;
use super::known::Known;
use super::opaque::{MOST_LOOKS, store_failed, suspended};
use super::own::{Own, Use};
use super::presented::Presented;
use crate::accounts::standing::{Marks, Observed, Read, Reading, State, Thing};
use crate::accounts::{Account, Realm};
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::http::cookie;
use crate::rejection::Rejection;
use crate::store::StoreError;
use crate::store::model::{ApplicationState, Session, UserState};
use crate::telemetry::metrics::CredentialMetrics;

/// Different values that are looked at in one request.
pub const MOST_VALUES: usize = 4;

/// Longest value that can be a session's id, in bytes. Ours have 43.
const LONGEST: usize = 128;

/// Sessions of one realm that are remembered: some 1 KiB each.
const REMEMBERED: usize = 20_000;

/// The sessions of a realm, to recognise callers by.
pub struct Sessions {
    realm: Arc<Realm>,
    verified: Verified<Arc<Known>>,
    metrics: Arc<CredentialMetrics>,
}

/// How an api reads them.
#[derive(Debug, Clone)]
pub struct SessionCookies {
    sessions: Arc<Sessions>,
    names: Box<[String]>,
    csrf: Option<CsrfRule>,
}

/// The values of a request, each once: at most [`MOST_VALUES`].
#[derive(Default)]
struct Values<'r> {
    values: [&'r [u8]; MOST_VALUES],
    count: usize,
    /// Was there any, be it one that is looked at or not?
    is_there: bool,
}

impl<'r> Values<'r> {
    fn add(&mut self, value: &'r [u8]) {
        if value.is_empty() {
            // What is left of a cookie that was cleared.
            return;
        }
        self.is_there = true;
        let (seen, free) = self.values.split_at_mut(self.count);
        if value.len() > LONGEST || seen.contains(&value) {
            return;
        }
        if let Some(place) = free.first_mut() {
            *place = value;
            self.count += 1;
        }
    }

    fn all(&self) -> &[&'r [u8]] {
        self.values.split_at(self.count).0
    }
}

impl SessionCookies {
    /// Sessions in cookies of these names, which are looked for in this order. With `csrf`, calls that may change something
    /// have to pass it.
    pub fn new(sessions: Arc<Sessions>, names: Vec<String>, csrf: Option<CsrfRule>) -> SessionCookies {
        SessionCookies {
            sessions,
            names: names.into(),
            csrf,
        }
    }

    /// The caller; `None` when there is no such cookie.
    ///
    /// # Errors
    /// [`Rejection::SessionEnded`], [`Rejection::AccountSuspended`], [`Rejection::CsrfFailed`],
    /// [`Rejection::StoreUnavailable`].
    pub(super) async fn identify(
        &self,
        presented: &Presented<'_>,
        now: UnixTime,
    ) -> Result<Option<Arc<Known>>, Rejection> {
        let mut values = Values::default();
        for name in &self.names {
            for value in cookie::values(presented.headers, name) {
                values.add(value);
            }
        }
        if !values.is_there {
            return Ok(None);
        }
        let mut refusal = Rejection::SessionEnded("the cookie is no session's");
        for value in values.all() {
            match self.sessions.find(Digest::of_bytes(value), now).await {
                Ok(known) => {
                    if let (Some(rule), Some(csrf)) = (&self.csrf, known.own().and_then(Own::csrf)) {
                        rule.check(presented, csrf)?;
                    }
                    return Ok(Some(known));
                }
                // That one is over says the least of several.
                Err(Rejection::SessionEnded(why)) if matches!(refusal, Rejection::SessionEnded(_)) => {
                    refusal = Rejection::SessionEnded(why);
                }
                Err(Rejection::SessionEnded(_)) => {}
                Err(other) => refusal = other,
            }
        }
        Err(refusal)
    }
}

/// What was found of a session.
type FoundSession = Result<(Session, Arc<Account>), &'static str>;

impl Sessions {
    /// The sessions of `realm`.
    pub fn new(realm: Arc<Realm>, metrics: Arc<CredentialMetrics>) -> Arc<Sessions> {
        Arc::new(Sessions {
            realm,
            verified: Verified::new(REMEMBERED),
            metrics,
        })
    }

    /// The realm.
    pub fn realm(&self) -> &Arc<Realm> {
        &self.realm
    }

    async fn find(&self, digest: Digest, now: UnixTime) -> Result<Arc<Known>, Rejection> {
        if let Some(known) = self.verified.get(&digest)
            && self.look(&known, digest, now)?
        {
            self.metrics.hits.inc();
            return Ok(known);
        }
        self.look_up(digest, now).await
    }

    /// Is it good now? Then its use is noted. `Ok(false)` when it has to be looked up anew.
    fn look(&self, known: &Known, digest: Digest, now: UnixTime) -> Result<bool, Rejection> {
        let Some(own) = known.own() else {
            return Ok(false);
        };
        match own.state(self.realm.accounts().cells(), now) {
            State::Fine => {}
            State::Stale => return Ok(false),
            State::Ended => return Err(self.forget(digest, "ended", "it was ended")),
            State::Suspended { until } => {
                self.metrics.refused.inc("suspended");
                return Err(suspended(until, now));
            }
        }
        let store = self.realm.accounts().store();
        match own.session_use().map(|session| session.note(store, now)) {
            Some(Use::Good) => Ok(true),
            Some(Use::Over(why)) => Err(self.forget(digest, "expired", why)),
            None => Ok(false),
        }
    }

    fn forget(&self, digest: Digest, reason: &'static str, why: &'static str) -> Rejection {
        self.verified.remove(&digest);
        self.refuse(reason, why)
    }

    fn refuse(&self, reason: &'static str, why: &'static str) -> Rejection {
        self.metrics.refused.inc(reason);
        Rejection::SessionEnded(why)
    }

    async fn look_up(&self, digest: Digest, now: UnixTime) -> Result<Arc<Known>, Rejection> {
        self.metrics.misses.inc();
        for _ in 0..MOST_LOOKS {
            let (found, marks) = self.observe(digest, now).await?;
            let (session, account) = found.map_err(|why| self.refuse("unknown", why))?;
            let known = Own::by_session(&self.realm, account, &session, marks)
                .ok_or(Rejection::SessionEnded("its user has no usable name"))?;
            let known = Arc::new(known);
            self.verified.insert(digest, Arc::clone(&known));
            if self.look(&known, digest, now)? {
                return Ok(known);
            }
        }
        Err(Rejection::StoreUnavailable)
    }

    async fn observe(&self, digest: Digest, now: UnixTime) -> Result<(FoundSession, Marks), Rejection> {
        let read = || -> Read<'_, _, _> { Box::pin(self.read(digest, now)) };
        match self.realm.accounts().cells().observe(read).await {
            Ok(found) => Ok(found),
            Err(Observed::Failed(error)) => Err(store_failed(&error)),
            Err(Observed::Unsettled(_)) => Err(Rejection::StoreUnavailable),
        }
    }

    async fn read(&self, digest: Digest, now: UnixTime) -> Result<Reading<FoundSession>, StoreError> {
        let realm = &self.realm;
        let store = realm.accounts().store();
        let name = realm.name();
        let over = |why, of| Reading {
            value: Err(why),
            of,
            lock: None,
        };
        let Some(session) = store.session(name.clone(), digest, now).await? else {
            return Ok(over("there is no such session, or no longer", Vec::new()));
        };
        let mut of = vec![Thing::Session(digest), Thing::User(name.clone(), session.user)];
        let account = realm.user(session.user).await?;
        let Some(account) = account.filter(|account| account.state == UserState::Active) else {
            return Ok(over("its user is not active", of));
        };
        if let Some(client_id) = &session.client_id {
            of.push(Thing::Application(name.clone(), client_id.clone()));
            let client = realm.application(client_id).await?;
            if client.is_none_or(|client| client.application.state != ApplicationState::Active) {
                return Ok(over("its application is not active", of));
            }
        }
        let lock = if realm.lock_suspends() {
            let until = store.locked_until(name.clone(), account.key.clone(), now).await?;
            Some((name.clone(), account.key.clone(), until))
        } else {
            None
        };
        Ok(Reading {
            value: Ok((session, account)),
            of,
            lock,
        })
    }

    /// Tells how many sessions are remembered now.
    pub fn show(&self) {
        let remembered = u32::try_from(self.verified.len()).unwrap_or(u32::MAX);
        self.metrics.remembered.set(f64::from(remembered));
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions")
            .field("realm", self.realm.name())
            .finish_non_exhaustive()
    }
}

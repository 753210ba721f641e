//! Callers who signed in somewhere else: a session cookie of ours, behind which is an access token of the provider's.
//!
//! The token stays on the server. In the store it is sealed with a key that follows from the cookie's value, of which the store
//! has the digest alone: whoever reads the file has no token. Each request is judged by the token, in the way in which it would
//! be if the client had sent it: whatever ends it (its time, a revocation there, a key that went) ends what the session is
//! worth. It is refreshed a while before its end, once for all requests of the session that come meanwhile, and to the end of that
//! even if they leave: a refresh token is good once, and what came of it must not be lost. While the provider does not answer, a
//! session waits for it; only a refusal of the provider's ends it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::bearer::{Authority, Bearer};
use super::cache::Verified;
use super::csrf::CsrfRule;
use super::known::Known;
use super::opaque::{MOST_LOOKS, store_failed};
use super::presented::Presented;
use super::provider::{Provider, ProviderError, ProviderTokens};
use crate::accounts::Accounts;
use crate::accounts::standing::{Marks, Observed, Read, Reading, State, Thing};
use crate::base::clock::{Clock, UnixTime};
use crate::base::digest::Digest;
use crate::base::sealed::SealingKey;
use crate::base::tasks;
use crate::base::token_value::{Shape, TokenValue};
use crate::config::plan::{ProviderPlan, RemoteSignInPlan};
use crate::http::cookie;
use crate::net::fetch::FetchError;
use crate::rejection::{Rejection, bug};
use crate::store::StoreError;
use crate::store::model::{Actor, By, RemoteSession, Session};
use crate::store::outcome::{Creation, Edit};
use crate::telemetry::metrics::CredentialMetrics;

/// Values of the cookie that are looked at in one request.
const MOST_VALUES: usize = 4;

/// Longest value that can be a session's id, in bytes. Ours have 43.
const LONGEST: usize = 128;

/// Sessions of one sign-in that are remembered: some 4 KiB each.
const REMEMBERED: usize = 10_000;

/// When a provider did not answer, it is asked again after so long at the earliest.
const AFTER_SILENCE: i64 = 5;

/// Locks that nobody holds any more are thrown away when there are so many.
const MANY_FLIGHTS: usize = 1_024;

/// The sessions of one sign-in, to recognise callers by.
pub struct RemoteSessions {
    /// `API/NAME`.
    name: String,
    /// What is sealed is sealed for this: the same name at another provider is another thing.
    bound: String,
    plan: RemoteSignInPlan,
    csrf: Option<CsrfRule>,
    accounts: Arc<Accounts>,
    provider: Arc<Provider>,
    authority: Authority,
    judge: Bearer,
    verified: Verified<Arc<Held>>,
    metrics: Arc<CredentialMetrics>,
    clock: Clock,
    flights: Arc<Flights>,
    /// Until when a provider that did not answer is left alone.
    quiet_until: AtomicI64,
}

/// A lock for each session that is being refreshed: a refresh token that is used twice ends everything. It is not in what is
/// remembered of a session, which may be forgotten meanwhile, or be another after a reload.
#[derive(Default)]
struct Flights(Mutex<HashMap<Digest, Weak<tokio::sync::Mutex<()>>>>);

impl Flights {
    fn of(&self, session: Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = all.get(&session).and_then(Weak::upgrade) {
            return flight;
        }
        if all.len() >= MANY_FLIGHTS {
            all.retain(|_, flight| flight.strong_count() > 0);
        }
        let flight = Arc::default();
        all.insert(session, Arc::downgrade(&flight));
        flight
    }
}

/// Why a token is to be refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// It ends soon, or has.
    Due,
    /// It is said to have ended, sooner than the provider said.
    Over,
}

/// A session that is remembered.
struct Held {
    digest: Digest,
    csrf: Digest,
    expires_at: UnixTime,
    /// Whole seconds.
    idle: i64,
    last_seen: AtomicI64,
    /// Use that the store knows of.
    written: AtomicI64,
    marks: Marks,
    key: SealingKey,
    tokens: ArcSwap<Ready>,
    /// Until when a provider is left alone that gave nonsense for this session.
    quiet_until: AtomicI64,
}

/// Its tokens, ready to be sent on.
struct Ready {
    tokens: ProviderTokens,
    digest: Digest,
    bearer: Arc<HeaderValue>,
}

/// A caller, and the token that goes to the backend in its name, where it does.
pub(super) type Recognised = (Arc<Known>, Option<Arc<HeaderValue>>);

/// A session that was opened, with what its client is told once.
#[derive(Debug)]
pub struct OpenedRemote {
    /// The session's id: the value of its cookie.
    pub id: TokenValue,
    /// The value that comes back with calls that may change something.
    pub csrf: TokenValue,
}

impl Ready {
    fn new(tokens: ProviderTokens) -> Option<Ready> {
        let text = Zeroizing::new(format!("Bearer {}", tokens.access.as_str()));
        let mut bearer = HeaderValue::from_str(&text).ok()?;
        bearer.set_sensitive(true);
        Some(Ready {
            digest: Digest::of(&tokens.access),
            bearer: Arc::new(bearer),
            tokens,
        })
    }
}

impl Ready {
    fn is_due(&self, now: UnixTime) -> bool {
        self.tokens.refresh.is_some() && now >= self.tokens.refresh_at
    }
}

impl RemoteSessions {
    /// The sessions of a sign-in: `name` is `API/NAME`, `authority` judges the provider's access tokens. Those of `before` go on if
    /// nothing has changed; a refresh that is under way there is waited for here in any case.
    ///
    /// # Errors
    /// [`FetchError`], when the provider's authorities cannot be read.
    #[expect(clippy::too_many_arguments, reason = "all that it is made of, once")]
    pub fn carried(
        name: String,
        plan: RemoteSignInPlan,
        accounts: Arc<Accounts>,
        provider: &ProviderPlan,
        authority: Authority,
        metrics: Arc<CredentialMetrics>,
        clock: Clock,
        before: Option<&Arc<RemoteSessions>>,
    ) -> Result<Arc<RemoteSessions>, FetchError> {
        let bound = format!("{name}\n{}\n{}", provider.token, provider.client_id);
        let provider = Provider::new(provider)?;
        if let Some(before) = before
            && before.plan == plan
            && before.provider.is_like(&provider)
            && before.authority.is(&authority)
            && Arc::ptr_eq(&before.accounts, &accounts)
        {
            return Ok(Arc::clone(before));
        }
        Ok(Arc::new(RemoteSessions {
            csrf: plan.csrf.as_ref().map(CsrfRule::new),
            bound,
            name,
            plan,
            accounts,
            provider: Arc::new(provider),
            judge: Bearer::new(vec![authority.clone()]),
            authority,
            verified: Verified::new(REMEMBERED),
            metrics,
            clock,
            flights: before.map_or_else(Arc::default, |before| Arc::clone(&before.flights)),
            quiet_until: AtomicI64::new(i64::MIN),
        }))
    }

    /// The provider.
    pub fn provider(&self) -> &Arc<Provider> {
        &self.provider
    }

    /// Its plan.
    pub fn plan(&self) -> &RemoteSignInPlan {
        &self.plan
    }

    /// `API/NAME`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is sealed for it, or kept in a cookie, is about this.
    pub fn bound(&self) -> &str {
        &self.bound
    }

    /// The caller; `None` when there is no cookie of this sign-in.
    ///
    /// # Errors
    /// [`Rejection::SessionEnded`], [`Rejection::CsrfFailed`], and what becomes of its token: [`Rejection::AccountSuspended`],
    /// [`Rejection::AuthorityUnavailable`], [`Rejection::StoreUnavailable`].
    pub(super) async fn identify(
        self: &Arc<Self>,
        presented: &Presented<'_>,
        clock: &Clock,
    ) -> Result<Option<Recognised>, Rejection> {
        let name = self.plan.cookie.https.name();
        let Some(values) = values_of(presented.headers, name) else {
            return Ok(None);
        };
        let mut refusal = Rejection::SessionEnded("the cookie is no session's");
        for value in values {
            match self.by_value(value, presented, clock).await {
                Ok(recognised) => return Ok(Some(recognised)),
                Err(Rejection::SessionEnded(why)) if matches!(refusal, Rejection::SessionEnded(_)) => {
                    refusal = Rejection::SessionEnded(why);
                }
                Err(Rejection::SessionEnded(_)) => {}
                Err(other) => refusal = other,
            }
        }
        Err(refusal)
    }

    async fn by_value(
        self: &Arc<Self>,
        value: &[u8],
        presented: &Presented<'_>,
        clock: &Clock,
    ) -> Result<Recognised, Rejection> {
        let held = self.find(value, clock.unix()).await?;
        if let Some(rule) = &self.csrf {
            rule.check(presented, &held.csrf)?;
        }
        let mut current = held.tokens.load_full();
        if current.is_due(clock.unix()) {
            // Rare: not a part of every request's future.
            current = Box::pin(self.renewed(value, &held, &current, Cause::Due)).await?;
        }
        let mut judged = self.by_token(&current, clock).await;
        if matches!(judged, Err(Rejection::TokenExpired)) && current.tokens.refresh.is_some() {
            current = Box::pin(self.renewed(value, &held, &current, Cause::Over)).await?;
            judged = self.by_token(&current, clock).await;
        }
        match judged {
            Ok(known) => {
                let bearer = self.plan.forwards_token.then(|| Arc::clone(&current.bearer));
                Ok((known, bearer))
            }
            // It was taken back there, or its key is not known yet. It stays: each call is judged anew.
            Err(Rejection::CredentialsInvalid(why)) => Err(self.refuse("invalid", why)),
            Err(Rejection::TokenExpired) if current.tokens.refresh.is_some() => {
                Err(Rejection::AuthorityUnavailable)
            }
            Err(Rejection::TokenExpired) => Err(self.over(&held, clock.unix(), "its token has ended").await),
            Err(other) => Err(other),
        }
    }

    async fn by_token(&self, current: &Ready, clock: &Clock) -> Result<Arc<Known>, Rejection> {
        let token = &current.tokens.access;
        self.judge.by_token(token, current.digest, clock).await
    }

    /// The session of a cookie's value, if it is good now; its use is noted.
    async fn find(&self, value: &[u8], now: UnixTime) -> Result<Arc<Held>, Rejection> {
        let digest = Digest::of_bytes(value);
        if let Some(held) = self.verified.get(&digest)
            && self.look(&held, now)?
        {
            self.metrics.hits.inc();
            return Ok(held);
        }
        self.metrics.misses.inc();
        for _ in 0..MOST_LOOKS {
            let (found, marks) = self.observe(digest, now).await?;
            let session =
                found.ok_or_else(|| self.refuse("unknown", "there is no such session, or no longer"))?;
            let held = self
                .opened(value, &session, marks)
                .ok_or_else(|| self.refuse("unknown", "its tokens cannot be opened"))?;
            let held = Arc::new(held);
            self.verified.insert(digest, Arc::clone(&held));
            if self.look(&held, now)? {
                return Ok(held);
            }
        }
        Err(Rejection::StoreUnavailable)
    }

    /// Is it good now? `Ok(false)` when it has to be looked up anew.
    fn look(&self, held: &Held, now: UnixTime) -> Result<bool, Rejection> {
        let over = |reason, why| {
            self.verified.remove(&held.digest);
            self.refuse(reason, why)
        };
        match held.marks.state(self.accounts.cells(), now) {
            State::Fine => {}
            State::Stale => return Ok(false),
            State::Ended | State::Suspended { .. } => return Err(over("ended", "it was ended")),
        }
        if now >= held.expires_at {
            return Err(over("expired", "it is too old"));
        }
        let last_seen = held.last_seen.load(Ordering::Relaxed);
        if now.0 >= last_seen.saturating_add(held.idle) {
            return Err(over("expired", "it was not used for too long"));
        }
        if now.0 > last_seen {
            held.last_seen.fetch_max(now.0, Ordering::Relaxed);
            self.write_down(held, now);
        }
        Ok(true)
    }

    fn write_down(&self, held: &Held, now: UnixTime) {
        let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        let every = seconds(Session::TOUCH_EVERY).min(held.idle / 4).max(1);
        let written = held.written.load(Ordering::Relaxed);
        if now.0.saturating_sub(written) < every {
            return;
        }
        // Of several requests at once, one writes.
        let mine = (held.written).compare_exchange(written, now.0, Ordering::Relaxed, Ordering::Relaxed);
        if mine.is_ok() {
            drop(self.accounts.store().touch(held.digest, now));
        }
    }

    fn refuse(&self, reason: &'static str, why: &'static str) -> Rejection {
        self.metrics.refused.inc(reason);
        Rejection::SessionEnded(why)
    }

    async fn observe(
        &self,
        digest: Digest,
        now: UnixTime,
    ) -> Result<(Option<RemoteSession>, Marks), Rejection> {
        let read = || -> Read<'_, _, StoreError> {
            Box::pin(async move {
                let value = self.accounts.store().remote(digest, now).await?;
                Ok(Reading {
                    value: value.filter(|session| session.sign_in == self.name),
                    of: vec![Thing::Session(digest)],
                    lock: None,
                })
            })
        };
        match self.accounts.cells().observe(read).await {
            Ok(found) => Ok(found),
            Err(Observed::Failed(error)) => Err(store_failed(&error)),
            Err(Observed::Unsettled(_)) => Err(Rejection::StoreUnavailable),
        }
    }

    fn opened(&self, value: &[u8], session: &RemoteSession, marks: Marks) -> Option<Held> {
        let key = SealingKey::derived(value, "session tokens")?;
        let tokens = unsealed(&key.open(&session.sealed, &self.bound)?)?;
        Some(Held {
            digest: session.digest,
            csrf: session.csrf,
            expires_at: session.expires_at,
            idle: i64::try_from(session.idle.as_secs()).unwrap_or(i64::MAX),
            last_seen: AtomicI64::new(session.last_seen.0),
            written: AtomicI64::new(session.last_seen.0),
            marks,
            key,
            tokens: ArcSwap::from_pointee(Ready::new(tokens)?),
            quiet_until: AtomicI64::new(i64::MIN),
        })
    }

    /// Other tokens than `old`. The old ones while somebody else is asking, or nobody answers, and they are good for a while yet.
    async fn renewed(
        self: &Arc<Self>,
        value: &[u8],
        held: &Held,
        old: &Arc<Ready>,
        cause: Cause,
    ) -> Result<Arc<Ready>, Rejection> {
        let flight = self.flights.of(held.digest);
        let is_good = cause == Cause::Due && self.clock.unix() < old.tokens.expires_at;
        let alone = if is_good {
            match flight.try_lock_owned() {
                Ok(alone) => alone,
                Err(_) => return Ok(Arc::clone(old)),
            }
        } else {
            flight.lock_owned().await
        };
        // Somebody was faster, perhaps, or has found that nobody answers.
        let now = self.clock.unix();
        let held = self.find(value, now).await?;
        let current = held.tokens.load_full();
        let is_wanted = match cause {
            Cause::Due => current.is_due(now),
            Cause::Over => current.digest == old.digest,
        };
        if !is_wanted {
            return Ok(current);
        }
        let quiet = [&self.quiet_until, &held.quiet_until].map(|until| until.load(Ordering::Relaxed));
        if quiet.iter().any(|until| now.0 < *until) {
            return unless_over(current, now, cause);
        }
        let this = Arc::clone(self);
        let refreshed = tasks::carry_through("session refresh", async move {
            let _alone = alone;
            this.refresh(&held, current, cause).await
        });
        refreshed.await.unwrap_or(Err(Rejection::AuthorityUnavailable))
    }

    async fn refresh(&self, held: &Held, current: Arc<Ready>, cause: Cause) -> Result<Arc<Ready>, Rejection> {
        match self.provider.refresh(&current.tokens, self.clock.unix()).await {
            Ok(tokens) => {
                let sealed = sealed(&tokens).and_then(|text| held.key.seal(&text, &self.bound));
                let next = Ready::new(tokens).ok_or(Rejection::AuthorityUnavailable)?;
                let next = Arc::new(next);
                // The old refresh token is no good any more: what is not kept is lost with the process.
                held.tokens.store(Arc::clone(&next));
                let Some(sealed) = sealed else { return Ok(next) };
                match self.accounts.store().reseal_remote(held.digest, sealed).await {
                    Ok(Edit::Done) => Ok(next),
                    Ok(Edit::Unknown) => {
                        // Signed out meanwhile, with the old token; nobody has this one.
                        self.verified.remove(&held.digest);
                        self.provider.revoke(&next.tokens).await;
                        Err(self.refuse("ended", "it was ended"))
                    }
                    Err(error) => {
                        tracing::warn!(%error, "refreshed tokens of a session could not be kept");
                        Ok(next)
                    }
                }
            }
            Err(error @ ProviderError::Refused(_)) => {
                tracing::info!(sign_in = %self.name, %error, "a session ends: its tokens are not refreshed");
                let now = self.clock.unix();
                Err(self.over(held, now, "its provider does not refresh it").await)
            }
            Err(error) => {
                tracing::warn!(sign_in = %self.name, %error, "the tokens of a session are not refreshed");
                let now = self.clock.unix();
                let until = match error {
                    ProviderError::Silent(_) => &self.quiet_until,
                    ProviderError::Invalid(_) | ProviderError::Refused(_) => &held.quiet_until,
                };
                until.store(now.0.saturating_add(AFTER_SILENCE), Ordering::Relaxed);
                unless_over(current, now, cause)
            }
        }
    }

    /// Ends a session that is worth nothing any more.
    async fn over(&self, held: &Held, now: UnixTime, why: &'static str) -> Rejection {
        self.verified.remove(&held.digest);
        let ended = self
            .accounts
            .store()
            .end_remote(held.digest, By::new(Actor::System, now));
        if let Err(error) = ended.await {
            tracing::warn!(%error, "a session that is over could not be ended in the store");
        }
        self.refuse("ended", why)
    }

    /// Who an access token is of, as its authority says.
    ///
    /// # Errors
    /// As for a call by that token.
    pub async fn judge(&self, tokens: &ProviderTokens) -> Result<Arc<Known>, Rejection> {
        let digest = Digest::of(&tokens.access);
        self.judge.by_token(&tokens.access, digest, &self.clock).await
    }

    /// Opens a session with these tokens. A session that the client had before, in `headers`, ends.
    ///
    /// # Errors
    /// [`Rejection::StoreUnavailable`]; then there is none.
    pub async fn open(
        &self,
        tokens: &ProviderTokens,
        headers: &HeaderMap,
        now: UnixTime,
    ) -> Result<OpenedRemote, Rejection> {
        let opened = OpenedRemote {
            id: TokenValue::random(Shape::Base64Url),
            csrf: TokenValue::random(Shape::Base64Url),
        };
        let bug = || bug(&"tokens could not be sealed");
        let key = SealingKey::derived(opened.id.reveal().as_bytes(), "session tokens").ok_or_else(bug)?;
        let text = sealed(tokens).ok_or_else(bug)?;
        let session = RemoteSession {
            digest: Digest::of(opened.id.reveal()),
            sign_in: self.name.clone(),
            csrf: Digest::of(opened.csrf.reveal()),
            sealed: key.seal(&text, &self.bound).ok_or_else(bug)?,
            created_at: now,
            last_seen: now,
            expires_at: now.plus(self.plan.lifetime),
            idle: self.plan.idle,
        };
        let replaced = self.end(headers, now).await?;
        self.revoke(replaced).await;
        let by = By::new(Actor::System, now);
        match self.accounts.store().open_remote(session, by).await {
            Ok(Creation::Created) => Ok(opened),
            Ok(Creation::Exists) => Err(bug()),
            Err(error) => Err(store_failed(&error)),
        }
    }

    /// Ends the sessions that a request brings, and gives back their tokens. Whether those are good is asked of nobody: whoever
    /// wants to leave may, also while the provider is down.
    ///
    /// # Errors
    /// [`Rejection::CsrfFailed`] when the request does not show that it was meant, for none of them;
    /// [`Rejection::StoreUnavailable`]; then they have not ended.
    pub async fn leave(
        &self,
        presented: &Presented<'_>,
        now: UnixTime,
    ) -> Result<Vec<ProviderTokens>, Rejection> {
        let (mut ended, mut refusal) = (Vec::new(), None);
        for value in self.values(presented.headers) {
            let (found, marks) = self.observe(Digest::of_bytes(value), now).await?;
            let Some(session) = found else { continue };
            match self
                .csrf
                .as_ref()
                .map(|rule| rule.check(presented, &session.csrf))
            {
                None | Some(Ok(())) => ended.extend(self.end_one(value, &session, marks, now).await?),
                Some(Err(failed)) => refusal = Some(failed),
            }
        }
        match refusal {
            Some(failed) if ended.is_empty() => Err(failed),
            Some(_) | None => Ok(ended),
        }
    }

    /// Ends the sessions that a request brings, and gives back their tokens.
    async fn end(&self, headers: &HeaderMap, now: UnixTime) -> Result<Vec<ProviderTokens>, Rejection> {
        let mut ended = Vec::new();
        for value in self.values(headers) {
            let (found, marks) = self.observe(Digest::of_bytes(value), now).await?;
            if let Some(session) = found {
                ended.extend(self.end_one(value, &session, marks, now).await?);
            }
        }
        Ok(ended)
    }

    async fn end_one(
        &self,
        value: &[u8],
        session: &RemoteSession,
        marks: Marks,
        now: UnixTime,
    ) -> Result<Option<ProviderTokens>, Rejection> {
        let by = By::new(Actor::System, now);
        let ended = self.accounts.store().end_remote(session.digest, by).await;
        ended.map_err(|error| store_failed(&error))?;
        // What is remembered may be newer than what the store could keep.
        let held = self.verified.get(&session.digest);
        self.verified.remove(&session.digest);
        let tokens = match held {
            Some(held) => Some(held.tokens.load().tokens.clone()),
            None => self
                .opened(value, session, marks)
                .map(|held| held.tokens.load().tokens.clone()),
        };
        Ok(tokens)
    }

    /// Revokes tokens at the provider, also if whoever waits for it leaves.
    pub async fn revoke(&self, tokens: Vec<ProviderTokens>) {
        if tokens.is_empty() {
            return;
        }
        let provider = Arc::clone(&self.provider);
        let revoked = tasks::carry_through("revocation", async move {
            for tokens in &tokens {
                provider.revoke(tokens).await;
            }
        });
        revoked.await.unwrap_or(());
    }

    fn values<'h>(&'h self, headers: &'h HeaderMap) -> Vec<&'h [u8]> {
        values_of(headers, self.plan.cookie.https.name()).unwrap_or_default()
    }

    /// Tells how many sessions are remembered now.
    pub fn show(&self) {
        let remembered = u32::try_from(self.verified.len()).unwrap_or(u32::MAX);
        self.metrics.remembered.set(f64::from(remembered));
    }
}

/// The values of the cookie that are looked at; `None` where there is no such cookie.
fn values_of<'h>(headers: &'h HeaderMap, name: &'h str) -> Option<Vec<&'h [u8]>> {
    let mut values = cookie::values(headers, name)
        .filter(|value| !value.is_empty())
        .peekable();
    values.peek()?;
    Some(
        values
            .filter(|value| value.len() <= LONGEST)
            .take(MOST_VALUES)
            .collect(),
    )
}

fn unless_over(current: Arc<Ready>, now: UnixTime, cause: Cause) -> Result<Arc<Ready>, Rejection> {
    if cause == Cause::Due && now < current.tokens.expires_at {
        Ok(current)
    } else {
        Err(Rejection::AuthorityUnavailable)
    }
}

/// The tokens as they are sealed.
fn sealed(tokens: &ProviderTokens) -> Option<Zeroizing<Vec<u8>>> {
    let text = |token: &Option<Zeroizing<String>>| token.as_ref().map(|token| token.as_str().to_owned());
    let value = json!({
        "a": tokens.access.as_str(),
        "r": text(&tokens.refresh),
        "i": text(&tokens.id),
        "e": tokens.expires_at.0,
        "f": tokens.refresh_at.0,
    });
    serde_json::to_vec(&value).ok().map(Zeroizing::new)
}

fn unsealed(text: &[u8]) -> Option<ProviderTokens> {
    let value: Value = serde_json::from_slice(text).ok()?;
    let token = |name: &str| {
        value
            .get(name)?
            .as_str()
            .map(|text| Zeroizing::new(text.to_owned()))
    };
    Some(ProviderTokens {
        access: token("a")?,
        refresh: token("r"),
        id: token("i"),
        expires_at: UnixTime(value.get("e")?.as_i64()?),
        refresh_at: UnixTime(value.get("f")?.as_i64()?),
    })
}

impl std::fmt::Debug for RemoteSessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteSessions")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

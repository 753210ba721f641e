//! Callers who signed in somewhere else: a session cookie of ours, behind which is an access token of the provider's.
//!
//! The token stays on the server. In the store it is sealed with a key that follows from the cookie's value, of which the store
//! has the digest alone: whoever reads the file has no token. Each request is judged by the token, in the way in which it would
//! be if the client had sent it: whatever ends it (its time, a revocation there, a key that went) ends what the session is
//! worth. It is refreshed a while before its end, once for all requests of the session that come meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
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
use crate::base::token_value::{Shape, TokenValue};
use crate::config::plan::RemoteSignInPlan;
use crate::http::cookie;
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

/// Sessions whose digests begin alike wait for each other when they are refreshed.
const STRIPES: usize = 64;

/// When a provider did not answer, it is asked again after so long at the earliest.
const AFTER_SILENCE: i64 = 5;

/// The sessions of one sign-in, to recognise callers by.
pub struct RemoteSessions {
    /// `API/NAME`.
    name: String,
    plan: RemoteSignInPlan,
    csrf: Option<CsrfRule>,
    accounts: Arc<Accounts>,
    provider: Arc<Provider>,
    judge: Bearer,
    verified: Verified<Arc<Held>>,
    metrics: Arc<CredentialMetrics>,
    clock: Clock,
    /// Of sessions that are refreshed, by digest: one at a time of each.
    refreshing: Box<[tokio::sync::Mutex<()>]>,
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
    /// Until when a provider that did not answer is left alone.
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

impl RemoteSessions {
    /// The sessions of a sign-in: `name` is `API/NAME`, `authority` judges the provider's access tokens.
    pub fn new(
        name: String,
        plan: RemoteSignInPlan,
        accounts: Arc<Accounts>,
        provider: Arc<Provider>,
        authority: Authority,
        metrics: Arc<CredentialMetrics>,
        clock: Clock,
    ) -> Arc<RemoteSessions> {
        Arc::new(RemoteSessions {
            csrf: plan.csrf.as_ref().map(CsrfRule::new),
            name,
            plan,
            accounts,
            provider,
            judge: Bearer::new(vec![authority]),
            verified: Verified::new(REMEMBERED),
            metrics,
            clock,
            refreshing: (0..STRIPES).map(|_| tokio::sync::Mutex::new(())).collect(),
        })
    }

    /// The provider.
    pub fn provider(&self) -> &Arc<Provider> {
        &self.provider
    }

    /// Its plan.
    pub fn plan(&self) -> &RemoteSignInPlan {
        &self.plan
    }

    /// What is sealed for it, or kept in a cookie, is about this.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The caller; `None` when there is no cookie of this sign-in.
    ///
    /// # Errors
    /// [`Rejection::SessionEnded`], [`Rejection::CsrfFailed`], and what becomes of its token: [`Rejection::AccountSuspended`],
    /// [`Rejection::AuthorityUnavailable`], [`Rejection::StoreUnavailable`].
    pub(super) async fn identify(
        &self,
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
        &self,
        value: &[u8],
        presented: &Presented<'_>,
        clock: &Clock,
    ) -> Result<Recognised, Rejection> {
        let now = clock.unix();
        let held = self.find(value, now).await?;
        if let Some(rule) = &self.csrf {
            rule.check(presented, &held.csrf)?;
        }
        let mut current = held.tokens.load_full();
        if self.is_due(&held, &current, now) {
            // Rare: not a part of every request's future.
            current = Box::pin(self.refreshed(value, &held, now)).await?;
        }
        let judged = self
            .judge
            .by_token(&current.tokens.access, current.digest, clock)
            .await;
        match judged {
            Ok(known) => {
                let bearer = self.plan.forwards_token.then(|| Arc::clone(&current.bearer));
                Ok((known, bearer))
            }
            // It was taken back there, or the provider has refused to refresh it.
            Err(Rejection::CredentialsInvalid(why)) => Err(self.over(&held, now, why).await),
            Err(Rejection::TokenExpired) => Err(self.over(&held, now, "its token has ended").await),
            Err(other) => Err(other),
        }
    }

    fn is_due(&self, held: &Held, current: &Ready, now: UnixTime) -> bool {
        current.tokens.refresh.is_some()
            && now >= current.tokens.refresh_at
            && now.0 >= held.quiet_until.load(Ordering::Relaxed)
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
        let tokens = unsealed(&key.open(&session.sealed, &self.name)?)?;
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

    /// Other tokens. The old ones where the provider does not answer and they are good for a while yet.
    async fn refreshed(&self, value: &[u8], held: &Held, now: UnixTime) -> Result<Arc<Ready>, Rejection> {
        let stripe = usize::from(held.digest.as_bytes().first().copied().unwrap_or(0)) % STRIPES;
        let _alone = match self.refreshing.get(stripe) {
            Some(stripe) => Some(stripe.lock().await),
            None => None,
        };
        // Somebody was faster, perhaps, or has found that nobody answers. A refresh token that is used twice ends everything.
        let held = &*self.find(value, now).await?;
        let current = held.tokens.load_full();
        if !self.is_due(held, &current, now) {
            return unless_over(current, now);
        }
        match self.provider.refresh(&current.tokens, now).await {
            Ok(tokens) => {
                let sealed = sealed(&tokens).and_then(|text| held.key.seal(&text, &self.name));
                let next = Ready::new(tokens).ok_or(Rejection::AuthorityUnavailable)?;
                let next = Arc::new(next);
                // The old refresh token is no good any more: what is not kept is lost with the process, and not before.
                held.tokens.store(Arc::clone(&next));
                if let Some(sealed) = sealed {
                    match self.accounts.store().reseal_remote(held.digest, sealed).await {
                        Ok(Edit::Done) => {}
                        Ok(Edit::Unknown) => return Err(self.refuse("ended", "it was ended")),
                        Err(error) => {
                            tracing::warn!(%error, "refreshed tokens of a session could not be kept");
                        }
                    }
                }
                Ok(next)
            }
            Err(error @ ProviderError::Refused(_)) => {
                tracing::info!(sign_in = %self.name, %error, "a session ends: its tokens are not refreshed");
                Err(self.over(held, now, "its provider does not refresh it").await)
            }
            Err(error @ (ProviderError::Silent(_) | ProviderError::Invalid(_))) => {
                tracing::warn!(sign_in = %self.name, %error, "the tokens of a session are not refreshed");
                held.quiet_until
                    .store(now.0.saturating_add(AFTER_SILENCE), Ordering::Relaxed);
                unless_over(current, now)
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
            sealed: key.seal(&text, &self.name).ok_or_else(bug)?,
            created_at: now,
            last_seen: now,
            expires_at: now.plus(self.plan.lifetime),
            idle: self.plan.idle,
        };
        self.end(headers, now).await?;
        let by = By::new(Actor::System, now);
        match self.accounts.store().open_remote(session, by).await {
            Ok(Creation::Created) => Ok(opened),
            Ok(Creation::Exists) => Err(bug()),
            Err(error) => Err(store_failed(&error)),
        }
    }

    /// Ends the sessions that a request brings, and gives back the tokens of one of them.
    ///
    /// # Errors
    /// [`Rejection::StoreUnavailable`]; then they have not ended.
    pub async fn end(&self, headers: &HeaderMap, now: UnixTime) -> Result<Option<ProviderTokens>, Rejection> {
        let name = self.plan.cookie.https.name();
        let mut tokens = None;
        for value in values_of(headers, name).unwrap_or_default() {
            let digest = Digest::of_bytes(value);
            let (found, marks) = self.observe(digest, now).await?;
            let Some(session) = found else { continue };
            if let Some(held) = self.opened(value, &session, marks) {
                tokens = Some(held.tokens.load().tokens.clone());
            }
            let by = By::new(Actor::System, now);
            let ended = self.accounts.store().end_remote(digest, by).await;
            ended.map_err(|error| store_failed(&error))?;
            self.verified.remove(&digest);
        }
        Ok(tokens)
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

fn unless_over(current: Arc<Ready>, now: UnixTime) -> Result<Arc<Ready>, Rejection> {
    if now < current.tokens.expires_at {
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

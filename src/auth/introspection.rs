//! Tokens of somebody else about which the issuer is asked (RFC 7662).
//!
//! An answer is remembered for a short while, and never beyond the token's `exp`; so is the answer that a token is no good,
//! for a shorter one. Requests with the same token share one question. When there is no answer nobody is let in: 503.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderValue;
use tokio::sync::Semaphore;

use super::cache::Tried;
use super::known::Known;
use super::mapping::{self, BadClaim};
use crate::base::clock::{Clock, UnixTime};
use crate::base::digest::Digest;
use crate::config::plan::IntrospectionPlan;
use crate::http::form;
use crate::identity::CredentialKind;
use crate::jose::claims::{self, VerifiedClaims};
use crate::jose::strict_json;
use crate::net::fetch::{FetchError, Fetcher};
use crate::rejection::Rejection;
use crate::telemetry::metrics::{CredentialMetrics, IntrospectionMetrics};

/// Longest time for which a refusal is remembered: a token that is not good now may be so in a moment, where it was presented
/// before its issuer knew it everywhere.
const REMEMBER_INACTIVE: Duration = Duration::from_secs(5);

/// Questions under way at a time. What comes on top waits, and not longer than the deadline.
const MOST_QUESTIONS: usize = 64;

/// An introspection endpoint, ready to be asked.
pub struct Introspection {
    plan: IntrospectionPlan,
    fetcher: Fetcher,
    authorization: HeaderValue,
    answers: Tried<Answer>,
    room: Semaphore,
    /// Did the last question fail? Told once.
    is_failing: AtomicBool,
    metrics: Arc<IntrospectionMetrics>,
    credentials: Arc<CredentialMetrics>,
}

/// What the endpoint says of a token, and until when that is believed.
#[derive(Clone)]
enum Answer {
    Active { known: Arc<Known>, until: UnixTime },
    Inactive { until: UnixTime },
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("it answers with something that is no introspection response: {0}")]
    Form(&'static str),
}

impl Introspection {
    /// The endpoint of `plan`.
    ///
    /// # Errors
    /// [`FetchError`] for its URL or its TLS settings. That it cannot be reached is none.
    pub fn new(
        plan: &IntrospectionPlan,
        metrics: Arc<IntrospectionMetrics>,
        credentials: Arc<CredentialMetrics>,
    ) -> Result<Arc<Introspection>, FetchError> {
        Ok(Arc::new(Introspection {
            fetcher: Fetcher::new(&plan.url, plan.ca.clone())?,
            authorization: authorization(&plan.client_id, plan.client_secret.reveal()),
            answers: Tried::new(plan.cache),
            room: Semaphore::new(MOST_QUESTIONS),
            is_failing: AtomicBool::new(false),
            plan: plan.clone(),
            metrics,
            credentials,
        }))
    }

    /// The endpoint of a new configuration: `previous` itself with all it remembers, if nothing of it has changed.
    ///
    /// # Errors
    /// As [`Introspection::new`].
    pub fn carried(
        plan: &IntrospectionPlan,
        metrics: Arc<IntrospectionMetrics>,
        credentials: Arc<CredentialMetrics>,
        previous: Option<&Arc<Introspection>>,
    ) -> Result<Arc<Introspection>, FetchError> {
        let new = Introspection::new(plan, metrics, credentials)?;
        Ok(match previous {
            Some(known) if known.is_like(&new) => Arc::clone(known),
            Some(_) | None => new,
        })
    }

    fn is_like(&self, other: &Introspection) -> bool {
        let IntrospectionPlan {
            name,
            url: _,
            ca: _,
            client_id,
            client_secret,
            audience,
            claims,
            cache,
            remember,
            deadline,
        } = &other.plan;
        self.fetcher.is_like(&other.fetcher)
            && self.plan.name == *name
            && self.plan.client_id == *client_id
            && self.plan.client_secret == *client_secret
            && self.plan.audience == *audience
            && self.plan.claims == *claims
            && self.plan.cache == *cache
            && self.plan.remember == *remember
            && self.plan.deadline == *deadline
    }

    /// The caller of a token that is remembered. `Ok(None)` when it has to be asked about. Allocates nothing.
    ///
    /// # Errors
    /// [`Rejection::CredentialsInvalid`] for one that is remembered as no good.
    pub(super) fn recall(&self, digest: Digest, now: UnixTime) -> Result<Option<Arc<Known>>, Rejection> {
        let Some(answer) = self.answers.get(&digest) else {
            return Ok(None);
        };
        self.judge(&answer, now)
    }

    fn judge(&self, answer: &Answer, now: UnixTime) -> Result<Option<Arc<Known>>, Rejection> {
        match answer {
            Answer::Active { known, until } if now < *until => {
                self.credentials.hits.inc();
                Ok(Some(Arc::clone(known)))
            }
            Answer::Inactive { until } if now < *until => {
                self.credentials.refused.inc("inactive");
                Err(Rejection::CredentialsInvalid("the token is not active"))
            }
            Answer::Active { .. } | Answer::Inactive { .. } => Ok(None),
        }
    }

    /// Asks about a token that is not remembered.
    ///
    /// # Errors
    /// [`Rejection::CredentialsInvalid`]; [`Rejection::AuthorityUnavailable`] when there is no answer in time.
    pub(super) async fn ask(
        &self,
        token: &str,
        digest: Digest,
        clock: &Clock,
    ) -> Result<Arc<Known>, Rejection> {
        // The whole of it, also the time in which somebody else asks: whose question fails leaves the next one to ask.
        tokio::time::timeout(self.plan.deadline, self.find_out(token, digest, clock))
            .await
            .unwrap_or(Err(Rejection::AuthorityUnavailable))
    }

    async fn find_out(&self, token: &str, digest: Digest, clock: &Clock) -> Result<Arc<Known>, Rejection> {
        loop {
            let turn = match self.answers.get_or_turn(&digest).await {
                Ok(answer) => {
                    if let Some(known) = self.judge(&answer, clock.unix())? {
                        return Ok(known);
                    }
                    self.answers.remove(&digest);
                    continue;
                }
                Err(turn) => turn,
            };
            self.credentials.misses.inc();
            let answer = self.question(token, clock).await?;
            turn.take(answer.clone());
            return match answer {
                Answer::Active { known, until: _ } => Ok(known),
                Answer::Inactive { until: _ } => {
                    self.credentials.refused.inc("inactive");
                    Err(Rejection::CredentialsInvalid("the token is not active"))
                }
            };
        }
    }

    async fn question(&self, token: &str, clock: &Clock) -> Result<Answer, Rejection> {
        let Ok(_room) = self.room.acquire().await else {
            return Err(Rejection::AuthorityUnavailable);
        };
        let begun = clock.tick();
        let form = Bytes::from(format!(
            "token={}&token_type_hint=access_token",
            form::encoded(token)
        ));
        let fetched = self
            .fetcher
            .post_form(form, self.authorization.clone(), self.plan.deadline)
            .await;
        self.metrics.duration.observe(clock.tick().since(begun));
        let read = fetched
            .map_err(NoAnswer::from)
            .and_then(|fetched| self.read(&fetched.body, clock.unix()));
        match read {
            Ok(answer) => {
                match answer {
                    Answer::Active { .. } => self.metrics.active.inc(),
                    Answer::Inactive { .. } => self.metrics.inactive.inc(),
                }
                if self.is_failing.swap(false, Ordering::Relaxed) {
                    tracing::info!(issuer = %self.plan.name, "the introspection endpoint answers again");
                }
                Ok(answer)
            }
            Err(error) => {
                self.metrics.failed.inc();
                if !self.is_failing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        issuer = %self.plan.name, url = %self.plan.url, %error,
                        "the introspection endpoint gives no answer; its tokens are answered with 503"
                    );
                }
                Err(Rejection::AuthorityUnavailable)
            }
        }
    }

    /// Reads an answer (RFC 7662 section 2.2).
    fn read(&self, body: &[u8], now: UnixTime) -> Result<Answer, NoAnswer> {
        let members = strict_json::object(body).map_err(|_| NoAnswer::Form("no JSON object"))?;
        let is_active = members
            .get("active")
            .and_then(serde_json::Value::as_bool)
            .ok_or(NoAnswer::Form("`active` is not true or false"))?;
        let inactive = Answer::Inactive {
            until: now.plus(REMEMBER_INACTIVE.min(self.plan.remember)),
        };
        if !is_active {
            return Ok(inactive);
        }
        let date = |name| claims::date(&members, name).map_err(|_| NoAnswer::Form("a date is no number"));
        let (expires, begins) = (date("exp")?, date("nbf")?);
        let is_over = expires.is_some_and(|expires| now >= expires);
        let is_early = begins.is_some_and(|begins| begins > now);
        let is_ours = self.plan.audience.is_empty()
            || claims::audience_has(&members, &self.plan.audience).is_ok_and(|has| has);
        if is_over || is_early || !is_ours {
            return Ok(inactive);
        }
        let remembered = now.plus(self.plan.remember);
        let claims = VerifiedClaims {
            subject: String::new(),
            expires: expires.unwrap_or(remembered),
            begins,
            members,
        };
        let identity = mapping::identity(
            &self.plan.name,
            &self.plan.claims,
            CredentialKind::Introspected,
            &claims,
        );
        match identity {
            Ok(identity) => Ok(Answer::Active {
                known: Arc::new(Known::new(identity, self.plan.claims.tenant.is_none(), begins, 0)),
                until: remembered.min(claims.expires),
            }),
            Err(BadClaim(sentence)) => {
                self.credentials.refused.inc("mapped_claim");
                tracing::debug!(issuer = %self.plan.name, sentence, "a token is active and cannot be used");
                Ok(inactive)
            }
        }
    }

    /// Tells how many answers are remembered now.
    pub fn show(&self) {
        let remembered = u32::try_from(self.answers.len()).unwrap_or(u32::MAX);
        self.credentials.remembered.set(f64::from(remembered));
    }
}

/// Client identifier and secret, each form-encoded before they are joined (RFC 6749 section 2.3.1).
fn authorization(id: &str, secret: &[u8]) -> HeaderValue {
    let secret = zeroize::Zeroizing::new(String::from_utf8_lossy(secret).into_owned());
    let joined = zeroize::Zeroizing::new(format!("{}:{}", form::encoded(id), form::encoded(&secret)));
    let text = zeroize::Zeroizing::new(format!("Basic {}", STANDARD.encode(joined.as_bytes())));
    // Base64 is a field value.
    let mut value = HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("Basic"));
    value.set_sensitive(true);
    value
}

impl std::fmt::Debug for Introspection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Introspection")
            .field("name", &self.plan.name)
            .finish_non_exhaustive()
    }
}

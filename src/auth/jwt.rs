//! One issuer's tokens: verified once, remembered by digest, and looked at again on every request.
//!
//! What is remembered is only ever a good token. Each hit still checks the dates by the time given, and that the key set
//! is the one that verified it: so neither expiry nor the removal of a key waits for the cache.

use std::sync::Arc;

use super::cache::Verified;
use super::known::Known;
use super::mapping::{self, BadClaim};
use crate::base::clock::{Clock, UnixTime};
use crate::base::digest::Digest;
use crate::config::plan::IssuerPlan;
use crate::identity::CredentialKind;
use crate::jose::fault::TokenFault;
use crate::jose::key_ring::KeyRing;
use crate::jose::verify::{self, Policy};
use crate::jose::{compact, key_set::KeySet};
use crate::rejection::Rejection;
use crate::telemetry::metrics::IssuerMetrics;

/// An issuer of the configuration, ready to verify.
pub struct Issuer {
    plan: IssuerPlan,
    policy: Policy,
    keys: Arc<KeyRing>,
    metrics: Arc<IssuerMetrics>,
    verified: Verified<Arc<Known>>,
}

impl Issuer {
    /// An issuer that remembers up to `plan.cache` tokens (0: none).
    pub fn new(plan: &IssuerPlan, keys: Arc<KeyRing>, metrics: Arc<IssuerMetrics>) -> Arc<Issuer> {
        Arc::new(Issuer {
            policy: Policy::new(plan),
            plan: plan.clone(),
            keys,
            metrics,
            verified: Verified::new(plan.cache),
        })
    }

    /// The issuer of a new configuration: `previous` itself, with all it remembers, if nothing but its key sources'
    /// spelling can have changed; else a new one.
    pub fn carried(
        plan: &IssuerPlan,
        keys: Arc<KeyRing>,
        metrics: Arc<IssuerMetrics>,
        previous: Option<&Arc<Issuer>>,
    ) -> Arc<Issuer> {
        match previous {
            Some(issuer) if Arc::ptr_eq(&issuer.keys, &keys) && issuer.means_the_same(plan) => {
                Arc::clone(issuer)
            }
            Some(_) | None => Issuer::new(plan, keys, metrics),
        }
    }

    fn means_the_same(&self, plan: &IssuerPlan) -> bool {
        self.policy == Policy::new(plan)
            && self.plan.name == plan.name
            && self.plan.claims == plan.claims
            && self.plan.cache == plan.cache
    }

    /// The `iss` claim of its tokens.
    pub fn issuer(&self) -> &str {
        &self.plan.issuer
    }

    /// Its keys.
    pub fn keys(&self) -> &Arc<KeyRing> {
        &self.keys
    }

    /// The caller of a token that is remembered and still good. `Ok(None)` when it is not remembered, or was verified by
    /// other keys than those of now. Allocates nothing.
    ///
    /// # Errors
    /// [`Rejection::TokenExpired`] and its like for a remembered token whose time is over.
    pub fn recall(&self, digest: Digest, now: UnixTime) -> Result<Option<Arc<Known>>, Rejection> {
        let Some(known) = self.verified.get(&digest) else {
            return Ok(None);
        };
        if self.keys.generation() != Some(known.generation) {
            return Ok(None);
        }
        if let Err(fault) = self.policy.in_time(known.begins, known.identity.expires, now) {
            self.verified.remove(&digest);
            return Err(self.refuse(Fault::Token(fault)));
        }
        self.metrics.cache_hits.inc();
        Ok(Some(known))
    }

    /// Verifies a token that is not remembered, and remembers it if it is good. An unknown key is looked for once.
    ///
    /// # Errors
    /// [`Rejection::CredentialsInvalid`], [`Rejection::TokenExpired`]; [`Rejection::AuthorityUnavailable`] when there are
    /// no keys, or the ones that are missing could be the token's.
    pub async fn verify(&self, token: &str, digest: Digest, clock: &Clock) -> Result<Arc<Known>, Rejection> {
        self.metrics.cache_misses.inc();
        // Before the attempt: keys that arrive while it runs are new to it.
        let seen = self.keys.generation();
        let fault = match self.attempt(token, digest, clock.unix()) {
            Ok(known) => return Ok(known),
            Err(fault) => fault,
        };
        if !may_be_a_new_key(token, fault) {
            return Err(self.refuse(fault));
        }
        if self.keys.look_again(seen).await {
            return self
                .attempt(token, digest, clock.unix())
                .map_err(|fault| self.refuse(fault));
        }
        // Nobody can say whether the token is good: that is not the client's fault.
        Err(self.refuse(if self.keys.lacks_keys() {
            Fault::Token(TokenFault::NoKeys)
        } else {
            fault
        }))
    }

    fn attempt(&self, token: &str, digest: Digest, now: UnixTime) -> Result<Arc<Known>, Fault> {
        let keys = self.keys.keys().ok_or(Fault::Token(TokenFault::NoKeys))?;
        let known = Arc::new(self.judge(token, &keys, now)?);
        self.metrics.verified.inc();
        self.verified.insert(digest, Arc::clone(&known));
        Ok(known)
    }

    fn judge(&self, token: &str, keys: &KeySet, now: UnixTime) -> Result<Known, Fault> {
        let claims = verify::verify(token, keys, &self.policy, now).map_err(Fault::Token)?;
        let identity = mapping::identity(&self.plan.name, &self.plan.claims, CredentialKind::Jwt, &claims)
            .map_err(Fault::Claim)?;
        let own_account = self.plan.claims.tenant.is_none();
        Ok(Known::new(
            identity,
            own_account,
            claims.begins,
            keys.generation(),
        ))
    }

    fn refuse(&self, fault: Fault) -> Rejection {
        match fault {
            Fault::Claim(BadClaim(sentence)) => {
                self.metrics.refused.inc("mapped_claim");
                Rejection::CredentialsInvalid(sentence)
            }
            Fault::Token(fault) => {
                self.metrics.refused.inc(fault.word());
                match fault {
                    TokenFault::NoKeys => Rejection::AuthorityUnavailable,
                    TokenFault::Expired => Rejection::TokenExpired,
                    TokenFault::TooLong
                    | TokenFault::Parts
                    | TokenFault::Encoding
                    | TokenFault::Header
                    | TokenFault::Critical
                    | TokenFault::Type
                    | TokenFault::Algorithm
                    | TokenFault::UnknownKey
                    | TokenFault::KeyAlgorithm
                    | TokenFault::Signature
                    | TokenFault::Claims
                    | TokenFault::Claim(_)
                    | TokenFault::Issuer
                    | TokenFault::Audience
                    | TokenFault::NotYet => Rejection::CredentialsInvalid(fault.sentence()),
                }
            }
        }
    }

    /// Tokens remembered now.
    pub fn remembered(&self) -> usize {
        self.verified.len()
    }
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer")
            .field("name", &self.plan.name)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy)]
enum Fault {
    Token(TokenFault),
    Claim(BadClaim),
}

/// Could another key set make the token good? A token without `kid` was tried with every key; the right one may be new.
fn may_be_a_new_key(token: &str, fault: Fault) -> bool {
    match fault {
        Fault::Token(TokenFault::NoKeys | TokenFault::UnknownKey) => true,
        Fault::Token(TokenFault::Signature) => {
            compact::split(token).is_ok_and(|compact| compact.header.key.is_none())
        }
        Fault::Token(_) | Fault::Claim(_) => false,
    }
}

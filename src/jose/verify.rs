//! The verdict on one token: signature first, claims after, everything by the issuer's policy.
//!
//! The order matters. What costs nothing comes first (length, parts), what can be forged is not read before the
//! signature is good (claims), and the times come last, so that "expired" is only said of a token that was good.

use super::claims::{self, VerifiedClaims};
use super::compact::{self, Compact};
use super::fault::TokenFault;
use super::key_set::{KeySet, MOST_TRIALS};
use super::strict_json;
use crate::base::clock::UnixTime;
use crate::config::plan::{Algorithm, IssuerPlan};

/// What one issuer's tokens must be like. Nothing in it can be switched off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The `iss` claim, compared byte for byte.
    pub issuer: String,
    /// The `aud` claim must have one of these.
    pub audience: Vec<String>,
    /// Algorithms that the issuer signs by.
    pub algorithms: Vec<Algorithm>,
    /// Accepted `typ` values without the prefix `application/`; empty: `JWT`, `at+jwt` or none.
    pub types: Vec<String>,
    /// Allowed difference of clocks in seconds, 0 to 60.
    pub leeway: i64,
}

impl Policy {
    /// Longest leeway, in seconds. A longer one would make short-lived tokens long-lived.
    pub const LONGEST_LEEWAY: u64 = 60;

    /// The policy of an issuer of the configuration.
    pub fn new(plan: &IssuerPlan) -> Policy {
        let leeway = plan.leeway.as_secs().min(Policy::LONGEST_LEEWAY);
        Policy {
            issuer: plan.issuer.clone(),
            audience: plan.audience.clone(),
            algorithms: plan.algorithms.clone(),
            types: plan
                .types
                .iter()
                .map(|kind| media_type(kind).to_owned())
                .collect(),
            leeway: i64::try_from(leeway).unwrap_or(0),
        }
    }

    /// May a token with these dates be used now?
    ///
    /// # Errors
    /// [`TokenFault::NotYet`], [`TokenFault::Expired`].
    pub fn in_time(
        &self,
        begins: Option<UnixTime>,
        expires: UnixTime,
        now: UnixTime,
    ) -> Result<(), TokenFault> {
        if begins.is_some_and(|begins| begins.0 > now.0.saturating_add(self.leeway)) {
            return Err(TokenFault::NotYet);
        }
        // "on or after which the JWT MUST NOT be accepted for processing" (RFC 7519 section 4.1.4).
        if now.0 >= expires.0.saturating_add(self.leeway) {
            return Err(TokenFault::Expired);
        }
        Ok(())
    }

    fn check_type(&self, kind: Option<&str>) -> Result<(), TokenFault> {
        let is = |wanted: &str| kind.is_some_and(|kind| media_type(kind).eq_ignore_ascii_case(wanted));
        let good = if self.types.is_empty() {
            kind.is_none() || is("JWT") || is("at+jwt")
        } else {
            self.types.iter().any(|wanted| is(wanted))
        };
        if good { Ok(()) } else { Err(TokenFault::Type) }
    }
}

/// "a recipient using the media type value MUST treat it as if `application/` were prepended to any `typ` value not
/// containing a '/'" (RFC 7515 section 4.1.9).
fn media_type(kind: &str) -> &str {
    match kind.split_at_checked("application/".len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") && !rest.contains('/') => rest,
        Some(_) | None => kind,
    }
}

/// Verifies `token` by `keys` and `policy` at the time `now`.
///
/// # Errors
/// The first [`TokenFault`], in the order of its variants.
pub fn verify(
    token: &str,
    keys: &KeySet,
    policy: &Policy,
    now: UnixTime,
) -> Result<VerifiedClaims, TokenFault> {
    let compact = compact::split(token)?;
    policy.check_type(compact.header.kind.as_deref())?;
    if !policy.algorithms.contains(&compact.header.algorithm) {
        return Err(TokenFault::Algorithm);
    }
    check_signature(&compact, keys)?;
    check_claims(&compact, policy, now)
}

fn check_signature(compact: &Compact<'_>, keys: &KeySet) -> Result<(), TokenFault> {
    let id = compact.header.key.as_deref();
    let named = id.is_some_and(|id| keys.names(id));
    let mut fits = false;
    let verdicts = keys.candidates(id).filter_map(|key| {
        key.verifies(
            compact.header.algorithm,
            compact.signed.as_bytes(),
            &compact.signature,
        )
    });
    for good in verdicts.take(MOST_TRIALS) {
        if good {
            return Ok(());
        }
        fits = true;
    }
    match (id, named, fits) {
        // The keys without a name were tried for want of a better one; the right key may be one not seen yet.
        (Some(_), false, _) => Err(TokenFault::UnknownKey),
        (Some(_), true, false) | (None, _, false) => Err(TokenFault::KeyAlgorithm),
        (_, _, true) => Err(TokenFault::Signature),
    }
}

fn check_claims(compact: &Compact<'_>, policy: &Policy, now: UnixTime) -> Result<VerifiedClaims, TokenFault> {
    let members = strict_json::object(&compact::decode(compact.payload)?).map_err(|_| TokenFault::Claims)?;
    let expires = claims::date(&members, "exp")?.ok_or(TokenFault::Claim("exp"))?;
    let begins = claims::date(&members, "nbf")?;
    let issued = claims::date(&members, "iat")?;
    if members.get("jti").is_some_and(|id| !id.is_string()) {
        return Err(TokenFault::Claim("jti"));
    }
    let subject = claims::text(&members, "sub")?.to_owned();
    if claims::text(&members, "iss")? != policy.issuer {
        return Err(TokenFault::Issuer);
    }
    if !claims::audience_has(&members, &policy.audience)? {
        return Err(TokenFault::Audience);
    }
    // A token that was issued in the future was issued by a clock that cannot be trusted for `exp` either.
    policy.in_time(issued, expires, now)?;
    policy.in_time(begins, expires, now)?;
    Ok(VerifiedClaims {
        members,
        subject,
        expires,
        begins,
    })
}

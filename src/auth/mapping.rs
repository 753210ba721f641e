//! From verified claims to an identity: which claim means what is the issuer's configuration.
//!
//! A claim that stands there and cannot be what it should be makes the token invalid, on every route: whoever wrote it
//! meant something that would be ignored otherwise. Lists are read more kindly: an element outside the grammar grants
//! nothing here and is left out, since tokens carry scopes and roles for others too.

use serde_json::Value;

use crate::config::plan::ClaimsPlan;
use crate::identity::{CredentialKind, Identity, IssuerName};
use crate::jose::claims::VerifiedClaims;

/// The claim that is not what it should be, as a sentence for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadClaim(pub &'static str);

/// Reads the claims by the configuration of `issuer`.
///
/// # Errors
/// [`BadClaim`] when a mapped claim is there with the wrong type or outside its grammar, or the subject is missing.
pub fn identity(
    issuer: &IssuerName,
    plan: &ClaimsPlan,
    kind: CredentialKind,
    claims: &VerifiedClaims,
) -> Result<Identity, BadClaim> {
    let ClaimsPlan {
        subject,
        customer,
        tenant,
        tenants,
        region,
        scope,
        roles,
    } = plan;
    let subject = one(claims, Some(subject), "the subject claim has the wrong form")?
        .ok_or(BadClaim("the subject claim is missing"))?;
    Ok(Identity {
        kind,
        issuer: issuer.clone(),
        subject,
        // RFC 8693 section 4.3 names `client_id`, OpenID Connect Core section 2 `azp`. Neither decides anything but which
        // bucket is charged, so one outside the grammar is left out.
        client: ["client_id", "azp"]
            .into_iter()
            .find_map(|name| one(claims, Some(name), "").ok().flatten()),
        customer: one(
            claims,
            customer.as_deref(),
            "the customer claim has the wrong form",
        )?,
        tenant: one(claims, tenant.as_deref(), "the tenant claim has the wrong form")?,
        tenants: many(claims, tenants.as_deref(), "the tenants claim has the wrong form")?,
        region: one(claims, region.as_deref(), "the region claim has the wrong form")?,
        scopes: many(claims, scope.as_deref(), "the scope claim has the wrong form")?,
        roles: many(claims, roles.as_deref(), "the roles claim has the wrong form")?,
        expires: claims.expires,
    })
}

fn one<I>(claims: &VerifiedClaims, place: Option<&str>, wrong: &'static str) -> Result<Option<I>, BadClaim>
where
    I: for<'t> TryFrom<&'t str>,
{
    let Some(value) = place.and_then(|place| claims.at(place)) else {
        return Ok(None);
    };
    let text = value.as_str().ok_or(BadClaim(wrong))?;
    I::try_from(text).map(Some).map_err(|_| BadClaim(wrong))
}

fn many<I>(claims: &VerifiedClaims, place: Option<&str>, wrong: &'static str) -> Result<Vec<I>, BadClaim>
where
    I: for<'t> TryFrom<&'t str>,
{
    match place.and_then(|place| claims.at(place)) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(text
            .split(' ')
            .filter_map(|word| I::try_from(word).ok())
            .collect()),
        Some(Value::Array(elements)) => {
            let mut found = Vec::with_capacity(elements.len());
            for element in elements {
                let text = element.as_str().ok_or(BadClaim(wrong))?;
                found.extend(I::try_from(text));
            }
            Ok(found)
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => Err(BadClaim(wrong)),
    }
}

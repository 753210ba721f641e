//! One of our access tokens for another, for one audience, tenant or client (RFC 8693).
//!
//! The new token is never more than the old one: not of more scopes or roles, not for longer, not for a tenant that its holder
//! may not act on. It has a tenant of its own then, and acts there and nowhere else. There is no delegation (`actor_token`) and
//! no refresh token: who has the old token asks again.

use super::scopes;
use crate::base::clock::UnixTime;
use crate::identity::{Scope, TenantId};
use crate::oauth::answers::Stop;
use crate::oauth::client_auth::Authenticated;
use crate::oauth::errors::{OAuthError, Refused};
use crate::oauth::issue::{Grant, Refreshing, Tokens};
use crate::oauth::own_token::{Holder, OwnAccess};
use crate::oauth::parameters::Parameters;
use crate::oauth::service::TokenService;
use crate::store::model::{Actor, By, Family, Origin};

/// The type of tokens that are taken and given (section 3).
pub(in crate::oauth) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The same, said of a signed one: a service that signs takes either word.
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

impl TokenService {
    /// Exchanges a token; `tenant` is named by the path, if the route has a place for it.
    pub(in crate::oauth) async fn exchange(
        &self,
        client: &Authenticated,
        parameters: &Parameters<'_>,
        tenant: Option<&str>,
        now: UnixTime,
    ) -> Result<Tokens, Stop> {
        self.check_types(parameters)?;
        let text = parameters.required("subject_token", "The parameter subject_token is missing")?;
        let audience = self.audience(parameters)?;
        // > if either the subject_token or actor_token are invalid for any reason, [...] the value of the "error" parameter
        // > MUST be the "invalid_request" error code (section 2.2.2)
        let invalid = || OAuthError::InvalidRequest.because("The subject token is not good");
        let subject = self.own_access(text, now).await?.ok_or_else(invalid)?;
        let family = &subject.live.family;
        let holder = self.holder(family).await?.ok_or_else(invalid)?;
        if self.is_suspended(&holder, now).await? {
            return Err(invalid().into());
        }
        let tenant = self.tenant(client, family, &holder, tenant).await?;
        let grant = Grant {
            client_id: client.id().clone(),
            user: family.user,
            customer: holder.customer,
            tenant,
            scopes: narrowed(parameters.get("scope"), client, &subject)?,
            roles: holder.own_roles,
            origin: Origin::Exchange,
            audience,
            until: Some(subject.live.expires_at),
            refreshing: Refreshing::Without,
        };
        let by = By::new(Actor::Application(client.id().clone()), now);
        Ok(self.issue(grant, by).await?)
    }

    /// Looks at all parameters that say what kind of token goes in or comes out.
    fn check_types(&self, parameters: &Parameters<'_>) -> Result<(), Refused> {
        let is_ours = |kind: &str| kind == ACCESS_TOKEN || (kind == JWT && self.signing().is_some());
        let of_subject = parameters.required(
            "subject_token_type",
            "The parameter subject_token_type is missing",
        )?;
        if !is_ours(of_subject) {
            return Err(OAuthError::InvalidRequest.because("Subject tokens of that type are not taken"));
        }
        if parameters
            .get("requested_token_type")
            .is_some_and(|kind| !is_ours(kind))
        {
            return Err(OAuthError::InvalidRequest.because("Tokens of that type are not issued"));
        }
        // To leave it out would make of a token for two parties one for the first alone.
        let has_actor = ["actor_token", "actor_token_type"].map(|name| parameters.get(name).is_some());
        if has_actor.contains(&true) {
            return Err(OAuthError::InvalidRequest.because("Actor tokens are not taken"));
        }
        Ok(())
    }

    /// The one audience that the token is for, named by `audience` or `resource`.
    fn audience(&self, parameters: &Parameters<'_>) -> Result<Option<String>, Refused> {
        let mut named = parameters.distinct("audience");
        named.extend(parameters.distinct("resource"));
        named.sort_unstable();
        named.dedup();
        match named.as_slice() {
            [] => Ok(None),
            [one] if self.plan().audience.iter().any(|own| own == one) => Ok(Some((*one).to_owned())),
            [_] => Err(OAuthError::InvalidTarget.into()),
            _ => Err(OAuthError::InvalidTarget.because("A token is for one audience")),
        }
    }

    /// The tenant that the new token acts on: the one that the path names, else that of the client, else that of the old
    /// token.
    ///
    /// A token that is bound to a tenant already stays bound to it, and a client that is made for one gets no other.
    async fn tenant(
        &self,
        client: &Authenticated,
        family: &Family,
        holder: &Holder,
        named: Option<&str>,
    ) -> Result<Option<TenantId>, Stop> {
        let forbidden =
            || Stop::from(OAuthError::InvalidTarget.because("No token is issued for this tenant"));
        let named = named
            .map(TenantId::try_from)
            .transpose()
            .map_err(|_| forbidden())?;
        let own = client.application().tenant.clone();
        let bound = self.bound_to(family).await?;
        let Some(tenant) = named.or_else(|| own.clone()).or_else(|| family.tenant.clone()) else {
            return Ok(None);
        };
        if [own, bound].iter().flatten().any(|other| *other != tenant) {
            return Err(forbidden());
        }
        let account = holder.account.as_deref();
        let there = self.roles_in(&tenant, account, holder.customer.as_ref(), &holder.own_roles);
        match there.await? {
            Some(_) => Ok(Some(tenant)),
            None => Err(forbidden()),
        }
    }

    /// The tenant beyond which tokens of a family do not reach.
    async fn bound_to(&self, family: &Family) -> Result<Option<TenantId>, Stop> {
        if family.origin == Origin::Exchange && family.tenant.is_some() {
            return Ok(family.tenant.clone());
        }
        let client = self.realm().application(&family.client_id).await?;
        Ok(client.and_then(|client| client.application.tenant.clone()))
    }
}

/// Scopes asked for, if the old token has all of them and the client may have them. None asked for: what both have.
fn narrowed(
    requested: Option<&str>,
    client: &Authenticated,
    subject: &OwnAccess,
) -> Result<Vec<Scope>, Refused> {
    let allowed: Vec<Scope> = subject
        .live
        .scopes
        .iter()
        .filter(|scope| client.application().scopes.contains(scope))
        .cloned()
        .collect();
    scopes(requested, &allowed)
}

//! A refresh token for the next tokens (RFC 6749 section 6, RFC 9700 section 4.14): each is good once.

use super::{scopes, unfinished};
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::oauth::answers::{Stop, bug};
use crate::oauth::client_auth::Authenticated;
use crate::oauth::errors::OAuthError;
use crate::oauth::issue::{Refreshing, Says, Tokens};
use crate::oauth::parameters::Parameters;
use crate::oauth::service::TokenService;
use crate::store::backend::PresentedRefresh;
use crate::store::outcome::Rotation;

impl TokenService {
    /// Refreshes. Scopes may be fewer than those granted, and are fewer for this access token alone.
    ///
    /// The family is read before, for its scopes; they never change, so nothing can come between. The store decides about
    /// the token.
    pub(in crate::oauth) async fn refresh(
        &self,
        client: &Authenticated,
        parameters: &Parameters<'_>,
        now: UnixTime,
    ) -> Result<Tokens, Stop> {
        let plan = self.plan().refresh.ok_or(OAuthError::UnsupportedGrantType)?;
        let text = parameters.required("refresh_token", "The parameter refresh_token is missing")?;
        let (realm, digest) = (self.realm().name().clone(), Digest::of(text));
        let facts = self.store().refresh_facts(realm.clone(), digest).await?;
        let Some(family) = facts
            .map(|facts| facts.family)
            .filter(|family| family.client_id == *client.id())
        else {
            // > The refresh token [...] was issued to another client (section 5.2)
            return Err(OAuthError::InvalidGrant.into());
        };
        let scopes = scopes(parameters.get("scope"), &family.scopes)?;
        let draft = self.draft(Refreshing::With, now);
        let fewer = (scopes != family.scopes).then(|| scopes.clone());
        let next = self
            .next(&draft, fewer)
            .ok_or_else(|| bug(&"a refresh token was not drawn"))?;
        let presented = PresentedRefresh {
            realm,
            digest,
            client_id: client.id().clone(),
            grace: plan.grace,
        };
        // A lock on the user's name does not come into it: it suspends the new token as it does the old one, and a client
        // that is refused here would forget what it needs afterwards.
        if self.holder(&family).await?.is_none() {
            return Err(OAuthError::InvalidGrant.into());
        }
        let because = |sentence| Err(OAuthError::InvalidGrant.because(sentence).into());
        match self.store().rotate_refresh(presented, next, now).await? {
            Rotation::Rotated(issued) | Rotation::RotatedAgain(issued) => {
                let says = Says {
                    scopes,
                    audience: None,
                };
                self.finished(draft, &issued, says).await.map_err(unfinished)
            }
            Rotation::Reused { .. } => {
                because("The refresh token was used before; all tokens of the grant are revoked")
            }
            Rotation::Expired => because("The refresh token has expired"),
            Rotation::Revoked => because("The refresh token was revoked"),
            Rotation::WrongClient | Rotation::Unknown => Err(OAuthError::InvalidGrant.into()),
        }
    }
}

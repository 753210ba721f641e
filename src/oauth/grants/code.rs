//! An authorization code for tokens (RFC 6749 section 4.1.3, RFC 7636 section 4.5).

use super::{refreshing, unfinished};
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::config::plan::PkceRule;
use crate::identity::FamilyId;
use crate::oauth::answers::Stop;
use crate::oauth::client_auth::Authenticated;
use crate::oauth::errors::OAuthError;
use crate::oauth::issue::{Says, Tokens};
use crate::oauth::parameters::Parameters;
use crate::oauth::service::TokenService;
use crate::oauth::{pkce, redirect_uri};
use crate::store::backend::{PresentedCode, RedirectRule};
use crate::store::model::FirstTokens;
use crate::store::outcome::Redemption;

impl TokenService {
    /// Redeems a code. Whether it is good, whose it is, whether it was used, and whether redirection URI and verifier fit is
    /// decided in one step by the store, so that of any number of attempts at once one succeeds.
    pub(in crate::oauth) async fn redeem_code(
        &self,
        client: &Authenticated,
        parameters: &Parameters<'_>,
        now: UnixTime,
    ) -> Result<Tokens, Stop> {
        let code = parameters.required("code", "The parameter code is missing")?;
        let redirect_uri = parameters.get("redirect_uri");
        let registered = &client.application().redirect_uris;
        if redirect_uri.is_some_and(|uri| !registered.iter().any(|own| redirect_uri::matches(own, uri))) {
            return Err(OAuthError::InvalidGrant
                .because("The redirect URI is not that of the authorization request")
                .into());
        }
        let verifier = pkce::verifier(parameters.get("code_verifier"))?;
        if verifier.is_none() && self.needs_pkce(client.application().secret.as_ref()) {
            // Without this a code that was given out before the rule was made, or by a hole in it, would do.
            return Err(OAuthError::InvalidGrant
                .because("The code verifier is missing")
                .into());
        }
        let presented = PresentedCode {
            realm: self.realm().name().clone(),
            digest: Digest::of(code),
            client_id: client.id().clone(),
            redirect_uri: redirect_uri.map(str::to_owned),
            redirect_rule: RedirectRule::Repeated,
            verifier,
        };
        let draft = self.draft(refreshing(client), now);
        let first = FirstTokens {
            family: FamilyId::random(),
            ends_at: None,
            tokens: self.first(&draft),
        };
        let because = |sentence| Err(OAuthError::InvalidGrant.because(sentence).into());
        match self.store().redeem_code(presented, first, now).await? {
            Redemption::Redeemed(issued) => {
                let says = Says {
                    scopes: issued.family.scopes.clone(),
                    audience: None,
                };
                self.finished(draft, &issued, says).await.map_err(unfinished)
            }
            Redemption::AlreadyUsed { .. } => because("The code was used before; what came of it is revoked"),
            Redemption::Expired => because("The code has expired"),
            Redemption::WrongRedirect => because("The redirect URI is not that of the authorization request"),
            Redemption::WrongVerifier => because("The code verifier does not fit the authorization request"),
            // Who has somebody else's code learns no more than who has made one up.
            Redemption::WrongClient | Redemption::Unknown => Err(OAuthError::InvalidGrant.into()),
        }
    }

    /// Must this client use PKCE?
    pub(in crate::oauth) fn needs_pkce(&self, secret: Option<&Digest>) -> bool {
        match self.plan().pkce {
            PkceRule::Always => true,
            PkceRule::Public => secret.is_none(),
        }
    }
}

//! A client's own credentials for tokens (RFC 6749 section 4.4).

use super::scopes;
use crate::base::clock::UnixTime;
use crate::oauth::answers::Stop;
use crate::oauth::client_auth::{Authenticated, Proof};
use crate::oauth::errors::OAuthError;
use crate::oauth::issue::{Grant, Refreshing, Tokens};
use crate::oauth::parameters::Parameters;
use crate::oauth::service::TokenService;
use crate::store::model::{Actor, By, Node, Origin};

impl TokenService {
    /// Issues an access token to the client itself, for its customer, and for its tenant if it was made for one.
    ///
    /// > The client credentials grant type MUST only be used by confidential clients.
    ///
    /// There is no refresh token (section 4.4.3): the client has what it needs to ask again.
    pub(in crate::oauth) async fn own_tokens(
        &self,
        client: &Authenticated,
        parameters: &Parameters<'_>,
        now: UnixTime,
    ) -> Result<Tokens, Stop> {
        match client.proof {
            Proof::Secret => {}
            Proof::None => return Err(OAuthError::UnauthorizedClient.into()),
        }
        let application = client.application();
        if !self.owner_holds(&client.client).await? {
            return Err(OAuthError::UnauthorizedClient
                .because("The owner of the client is not active")
                .into());
        }
        let node = client.id().node();
        if let Some(uuid) = &node {
            // That it asks for a token is a sign of life too.
            drop(self.store().touch(Node::mark(self.realm().name(), uuid), now));
        }
        if let Some(tenant) = application.tenant.as_ref().filter(|_| node.is_none()) {
            let there = self.roles_in(tenant, None, application.customer.as_ref(), &[]);
            if there.await?.is_none() {
                return Err(OAuthError::UnauthorizedClient
                    .because("The client may not act on its tenant any more")
                    .into());
            }
        }
        let grant = Grant {
            client_id: client.id().clone(),
            user: None,
            customer: application.customer.clone(),
            tenant: application.tenant.clone(),
            scopes: scopes(parameters.get("scope"), &application.scopes)?,
            roles: client.client.roles.clone().unwrap_or_default(),
            origin: Origin::ClientCredentials,
            audience: None,
            until: None,
            refreshing: Refreshing::Without,
        };
        let by = By::new(Actor::Application(client.id().clone()), now);
        Ok(self.issue(grant, by).await?)
    }
}

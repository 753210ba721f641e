//! The revocation endpoint (RFC 7009): a client gives back what it does not need any more.

use bytes::Bytes;
use http::{Response, StatusCode};

use super::answers::{Stop, answer, settled};
use super::call::{Call, post_only, whole};
use super::client_auth::{Authenticated, authenticate};
use super::errors::OAuthError;
use super::parameters::Parameters;
use super::service::TokenService;
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::config::plan::ParameterPlaces;
use crate::rejection::Rejection;
use crate::store::model::{Actor, By};
use crate::store::outcome::{Access, Revocation};

impl TokenService {
    /// Revokes an access token, or a refresh token with everything that came of its grant. A token that is not there is
    /// revoked already:
    ///
    /// > The authorization server responds with HTTP status code 200 if the token has been revoked successfully or if the
    /// > client submitted an invalid token. (section 2.2)
    ///
    /// # Errors
    /// [`Rejection::MethodNotAllowed`] for anything but POST; [`Rejection::StoreUnavailable`], after which the client has to
    /// take the token for good still (section 2.2.1).
    pub async fn revoke(&self, call: Call<'_>) -> Result<Response<Bytes>, Rejection> {
        post_only(call.method)?;
        settled(self.try_revoke(call).await, self.challenge())
    }

    async fn try_revoke(&self, call: Call<'_>) -> Result<Response<Bytes>, Stop> {
        let body = whole(call.body).await?;
        let places = ParameterPlaces::Form;
        let parameters = Parameters::read(places, call.query, call.headers, &body)?;
        let client = authenticate(self, places, call.headers, &parameters).await?;
        let token = parameters.required("token", "The parameter token is missing")?;
        // The hint would save a look-up, and "MUST extend its search" where it is wrong: it is not looked at.
        if !self.revoke_as_refresh(&client, token, call.now).await? {
            self.revoke_as_access(&client, token, call.now).await?;
        }
        Ok(answer(StatusCode::OK, Bytes::new()))
    }

    /// True when the text is a refresh token.
    async fn revoke_as_refresh(
        &self,
        client: &Authenticated,
        token: &str,
        now: UnixTime,
    ) -> Result<bool, Stop> {
        let (realm, digest) = (self.realm().name().clone(), Digest::of(token));
        let by = By::new(Actor::Application(client.id().clone()), now);
        let revoked = self
            .store()
            .revoke_refresh(realm, digest, client.id().clone(), by);
        match revoked.await? {
            Revocation::Revoked | Revocation::Already => Ok(true),
            Revocation::WrongClient => Err(of_another_client()),
            Revocation::Unknown => Ok(false),
        }
    }

    async fn revoke_as_access(&self, client: &Authenticated, token: &str, now: UnixTime) -> Result<(), Stop> {
        let Some((key, _)) = self.key_of(token, now) else {
            return Ok(());
        };
        let realm = self.realm().name().clone();
        match self.store().access(realm.clone(), key.clone(), now).await? {
            Access::Live(live) if live.family.client_id == *client.id() => {
                let by = By::new(Actor::Application(client.id().clone()), now);
                // Whoever was faster: it is revoked.
                let _ = self
                    .store()
                    .revoke_access(realm, key, live.expires_at, by)
                    .await?;
                Ok(())
            }
            Access::Live(_) => Err(of_another_client()),
            Access::Expired(_) | Access::Revoked | Access::Unknown => Ok(()),
        }
    }
}

/// > verifies whether the token was issued to the client making the revocation request. If this validation fails, the request
/// > is refused and the client is informed of the error (section 2.1)
fn of_another_client() -> Stop {
    OAuthError::InvalidGrant
        .because("The token was issued to another client")
        .into()
}

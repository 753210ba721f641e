//! The token endpoint (RFC 6749 section 3.2): parameters, client, grant, answer.

use std::borrow::Cow;

use bytes::Bytes;
use http::Response;

use super::answers::{Stop, planned, settled};
use super::call::{Call, post_only, whole};
use super::client_auth::{Authenticated, authenticate};
use super::errors::OAuthError;
use super::grants::ACCESS_TOKEN;
use super::issue::Tokens;
use super::parameters::Parameters;
use super::service::TokenService;
use crate::base::json_template::Filling;
use crate::config::plan::{TokenEndpointPlan, TokenField};
use crate::identity::{GrantType, scopes};
use crate::rejection::Rejection;

impl TokenService {
    /// Answers a token request. What RFC 6749 section 5.2 has an error for is an answer too.
    ///
    /// # Errors
    /// [`Rejection::MethodNotAllowed`] for anything but POST; [`Rejection::BodyTooLarge`] and its like;
    /// [`Rejection::StoreUnavailable`], and then nothing was issued that the client could have.
    pub async fn token(
        &self,
        endpoint: &TokenEndpointPlan,
        call: Call<'_>,
    ) -> Result<Response<Bytes>, Rejection> {
        post_only(call.method)?;
        settled(self.try_token(endpoint, call).await, self.challenge())
    }

    async fn try_token(&self, endpoint: &TokenEndpointPlan, call: Call<'_>) -> Result<Response<Bytes>, Stop> {
        let body = whole(call.body).await?;
        let places = endpoint.parameters;
        let parameters = Parameters::read(places, call.query, call.headers, &body)?;
        let grant = parameters.required("grant_type", "The parameter grant_type is missing")?;
        let grant = GrantType::parse(grant).ok_or(OAuthError::UnsupportedGrantType)?;
        let client = authenticate(self, places, call.headers, &parameters).await?;
        if !client.application().grants.contains(&grant) {
            return Err(OAuthError::UnauthorizedClient.into());
        }
        let tokens = self
            .grant(grant, &client, &parameters, call.tenant, call.now)
            .await?;
        Ok(shown(endpoint, grant, &tokens))
    }

    async fn grant(
        &self,
        grant: GrantType,
        client: &Authenticated,
        parameters: &Parameters<'_>,
        tenant: Option<&str>,
        now: crate::base::clock::UnixTime,
    ) -> Result<Tokens, Stop> {
        match grant {
            GrantType::AuthorizationCode => self.redeem_code(client, parameters, now).await,
            GrantType::RefreshToken => self.refresh(client, parameters, now).await,
            GrantType::ClientCredentials => self.own_tokens(client, parameters, now).await,
            GrantType::TokenExchange => self.exchange(client, parameters, tenant, now).await,
        }
    }
}

/// The answer in the shape of the endpoint: that of RFC 6749 section 5.1 unless the configuration has another.
fn shown(endpoint: &TokenEndpointPlan, grant: GrantType, tokens: &Tokens) -> Response<Bytes> {
    planned(&endpoint.answer, |field| match field {
        TokenField::AccessToken => Filling::Text(Cow::Borrowed(tokens.access.as_str())),
        TokenField::TokenType => Filling::Text(Cow::Borrowed("Bearer")),
        TokenField::ExpiresIn => Filling::Number(tokens.expires_in),
        TokenField::ExpiresAt => Filling::Text(Cow::Owned(tokens.expires_at.rfc3339())),
        TokenField::RefreshToken => match &tokens.refresh {
            Some(refresh) => Filling::Text(Cow::Borrowed(refresh.reveal())),
            None => Filling::Absent,
        },
        TokenField::Scope if tokens.scopes.is_empty() => Filling::Absent,
        TokenField::Scope => Filling::Text(Cow::Owned(scopes::joined(&tokens.scopes))),
        TokenField::IssuedTokenType => match grant {
            // > REQUIRED. An identifier [...] for the representation of the issued security token. (RFC 8693 section 2.2.1)
            GrantType::TokenExchange => Filling::Text(Cow::Borrowed(ACCESS_TOKEN)),
            GrantType::AuthorizationCode | GrantType::RefreshToken | GrantType::ClientCredentials => {
                Filling::Absent
            }
        },
    })
}

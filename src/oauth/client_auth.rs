//! Which client is asking, and the proof of it (RFC 6749 sections 2.3 and 3.2.1).
//!
//! Three ways, and never two at once: HTTP Basic, `client_id` and `client_secret` among the parameters, or `client_id` alone
//! for clients that have no secret. Who is unknown and who has the wrong secret hear the same.

use std::sync::Arc;

use http::HeaderMap;

use super::answers::Stop;
use super::errors::{OAuthError, Refused};
use super::parameters::Parameters;
use super::service::TokenService;
use crate::accounts::Client;
use crate::base::digest::Digest;
use crate::config::plan::ParameterPlaces;
use crate::http::authorization::{self, BadAuthorization, Basic};
use crate::identity::ClientId;
use crate::store::model::{Application, ApplicationState};

/// How sure it is that the client is who it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// By its secret.
    Secret,
    /// Not at all: it has no secret (RFC 6749 section 2.1, public clients).
    None,
}

/// A client that may go on.
#[derive(Debug, Clone)]
pub(super) struct Authenticated {
    pub(super) client: Arc<Client>,
    pub(super) proof: Proof,
}

impl Authenticated {
    pub(super) fn application(&self) -> &Application {
        &self.client.application
    }

    pub(super) fn id(&self) -> &ClientId {
        &self.client.application.client_id
    }
}

/// Who is asking.
///
/// # Errors
/// `invalid_client`, and `invalid_request` for two ways at once.
pub(super) async fn authenticate(
    service: &TokenService,
    places: ParameterPlaces,
    headers: &HeaderMap,
    parameters: &Parameters<'_>,
) -> Result<Authenticated, Stop> {
    if parameters.get("client_assertion").is_some() || parameters.get("client_assertion_type").is_some() {
        return Err(OAuthError::InvalidClient
            .because("Client assertions are not supported")
            .into());
    }
    let named = parameters.get("client_id");
    let secret = parameters.get("client_secret");
    match (basic(places, headers)?, named, secret) {
        (Some(_), _, Some(_)) => Err(OAuthError::InvalidRequest
            .because("The client authenticates in two ways at once")
            .into()),
        (Some(basic), named, None) => by_basic(service, &basic, named).await,
        (None, Some(id), secret) => by_name(service, id, secret.map(str::as_bytes))
            .await?
            .ok_or_else(|| OAuthError::InvalidClient.into()),
        (None, None, _) => Err(OAuthError::InvalidClient
            .because("The client does not say who it is")
            .into()),
    }
}

fn basic(places: ParameterPlaces, headers: &HeaderMap) -> Result<Option<Basic>, Refused> {
    match authorization::basic(headers) {
        Ok(basic) => Ok(basic),
        // Scripts that put everything into the query send the token they have, too.
        Err(BadAuthorization::Scheme) => match places {
            ParameterPlaces::Query | ParameterPlaces::QueryOrForm => Ok(None),
            ParameterPlaces::Form => {
                Err(OAuthError::InvalidClient.because("The authentication scheme is not supported"))
            }
        },
        Err(BadAuthorization::Malformed) => Err(OAuthError::InvalidClient.into()),
        Err(BadAuthorization::Repeated) => {
            Err(OAuthError::InvalidRequest.because("There is more than one Authorization field"))
        }
    }
}

/// The identifier and the secret as they stand there, and after form-decoding:
///
/// > The client identifier is encoded using the "application/x-www-form-urlencoded" encoding algorithm [...], and the encoded
/// > value is used as the username (RFC 6749 section 2.3.1)
///
/// Many clients do not do that, so the text as it is comes first.
async fn by_basic(service: &TokenService, basic: &Basic, named: Option<&str>) -> Result<Authenticated, Stop> {
    let readings = [Some(basic.clone()), basic.form_decoded()];
    let mut agrees = named.is_none();
    for reading in readings.into_iter().flatten() {
        if named.is_some_and(|named| named != reading.user()) {
            continue;
        }
        agrees = true;
        let secret = Some(reading.password().reveal()).filter(|secret| !secret.is_empty());
        if let Some(authenticated) = by_name(service, reading.user(), secret).await? {
            return Ok(authenticated);
        }
    }
    if agrees {
        Err(OAuthError::InvalidClient.into())
    } else {
        Err(OAuthError::InvalidRequest
            .because("The parameter client_id names another client than the Authorization field")
            .into())
    }
}

async fn by_name(
    service: &TokenService,
    id: &str,
    secret: Option<&[u8]>,
) -> Result<Option<Authenticated>, Stop> {
    let client = match ClientId::try_from(id) {
        Ok(id) => service.realm().application(&id).await?,
        Err(_) => None,
    };
    let stored = client.as_ref().and_then(|client| client.application.secret);
    // Compared also when there is nothing to compare with, so that the time says nothing either.
    let presented = Digest::of_bytes(secret.unwrap_or_default());
    let fits = stored.unwrap_or(Digest::from_bytes([0; 32])).matches(&presented);
    let Some(client) = client else { return Ok(None) };
    let usable = match client.application.state {
        ApplicationState::Active => true,
        ApplicationState::Disabled => false,
    };
    let proof = match (stored, secret) {
        (Some(_), Some(_)) if fits => Some(Proof::Secret),
        (None, None) => Some(Proof::None),
        (Some(_) | None, Some(_) | None) => None,
    };
    Ok(proof
        .filter(|_| usable)
        .map(|proof| Authenticated { client, proof }))
}

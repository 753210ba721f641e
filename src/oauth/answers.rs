//! How an endpoint answers: JSON that nobody keeps, an OAuth error, or a refusal of the gateway.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, PRAGMA, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use super::errors::{OAuthError, Refused};
use crate::base::json_template::Filling;
use crate::config::plan::AnswerPlan;
use crate::rejection::Rejection;

pub use crate::rejection::bug;
use crate::store::StoreError;

/// Why an endpoint does not do what was asked.
#[derive(Debug)]
pub(super) enum Stop {
    /// An OAuth error: RFC 6749 section 5.2.
    Refused(Refused),
    /// Anything else: it looks as the api's dialect has it.
    Rejected(Rejection),
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Stop {
        Stop::Refused(refused)
    }
}

impl From<OAuthError> for Stop {
    fn from(error: OAuthError) -> Stop {
        Stop::Refused(error.into())
    }
}

impl From<Rejection> for Stop {
    fn from(rejection: Rejection) -> Stop {
        Stop::Rejected(rejection)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Stop {
        Stop::Rejected(unavailable(&error))
    }
}

/// The refusal for a store that did not do its part. RFC 6749 has an error for that at the authorization endpoint alone
/// (section 4.1.2.1), so elsewhere it is a plain 503 with `Retry-After`.
pub fn unavailable(error: &StoreError) -> Rejection {
    if error.is_transient() {
        // The store itself says it once; this would be a line a request.
        tracing::debug!(%error, "a request of the token service is refused");
    } else {
        tracing::error!(%error, "a request of the token service is refused");
    }
    Rejection::StoreUnavailable
}

/// An answer that nobody but its receiver keeps:
///
/// > The authorization server MUST include the HTTP "Cache-Control" response header field with a value of "no-store" in any
/// > response containing tokens, credentials, or other sensitive information, as well as the "Pragma" response header field
/// > with a value of "no-cache". (RFC 6749 section 5.1)
pub fn answer(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let length = HeaderValue::from(response.body().len());
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// The same with JSON in it.
pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = answer(status, body.into());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer whose shape the configuration says.
pub fn planned<'v, F: Copy>(plan: &AnswerPlan<F>, value: impl Fn(F) -> Filling<'v>) -> Response<Bytes> {
    let mut response = json(plan.status, plan.json.render(value));
    for (name, value) in &plan.headers {
        response.headers_mut().insert(name, value.clone());
    }
    response
}

/// An OAuth error as an answer of its own. Which one it is, is noted in the answer's extensions, for whoever counts.
///
/// With `invalid_client` goes `challenge`:
///
/// > the authorization server MUST respond with an HTTP 401 (Unauthorized) status code and include the "WWW-Authenticate"
/// > response header field matching the authentication scheme used by the client (section 5.2)
pub(super) fn refusal(refused: Refused, challenge: &HeaderValue) -> Response<Bytes> {
    let mut response = json(refused.error.status(), refused.json());
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge.clone());
    }
    response.extensions_mut().insert(refused.error);
    response
}

/// An OAuth error is an answer; the rest is refused by the gateway.
pub(super) fn settled(
    outcome: Result<Response<Bytes>, Stop>,
    challenge: &HeaderValue,
) -> Result<Response<Bytes>, Rejection> {
    match outcome {
        Ok(response) => Ok(response),
        Err(Stop::Refused(refused)) => Ok(refusal(refused, challenge)),
        Err(Stop::Rejected(rejection)) => Err(rejection),
    }
}

//! The grants of the token endpoint, each in its file: what a client hands in, and what it gets for it.

mod client_credentials;
mod code;
mod exchange;
mod refresh;

pub(super) use exchange::ACCESS_TOKEN;

use super::answers::Stop;
use super::client_auth::Authenticated;
use super::errors::{OAuthError, Refused};
use super::issue::Refreshing;
use super::scope;
use crate::identity::{GrantType, Scope};
use crate::rejection::Rejection;

/// What of the scopes asked for is granted. Where none is asked for, all that may be: also none, if that is none.
fn scopes(requested: Option<&str>, allowed: &[Scope]) -> Result<Vec<Scope>, Refused> {
    if requested.is_none_or(|text| text.trim_ascii().is_empty()) {
        return Ok(allowed.to_vec());
    }
    scope::granted(requested, allowed, allowed)
}

/// A grant behind which nobody stands is no good, whatever it was when the store took it.
fn unfinished(rejection: Rejection) -> Stop {
    match rejection {
        Rejection::AccountInactive(_) => OAuthError::InvalidGrant.into(),
        other => Stop::Rejected(other),
    }
}

/// A client that may not refresh gets nothing to refresh with.
fn refreshing(client: &Authenticated) -> Refreshing {
    if client.application().grants.contains(&GrantType::RefreshToken) {
        Refreshing::With
    } else {
        Refreshing::Without
    }
}

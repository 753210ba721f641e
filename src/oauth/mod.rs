//! Floor 4: the token service, an authorization server (RFC 6749) inside the gateway, and the endpoints around it: sign-in and
//! sign-out, pages, steps for programs.
//!
//! Each endpoint of the service is a method of [`TokenService`] that takes a [`Call`] and gives an answer, without a socket and
//! without a task of its own. What RFC 6749 section 5.2 has an error for is an answer; a [`crate::rejection::Rejection`] is
//! what the gateway refuses, and looks as the api's dialect has it. Nothing that opens a door is answered before the store has
//! it.

pub mod answers;
pub mod asked;
pub mod authorization;
pub mod authorize;
pub mod authorize_step;
pub mod call;
pub mod client;
mod client_auth;
mod delete_token;
pub mod errors;
mod grants;
mod introspect;
pub mod issue;
mod metadata;
pub mod mint_client;
mod own_token;
mod pages;
mod parameters;
pub mod pkce;
pub mod redirect_uri;
mod revoke;
pub mod scope;
pub mod service;
pub mod sign_in;
pub mod sign_out;
mod token;

pub use crate::base::token_value;

pub use asked::Asked;
pub use authorization::{AnsweredBy, AuthorizationRefused, AuthorizationRequest, Consent};
pub use call::Call;
pub use errors::{OAuthError, Refused};
pub use issue::{Grant, Refreshing, Tokens};
pub use service::{NoKeys, TokenService};

#[cfg(test)]
mod tests;

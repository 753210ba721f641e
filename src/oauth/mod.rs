//! Floor 4: the token service, and the endpoints around it that answer themselves: sign-in and sign-out, pages, steps.

pub mod answer;
pub mod asked;
pub mod authorize;
pub mod authorize_step;
pub mod client;
pub mod endpoint;
pub mod errors;
pub mod mint_client;
mod pages;
pub mod pkce;
pub mod redirect_uri;
pub mod scope;
pub mod service;
pub mod sign_in;
pub mod sign_out;
pub use crate::base::token_value;

pub use asked::Asked;
pub use endpoint::Endpoint;
pub use errors::{OAuthError, Refused};

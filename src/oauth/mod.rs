//! Floor 4: the token service. So far its rules, each for itself: nothing here answers a request yet.

pub mod errors;
pub mod pkce;
pub mod redirect_uri;
pub mod scope;
pub use crate::base::token_value;

pub use errors::{OAuthError, Refused};

//! Floor 2: signed tokens (RFC 7515, 7517, 7518, 7519, 8037). What may be trusted of a token, by which key, is decided here and
//! nowhere else; the rest of the program sees only claims that were verified.

pub mod access_token;
pub mod algorithm;
pub mod claims;
pub mod compact;
pub mod fault;
pub mod jwk;
pub mod key_folder;
pub mod key_ring;
pub mod key_set;
pub mod key_store;
pub mod pem;
pub mod schedule;
pub mod sign;
pub mod strict_json;
pub mod verify;

pub use fault::TokenFault;
pub use jwk::{Key, KeyError};
pub use key_ring::KeyRing;
pub use key_set::KeySet;
pub use key_store::KeyStore;

#[cfg(test)]
mod tests;

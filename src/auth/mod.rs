//! Floor 3: who is calling ([`Credentials`] make a [`Caller`]) and what the caller may do ([`access::Access`] makes a
//! [`access::Permit`]).

pub mod access;
pub mod api_key;
pub mod basic;
pub mod bearer;
mod cache;
pub mod credentials;
pub mod csrf;
pub mod introspection;
pub mod jwt;
pub mod known;
pub mod mapping;
pub mod opaque;
pub mod own;
pub mod presented;
pub mod provider;
pub mod remote;
mod selector;
pub mod session;
pub mod signed_url;

pub use bearer::Authority;
pub use credentials::{Accepted, Caller, Credentials};
pub use known::{Known, Values};
pub use own::Own;
pub use presented::Presented;

#[cfg(test)]
mod tests;

//! Floor 3: who is calling ([`Credentials`] make a [`Caller`]) and what the caller may do ([`access::Access`] makes a
//! [`access::Permit`]).

pub mod access;
pub mod credentials;
pub mod jwt;
pub mod known;
pub mod mapping;
mod selector;

pub use credentials::{Caller, Credentials};
pub use known::{Known, Values};

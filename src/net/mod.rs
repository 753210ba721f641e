//! Floor 2: sockets, TLS and names.

pub mod dial;
pub mod resolve;
pub mod socket;
pub mod tls_client;

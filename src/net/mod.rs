//! Floor 2: sockets, TLS and names.

pub mod dial;
pub mod fetch;
pub mod peer;
pub mod resolve;
pub mod socket;
pub mod stream;
pub mod tls_client;
pub mod tls_server;

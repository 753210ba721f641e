//! Floor 3: which route answers a request. Host, then path, then method; what nobody declared is not there.

mod methods;
pub mod region;
pub mod router;
mod tree;

/// The grammar of path patterns; it lives where the configuration can use it too.
pub use crate::http::pattern;

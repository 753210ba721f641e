//! Forwarding: a backend's endpoints, the connections to them, and one exchange on such a connection.

mod alarm;
mod answer;
mod balance;
mod body;
mod deadlines;
mod endpoint;
mod forward;
mod group;
mod http1;
mod http2;
mod lease;
mod note;
mod outbound;
mod pool;
mod readiness;
mod request;
mod service;

pub use body::{UpstreamBody, UpstreamBodyError};
pub use http1::{BadAnswer, Dissected, dissect};
pub use note::UpstreamNote;
pub use readiness::{Readiness, Ready, ReadyFacts};
pub use service::{EndpointFacts, Service, ServiceError};

#[cfg(test)]
mod tests;

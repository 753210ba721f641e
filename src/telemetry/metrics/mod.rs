//! Metrics: one table of all of them, cells that workers write without waiting for one another, and handles that are
//! resolved when the view is compiled.

mod cells;
mod endpoints;
mod family;
mod handles;
mod registry;
mod table;

pub use cells::{BOUNDS_SECONDS, Counter, Gauge, Histogram, Kind, Level};
pub use endpoints::{EndpointReading, ReadyReading};
pub use family::Description;
pub use handles::{
    CredentialMetrics, IntrospectionMetrics, IssuerMetrics, LimitMetrics, ListenerMetrics, Outcome, Reasons,
    RouteMetrics, SignInMetrics, UpstreamMetrics,
};
pub use registry::{LifeState, Metrics, NONE};
pub use table::TABLE;

#[cfg(test)]
mod tests;

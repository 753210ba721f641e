//! What an exchange leaves behind for the access log and the metrics.

use std::sync::Arc;
use std::time::Duration;

/// Filled while a request is forwarded, and good also when that fails.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamNote {
    /// The endpoint that was sent the request: host (or name) and port as configured. `None`: none was reached.
    pub endpoint: Option<Arc<str>>,
    /// How often the request was given to a connection; 2 and more after a second try.
    pub attempts: u8,
    /// Connections that could not be opened on the way.
    pub failed_connects: u8,
    /// Time spent on opening connections; zero when one was open.
    pub connect: Duration,
    /// From sending to the head of the answer, of the attempt that succeeded; zero when none did.
    pub first_byte: Duration,
}

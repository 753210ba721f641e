//! Floor 2: watching it. Metrics, the record of a request, the access log, the program log.

pub mod access_log;
pub mod logging;
pub mod metrics;
pub mod record;

//! The access log: a line for each request, through a bounded queue that counts what it drops.

mod line;
mod log;
mod queue;
mod redaction;

pub use line::{Field, Line};
pub use log::AccessLog;

#[cfg(test)]
mod tests;

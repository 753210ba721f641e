//! Floor 5: clients' connections, from the socket to the request and back.
//!
//! `listener` accepts and deals, `worker` has the threads, `connection` serves one connection under the deadlines of
//! `timed_io`, `drain` is the life of the process.

pub mod caps;
pub mod connection;
pub mod drain;
pub mod handler;
pub mod listener;
pub mod progress;
pub mod settings;
mod streams;
pub mod timed_io;
pub mod tls;
pub mod worker;

#[cfg(test)]
mod tests;

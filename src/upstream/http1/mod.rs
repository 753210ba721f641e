//! HTTP/1.1 towards an endpoint: one connection, one exchange at a time, driven by the task of the client's connection.
//!
//! Our own, since a library's connection is a task of its own: each exchange through it costs two channels, two wake-ups
//! and a copy of the request (decision 0018). The bytes of a head are still read by `httparse`, which the server's side
//! uses too. What may be read in two ways is refused (RFC 9112 sections 6.1 and 6.3): an endpoint that is confused must
//! not confuse the client behind us.

mod chunked;
mod connection;
mod decoder;
mod dissect;
mod head;
mod upload;

pub use dissect::{Dissected, dissect};

pub(super) use connection::{BodyFailure, Failure, Http1};

/// Why an answer cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// The head is no head of HTTP/1, or one with two meanings.
    #[error("the head of the answer is malformed or ambiguous")]
    Head,
    /// The head is longer, or has more fields, than is read.
    #[error("the head of the answer is too large")]
    TooLarge,
    /// The framing of a chunk.
    #[error("a chunk of the answer is malformed")]
    Chunk,
    /// The trailer section.
    #[error("the trailers of the answer are malformed or too large")]
    Trailers,
}

//! HTTP/2 as RFC 9113 asks for it: a case for each MUST of sections 3 to 6 and 8 that binds a server, through raw frames
//! against the running gateway. `docs/http2-conformance.md` is made from the same table; where the gateway deviates, the
//! row says what the RFC asks for instead, and the test holds the gateway to what it does.
//!
//! Known deviations, each with its rows: the protocol's library says PROTOCOL_ERROR where there is a more specific code
//! (FRAME_SIZE_ERROR, COMPRESSION_ERROR, STREAM_CLOSED, FLOW_CONTROL_ERROR of a setting; the connection ends as it
//! must); it drops a pseudo-field in trailers instead of resetting the stream; it cannot send a 100.
//!
//! Not here, since nothing of it can be seen from a client: what binds clients only, and what binds a server that
//! pushes or reduces its own settings; this one does neither.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::large_futures,
    reason = "a test may stop at the first surprise, and waits for its own tasks"
)]

mod backend;
mod case;
mod client;
mod floods;
mod frame;
mod frames;
mod framing;
mod hpack;
mod messages;
mod page;
mod process;
mod scene;
mod starting;
mod streams;

//! What a reload may change for all connections that are opened after it.

use std::future::Future;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioTimer;
use ipnet::IpNet;

use crate::base::tasks;
use crate::config::plan::{ServerPlan, ServerTimeouts};

/// hyper's buffer of one HTTP/1 connection, each way. Its default of some 400 KiB is what a client that does not read
/// can make a gateway keep.
const HTTP1_BUFFER: usize = 64 * 1024;
/// hyper parses up to so many fields without an allocation of its own; the guard holds smaller limits.
const HTTP1_FIELDS: usize = 100;
/// Bytes kept of one HTTP/2 stream's answer that the client does not take.
const HTTP2_SEND_BUFFER: usize = 64 * 1024;
/// Decoded bytes of an HTTP/2 header list at most, against HPACK bombs (CVE-2026-105297).
const HTTP2_HEADER_LIST: usize = 64 * 1024;
/// Streams reset by the client before they were accepted (CVE-2023-44487) ...
const HTTP2_PENDING_RESETS: usize = 20;
/// ... and by the gateway for the client's errors (CVE-2025-8671); one more and the connection ends.
const HTTP2_LOCAL_RESETS: usize = 100;
/// A connection is asked for a sign of life after so long without one. It is also what ends a header block that never
/// ends: in the middle of one the client cannot answer.
const HTTP2_PING: Duration = Duration::from_secs(20);

/// The server's settings, compiled.
#[derive(Debug)]
pub struct Settings {
    pub(super) timeouts: ServerTimeouts,
    pub(super) http1: http1::Builder,
    pub(super) http2: http2::Builder<Spawn>,
    trusted: Vec<IpNet>,
}

impl Settings {
    /// Compiles `plan`.
    pub fn new(plan: &ServerPlan) -> Settings {
        let mut http1 = http1::Builder::new();
        http1
            .half_close(false)
            .keep_alive(true)
            .header_read_timeout(None)
            .max_buf_size(HTTP1_BUFFER.max(plan.head.bytes))
            .max_header_size(plan.head.bytes)
            .writev(false);
        if plan.head.fields > HTTP1_FIELDS {
            http1.max_headers(plan.head.fields);
        }
        let mut http2 = http2::Builder::new(Spawn);
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(plan.http2.streams)
            .initial_stream_window_size(plan.http2.stream_window)
            .initial_connection_window_size(plan.http2.connection_window)
            .max_header_list_size(u32::try_from(plan.head.bytes.min(HTTP2_HEADER_LIST)).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(HTTP2_PENDING_RESETS)
            .max_local_error_reset_streams(HTTP2_LOCAL_RESETS)
            .max_send_buf_size(HTTP2_SEND_BUFFER)
            .keep_alive_interval(HTTP2_PING)
            .keep_alive_timeout(HTTP2_PING);
        Settings {
            timeouts: plan.timeouts,
            http1,
            http2,
            trusted: plan.trusted_proxies.clone(),
        }
    }

    /// What this address says about others is believed.
    pub fn trusts(&self, address: std::net::IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(&address))
    }
}

/// Spawns the streams of an HTTP/2 connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spawn;

impl<F> hyper::rt::Executor<F> for Spawn
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        // Owned by the connection: when that ends, the stream's future sees an error and ends.
        drop(tasks::spawn("http2 stream", stream));
    }
}

//! What a reload may change for all connections that are opened after it.

use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioTimer;
use ipnet::IpNet;

use super::streams::Streams;
use crate::config::plan::{Http2Plan, ServerPlan, ServerTimeouts};

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
    http2: Http2Plan,
    header_list: u32,
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
            .max_header_size(plan.head.bytes);
        if plan.head.fields > HTTP1_FIELDS {
            http1.max_headers(plan.head.fields);
        }
        Settings {
            timeouts: plan.timeouts,
            http1,
            http2: plan.http2,
            header_list: u32::try_from(plan.head.bytes.min(HTTP2_HEADER_LIST)).unwrap_or(u32::MAX),
            trusted: plan.trusted_proxies.clone(),
        }
    }

    /// A builder for one HTTP/2 connection, whose streams are `streams`. Each limit is set by hand: they are defences.
    pub(super) fn http2(&self, streams: Streams) -> http2::Builder<Streams> {
        let mut http2 = http2::Builder::new(streams);
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.http2.streams)
            .initial_stream_window_size(self.http2.stream_window)
            .initial_connection_window_size(self.http2.connection_window)
            .max_header_list_size(self.header_list)
            .max_pending_accept_reset_streams(HTTP2_PENDING_RESETS)
            .max_local_error_reset_streams(HTTP2_LOCAL_RESETS)
            .max_send_buf_size(HTTP2_SEND_BUFFER)
            .keep_alive_interval(HTTP2_PING)
            .keep_alive_timeout(HTTP2_PING);
        http2
    }

    /// What this address says about others is believed.
    pub fn trusts(&self, address: std::net::IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(&address))
    }
}

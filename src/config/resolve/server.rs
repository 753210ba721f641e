//! `server:`.

use super::scope::Scope;
use crate::config::plan::{DrainPlan, HeadLimits, Http2Plan, ServerPlan, ServerTimeouts, Workers};
use crate::config::raw::{RawScheduler, RawServer};

pub(super) fn resolve(raw: &RawServer, scope: &mut Scope<'_>) -> ServerPlan {
    let workers = raw.workers as usize;
    if raw.danger_guard_off.value {
        scope.findings.warning(
            "danger",
            raw.danger_guard_off.mark,
            "`danger_guard_off` is on: requests that can be read in two ways are let through",
            "remove it outside of tests",
        );
    }
    if raw.connections.per_address.value > raw.connections.max {
        scope.error(
            "contradiction",
            raw.connections.per_address.mark,
            "`per-address` is more than `max`",
            "one address could then shut out all others",
        );
    }
    if raw.drain.min.value.0 > raw.drain.max.value.0 {
        scope.error(
            "contradiction",
            raw.drain.min.mark,
            "`min` of the drain is longer than its `max`",
            "connections are accepted for `min`, and cut at `max`",
        );
    }
    if raw.head.target.value.0 > raw.head.bytes.0 {
        scope.error(
            "contradiction",
            raw.head.target.mark,
            "the request `target` may be longer than the whole head",
            "`bytes` is the bound of the whole head, the target included",
        );
    }
    ServerPlan {
        workers: match raw.scheduler {
            RawScheduler::Sharded => Workers::Sharded(workers),
            RawScheduler::Stealing => Workers::Stealing(workers),
        },
        trusted_proxies: raw.trusted_proxies.iter().map(|network| network.0).collect(),
        max_connections: raw.connections.max as usize,
        max_connections_per_address: raw.connections.per_address.value as usize,
        timeouts: ServerTimeouts {
            handshake: raw.timeouts.handshake.0,
            first_byte: raw.timeouts.first_byte.0,
            headers: raw.timeouts.headers.0,
            idle: raw.timeouts.idle.0,
            body: raw.timeouts.body.0,
            write: raw.timeouts.write.0,
        },
        head: HeadLimits {
            bytes: bytes(raw.head.bytes.0),
            fields: raw.head.fields as usize,
            target: bytes(raw.head.target.value.0),
        },
        http2: Http2Plan {
            streams: raw.http2.streams,
            stream_window: u32::try_from(raw.http2.stream_window.0).unwrap_or(u32::MAX),
            connection_window: u32::try_from(raw.http2.connection_window.0).unwrap_or(u32::MAX),
        },
        drain: DrainPlan {
            min: raw.drain.min.value.0,
            max: raw.drain.max.value.0,
        },
        danger_guard_off: raw.danger_guard_off.value,
    }
}

/// The schema has bounded it far below either end.
fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

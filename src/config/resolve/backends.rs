//! `backends:`, and answers from configuration.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::listeners::certificate;
use super::material;
use super::scope::Scope;
use crate::config::plan::{
    BackendPlan, Balance, EndpointPlan, FixedAnswer, PoolPlan, ReadyPlan, RegionRef, UpstreamProtocol,
    UpstreamTimeouts, UpstreamTls,
};
use crate::config::raw::{RawAnswer, RawBackend, RawBalance, RawProtocol, RawUpstreamTimeouts};
use crate::config::read::{At, Named};
use crate::config::text::Endpoint;

pub(super) fn resolve(raw: &Named<At<RawBackend>>, scope: &mut Scope<'_>) -> Vec<BackendPlan> {
    raw.0
        .iter()
        .map(|(name, backend)| one(name, backend, scope))
        .collect()
}

fn one(name: &At<String>, at: &At<RawBackend>, scope: &mut Scope<'_>) -> BackendPlan {
    let raw = &at.value;
    let mut endpoints = Vec::new();
    for (region, list) in &raw.regions.0 {
        let index = scope.regions.find(region, scope.findings);
        if list.0.is_empty() {
            scope.error(
                "empty-list",
                region.mark,
                format!("the region `{}` has no endpoint here", region.value),
                "name one, or remove the region",
            );
        }
        endpoints.extend(
            list.0
                .iter()
                .filter_map(|e| index.map(|index| endpoint(e, Some(RegionRef::new(index))))),
        );
    }
    endpoints.extend(raw.endpoints.0.iter().map(|e| endpoint(e, None)));
    let written = raw
        .regions
        .0
        .iter()
        .flat_map(|(_, list)| &list.0)
        .chain(&raw.endpoints.0);
    let (any, any_tls) = written.fold((false, false), |(_, tls), e| (true, tls || e.value.0.0));
    match &raw.respond {
        None if !any && raw.regions.0.is_empty() && !scope.findings.is_damaged(at.mark) => scope.error(
            "missing-key",
            name.mark,
            format!("the backend `{}` has no endpoint", name.value),
            "add `endpoints: [http://HOST:PORT]`, `regions:` or `respond:`",
        ),
        Some(respond) if any => scope.error(
            "contradiction",
            respond.mark,
            "a backend with `respond` calls nobody, but this one has endpoints",
            "remove `respond`, or `endpoints` and `regions`",
        ),
        None | Some(_) => {}
    }
    if let Some(tls) = &raw.tls
        && !any_tls
    {
        scope.error(
            "contradiction",
            tls.mark,
            "`tls` is for `https` endpoints, and this backend has none",
            "write the endpoints as `https://…`, or remove `tls`",
        );
    }
    BackendPlan {
        name: name.value.clone(),
        version: raw.version.as_ref().map(|version| version.0.clone()),
        endpoints,
        protocol: match raw.protocol {
            RawProtocol::Http1 => UpstreamProtocol::Http1,
            RawProtocol::Http2 => UpstreamProtocol::Http2,
        },
        tls: raw
            .tls
            .as_ref()
            .map_or_else(UpstreamTls::default, |tls| UpstreamTls {
                ca: tls
                    .value
                    .ca
                    .as_ref()
                    .map(|file| material::certificates(file, scope)),
                certificate: tls
                    .value
                    .certificate
                    .as_ref()
                    .map(|pair| certificate(pair, scope)),
                server_name: tls.value.server_name.as_ref().map(|name| name.0.clone()),
            }),
        balance: match raw.balance {
            RawBalance::RoundRobin => Balance::RoundRobin,
            RawBalance::TwoChoices => Balance::TwoChoices,
        },
        timeouts: timeouts(&raw.timeouts, scope),
        pool: PoolPlan {
            idle: raw.pool.idle as usize,
            idle_timeout: raw.pool.idle_timeout.0,
            lifetime: raw.pool.lifetime.0,
        },
        resolve: raw.resolve.0,
        set_aside: raw.set_aside.0,
        ready: raw.ready.as_ref().map(|at| {
            if raw.respond.is_some() {
                scope.error(
                    "contradiction",
                    at.mark,
                    "`ready` is for endpoints, and this backend answers from here",
                    "remove it",
                );
            }
            ReadyPlan {
                path: at.value.path.value.0.clone(),
                host: at.value.host.as_ref().map(|host| host.0.clone()),
                interval: at.value.interval.0,
                timeout: at.value.timeout.0,
                failures: at.value.failures,
            }
        }),
        fixed: raw.respond.as_ref().map(|respond| answer(respond, scope)),
    }
}

fn endpoint(raw: &At<Endpoint>, region: Option<RegionRef>) -> EndpointPlan {
    let (tls, host, port) = raw.value.0.clone();
    EndpointPlan {
        region,
        tls,
        host,
        port,
    }
}

fn timeouts(raw: &RawUpstreamTimeouts, scope: &mut Scope<'_>) -> UpstreamTimeouts {
    if raw.connect.value.0 > raw.first_byte.value.0 {
        scope.error(
            "contradiction",
            raw.connect.mark,
            "`connect` is longer than `first-byte`, which includes it",
            "connect ≤ first-byte ≤ whole",
        );
    }
    if raw.first_byte.value.0 > raw.whole.value.0 {
        scope.error(
            "contradiction",
            raw.first_byte.mark,
            "`first-byte` is longer than `whole`, which includes it",
            "connect ≤ first-byte ≤ whole",
        );
    }
    UpstreamTimeouts {
        connect: raw.connect.value.0,
        first_byte: raw.first_byte.value.0,
        idle: raw.idle.0,
        whole: raw.whole.value.0,
    }
}

/// An answer from configuration.
pub(super) fn answer(at: &At<RawAnswer>, scope: &mut Scope<'_>) -> FixedAnswer {
    let raw = &at.value;
    let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for (name, value) in &raw.headers.0 {
        if let Some(name) = field_name(name, scope)
            && let Some(value) = field_value(value, scope)
        {
            headers.push((name, value));
        }
    }
    if let (Some(json), Some(_)) = (&raw.json, &raw.body) {
        scope.error(
            "one-of",
            json.mark,
            "an answer has `body` or `json`, not both",
            "remove one of them",
        );
    }
    let (body, kind) = match (&raw.json, &raw.body) {
        (Some(json), _) => (Bytes::from(json.value.0.clone()), Some("application/json")),
        (None, Some(text)) => (Bytes::from(text.clone()), Some("text/plain; charset=utf-8")),
        (None, None) => (Bytes::new(), None),
    };
    if let Some(kind) = kind
        && !headers.iter().any(|(name, _)| *name == header::CONTENT_TYPE)
    {
        headers.push((header::CONTENT_TYPE, HeaderValue::from_static(kind)));
    }
    let status = StatusCode::from_u16(raw.status).unwrap_or(StatusCode::OK);
    // RFC 9110 sections 15.3.5 and 15.4.5: these end with the head.
    if matches!(raw.status, 204 | 304) && !body.is_empty() {
        scope.error(
            "contradiction",
            at.mark,
            format!("an answer with status {} has no body", raw.status),
            "remove the body, or choose another status",
        );
    }
    FixedAnswer {
        status,
        headers,
        body,
    }
}

/// The name of a field that an answer may carry.
pub(super) fn field_name(name: &At<String>, scope: &mut Scope<'_>) -> Option<HeaderName> {
    let found = HeaderName::from_bytes(name.value.as_bytes()).ok();
    let framing = [
        "content-length",
        "transfer-encoding",
        "connection",
        "trailer",
        "upgrade",
        "keep-alive",
        "te",
    ];
    match found {
        Some(header) if framing.contains(&header.as_str()) => {
            scope.error(
                "bad-value",
                name.mark,
                format!(
                    "`{}` belongs to the connection and is set by the gateway",
                    name.value
                ),
                "remove it",
            );
            None
        }
        Some(header) => Some(header),
        None => {
            scope.findings.error(
                "bad-value",
                name.mark,
                format!("`{}` is not the name of a header field", name.value),
            );
            None
        }
    }
}

/// The value of a field of an answer.
pub(super) fn field_value(value: &At<String>, scope: &mut Scope<'_>) -> Option<HeaderValue> {
    let found = HeaderValue::from_str(&value.value).ok();
    if found.is_none() {
        scope.findings.error(
            "bad-value",
            value.mark,
            "this is not the value of a header field: it has line ends or controls",
        );
    }
    found
}

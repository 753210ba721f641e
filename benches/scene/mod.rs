//! One gateway for everything that measures the way of a request: the same configuration, the same token, the same
//! request, so that numbers of different tools can be laid beside each other.

#![allow(dead_code, unreachable_pub, reason = "not every bench needs every part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench may stop at the first surprise"
)]

use std::sync::Arc;

use http::{HeaderValue, Request, Uri, header};
use tollgate::base::clock::{Clock, UnixTime};
use tollgate::base::random::Ids;
use tollgate::config::plan::Plan;
use tollgate::http::body::Body;
use tollgate::net::peer::Peer;
use tollgate::pipeline;
use tollgate::reply::Reply;
use tollgate::shard::Shard;
use tollgate::snapshot::{Live, View};
use tollgate::telemetry::metrics::Metrics;
use tollgate::telemetry::record::Recorder;

/// The host of all routes.
pub const HOST: &str = "api.test";

/// The warm bearer path to a fixed answer: verified token remembered, one limit per customer, identity headers.
pub const HIT: &str = "/fixed";
/// The same behind an issuer that remembers no token.
pub const MISS: &str = "/verified";
/// The same with a bucket of one token a day.
pub const LIMITED: &str = "/limited";
/// The same to a backend, if there is one ([`config`]).
pub const BACKEND: &str = "/backend";
/// No route.
pub const NOWHERE: &str = "/nowhere";

/// A token of customer `267958b55d5a463e94a302c20f4a6b68`, ES256, good from 2026 to 2100. Fixed, since a signature made
/// anew would cost more or less to verify each time. The key is the one of RFC 7515 appendix A.3, whose private half is
/// public.
pub const BEARER: &str = match std::str::from_utf8(&LAID.0) {
    Ok(text) => text,
    Err(_) => panic!(),
};

const TEXT: &str = "Bearer eyJhbGciOiJFUzI1NiIsImtpZCI6InJmYzc1MTUtYTMiLCJ0eXAiOiJKV1QifQ.eyJpc3MiOiJodHRwczovL2lkcC5l\
    eGFtcGxlLyIsImF1ZCI6ImFwaSIsInN1YiI6InVzZXItMSIsImlhdCI6MTc2NzIyNTYwMCwiZXhwIjo0MTAyNDQ0ODAwLCJjdXN0b21lcl9pZCI6\
    IjI2Nzk1OGI1NWQ1YTQ2M2U5NGEzMDJjMjBmNGE2YjY4IiwidGVuYW50X2lkIjoiOGYxNGU0NWZjZWVhNDY3ZjlkMmI1YTFjN2UzZDBhNDIiLCJy\
    ZWdpb24iOiJ1cy0xIiwic2NvcGUiOiJpbnZlbnRvcnk6cmVhZCBpbnZlbnRvcnk6d3JpdGUiLCJyb2xlcyI6WyJ2aWV3ZXIiLCJvcGVyYXRvciJd\
    fQ.nQIFHQYH4v_KNswT4HEjGvwHIcJ4h44fWDOxIudsaeeTrOkAT1f5KPPRv9hg7SQjvwlFaf2ZPPtejP4ekGDhKQ";

/// At a round address: the standard library reads a text in steps that depend on where it begins, and a token that the linker
/// moves by a byte costs 100 instructions more or less.
static LAID: Laid<{ TEXT.len() }> = Laid(match TEXT.as_bytes().first_chunk() {
    Some(bytes) => *bytes,
    None => panic!(),
});

#[repr(align(64))]
struct Laid<const N: usize>([u8; N]);

/// A time at which [`BEARER`] is good.
pub const NOW: UnixTime = UnixTime(1_767_225_600 + 86_400);

/// The configuration; [`BACKEND`] goes to the endpoint, an `http://` URL.
pub fn config(endpoint: &str) -> Plan {
    let text = format!(
        r#"
server: {{ workers: 1 }}
listeners: [{{ address: 127.0.0.1:0 }}]
regions: {{ us-1: {{}} }}
issuers:
  remembering:
    issuer: https://idp.example/
    audience: [api]
    algorithms: [ES256]
    keys: {{ file: {keys} }}
    claims: {{ customer: customer_id, tenant: tenant_id, region: region, scope: scope, roles: roles }}
  forgetful:
    issuer: https://idp.example/
    audience: [api]
    algorithms: [ES256]
    keys: {{ file: {keys} }}
    claims: {{ customer: customer_id, tenant: tenant_id, region: region, scope: scope, roles: roles }}
    cache: 0
limits:
  plenty: {{ rate: 1000000000/s, per: customer }}
  once: {{ rate: 1/d, burst: 1, per: customer }}
backends:
  only: {{ endpoints: ["{endpoint}"] }}
apis:
  api:
    hosts: [{HOST}]
    credentials: [bearer: remembering]
    access: {{ scopes: [inventory:read] }}
    limits: [plenty]
    headers: {{ tenant: X-Tenant-ID, customer: X-Customer-ID, subject: X-User-ID }}
    routes:
      - {{ path: {HIT}, to: {{ respond: {{ json: {{ items: [] }} }} }} }}
      - {{ path: {MISS}, credentials: [bearer: forgetful], to: {{ respond: {{ json: {{ items: [] }} }} }} }}
      - {{ path: {LIMITED}, limits: [once], to: {{ respond: {{ json: {{ items: [] }} }} }} }}
      - {{ path: {BACKEND}, to: {{ backend: only }} }}
"#,
        keys = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/es256.jwks.json"),
    );
    tollgate::config::load_text(&text, "scene.yaml", &|_| None).unwrap_or_else(|found| panic!("{found:#?}"))
}

/// A call as an ordinary client makes it. Its values are shared, not copied: the server's are slices of the connection's
/// buffer, and what it costs to share them is the server's.
pub fn request(path: &'static str) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::from_static(path);
    let fields = request.headers_mut();
    fields.reserve(6);
    for (name, value) in [
        (header::HOST, HOST),
        (header::USER_AGENT, "python-requests/2.32.3"),
        (header::ACCEPT_ENCODING, "gzip, deflate"),
        (header::ACCEPT, "application/json"),
        (header::CONNECTION, "keep-alive"),
        (header::AUTHORIZATION, BEARER),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
    request
}

/// One worker without sockets and threads: what the server calls for each request.
pub struct Door {
    pub view: Arc<View>,
    pub shard: Shard,
    pub peer: Peer,
    _live: Live,
}

impl Door {
    /// Compiles the plan. Must be called in a tokio runtime if a backend is to be called.
    pub fn open(plan: &Plan, clock: Clock) -> Door {
        let recorder = Recorder::new(clock.clone(), Metrics::new(), None);
        let (view, live) = View::compile(plan, &Live::default(), 1, &recorder).unwrap();
        let view = Arc::new(view);
        let nobody = std::net::SocketAddr::from(([192, 0, 2, 1], 50_000));
        Door {
            shard: Shard::new(0, clock, Arc::new(Ids::new()), Arc::clone(&view)),
            view,
            peer: Peer::new(nobody, nobody, 0, false),
            _live: live,
        }
    }

    /// The way of one request.
    pub async fn handle(&self, request: Request<Body>) -> http::Response<Reply> {
        pipeline::handle(&self.shard, &self.peer, request).await
    }
}

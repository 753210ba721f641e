//! The record of one request: opened when its head was read, filled along the way, closed once.
//!
//! Closing counts the request and writes its line. A record that is dropped before it was closed was left by its client,
//! and is closed as that: no way out of the pipeline forgets a request.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode, Version};

use super::access_log::{AccessLog, Field, Line};
use super::metrics::{Metrics, NONE, Outcome, RouteMetrics};
use crate::base::clock::{Clock, Tick};
use crate::identity::{CustomerId, Identity, TenantId};
use crate::rejection::{Code, Rejection};

/// What it takes to open and close records. Each worker has its own, so that no two share a count of references.
pub struct Recorder {
    clock: Clock,
    metrics: Arc<Metrics>,
    /// What was refused before a route was known.
    nowhere: Arc<RouteMetrics>,
    access_log: Option<AccessLog>,
}

impl Recorder {
    /// A recorder; without an access log no line is put together at all.
    pub fn new(clock: Clock, metrics: Arc<Metrics>, access_log: Option<AccessLog>) -> Arc<Recorder> {
        Arc::new(Recorder {
            nowhere: metrics.route(NONE, NONE),
            clock,
            metrics,
            access_log,
        })
    }

    /// The clock of records.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The metrics that records count in.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }
}

/// How a record is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The last byte of the answer went out.
    Whole,
    /// The backend broke off in the middle of the answer, and so did we.
    UpstreamCut,
    /// The client left first.
    ClientGone,
}

/// One request. Setters for the log cost nothing when there is none; each may be called at any time before the end, and
/// the first value stays.
pub struct Record {
    recorder: Arc<Recorder>,
    start: Tick,
    route: Option<Arc<RouteMetrics>>,
    status: Option<StatusCode>,
    refused: Option<Code>,
    request_bytes: u64,
    response_bytes: u64,
    line: Option<Line>,
    open: bool,
}

impl Record {
    /// Opens a record now.
    pub fn open(recorder: &Arc<Recorder>) -> Record {
        recorder.metrics.in_flight.inc();
        let line = recorder.access_log.as_ref().map(|log| {
            let mut line = log.line();
            let millis = recorder.clock.unix_millis();
            if let Ok(time) = jiff::Timestamp::from_millisecond(millis) {
                line.display(Field::Timestamp, &format_args!("{time:.3}"));
            }
            line
        });
        Record {
            start: recorder.clock.tick(),
            recorder: Arc::clone(recorder),
            route: None,
            status: None,
            refused: None,
            request_bytes: 0,
            response_bytes: 0,
            line,
            open: true,
        }
    }

    /// Will a line be written? What only the line needs is not worth making otherwise.
    pub fn is_logged(&self) -> bool {
        self.line.is_some()
    }

    /// When it was opened.
    pub fn start(&self) -> Tick {
        self.start
    }

    /// What was asked: method, host (lower case, no port), path in its normal form, query as it came.
    pub fn asked(&mut self, method: &Method, host: &str, path: &str, query: Option<&str>) {
        let Some(line) = &mut self.line else { return };
        line.text(Field::Method, method.as_str());
        line.text(Field::Host, host);
        line.text(Field::Path, path);
        if let (Some(query), Some(log)) = (query, &self.recorder.access_log) {
            log.query(line, query);
        }
    }

    /// Over what it came: HTTP version, and whether the client reached the gateway by TLS.
    pub fn over(&mut self, version: Version, tls: bool) {
        let Some(line) = &mut self.line else { return };
        let text = match version {
            Version::HTTP_09 => "0.9",
            Version::HTTP_10 => "1.0",
            Version::HTTP_11 => "1.1",
            Version::HTTP_2 => "2",
            Version::HTTP_3 => "3",
            _ => "unknown",
        };
        line.text(Field::Version, text);
        line.text(Field::Scheme, if tls { "https" } else { "http" });
    }

    /// From where: the client as seen through trusted proxies, and the peer of the connection.
    pub fn from(&mut self, client: IpAddr, peer: IpAddr) {
        let Some(line) = &mut self.line else { return };
        line.display(Field::Client, &client);
        line.display(Field::Peer, &peer);
    }

    /// The User-Agent field, if the client sent one.
    pub fn user_agent(&mut self, value: Option<&HeaderValue>) {
        let Some(line) = &mut self.line else { return };
        if let Some(value) = value {
            line.bytes(Field::UserAgent, value.as_bytes());
        }
    }

    /// Under which ids it can be found elsewhere: request id and W3C trace id (32 hexadecimal digits).
    pub fn ids(&mut self, request_id: &str, trace_id: Option<&str>) {
        let Some(line) = &mut self.line else { return };
        line.text(Field::RequestId, request_id);
        if let Some(trace_id) = trace_id {
            line.text(Field::TraceId, trace_id);
        }
    }

    /// Which route takes it. Where only the api is known, that of the api and [`NONE`].
    pub fn matched(&mut self, route: &Arc<RouteMetrics>) {
        if let Some(line) = &mut self.line {
            line.text(Field::Api, route.api());
            line.text(Field::Route, route.route());
        }
        self.route = Some(Arc::clone(route));
    }

    /// Who calls.
    pub fn caller(&mut self, identity: &Identity) {
        let Some(line) = &mut self.line else { return };
        line.text(Field::Credential, identity.kind.as_str());
        line.text(Field::Issuer, identity.issuer.as_str());
        line.text(Field::Subject, identity.subject.as_str());
        if let Some(client) = &identity.client {
            line.text(Field::OauthClient, client.as_str());
        }
    }

    /// The name of the user who calls, where it is one of our own accounts.
    pub fn user(&mut self, name: &str) {
        let Some(line) = &mut self.line else { return };
        line.text(Field::User, name);
    }

    /// For whom, and on whose quota.
    pub fn acting(&mut self, payer: Option<&CustomerId>, tenant: Option<&TenantId>) {
        let Some(line) = &mut self.line else { return };
        if let Some(payer) = payer {
            line.text(Field::Customer, payer.as_str());
        }
        if let Some(tenant) = tenant {
            line.text(Field::Tenant, tenant.as_str());
        }
    }

    /// The region of the call.
    pub fn region(&mut self, region: &str) {
        if let Some(line) = &mut self.line {
            line.text(Field::Region, region);
        }
    }

    /// Which backend it went to: the endpoint that answered or was tried last, how often it was sent, and how long the
    /// head of the answer took.
    pub fn upstream(
        &mut self,
        backend: &str,
        endpoint: Option<&str>,
        attempts: u8,
        to_head: Option<Duration>,
    ) {
        let Some(line) = &mut self.line else { return };
        line.text(Field::Backend, backend);
        if let Some(endpoint) = endpoint {
            line.text(Field::Endpoint, endpoint);
        }
        line.number(Field::Attempts, u64::from(attempts));
        if let Some(span) = to_head {
            line.seconds(Field::UpstreamDuration, span);
        }
    }

    /// The gateway refuses it. What the client is not told goes to the log.
    pub fn refused(&mut self, rejection: &Rejection) {
        self.refused = Some(rejection.code());
        let Some(line) = &mut self.line else { return };
        line.text(Field::Refusal, rejection.code().as_str());
        line.display(Field::RefusalDetail, rejection);
        if let Rejection::RateLimited(limited) = rejection {
            line.text(Field::Limit, limited.limit.as_str());
        }
    }

    /// The head of the answer went to the client with this status.
    pub fn answering(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// So many bytes of the request's body were read.
    pub fn request_bytes(&mut self, bytes: u64) {
        self.request_bytes = bytes;
    }

    /// So many more bytes of the answer's body were sent.
    pub fn sent(&mut self, bytes: u64) {
        self.response_bytes = self.response_bytes.saturating_add(bytes);
    }

    /// Closes it: counts it and writes its line. Only the first time has an effect.
    pub fn close(&mut self, ending: Ending) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        let recorder = &self.recorder;
        let span = recorder.clock.tick().since(self.start);
        // A refusal was decided whether or not the client stayed to read it.
        let outcome = match (self.refused, ending) {
            (Some(code), _) => Outcome::Refused(code),
            (None, Ending::Whole) => Outcome::Answered,
            (None, Ending::UpstreamCut) => Outcome::UpstreamCut,
            (None, Ending::ClientGone) => Outcome::ClientGone,
        };
        self.route
            .as_ref()
            .unwrap_or(&recorder.nowhere)
            .ended(outcome, self.status, span);
        recorder.metrics.in_flight.dec();
        if let (Some(mut line), Some(log)) = (self.line.take(), &recorder.access_log) {
            if let Some(status) = self.status {
                line.number(Field::Status, u64::from(status.as_u16()));
            }
            line.text(Field::Outcome, outcome.as_str());
            line.number(Field::RequestBytes, self.request_bytes);
            line.number(Field::ResponseBytes, self.response_bytes);
            line.seconds(Field::Duration, span);
            log.write(line);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.close(Ending::ClientGone);
    }
}

//! Against servers that follow a script, and against well-behaved ones.
#![expect(clippy::disallowed_methods, reason = "the servers of a test end with it")]

mod deadlines;
mod http2;
mod misbehave;
mod pool;
mod regions;
mod requests;
mod retry;
mod script;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::BodyExt;

use super::{Service, UpstreamBody, UpstreamNote};
use crate::config::plan::{
    BackendPlan, Balance, EndpointPlan, PoolPlan, RegionRef, UpstreamProtocol, UpstreamTimeouts, UpstreamTls,
};
use crate::http::body::Body;
use crate::rejection::{Code, Rejection};

/// No test waits for so long; whatever does is a failure, not a slow machine.
pub(super) const LONG: Duration = Duration::from_secs(20);
/// A deadline that a test lets pass.
pub(super) const SHORT: Duration = Duration::from_millis(150);

pub(super) fn endpoint(region: Option<usize>, address: SocketAddr) -> EndpointPlan {
    EndpointPlan {
        region: region.map(RegionRef::new),
        tls: false,
        host: address.ip().to_string(),
        port: address.port(),
    }
}

/// A backend of those endpoints, with deadlines that never pass.
pub(super) fn plan(addresses: &[SocketAddr]) -> BackendPlan {
    BackendPlan {
        version: None,
        name: "inventory".to_owned(),
        endpoints: addresses.iter().map(|address| endpoint(None, *address)).collect(),
        protocol: UpstreamProtocol::Http1,
        tls: UpstreamTls::default(),
        balance: Balance::RoundRobin,
        timeouts: UpstreamTimeouts {
            connect: LONG,
            first_byte: LONG,
            idle: LONG,
            whole: 2 * LONG,
        },
        pool: PoolPlan {
            idle: 16,
            idle_timeout: LONG,
            lifetime: 10 * LONG,
        },
        resolve: LONG,
        set_aside: LONG,
        ready: None,
        fixed: None,
    }
}

pub(super) fn service(plan: &BackendPlan) -> Service {
    Service::seeded(plan, 1, None, 1).unwrap()
}

/// The same backend, with its connections, and with deadlines that never pass again.
pub(super) fn patient(service: &Service, impatient: &BackendPlan) -> Service {
    let mut patient = impatient.clone();
    patient.timeouts = plan(&[]).timeouts;
    Service::seeded(&patient, 1, Some(service), 1).unwrap()
}

pub(super) fn request(method: Method, body: Body) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri("/v1/items?limit=5&flag")
        .header("host", "api.example.com")
        .body(body)
        .unwrap()
}

pub(super) async fn send(
    service: &Service,
    request: Request<Body>,
) -> (Result<Response<UpstreamBody>, Rejection>, UpstreamNote) {
    let mut note = UpstreamNote::default();
    let answer = service.forward(0, None, request, None, &mut note).await;
    (answer, note)
}

/// What a client would see of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    Whole(u16, Bytes),
    Cut(u16),
    Refused(Code),
}

impl Seen {
    pub(super) fn whole(status: u16, body: &'static str) -> Seen {
        Seen::Whole(status, Bytes::from_static(body.as_bytes()))
    }
}

pub(super) async fn see(answer: Result<Response<UpstreamBody>, Rejection>) -> Seen {
    match answer {
        Ok(answer) => {
            let status = answer.status().as_u16();
            match answer.into_body().collect().await {
                Ok(body) => Seen::Whole(status, body.to_bytes()),
                Err(_) => Seen::Cut(status),
            }
        }
        Err(rejection) => Seen::Refused(rejection.code()),
    }
}

pub(super) async fn get(service: &Service) -> Seen {
    see(send(service, request(Method::GET, Body::empty())).await.0).await
}

/// One endpoint's facts.
pub(super) fn facts(service: &Service) -> super::EndpointFacts {
    service.facts().into_iter().next().unwrap()
}

type Frames = Vec<Result<http_body::Frame<Bytes>, std::io::Error>>;

pub(super) fn data(text: &'static str) -> Result<http_body::Frame<Bytes>, std::io::Error> {
    Ok(http_body::Frame::data(Bytes::from_static(text.as_bytes())))
}

/// A body of unknown length: those frames, and then its end or (`ends` is false) nothing for ever.
pub(super) fn streamed(frames: Frames, ends: bool) -> Body {
    use futures_util::{StreamExt, stream};
    let frames = stream::iter(frames);
    let boxed = if ends {
        http_body_util::StreamBody::new(frames.left_stream())
    } else {
        http_body_util::StreamBody::new(frames.chain(stream::pending()).right_stream())
    };
    Body::boxed(boxed.map_err(Into::into).boxed_unsync())
}

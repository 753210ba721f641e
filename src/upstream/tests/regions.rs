//! Which endpoint a call goes to.

use std::net::SocketAddr;
use std::time::Duration;

use http::Method;
use tokio::net::TcpSocket;

use super::script::Server;
use super::{LONG, Seen, endpoint, get, plan, request, see, service};
use crate::config::plan::{Balance, EndpointPlan, RegionRef};
use crate::http::body::Body;
use crate::rejection::Code;
use crate::upstream::pool::lock;
use crate::upstream::{Service, UpstreamNote};

async fn get_in(service: &Service, region: Option<usize>) -> Seen {
    let mut note = UpstreamNote::default();
    let call = request(Method::GET, Body::empty());
    see(service
        .forward(0, region.map(RegionRef::new), call, None, &mut note)
        .await)
    .await
}

/// An address that refuses connections, and goes on to be nobody else's, while the socket lives.
fn refusing() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[tokio::test]
async fn a_call_goes_to_its_region_else_to_endpoints_of_no_region_else_nowhere() {
    let (first, third, anywhere) = (
        Server::start(vec![]).await,
        Server::start(vec![]).await,
        Server::start(vec![]).await,
    );
    let mut plan = plan(&[]);
    plan.endpoints = vec![
        endpoint(Some(0), first.address),
        endpoint(Some(2), third.address),
        endpoint(None, anywhere.address),
    ];
    let with_fallback = service(&plan);
    for region in [Some(0), Some(2), Some(2), Some(1), Some(7), None] {
        assert_eq!(get_in(&with_fallback, region).await, Seen::whole(200, "good"));
    }
    let counts = [&first, &third, &anywhere].map(|server| server.requests().len());
    assert_eq!(counts, [1, 2, 3]);

    plan.endpoints.pop();
    let regional = service(&plan);
    assert_eq!(
        get_in(&regional, Some(1)).await,
        Seen::Refused(Code::RegionUnavailable)
    );
    assert_eq!(
        get_in(&regional, None).await,
        Seen::Refused(Code::RegionUnavailable)
    );
    assert_eq!(get_in(&regional, Some(0)).await, Seen::whole(200, "good"));
}

#[tokio::test]
async fn round_robin_shares_calls_evenly() {
    let servers = [
        Server::start(vec![]).await,
        Server::start(vec![]).await,
        Server::start(vec![]).await,
    ];
    let service = service(&plan(&servers.each_ref().map(|server| server.address)));
    for _ in 0..9 {
        assert_eq!(get(&service).await, Seen::whole(200, "good"));
    }
    assert_eq!(
        servers.each_ref().map(|server| server.requests().len()),
        [3, 3, 3]
    );
}

#[tokio::test]
async fn two_choices_keep_away_from_the_busy_endpoint() {
    let (busy, free) = (Server::start(vec![]).await, Server::start(vec![]).await);
    let mut plan = plan(&[busy.address, free.address]);
    plan.balance = Balance::TwoChoices;
    let service = service(&plan);
    // Answers that nobody has read yet are calls in flight. Two of two are always looked at, so they alternate.
    let mut held = Vec::new();
    for _ in 0..10 {
        let mut note = UpstreamNote::default();
        let call = request(Method::GET, Body::empty());
        held.push(service.forward(0, None, call, None, &mut note).await.unwrap());
    }
    assert_eq!([&busy, &free].map(|server| server.requests().len()), [5, 5]);
}

#[tokio::test]
async fn an_endpoint_that_refuses_is_set_aside_and_the_next_one_serves() {
    let (_socket, dead) = refusing();
    let live = Server::start(vec![]).await;
    let service = service(&plan(&[dead, live.address]));
    for _ in 0..6 {
        assert_eq!(get(&service).await, Seen::whole(200, "good"));
    }
    let facts = service.facts();
    assert_eq!(
        (facts[0].connect_failures, facts[0].set_asides, facts[0].is_aside),
        (1, 1, true)
    );
    assert_eq!((facts[1].connect_failures, facts[1].is_aside), (0, false));
}

#[tokio::test]
async fn a_failed_connect_is_noted_and_a_post_goes_to_the_next_endpoint_once() {
    let (_socket, dead) = refusing();
    let live = Server::start(vec![]).await;
    let service = service(&plan(&[dead, live.address]));
    let mut failed = 0;
    for _ in 0..2 {
        let mut note = UpstreamNote::default();
        let call = request(Method::POST, Body::full("x"));
        assert_eq!(
            see(service.forward(0, None, call, None, &mut note).await).await,
            Seen::whole(200, "good")
        );
        failed += note.failed_connects;
        assert_eq!(note.endpoint.as_deref(), Some(&*live.address.to_string()));
    }
    assert_eq!((failed, live.requests().len()), (1, 2));
}

#[tokio::test]
async fn when_all_are_set_aside_they_are_tried_all_the_same() {
    let (socket, address) = refusing();
    let service = service(&plan(&[address]));
    let mut note = UpstreamNote::default();
    let call = request(Method::GET, Body::empty());
    assert_eq!(
        see(service.forward(0, None, call, None, &mut note).await).await,
        Seen::Refused(Code::UpstreamUnreachable)
    );
    // The record names the endpoint that was tried, though nothing was sent to it.
    assert_eq!(
        (note.endpoint.as_deref(), note.attempts),
        (Some(&*address.to_string()), 0)
    );
    assert!(service.facts()[0].is_aside);
    let listener = socket.listen(8).unwrap();
    let served = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 1024];
        let _ = stream.read(&mut buffer).await.unwrap();
        stream.write_all(super::script::GOOD).await.unwrap();
    });
    assert_eq!(get(&service).await, Seen::whole(200, "good"));
    served.await.unwrap();
    assert!(
        !service.facts()[0].is_aside,
        "a connection that came about takes it back"
    );
}

fn named(host: &str, port: u16) -> EndpointPlan {
    EndpointPlan {
        region: None,
        tls: false,
        host: host.to_owned(),
        port,
    }
}

#[tokio::test]
async fn a_name_serves_by_the_addresses_behind_it() {
    let server = Server::start(vec![]).await;
    let mut plan = plan(&[]);
    plan.endpoints = vec![named("localhost", server.address.port())];
    let service = service(&plan);
    assert!(service.has_names());
    assert_eq!(
        get(&service).await,
        Seen::Refused(Code::UpstreamUnreachable),
        "not resolved yet"
    );
    service.resolve().await;
    // Where the name has an IPv6 address too, nobody listens there and it is set aside.
    for _ in 0..4 {
        assert_eq!(get(&service).await, Seen::whole(200, "good"));
    }
    assert_eq!(server.requests().len(), 4);
    let facts = service.facts();
    assert!(
        facts
            .iter()
            .all(|one| one.endpoint == format!("localhost:{}", server.address.port()))
    );
}

#[tokio::test]
async fn the_upkeep_resolves_at_once_and_after_a_failure() {
    let server = Server::start(vec![]).await;
    let mut plan = plan(&[]);
    plan.endpoints = vec![named("localhost", server.address.port())];
    let service = service(&plan);
    service.tend();
    super::script::until(|| !service.facts().is_empty()).await;
    assert_eq!(get(&service).await, Seen::whole(200, "good"));
    // All addresses are gone, as if the name had moved; a call that fails makes the upkeep ask again before its time.
    *lock(&service.0.addresses) = vec![Vec::new()];
    service.0.rebuild(None);
    assert_eq!(get(&service).await, Seen::Refused(Code::UpstreamUnreachable));
    super::script::until(|| !service.facts().is_empty()).await;
    assert_eq!(get(&service).await, Seen::whole(200, "good"));
}

#[tokio::test]
async fn addresses_stay_in_use_when_the_name_no_longer_resolves_also_across_a_reload() {
    let server = Server::start(vec![]).await;
    let mut plan = plan(&[]);
    // RFC 6761 section 6.4: never resolves.
    plan.endpoints = vec![named("inventory.invalid", server.address.port())];
    let old = service(&plan);
    *lock(&old.0.addresses) = vec![vec![server.address]];
    old.0.rebuild(None);
    assert_eq!(get(&old).await, Seen::whole(200, "good"));
    tokio::time::timeout(LONG, old.resolve()).await.unwrap();
    assert_eq!(get(&old).await, Seen::whole(200, "good"));
    let new = Service::seeded(&plan, 1, Some(&old), 2).unwrap();
    new.resolve().await;
    assert_eq!(get(&new).await, Seen::whole(200, "good"));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_call_does_not_try_longer_than_the_first_byte_may_take() {
    let (_socket, dead) = refusing();
    let mut plan = plan(&[dead, dead]);
    plan.timeouts.first_byte = Duration::ZERO;
    assert_eq!(
        get(&service(&plan)).await,
        Seen::Refused(Code::UpstreamUnreachable)
    );
}

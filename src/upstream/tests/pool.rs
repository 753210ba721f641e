//! Which connections are kept, for how long, and which one is taken.

use std::time::Duration;

use http::Method;
use http_body_util::BodyExt;

use super::script::{Server, Step, say, until};
use super::{Seen, facts, get, plan, request, send, service};
use crate::http::body::Body;
use crate::upstream::Service;

#[tokio::test]
async fn a_connection_serves_one_call_after_the_other() {
    let server = Server::start(vec![]).await;
    let service = service(&plan(&[server.address]));
    for _ in 0..5 {
        assert_eq!(get(&service).await, Seen::whole(200, "good"));
    }
    assert_eq!(server.connections(), 1);
    let facts = facts(&service);
    assert_eq!(
        (facts.connects, facts.reuses, facts.in_flight, facts.pooled),
        (1, 4, 0, 1)
    );
}

#[tokio::test]
async fn an_answer_in_chunks_gives_its_connection_back_too() {
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n";
    let server = Server::start(vec![vec![Step::Serve(chunked.to_vec())]]).await;
    let service = service(&plan(&[server.address]));
    for _ in 0..3 {
        assert_eq!(get(&service).await, Seen::whole(200, "good"));
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_answer_that_is_dropped_unread_takes_its_connection_along() {
    let large = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n".to_vec(),
        vec![b'x'; 10_000_000],
    ]
    .concat();
    let server = Server::start(vec![vec![Step::Head, Step::Say(large), Step::Hold]]).await;
    let service = service(&plan(&[server.address]));
    let answer = send(&service, request(Method::GET, Body::empty()))
        .await
        .0
        .unwrap();
    assert_eq!(facts(&service).in_flight, 1);
    std::mem::drop(answer);
    server.script_ended().await;
    assert_eq!((facts(&service).in_flight, facts(&service).pooled), (0, 0));
    assert_eq!(get(&service).await, Seen::whole(200, "good"));
}

#[tokio::test]
async fn a_call_that_is_given_up_closes_its_connection() {
    let server = Server::start(vec![vec![Step::Head, Step::Hold]]).await;
    let service = service(&plan(&[server.address]));
    {
        let mut call = std::pin::pin!(get(&service));
        tokio::select! {
            seen = &mut call => panic!("{seen:?}"),
            () = until(|| !server.requests().is_empty()) => {}
        }
        assert_eq!(facts(&service).in_flight, 1);
    }
    server.script_ended().await;
    assert_eq!((facts(&service).in_flight, facts(&service).pooled), (0, 0));
}

#[tokio::test]
async fn no_more_idle_connections_are_kept_than_planned() {
    let server = Server::start(vec![]).await;
    let mut plan = plan(&[server.address]);
    plan.pool.idle = 2;
    let service = service(&plan);
    let calls = (0..5).map(|_| send(&service, request(Method::GET, Body::empty())));
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(server.connections(), 5);
    for (answer, _) in answers {
        answer.unwrap().into_body().collect().await.unwrap();
    }
    assert_eq!(facts(&service).pooled, 2);
}

#[tokio::test]
async fn with_no_idle_connections_planned_each_call_has_its_own() {
    let server = Server::start(vec![]).await;
    let mut plan = plan(&[server.address]);
    plan.pool.idle = 0;
    let service = service(&plan);
    for _ in 0..3 {
        assert_eq!(get(&service).await, Seen::whole(200, "good"));
    }
    assert_eq!((server.connections(), facts(&service).pooled), (3, 0));
}

#[tokio::test]
async fn the_most_recently_used_connection_is_taken_first() {
    let server = Server::start(vec![]).await;
    let service = service(&plan(&[server.address]));
    let calls = (0..3).map(|_| send(&service, request(Method::GET, Body::empty())));
    for (answer, _) in futures_util::future::join_all(calls).await {
        answer.unwrap().into_body().collect().await.unwrap();
    }
    let before: Vec<usize> = (0..3).map(|at| server.received(at).len()).collect();
    for _ in 0..4 {
        assert_eq!(get(&service).await, Seen::whole(200, "good"));
    }
    let grown: Vec<usize> = (0..3)
        .filter(|at| server.received(*at).len() > before[*at])
        .collect();
    assert_eq!(grown.len(), 1, "one of three does all the work: {grown:?}");
}

#[tokio::test]
async fn a_connection_past_its_lifetime_is_not_used_again() {
    let server = Server::start(vec![]).await;
    let mut plan = plan(&[server.address]);
    plan.pool.lifetime = Duration::ZERO;
    let service = service(&plan);
    for _ in 0..3 {
        assert_eq!(get(&service).await, Seen::whole(200, "good"));
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_connection_idle_for_too_long_is_closed_by_the_upkeep() {
    let server = Server::start(vec![vec![Step::Head, say(super::script::GOOD), Step::Hold]]).await;
    let mut plan = plan(&[server.address]);
    plan.pool.idle_timeout = super::SHORT;
    let service = service(&plan);
    service.tend();
    assert_eq!(get(&service).await, Seen::whole(200, "good"));
    // The script ends when the connection is closed from our side.
    server.script_ended().await;
    assert_eq!(facts(&service).pooled, 0);
}

#[tokio::test]
async fn the_answer_decides_whether_the_connection_is_kept() {
    let close = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\ngood";
    let old = b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\ngood";
    for answer in [&close[..], &old[..]] {
        let server = Server::start(vec![vec![Step::Head, say(answer), Step::Hold]]).await;
        let service = service(&plan(&[server.address]));
        assert_eq!(get(&service).await, Seen::whole(200, "good"));
        assert_eq!(get(&service).await, Seen::whole(200, "good"));
        assert_eq!(server.connections(), 2);
    }
}

#[tokio::test]
async fn workers_do_not_share_connections() {
    let server = Server::start(vec![]).await;
    let service = Service::seeded(&plan(&[server.address]), 2, None, 1).unwrap();
    for shard in [0, 1, 0, 1] {
        let mut note = crate::upstream::UpstreamNote::default();
        let call = request(Method::GET, Body::empty());
        let answer = service.forward(shard, None, call, None, &mut note).await.unwrap();
        answer.into_body().collect().await.unwrap();
    }
    assert_eq!(server.connections(), 2);
    assert_eq!((facts(&service).connects, facts(&service).reuses), (2, 2));
}

#[tokio::test]
async fn a_reload_keeps_connections_and_counts_of_endpoints_that_stay() {
    let (stays, goes, comes) = (
        Server::start(vec![]).await,
        Server::start(vec![]).await,
        Server::start(vec![]).await,
    );
    let old = service(&plan(&[stays.address, goes.address]));
    get(&old).await;
    get(&old).await;
    assert_eq!((stays.connections(), goes.connections()), (1, 1));
    let mut changed = plan(&[comes.address, stays.address]);
    changed.timeouts.idle = Duration::from_secs(3);
    let new = Service::seeded(&changed, 1, Some(&old), 2).unwrap();
    std::mem::drop(old);
    for _ in 0..4 {
        assert_eq!(get(&new).await, Seen::whole(200, "good"));
    }
    assert_eq!(
        (stays.connections(), goes.connections(), comes.connections()),
        (1, 1, 1)
    );
    let kept = new
        .facts()
        .into_iter()
        .find(|facts| facts.address == stays.address)
        .unwrap();
    assert_eq!((kept.connects, kept.reuses), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_stealing_runtime_calls_from_many_tasks_share_few_connections() {
    let server = Server::start(vec![]).await;
    let service = service(&plan(&[server.address]));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let service = service.clone();
        callers.spawn(async move {
            for turn in 0..50 {
                let body = if turn % 2 == 0 {
                    Body::empty()
                } else {
                    Body::full("x")
                };
                let (answer, _) = send(&service, request(Method::PUT, body)).await;
                assert_eq!(super::see(answer).await, Seen::whole(200, "good"));
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    // Eight at a time, and a few whose task had not yet seen that they were free.
    assert!(server.connections() <= 40, "{}", server.connections());
    assert_eq!(facts(&service).in_flight, 0);
}

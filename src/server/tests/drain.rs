//! The end of the process, without losing what is in flight.

use tokio::time::{Instant, sleep};

use super::*;
use crate::server::drain::{Drained, Phase};

fn drain(life: &Life, min: u64, max: u64) -> JoinHandle<Drained> {
    let life = life.clone();
    let plan = DrainPlan {
        min: Duration::from_secs(min),
        max: Duration::from_secs(max),
    };
    #[expect(clippy::disallowed_methods, reason = "the test wants the result")]
    tokio::spawn(async move { life.drain(plan).await })
}

fn says_close(head: &str) -> bool {
    head.to_ascii_lowercase().contains("connection: close\r\n")
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_flight_is_given_whole_and_says_that_it_is_the_last() {
    let mut pipe = piped(Protocol::Unknown, 1 << 16);
    pipe.client
        .write_all(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    pipe.seen.arrived.notified().await;
    let drained = drain(&pipe.life, 2, 30);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(pipe.life.phase(), Phase::Closing);
    pipe.seen.go.notify_one();
    let (head, body) = answer(&mut pipe.client).await;
    assert!(says_close(&head), "{head}");
    assert_eq!(body, b"held");
    assert_eq!(rest(&mut pipe.client).await, "");
    assert_eq!(drained.await.unwrap(), Drained { cut: 0, requests: 0 });
    assert_eq!(pipe.life.phase(), Phase::Stopped);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_may_ask_once_more_before_the_minimum_and_is_closed_after_it() {
    let mut asks = piped(Protocol::Unknown, 1 << 16);
    ask(&mut asks.client, "/").await;
    let drained = drain(&asks.life, 5, 30);
    sleep(Duration::from_secs(4)).await;
    assert_eq!(asks.life.phase(), Phase::Draining);
    let (head, _) = ask(&mut asks.client, "/").await;
    assert!(says_close(&head), "{head}");
    assert_eq!(drained.await.unwrap().cut, 0);

    let mut waits = piped(Protocol::Unknown, 1 << 16);
    ask(&mut waits.client, "/").await;
    let begin = Instant::now();
    let drained = drain(&waits.life, 5, 30);
    assert_eq!(rest(&mut waits.client).await, "");
    assert!(begin.elapsed() >= Duration::from_secs(5) && begin.elapsed() < Duration::from_secs(6));
    assert_eq!(drained.await.unwrap().cut, 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_never_asked_anything_does_not_hold_up_the_drain() {
    let mut pipe = piped(Protocol::Unknown, 1 << 16);
    let begin = Instant::now();
    let drained = drain(&pipe.life, 1, 30);
    assert_eq!(rest(&mut pipe.client).await, "");
    drained.await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn http2_is_told_to_go_at_once_and_its_streams_finish() {
    let pipe = piped(Protocol::Unknown, 1 << 16);
    let (mut client, connection) = http2(pipe.client).await;
    let held = client.send_request(get("/held"));
    let (seen, life) = (Arc::clone(&pipe.seen), pipe.life.clone());
    let script = async {
        seen.arrived.notified().await;
        let drained = drain(&life, 2, 30);
        sleep(Duration::from_secs(20)).await;
        seen.go.notify_one();
        drained.await.unwrap()
    };
    let body = async {
        held.await
            .unwrap()
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
    };
    let (body, drained) = tokio::join!(body, script);
    assert_eq!(body, "held");
    assert_eq!(drained, Drained { cut: 0, requests: 0 });
    connection.await.unwrap().unwrap();
    assert!(client.send_request(get("/")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_idle_http2_client_that_ignores_the_goodbye_does_not_hold_up_the_drain() {
    let mut pipe = piped(Protocol::Http2, 1 << 16);
    pipe.client
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    sleep(Duration::from_millis(1)).await;
    let begin = Instant::now();
    let drained = drain(&pipe.life, 1, 60);
    assert_eq!(drained.await.unwrap().cut, 0);
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_holds_on_beyond_the_maximum_is_named_and_cut() {
    let mut pipe = piped(Protocol::Unknown, 1 << 16);
    pipe.client
        .write_all(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    pipe.seen.arrived.notified().await;
    let begin = Instant::now();
    let drained = drain(&pipe.life, 2, 30);
    sleep(Duration::from_secs(3)).await;
    let holders = pipe.life.holders();
    assert_eq!(
        holders
            .iter()
            .map(|holder| (holder.address, holder.in_flight))
            .collect::<Vec<_>>(),
        [(nobody(), 1)]
    );
    assert_eq!(drained.await.unwrap(), Drained { cut: 1, requests: 1 });
    assert_eq!(begin.elapsed().as_secs(), 30);
    assert!(matches!(pipe.end.await.unwrap(), End::Cut));
    assert_eq!(rest(&mut pipe.client).await, "");
    assert_eq!(pipe.life.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_ends_the_drain_at_once() {
    let mut pipe = piped(Protocol::Unknown, 1 << 16);
    pipe.client
        .write_all(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    pipe.seen.arrived.notified().await;
    for after in [1, 10] {
        let begin = Instant::now();
        let drained = drain(&pipe.life, 5, 3600);
        sleep(Duration::from_secs(after)).await;
        pipe.life.stop();
        drained.await.unwrap();
        assert!(begin.elapsed() <= Duration::from_secs(after));
    }
    assert!(matches!(pipe.end.await.unwrap(), End::Cut));
}

#[tokio::test(start_paused = true)]
async fn a_drain_without_connections_still_takes_the_minimum() {
    let life = Life::new();
    life.ready();
    let begin = Instant::now();
    assert_eq!(
        drain(&life, 7, 30).await.unwrap(),
        Drained { cut: 0, requests: 0 }
    );
    assert_eq!(begin.elapsed().as_secs(), 7);
}

#[test]
fn a_life_only_goes_forward() {
    let life = Life::new();
    assert_eq!(life.phase(), Phase::Starting);
    life.ready();
    life.stop();
    life.ready();
    assert_eq!(life.phase(), Phase::Stopped);
}

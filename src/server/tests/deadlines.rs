//! Each wait of a connection has its own deadline.

use tokio::time::{Instant, advance, sleep};

use super::*;
use crate::server::timed_io::Expired;

const SECOND: Duration = Duration::from_secs(1);

fn about(begin: Instant, seconds: u64) {
    let passed = begin.elapsed();
    let want = SECOND * u32::try_from(seconds).unwrap();
    assert!(
        passed >= want && passed < want + Duration::from_millis(50),
        "{passed:?}, not {want:?}"
    );
}

async fn closed(end: JoinHandle<End>) {
    match end.await.unwrap() {
        End::Closed => {}
        other => panic!("{other:?}"),
    }
}

async fn expired(end: JoinHandle<End>) -> Expired {
    match end.await.unwrap() {
        End::Expired(expired) => expired,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_idle_for_70_seconds_is_still_usable_and_one_idle_for_75_is_closed() {
    let mut pipe = piped(Protocol::Unknown, 4096);
    assert_eq!(ask(&mut pipe.client, "/").await.1, b"ok");
    sleep(SECOND * 70).await;
    assert_eq!(ask(&mut pipe.client, "/").await.1, b"ok");
    let begin = Instant::now();
    assert_eq!(rest(&mut pipe.client).await, "");
    about(begin, 75);
    closed(pipe.end).await;
    assert_eq!(pipe.seen.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_header_deadline_is_for_the_whole_head_and_not_for_each_byte() {
    let mut pipe = piped(Protocol::Unknown, 4096);
    sleep(SECOND * 5).await;
    let begin = Instant::now();
    let client = &mut pipe.client;
    for byte in b"GET / HTTP/1.1\r\n".iter().cycle() {
        if client.write_u8(*byte).await.is_err() || pipe.end.is_finished() {
            break;
        }
        sleep(SECOND).await;
    }
    let passed = begin.elapsed();
    assert!(passed >= SECOND * 10 && passed <= SECOND * 12, "{passed:?}");
    assert_eq!(expired(pipe.end).await, Expired::Head);
    assert!(pipe.seen.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_header_deadline_of_a_later_request_begins_with_its_first_byte() {
    let mut pipe = piped(Protocol::Unknown, 4096);
    ask(&mut pipe.client, "/").await;
    sleep(SECOND * 40).await;
    pipe.client.write_all(b"G").await.unwrap();
    let begin = Instant::now();
    assert_eq!(rest(&mut pipe.client).await, "");
    about(begin, 10);
    assert_eq!(expired(pipe.end).await, Expired::Head);
}

#[tokio::test(start_paused = true)]
async fn empty_lines_do_not_keep_a_connection() {
    let mut pipe = piped(Protocol::Unknown, 4096);
    ask(&mut pipe.client, "/").await;
    let begin = Instant::now();
    while !pipe.end.is_finished() && pipe.client.write_all(b"\r\n").await.is_ok() {
        sleep(SECOND * 3).await;
    }
    assert!(begin.elapsed() <= SECOND * 13, "{:?}", begin.elapsed());
    assert_eq!(expired(pipe.end).await, Expired::Head);
}

#[tokio::test(start_paused = true)]
async fn a_head_begun_while_the_request_before_is_in_work_has_the_header_deadline_after_its_answer() {
    let mut pipe = piped(Protocol::Unknown, 4096);
    pipe.client
        .write_all(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    pipe.seen.arrived.notified().await;
    pipe.client.write_all(b"GET /next HT").await.unwrap();
    sleep(SECOND * 300).await;
    pipe.seen.go.notify_one();
    assert_eq!(answer(&mut pipe.client).await.1, b"held");
    let begin = Instant::now();
    assert_eq!(rest(&mut pipe.client).await, "");
    about(begin, 10);
    assert_eq!(expired(pipe.end).await, Expired::Head);
}

#[tokio::test(start_paused = true)]
async fn a_plain_connection_without_a_byte_is_closed_at_the_first_byte_deadline() {
    let mut pipe = piped(Protocol::Unknown, 4096);
    let begin = Instant::now();
    assert_eq!(rest(&mut pipe.client).await, "");
    about(begin, 9);
    assert_eq!(expired(pipe.end).await, Expired::FirstByte);
}

#[tokio::test(start_paused = true)]
async fn a_preface_that_does_not_end_is_cut_at_the_header_deadline() {
    let mut pipe = piped(Protocol::Unknown, 4096);
    pipe.client.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
    let begin = Instant::now();
    assert_eq!(rest(&mut pipe.client).await, "");
    about(begin, 10);
    assert_eq!(expired(pipe.end).await, Expired::Head);
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_take_longer_than_every_deadline_of_the_connection() {
    let mut pipe = piped(Protocol::Unknown, 4096);
    pipe.client
        .write_all(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    pipe.seen.arrived.notified().await;
    sleep(SECOND * 600).await;
    pipe.seen.go.notify_one();
    assert_eq!(answer(&mut pipe.client).await.1, b"held");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_stuck_is_cut_at_the_write_deadline() {
    let mut pipe = piped(Protocol::Unknown, 1024);
    let begin = Instant::now();
    pipe.client
        .write_all(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(expired(pipe.end).await, Expired::Write);
    about(begin, 20);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_that_makes_progress_is_not_cut() {
    let mut pipe = piped(Protocol::Unknown, 1 << 20);
    pipe.client
        .write_all(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let mut chunk = vec![0; 1 << 20];
    let mut read = 0;
    while read < BIG {
        sleep(SECOND * 19).await;
        read += pipe.client.read(&mut chunk).await.unwrap();
    }
    assert!(!pipe.end.is_finished());
}

#[tokio::test(start_paused = true)]
async fn the_time_of_an_answer_does_not_count_as_idle() {
    let mut pipe = piped(Protocol::Unknown, 4096);
    for _ in 0..5 {
        pipe.client
            .write_all(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        pipe.seen.arrived.notified().await;
        advance(SECOND * 60).await;
        pipe.seen.go.notify_one();
        assert_eq!(answer(&mut pipe.client).await.1, b"held");
        advance(SECOND * 60).await;
    }
    assert_eq!(pipe.seen.requests().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn an_idle_http2_connection_ends_with_a_goodbye() {
    let pipe = piped(Protocol::Unknown, 1 << 16);
    let (mut client, connection) = http2(pipe.client).await;
    for _ in 0..2 {
        let answer = client.send_request(get("/")).await.unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "ok");
        sleep(SECOND * 70).await;
    }
    let begin = Instant::now();
    // Orderly at the client: no error.
    connection.await.unwrap().unwrap();
    about(begin, 5);
    closed(pipe.end).await;
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn an_http2_request_in_work_is_not_idle() {
    let pipe = piped(Protocol::Unknown, 1 << 16);
    let (mut client, _connection) = http2(pipe.client).await;
    let asked = client.send_request(get("/held"));
    let answered = async {
        pipe.seen.arrived.notified().await;
        sleep(SECOND * 600).await;
        pipe.seen.go.notify_one();
    };
    let (answer, ()) = tokio::join!(asked, answered);
    assert_eq!(answer.unwrap().status(), StatusCode::OK);
    assert!(!pipe.end.is_finished());
}

#[tokio::test(start_paused = true)]
async fn an_http2_client_that_says_nothing_after_its_preface_is_closed() {
    let mut pipe = piped(Protocol::Unknown, 1 << 16);
    pipe.client
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    let begin = Instant::now();
    rest(&mut pipe.client).await;
    assert!(begin.elapsed() <= SECOND * 81, "{:?}", begin.elapsed());
}

//! HTTP/1 as bytes.

use super::*;

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let mut pipe = piped(Protocol::Unknown, 1 << 16);
    pipe.client
        .write_all(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /c HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(answer(&mut pipe.client).await.1, b"ok");
    assert_eq!(answer(&mut pipe.client).await.1, b"abc");
    assert_eq!(answer(&mut pipe.client).await.1, b"ok");
    assert_eq!(pipe.seen.requests(), ["GET /a", "POST /echo", "GET /c"]);
}

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn a_body_that_came_with_an_early_answer_is_never_the_next_request() {
    let mut pipe = piped(Protocol::Unknown, 1 << 16);
    let request = format!(
        "POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{SMUGGLED}GET /next HTTP/1.1\r\nHost: a\r\n\r\n",
        SMUGGLED.len()
    );
    pipe.client.write_all(request.as_bytes()).await.unwrap();
    assert!(answer(&mut pipe.client).await.0.starts_with("HTTP/1.1 401 "));
    // The rest is either drained, and the next request answered, or the connection ends.
    pipe.client.shutdown().await.unwrap();
    rest(&mut pipe.client).await;
    let requests = pipe.seen.requests();
    assert!(
        !requests.iter().any(|request| request.contains("smuggled")),
        "{requests:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_after_an_early_answer_is_never_the_next_request() {
    let mut pipe = piped(Protocol::Unknown, 1 << 16);
    let length = SMUGGLED.len() + 1000;
    let head = format!("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    pipe.client.write_all(head.as_bytes()).await.unwrap();
    let (head, _) = answer(&mut pipe.client).await;
    assert!(head.starts_with("HTTP/1.1 401 "));
    let _ = pipe
        .client
        .write_all(format!("{}{SMUGGLED}", "x".repeat(1000)).as_bytes())
        .await;
    assert_eq!(rest(&mut pipe.client).await, "");
    drop(pipe.client);
    pipe.end.await.unwrap();
    assert_eq!(pipe.seen.requests(), ["POST /early"]);
}

#[tokio::test(start_paused = true)]
async fn a_chunked_body_after_an_early_answer_is_never_the_next_request() {
    let mut pipe = piped(Protocol::Unknown, 1 << 16);
    pipe.client
        .write_all(b"POST /early HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await
        .unwrap();
    answer(&mut pipe.client).await;
    let _ = pipe
        .client
        .write_all(format!("0\r\n\r\n{SMUGGLED}").as_bytes())
        .await;
    rest(&mut pipe.client).await;
    assert_eq!(pipe.seen.requests(), ["POST /early"]);
}

#[tokio::test(start_paused = true)]
async fn the_goodbye_to_a_client_that_goes_on_sending_is_bounded_in_bytes() {
    let mut pipe = piped(Protocol::Unknown, 1 << 16);
    pipe.client
        .write_all(b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
        .await
        .unwrap();
    answer(&mut pipe.client).await;
    let mut sent = 0_usize;
    while pipe.client.write_all(&[b'x'; 16384]).await.is_ok() {
        sent += 16384;
        assert!(sent < 1 << 20, "the server reads on and on");
    }
    pipe.end.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_goodbye_to_a_client_that_does_not_close_is_bounded_in_time() {
    let mut pipe = piped(Protocol::Unknown, 1 << 16);
    pipe.client
        .write_all(b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
        .await
        .unwrap();
    answer(&mut pipe.client).await;
    let begin = tokio::time::Instant::now();
    pipe.end.await.unwrap();
    assert!(begin.elapsed() <= Duration::from_secs(6), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_panic_in_the_handler_is_500_and_the_end_of_that_connection() {
    let mut pipe = piped(Protocol::Unknown, 1 << 16);
    let (head, _) = ask(&mut pipe.client, "/panic").await;
    assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
    assert!(head.to_ascii_lowercase().contains("connection: close"), "{head}");
    assert_eq!(rest(&mut pipe.client).await, "");
}

#[tokio::test]
async fn a_head_larger_than_the_limit_is_431() {
    let mut pipe = piped(Protocol::Unknown, 1 << 20);
    let request = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "x".repeat(40 * 1024)
    );
    pipe.client.write_all(request.as_bytes()).await.unwrap();
    let (head, _) = answer(&mut pipe.client).await;
    assert!(head.starts_with("HTTP/1.1 431 "), "{head}");
    assert!(pipe.seen.requests().is_empty());
}

#[tokio::test]
async fn more_fields_than_the_limit_are_431() {
    let mut pipe = piped(Protocol::Unknown, 1 << 20);
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(120));
    pipe.client.write_all(request.as_bytes()).await.unwrap();
    let (head, _) = answer(&mut pipe.client).await;
    assert!(head.starts_with("HTTP/1.1 431 "), "{head}");
}

#[tokio::test]
async fn half_a_preface_that_turns_out_to_be_http1_is_read_from_its_first_byte() {
    // PRI is a method like any other to the parser; the guard refuses it.
    for method in ["PUT", "PR", "PRI"] {
        let mut pipe = piped(Protocol::Unknown, 1 << 16);
        let request = format!("{method} /x HTTP/1.1\r\nHost: a\r\n\r\n");
        for byte in request.as_bytes() {
            pipe.client.write_u8(*byte).await.unwrap();
            tokio::task::yield_now().await;
        }
        let (head, _) = answer(&mut pipe.client).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(pipe.seen.requests(), [format!("{method} /x")]);
    }
}

#[tokio::test]
async fn expect_100_continue_is_answered_when_the_body_is_read_and_not_before() {
    let mut pipe = piped(Protocol::Unknown, 1 << 16);
    let head = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    pipe.client.write_all(head).await.unwrap();
    assert!(answer(&mut pipe.client).await.0.starts_with("HTTP/1.1 100 "));
    pipe.client.write_all(b"abc").await.unwrap();
    assert_eq!(answer(&mut pipe.client).await.1, b"abc");

    let mut pipe = piped(Protocol::Unknown, 1 << 16);
    let head = b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    pipe.client.write_all(head).await.unwrap();
    assert!(answer(&mut pipe.client).await.0.starts_with("HTTP/1.1 401 "));
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_request_with_it() {
    let mut pipe = piped(Protocol::Unknown, 1 << 16);
    pipe.client
        .write_all(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    pipe.seen.arrived.notified().await;
    drop(pipe.client);
    pipe.end.await.unwrap();
    // The handler's half of this Arc is gone with its future: the test's is the last.
    assert_eq!(Arc::strong_count(&pipe.seen), 1);
}

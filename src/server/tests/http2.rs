//! HTTP/2 by a foreign client, and as frames.

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[tokio::test]
async fn prior_knowledge_on_a_plain_socket_is_http2() {
    let pipe = piped(Protocol::Unknown, 1 << 16);
    let (mut client, _connection) = http2(pipe.client).await;
    let answer = client.send_request(get("/")).await.unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_2);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "ok");
}

#[tokio::test]
async fn a_panic_in_the_handler_is_500_and_other_streams_go_on() {
    let pipe = piped(Protocol::Http2, 1 << 16);
    let (mut client, _connection) = http2(pipe.client).await;
    let answer = client.send_request(get("/panic")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let answer = client.send_request(get("/")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

/// The SETTINGS that the server sends first (RFC 9113 section 3.4), by identifier.
async fn settings(client: &mut DuplexStream) -> Vec<(u16, u32)> {
    let mut head = [0; 9];
    client.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "SETTINGS comes first");
    let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
    client.read_exact(&mut payload).await.unwrap();
    payload
        .chunks(6)
        .map(|entry| {
            let id = u16::from_be_bytes([entry[0], entry[1]]);
            (id, u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]))
        })
        .collect()
}

#[tokio::test]
async fn the_limits_of_the_plan_are_announced() {
    let mut pipe = piped(Protocol::Http2, 1 << 16);
    pipe.client.write_all(PREFACE).await.unwrap();
    pipe.client.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    let settings = settings(&mut pipe.client).await;
    let value = |id| {
        settings
            .iter()
            .find(|(name, _)| *name == id)
            .map(|(_, value)| *value)
    };
    assert_eq!(
        value(3),
        Some(100),
        "SETTINGS_MAX_CONCURRENT_STREAMS: {settings:?}"
    );
    assert!(
        matches!(value(4), None | Some(65_536)),
        "SETTINGS_INITIAL_WINDOW_SIZE: {settings:?}"
    );
    assert_eq!(
        value(6),
        Some(32 * 1024),
        "SETTINGS_MAX_HEADER_LIST_SIZE: {settings:?}"
    );
    assert!(
        matches!(value(8), None | Some(0)),
        "no extended CONNECT: {settings:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_header_block_that_never_ends_is_ended_by_the_ping_that_it_keeps_from_being_answered() {
    let mut pipe = piped(Protocol::Http2, 1 << 16);
    pipe.client.write_all(PREFACE).await.unwrap();
    pipe.client.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    pipe.client.write_all(&[0, 0, 0, 4, 1, 0, 0, 0, 0]).await.unwrap();
    // HEADERS of stream 1 without END_HEADERS: only CONTINUATION may follow (RFC 9113 section 6.10).
    pipe.client
        .write_all(&[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82])
        .await
        .unwrap();
    let begin = tokio::time::Instant::now();
    let drip = async {
        while pipe
            .client
            .write_all(&[0, 0, 1, 9, 0, 0, 0, 0, 1, 0x84])
            .await
            .is_ok()
        {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    drip.await;
    pipe.end.await.unwrap();
    assert!(
        begin.elapsed() <= Duration::from_secs(76),
        "{:?}",
        begin.elapsed()
    );
    assert!(pipe.seen.requests().is_empty());
}

#[tokio::test]
async fn a_flood_of_resets_ends_the_connection() {
    let mut pipe = piped(Protocol::Http2, 1 << 20);
    pipe.client.write_all(PREFACE).await.unwrap();
    pipe.client.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    let mut flood = Vec::new();
    for stream in (1_u32..4001).step_by(2) {
        // HEADERS with END_STREAM and END_HEADERS: GET http / a, then RST_STREAM.
        flood.extend_from_slice(&[0, 0, 6, 1, 5]);
        flood.extend_from_slice(&stream.to_be_bytes());
        flood.extend_from_slice(&[0x82, 0x86, 0x84, 0x41, 0x01, b'a']);
        flood.extend_from_slice(&[0, 0, 4, 3, 0]);
        flood.extend_from_slice(&stream.to_be_bytes());
        flood.extend_from_slice(&[0, 0, 0, 8]);
    }
    let _ = pipe.client.write_all(&flood).await;
    let mut sent = Vec::new();
    let _ = pipe.client.read_to_end(&mut sent).await;
    pipe.end.await.unwrap();
    // GOAWAY with ENHANCE_YOUR_CALM (RFC 9113 section 7).
    assert!(sent.windows(4).any(|window| window == [0, 0, 0, 0x0b]));
    assert!(pipe.seen.requests().len() < 200, "{}", pipe.seen.requests().len());
}

/// GET http://a`path`, as HEADERS with END_STREAM and END_HEADERS (RFC 9113 section 6.2), literals without Huffman.
fn headers(stream: u32, path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).unwrap();
    let mut frame = vec![0, 0, 7 + length, 1, 5];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(&[0x82, 0x86, 0x04, length]);
    frame.extend_from_slice(path.as_bytes());
    frame.extend_from_slice(&[0x41, 0x01, b'a']);
    frame
}

/// Reads frames until one of type `kind` on `stream`; its payload. Answers pings, as a live client would.
async fn frame(client: &mut DuplexStream, kind: u8, stream: u32) -> Option<Vec<u8>> {
    loop {
        let mut head = [0; 9];
        client.read_exact(&mut head).await.ok()?;
        let mut payload =
            vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
        client.read_exact(&mut payload).await.ok()?;
        if head[3] == 6 && head[4] == 0 {
            let mut pong = vec![0, 0, 8, 6, 1, 0, 0, 0, 0];
            pong.extend_from_slice(&payload);
            client.write_all(&pong).await.ok()?;
        }
        if head[3] == kind && head[5..] == stream.to_be_bytes() {
            return Some(payload);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_window_stays_shut_is_reset_at_the_write_deadline_and_others_go_on() {
    let mut pipe = piped(Protocol::Http2, 1 << 20);
    pipe.client.write_all(PREFACE).await.unwrap();
    // SETTINGS_INITIAL_WINDOW_SIZE = 0: no byte of any body may be sent (RFC 9113 section 6.9.2).
    pipe.client
        .write_all(&[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0])
        .await
        .unwrap();
    pipe.client.write_all(&headers(1, "/big")).await.unwrap();
    let begin = tokio::time::Instant::now();
    let reset = frame(&mut pipe.client, 3, 1).await.unwrap();
    assert_eq!(reset, [0, 0, 0, 8], "CANCEL");
    assert_eq!(begin.elapsed().as_secs(), 20);
    pipe.client.write_all(&headers(3, "/early")).await.unwrap();
    assert!(frame(&mut pipe.client, 1, 3).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_taken_slowly_is_not_reset() {
    let mut pipe = piped(Protocol::Http2, 1 << 20);
    pipe.client.write_all(PREFACE).await.unwrap();
    pipe.client
        .write_all(&[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0])
        .await
        .unwrap();
    pipe.client.write_all(&headers(1, "/big")).await.unwrap();
    let mut taken = 0;
    while taken < 20 * 65_536 {
        // One piece for each 19 seconds: WINDOW_UPDATE of 64 KiB for the stream and for the connection.
        for stream in [0, 1] {
            pipe.client
                .write_all(&[0, 0, 4, 8, 0, 0, 0, 0, stream, 0, 1, 0, 0])
                .await
                .unwrap();
        }
        let mut piece = 0;
        while piece < 65_536 {
            piece += frame(&mut pipe.client, 0, 1)
                .await
                .expect("the stream goes on")
                .len();
        }
        taken += piece;
        let pinged = tokio::time::timeout(Duration::from_secs(19), frame(&mut pipe.client, 3, 1));
        assert!(pinged.await.is_err(), "the stream was reset");
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_takes_its_time_is_not_the_client_s_fault() {
    let pipe = piped(Protocol::Http2, 1 << 16);
    let (mut client, _connection) = http2(pipe.client).await;
    let asked = async {
        let answer = client.send_request(get("/dripping")).await.unwrap();
        answer.into_body().collect().await.unwrap().to_bytes()
    };
    let drip = async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(300)).await;
            pipe.seen.go.notify_one();
        }
    };
    let (body, ()) = tokio::join!(asked, drip);
    assert_eq!(body, "ddd");
}

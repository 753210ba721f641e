//! Bodies that nobody reads: of calls that are refused by their head, and of endpoints that have no use for one. Some libraries
//! send the body in a packet of its own, and the request that follows it on the connection must not be lost.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::world::{PASSWORD, World, cookie};

const ROUTES: &str = r#"
      - path: /login
        methods: [POST]
        public: true
        to: { sign-in: { realm: staff, body: { json: {} }, gives: session } }
      - path: /code
        methods: [POST]
        credentials: [session]
        to: { authorize-step: { service: staff, answer: { json: { code: "{code}" } } } }
      - path: /logout
        methods: [POST]
        to: { sign-out: {} }
      - path: /step
        methods: [POST]
        public: true
        limits: [step]
        to: { sign-in: { realm: staff, client: { query: client_id }, body: { json: {} }, gives: session } }
      - path: /{*rest}
        to: { backend: backend }
"#;

/// The head of a request with a body of `length` bytes.
fn head(target: &str, fields: &str, length: usize) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: api.test\r\n{fields}Content-Length: {length}\r\n\r\n")
}

/// The next answer's status; nothing of its body is looked at but its length.
async fn status(stream: &mut TcpStream) -> u16 {
    let mut answer = Vec::new();
    let end = loop {
        let read = stream.read_buf(&mut answer).await.expect("to read");
        assert!(read > 0, "closed: {}", String::from_utf8_lossy(&answer));
        if let Some(at) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let text = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse::<usize>().expect("a length"));
    while answer.len() < end + length {
        assert!(
            stream.read_buf(&mut answer).await.expect("to read") > 0,
            "closed in the body"
        );
    }
    text[9..12].parse().expect("a status")
}

async fn session(world: &World) -> String {
    let signed_in = world.sign_in("alice", PASSWORD).await;
    let (sid, csrf) = (cookie(&signed_in, "sid"), cookie(&signed_in, "csrf"));
    format!("Cookie: sid={sid}\r\nX-CSRF: {csrf}\r\n")
}

#[tokio::test]
async fn a_body_that_nobody_reads_does_not_cost_the_connection() {
    let world = World::with_routes(ROUTES).await;
    let own = session(&world).await;
    let code = "/code?client_id=app1&response_type=code&scope=all";
    let step = "/step?client_id=app1";
    // Spends the step's only token.
    world
        .post_json(step, &serde_json::json!({"username": "alice", "password": "x"}))
        .await;
    for (target, fields, expected) in [
        ("/x", "", 401),
        ("/x", "Authorization: Bearer nobodys\r\n", 401),
        (step, "", 429),
        (code, own.as_str(), 200),
        ("/logout", own.as_str(), 200),
    ] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream
            .write_all(head(target, fields, 2).as_bytes())
            .await
            .unwrap();
        // The one worker has done this since, so it would have answered.
        session(&world).await;
        let early = stream.try_read(&mut [0; 1]);
        assert!(early.is_err(), "{target}: answered before the body was there");
        stream.write_all(b"{}").await.unwrap();
        assert_eq!(status(&mut stream).await, expected, "{target}");
        stream
            .write_all((head("/x", "", 2) + "{}").as_bytes())
            .await
            .unwrap();
        assert_eq!(status(&mut stream).await, 401, "after {target}");
    }
}

#[tokio::test]
async fn nobody_waits_for_a_body_that_is_large_or_that_the_client_keeps_back() {
    let world = World::with_routes(ROUTES).await;
    for (fields, length) in [("", (16 << 10) + 1), ("Expect: 100-continue\r\n", 2)] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream
            .write_all(head("/x", fields, length).as_bytes())
            .await
            .unwrap();
        assert_eq!(status(&mut stream).await, 401);
        // What comes next could be taken for the body, so the connection ends.
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }
}

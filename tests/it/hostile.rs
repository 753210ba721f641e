//! Hostile HTTP/1.1 through a raw socket, judged at the client *and* at a backend that reads strictly
//! (classes of bugs: framing, header lines, Host, targets, limits, identity). With the guard switched off the cases
//! that are the guard's must fail: that shows that they bite.
//!
//! `TOLLGATE_WRITE_TABLES=1 cargo test --test it hostile` writes `docs/hostile-input.md` anew.

use std::fmt::Write as _;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::client::PATIENCE;
use crate::support::gateway::start;
use crate::support::raw_backend::{RawBackend, RawRequest};

/// Who catches the case: if the guard, then without it the case must fail; else the parser or the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Parser,
    Guard,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Expect {
    /// A 4xx or 501 and a closed connection; nothing at the backend.
    Refused,
    /// So many clean requests at the backend, none of them hidden, and a 2xx for each.
    Clean(usize),
    /// Either of the two is allowed by the RFC section named.
    RefusedOrClean(usize),
}

struct Case {
    class: &'static str,
    name: &'static str,
    bytes: Vec<u8>,
    expect: Expect,
    by: By,
}

fn case(class: &'static str, name: &'static str, by: By, expect: Expect, bytes: impl AsRef<[u8]>) -> Case {
    Case {
        class,
        name,
        bytes: bytes.as_ref().to_vec(),
        expect,
        by,
    }
}

const HIDDEN: &str = "GET /open/hidden HTTP/1.1\r\nHost: api.test\r\n\r\n";

fn post(framing: &str, rest: &str) -> String {
    format!("POST /open/a HTTP/1.1\r\nHost: api.test\r\n{framing}\r\n\r\n{rest}")
}

fn get(lines: &str) -> String {
    format!("GET /open/a HTTP/1.1\r\n{lines}\r\n\r\n")
}

fn target(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: api.test\r\n\r\n")
}

fn cases() -> Vec<Case> {
    use By::{Guard, Parser};
    use Expect::{Clean, Refused, RefusedOrClean};
    let mut all = Vec::new();
    let chunked_hidden = format!("0\r\n\r\n{HIDDEN}");
    let framing: Vec<(&'static str, By, Expect, String)> = vec![
        (
            "CL.TE: both fields, length first",
            Parser,
            RefusedOrClean(2),
            post(
                &format!(
                    "Content-Length: {}\r\nTransfer-Encoding: chunked",
                    chunked_hidden.len()
                ),
                &chunked_hidden,
            ),
        ),
        (
            "TE.CL: both fields, coding first",
            Parser,
            RefusedOrClean(2),
            post("Transfer-Encoding: chunked\r\nContent-Length: 4", &chunked_hidden),
        ),
        (
            "TE.TE: xchunked",
            Parser,
            Refused,
            post("Transfer-Encoding: xchunked", &chunked_hidden),
        ),
        (
            "TE.TE: chunked, identity",
            Parser,
            Refused,
            post("Transfer-Encoding: chunked, identity", &chunked_hidden),
        ),
        (
            "TE.TE: identity, chunked",
            Guard,
            Refused,
            post("Transfer-Encoding: identity, chunked", "0\r\n\r\n"),
        ),
        (
            "TE.TE: gzip, chunked",
            Guard,
            Refused,
            post("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"),
        ),
        (
            "TE.TE: two lines",
            Guard,
            Refused,
            post(
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                "0\r\n\r\n",
            ),
        ),
        (
            "TE.TE: list of two",
            Guard,
            Refused,
            post("Transfer-Encoding: chunked, chunked", "0\r\n\r\n"),
        ),
        (
            "TE.TE: trailing comma",
            Parser,
            Refused,
            post("Transfer-Encoding: chunked,", "0\r\n\r\n"),
        ),
        (
            "TE.TE: quoted",
            Parser,
            Refused,
            post("Transfer-Encoding: \"chunked\"", "0\r\n\r\n"),
        ),
        (
            "TE.TE: vertical tab",
            Parser,
            Refused,
            post("Transfer-Encoding: \x0bchunked", "0\r\n\r\n"),
        ),
        (
            "TE.TE: NUL",
            Parser,
            Refused,
            post("Transfer-Encoding: chunked\0", "0\r\n\r\n"),
        ),
        (
            "TE.TE: space before the colon",
            Parser,
            Refused,
            post("Transfer-Encoding : chunked", "0\r\n\r\n"),
        ),
        (
            "TE.TE: folded",
            Parser,
            Refused,
            post("Transfer-Encoding:\r\n chunked", "0\r\n\r\n"),
        ),
        (
            "TE on HTTP/1.0",
            Parser,
            Refused,
            format!(
                "POST /open/a HTTP/1.0\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n{chunked_hidden}"
            ),
        ),
        (
            "CL: plus sign",
            Parser,
            Refused,
            post("Content-Length: +5", "hello"),
        ),
        (
            "CL: minus sign",
            Parser,
            Refused,
            post("Content-Length: -5", "hello"),
        ),
        (
            "CL: hexadecimal",
            Parser,
            Refused,
            post("Content-Length: 0x5", "hello"),
        ),
        (
            "CL: fraction",
            Parser,
            Refused,
            post("Content-Length: 5.0", "hello"),
        ),
        ("CL: empty", Parser, Refused, post("Content-Length: ", "hello")),
        (
            "CL: list of equal values",
            Parser,
            RefusedOrClean(1),
            post("Content-Length: 5, 5", "hello"),
        ),
        (
            "CL: list of different values",
            Parser,
            Refused,
            post("Content-Length: 5, 6", "hello!"),
        ),
        (
            "CL: two equal lines",
            Parser,
            RefusedOrClean(1),
            post("Content-Length: 5\r\nContent-Length: 5", "hello"),
        ),
        (
            "CL: two different lines",
            Parser,
            Refused,
            post("Content-Length: 5\r\nContent-Length: 6", "hello!"),
        ),
        (
            "CL: 2^64 + 5",
            Parser,
            Refused,
            post("Content-Length: 18446744073709551621", "hello"),
        ),
        ("CL: NUL", Parser, Refused, post("Content-Length: 5\0", "hello")),
        (
            "CL: folded",
            Parser,
            Refused,
            post("Content-Length:\r\n 5", "hello"),
        ),
        (
            "CL: space before the colon",
            Parser,
            Refused,
            post("Content-Length : 5", "hello"),
        ),
        (
            "chunk: size overflows",
            Parser,
            Refused,
            post(
                "Transfer-Encoding: chunked",
                "10000000000000005\r\nhello\r\n0\r\n\r\n",
            ),
        ),
        (
            "chunk: bare LF after the size",
            Parser,
            Refused,
            post("Transfer-Encoding: chunked", "5\nhello\r\n0\r\n\r\n"),
        ),
        (
            "chunk: bare LF after the data",
            Parser,
            Refused,
            post("Transfer-Encoding: chunked", "5\r\nhello\n0\r\n\r\n"),
        ),
        (
            "chunk: no line end after the data",
            Parser,
            Refused,
            post("Transfer-Encoding: chunked", "5\r\nhello0\r\n\r\n"),
        ),
        (
            "chunk: two bytes spill over",
            Parser,
            Refused,
            post("Transfer-Encoding: chunked", "5\r\nhelloXX0\r\n\r\n"),
        ),
        (
            "chunk: negative size",
            Parser,
            Refused,
            post("Transfer-Encoding: chunked", "-5\r\nhello\r\n0\r\n\r\n"),
        ),
        (
            "chunk: size with 0x",
            Parser,
            Refused,
            post("Transfer-Encoding: chunked", "0x5\r\nhello\r\n0\r\n\r\n"),
        ),
        (
            "chunk: no size",
            Parser,
            Refused,
            post("Transfer-Encoding: chunked", "\r\nhello\r\n0\r\n\r\n"),
        ),
        (
            "chunk: extensions beyond 16 KiB",
            Parser,
            Refused,
            post(
                "Transfer-Encoding: chunked",
                &format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(20_000)),
            ),
        ),
        (
            "chunk: an extension is dropped",
            Parser,
            Clean(1),
            post("Transfer-Encoding: chunked", "5;a=b\r\nhello\r\n0\r\n\r\n"),
        ),
        (
            "chunk: two good chunks",
            Parser,
            Clean(1),
            post(
                "Transfer-Encoding: chunked",
                "5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n",
            ),
        ),
        (
            "valid: Chunked in mixed case",
            Parser,
            Clean(1),
            post("Transfer-Encoding: Chunked", "5\r\nhello\r\n0\r\n\r\n"),
        ),
        (
            "valid: a length",
            Parser,
            Clean(1),
            post("Content-Length: 5", "hello"),
        ),
        (
            "valid: two requests in one write",
            Parser,
            Clean(2),
            format!("{}{}", post("Content-Length: 5", "hello"), target("/open/b")),
        ),
    ];
    all.extend(
        framing
            .into_iter()
            .map(|(name, by, expect, bytes)| case("framing", name, by, expect, bytes)),
    );

    let lines: Vec<(&'static str, By, Expect, Vec<u8>)> = vec![
        (
            "no colon",
            Parser,
            Refused,
            get("Host: api.test\r\nnonsense").into_bytes(),
        ),
        (
            "empty name",
            Parser,
            Refused,
            get("Host: api.test\r\n: x").into_bytes(),
        ),
        (
            "space in the name",
            Parser,
            Refused,
            get("Host: api.test\r\nX Y: z").into_bytes(),
        ),
        (
            "NUL in the value",
            Parser,
            Refused,
            get("Host: api.test\r\nX: a\0b").into_bytes(),
        ),
        (
            "bare CR in the value",
            Parser,
            Refused,
            get("Host: api.test\r\nX: a\rb").into_bytes(),
        ),
        (
            "obs-fold",
            Parser,
            Refused,
            get("Host: api.test\r\nX: a\r\n b").into_bytes(),
        ),
        (
            "first line folded",
            Parser,
            Refused,
            b"GET /open/a HTTP/1.1\r\n Host: api.test\r\n\r\n".to_vec(),
        ),
        ("HTTP/0.9", Parser, Refused, b"GET /open/a\r\n\r\n".to_vec()),
        (
            "HTTP/1.10",
            Parser,
            Refused,
            b"GET /open/a HTTP/1.10\r\nHost: api.test\r\n\r\n".to_vec(),
        ),
        (
            "HTTP/2.0 in a line",
            Parser,
            Refused,
            b"GET /open/a HTTP/2.0\r\nHost: api.test\r\n\r\n".to_vec(),
        ),
        (
            "HTTP/3.1 in a line",
            Parser,
            Refused,
            b"GET /open/a HTTP/3.1\r\nHost: api.test\r\n\r\n".to_vec(),
        ),
        (
            "lower-case http",
            Parser,
            Refused,
            b"GET /open/a http/1.1\r\nHost: api.test\r\n\r\n".to_vec(),
        ),
        (
            "two blanks in the line",
            Parser,
            Refused,
            b"GET  /open/a HTTP/1.1\r\nHost: api.test\r\n\r\n".to_vec(),
        ),
        (
            "tab in the line",
            Parser,
            Refused,
            b"GET\t/open/a HTTP/1.1\r\nHost: api.test\r\n\r\n".to_vec(),
        ),
        (
            "blank in the target",
            Parser,
            Refused,
            b"GET /open/a b HTTP/1.1\r\nHost: api.test\r\n\r\n".to_vec(),
        ),
        (
            "101 field lines",
            Parser,
            Refused,
            get(&format!(
                "Host: api.test\r\n{}",
                (0..100)
                    .map(|n| format!("X-{n}: 1"))
                    .collect::<Vec<_>>()
                    .join("\r\n")
            ))
            .into_bytes(),
        ),
        (
            "a field of 128 KiB",
            Parser,
            Refused,
            get(&format!("Host: api.test\r\nX: {}", "x".repeat(128 * 1024))).into_bytes(),
        ),
        (
            "a target of 16 KiB",
            Guard,
            Refused,
            target(&format!("/open/{}", "a".repeat(16 * 1024))).into_bytes(),
        ),
    ];
    all.extend(
        lines
            .into_iter()
            .map(|(name, by, expect, bytes)| case("lines", name, by, expect, bytes)),
    );

    let hosts: Vec<(&'static str, By, Expect, String)> = vec![
        ("none", Guard, Refused, get("X: y")),
        (
            "two, alike",
            Guard,
            Refused,
            get("Host: api.test\r\nHost: api.test"),
        ),
        (
            "two, different",
            Guard,
            Refused,
            get("Host: api.test\r\nHost: evil.test"),
        ),
        ("a list", Guard, Refused, get("Host: api.test, evil.test")),
        ("userinfo", Guard, Refused, get("Host: evil@api.test")),
        ("a path", Guard, Refused, get("Host: api.test/x")),
        ("a backslash", Guard, Refused, get("Host: api.test\\x")),
        ("a blank", Guard, Refused, get("Host: api.test evil.test")),
        (
            "a port that is no number",
            Guard,
            Refused,
            get("Host: api.test:x"),
        ),
        ("percent-encoded", Guard, Refused, get("Host: api%2etest")),
        ("empty", Guard, Refused, get("Host: ")),
        (
            "absolute target that differs",
            Guard,
            Refused,
            "GET http://evil.test/open/a HTTP/1.1\r\nHost: api.test\r\n\r\n".to_owned(),
        ),
        (
            "absolute target that agrees",
            Parser,
            Clean(1),
            "GET http://api.test/open/a HTTP/1.1\r\nHost: api.test\r\n\r\n".to_owned(),
        ),
        (
            "absolute target with userinfo",
            Guard,
            Refused,
            "GET http://u@api.test/open/a HTTP/1.1\r\nHost: api.test\r\n\r\n".to_owned(),
        ),
        ("valid: a port", Parser, Clean(1), get("Host: api.test:8080")),
    ];
    all.extend(
        hosts
            .into_iter()
            .map(|(name, by, expect, bytes)| case("host", name, by, expect, bytes)),
    );

    let targets: Vec<(&'static str, By, Expect, String)> = vec![
        (
            "CONNECT",
            Parser,
            Refused,
            "CONNECT api.test:443 HTTP/1.1\r\nHost: api.test\r\n\r\n".to_owned(),
        ),
        (
            "asterisk with GET",
            Parser,
            Refused,
            "GET * HTTP/1.1\r\nHost: api.test\r\n\r\n".to_owned(),
        ),
        (
            "TRACE",
            Guard,
            Refused,
            "TRACE /open/a HTTP/1.1\r\nHost: api.test\r\n\r\n".to_owned(),
        ),
        ("encoded slash", Guard, Refused, target("/open/a%2fb")),
        ("encoded backslash", Guard, Refused, target("/open/a%5cb")),
        ("backslash", Guard, Refused, target("/open/a\\b")),
        ("encoded NUL", Guard, Refused, target("/open/a%00b")),
        (
            "encoded line break",
            Guard,
            Refused,
            target("/open/a%0d%0aX:%20y"),
        ),
        ("bad escape", Guard, Refused, target("/open/a%zz")),
        ("cut escape", Guard, Refused, target("/open/a%2")),
        ("dots encoded twice", Guard, Refused, target("/open/%252e%252e/a")),
        ("dots with a parameter", Guard, Refused, target("/open/..;/a")),
        ("overlong UTF-8", Guard, Refused, target("/open/%c0%ae%c0%ae/a")),
        (
            "dots that leave the prefix",
            Guard,
            Refused,
            target("/open/../../../etc/passwd"),
        ),
        (
            "fragment: cut off by the parser before anybody decides",
            Parser,
            Clean(1),
            target("/open/a#b"),
        ),
        ("valid: dot segments", Parser, Clean(1), target("/open/x/../a")),
        (
            "valid: query with odd characters",
            Parser,
            Clean(1),
            target("/open/a?b|(c,d)&flag"),
        ),
        (
            "expectation that nobody knows",
            Guard,
            Refused,
            post("Content-Length: 5\r\nExpect: 200-maybe", "hello"),
        ),
    ];
    all.extend(
        targets
            .into_iter()
            .map(|(name, by, expect, bytes)| case("target", name, by, expect, bytes)),
    );

    let bodies: Vec<(&'static str, By, Expect, String)> = vec![
        (
            "CL.0: a refused call's body hides a request",
            Parser,
            Refused,
            format!(
                "POST /private HTTP/1.1\r\nHost: api.test\r\nContent-Length: {}\r\n\r\n{HIDDEN}",
                HIDDEN.len()
            ),
        ),
        (
            "405 with a body that hides a request",
            Parser,
            Refused,
            format!(
                "POST /only-get HTTP/1.1\r\nHost: api.test\r\nContent-Length: {}\r\n\r\n{HIDDEN}",
                HIDDEN.len()
            ),
        ),
        (
            "413 with a body that hides a request",
            Parser,
            Refused,
            format!(
                "POST /small HTTP/1.1\r\nHost: api.test\r\nContent-Length: {}\r\n\r\n{HIDDEN}",
                HIDDEN.len()
            ),
        ),
        (
            "GET with a body that hides a request",
            Parser,
            Clean(1),
            format!(
                "GET /open/a HTTP/1.1\r\nHost: api.test\r\nContent-Length: {}\r\n\r\n{HIDDEN}",
                HIDDEN.len()
            ),
        ),
        (
            "Upgrade: h2c is an offer that is ignored",
            Parser,
            Clean(1),
            get(
                "Host: api.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
            ),
        ),
        (
            "Upgrade: websocket",
            Guard,
            Refused,
            get(
                "Host: api.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13",
            ),
        ),
    ];
    all.extend(
        bodies
            .into_iter()
            .map(|(name, by, expect, bytes)| case("bodies and upgrades", name, by, expect, bytes)),
    );
    all
}

fn config(backend: SocketAddr, guard_off: bool) -> String {
    let danger = if guard_off {
        "\n  danger_guard_off: true"
    } else {
        ""
    };
    format!(
        r#"
server:
  workers: 1{danger}
  timeouts: {{ idle: 300ms, headers: 300ms, body: 300ms, first-byte: 300ms }}
listeners:
  - address: 127.0.0.1:0
admin: {{ address: 127.0.0.1:0 }}
issuers:
  idp:
    issuer: https://idp.example/
    audience: [api]
    algorithms: [ES256]
    keys: {{ file: {keys} }}
    claims: {{ customer: customer_id }}
backends:
  raw: {{ endpoints: ["http://{backend}"] }}
apis:
  api:
    hosts: ["*"]
    credentials: [{{ bearer: idp }}]
    headers: {{ tenant: X-Tenant-ID }}
    routes:
      - path: /open/{{*rest}}
        public: true
        to: {{ backend: raw }}
      - path: /{{*rest}}
        public: true
        to: {{ backend: raw }}
      - path: /only-get
        methods: [GET]
        public: true
        to: {{ backend: raw }}
      - path: /small
        public: true
        body-limit: 4B
        to: {{ backend: raw }}
      - path: /private
        access: {{}}
        to: {{ backend: raw }}
"#,
        keys = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/es256.jwks.json"),
    )
}

struct Observed {
    client: String,
    statuses: Vec<u16>,
    closed: bool,
    backend: Vec<RawRequest>,
    faults: Vec<String>,
}

async fn observe(address: SocketAddr, backend: &RawBackend, bytes: &[u8]) -> Observed {
    let mut stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("a connection");
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .is_ok();
    let text = String::from_utf8_lossy(&answer).into_owned();
    let statuses: Vec<u16> = text
        .split("HTTP/1.")
        .skip(1)
        .filter_map(|part| part.get(2..5).and_then(|status| status.parse().ok()))
        .filter(|status| *status >= 200)
        .collect();
    let client = if statuses.is_empty() {
        "closed".to_owned()
    } else {
        format!("{statuses:?}")
    };
    let (backend, faults) = backend.take();
    Observed {
        client,
        statuses,
        closed,
        backend,
        faults,
    }
}

/// Why the observation is not what the case expects; `None` if it is.
fn fault(case: &Case, seen: &Observed) -> Option<String> {
    if !seen.closed {
        return Some("the connection hangs".to_owned());
    }
    if !seen.faults.is_empty() {
        return Some(format!("the backend could not read: {:?}", seen.faults));
    }
    if seen
        .statuses
        .iter()
        .any(|status| *status == 500 || *status == 502)
    {
        return Some(format!("refused with {:?}", seen.statuses));
    }
    for request in &seen.backend {
        if request.all("host").len() != 1 {
            return Some(format!(
                "{} Host fields at the backend",
                request.all("host").len()
            ));
        }
        for (name, value) in &request.fields {
            if ["upgrade", "http2-settings", "te", "trailer"].contains(&name.to_ascii_lowercase().as_str()) {
                return Some(format!("hop-by-hop {name}: {value} at the backend"));
            }
        }
    }
    let refused = seen.backend.is_empty()
        && seen.statuses.iter().all(|status| (400..=501).contains(status))
        && seen.statuses.len() <= 1;
    let clean = |n: usize| {
        seen.backend.len() == n
            && seen.statuses.len() == n
            && seen.statuses.iter().all(|status| *status == 200)
    };
    let hidden = seen.backend.iter().any(|request| request.line.contains("hidden"));
    let good = match case.expect {
        Expect::Refused => refused,
        Expect::Clean(n) => clean(n) && !hidden,
        // RFC 9112 section 6.3: with both fields, Transfer-Encoding decides; the rest is then a request of its own right
        // only if the connection goes on, which it should not.
        Expect::RefusedOrClean(n) => refused || (clean(1) && !hidden) || (n == 1 && clean(1)),
    };
    (!good).then(|| {
        format!(
            "client {:?}, backend {:?}",
            seen.statuses,
            seen.backend.iter().map(|r| &r.line).collect::<Vec<_>>()
        )
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_case_is_refused_or_forwarded_clean() {
    let backend = RawBackend::start().await;
    let (_gateway, address, _) = start(&config(backend.address, false)).await;
    let mut failures = String::new();
    let mut table = String::from(
        "# Hostile input over HTTP/1.1\n\nGenerated by `TOLLGATE_WRITE_TABLES=1 cargo test --test it hostile`; the test fails when an observation is not what the case\nexpects. *Caught by*: `guard` cases fail when the guard is switched off (a test runs them so), `parser` cases are refused by\nthe HTTP parser or the router also without it.\n\n| class | case | bytes (shortened) | expected | client saw | backend saw | caught by |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for case in cases() {
        let seen = observe(address, &backend, &case.bytes).await;
        if let Some(why) = fault(&case, &seen) {
            let _ = writeln!(failures, "{}: {}: {why}", case.class, case.name);
        }
        let bytes: String = case
            .bytes
            .escape_ascii()
            .to_string()
            .chars()
            .take(90)
            .collect::<String>()
            .replace('|', "\\|")
            .replace('`', "'");
        let backend_saw = match seen.backend.len() {
            0 => "nothing".to_owned(),
            n => format!("{n} clean"),
        };
        let expected = match case.expect {
            Expect::Refused => "refused".to_owned(),
            Expect::Clean(n) => format!("{n} clean"),
            Expect::RefusedOrClean(_) => "refused, or one clean".to_owned(),
        };
        let by = match case.by {
            By::Guard => "guard",
            By::Parser => "parser",
        };
        let _ = writeln!(
            table,
            "| {} | {} | `{bytes}` | {expected} | {} | {backend_saw} | {by} |",
            case.class,
            case.name.replace('|', "\\|"),
            seen.client
        );
    }
    assert!(failures.is_empty(), "\n{failures}");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/hostile-input.md");
    if std::env::var_os("TOLLGATE_WRITE_TABLES").is_some() {
        std::fs::write(file, &table).expect("to write");
    }
    let committed = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        committed == table,
        "docs/hostile-input.md is stale: run with TOLLGATE_WRITE_TABLES=1"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_guard_switched_off_the_guards_cases_fail() {
    let backend = RawBackend::start().await;
    let (_gateway, address, _) = start(&config(backend.address, true)).await;
    let mut toothless = Vec::new();
    for case in cases().into_iter().filter(|case| case.by == By::Guard) {
        let seen = observe(address, &backend, &case.bytes).await;
        if fault(&case, &seen).is_none() {
            toothless.push(format!("{}: {} (client {})", case.class, case.name, seen.client));
        }
    }
    assert!(
        toothless.is_empty(),
        "these cases pass without the guard too: {toothless:#?}"
    );
}

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use super::*;

fn ask(handle: &Handle, request: &str) -> String {
    let mut stream = TcpStream::connect(handle.address()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(handle: &Handle, path: &str) -> String {
    ask(handle, &format!("GET {path} HTTP/1.1\r\nHost: admin\r\n\r\n"))
}

fn start(readiness: Arc<Mutex<Readiness>>) -> Handle {
    let state = AdminState {
        readiness: Arc::new(move || readiness.lock().unwrap().clone()),
        metrics: Arc::new(|| "# HELP a_total A.\n".to_owned()),
        control: None,
    };
    serve(([127, 0, 0, 1], 0).into(), state).unwrap()
}

#[test]
fn ready_says_why_it_is_not_and_live_does_not_care() {
    let readiness = Arc::new(Mutex::new(Readiness::not(
        "keys_missing",
        "no keys yet for issuer `idp`",
    )));
    let handle = start(Arc::clone(&readiness));
    let answer = get(&handle, "/ready");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(
        answer.ends_with(
            r#"{"status":"not_ready","reasons":[{"code":"keys_missing","detail":"no keys yet for issuer `idp`"}]}"#
        ),
        "{answer}"
    );
    assert!(get(&handle, "/live").starts_with("HTTP/1.1 200 "));
    *readiness.lock().unwrap() = Readiness::ready();
    let answer = get(&handle, "/ready");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with(r#"{"status":"ready","reasons":[]}"#), "{answer}");
    handle.stop();
}

#[test]
fn metrics_have_the_content_type_of_the_exposition_format() {
    let handle = start(Arc::default());
    let answer = get(&handle, "/metrics");
    assert!(
        answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{answer}"
    );
    assert!(answer.ends_with("\r\n\r\n# HELP a_total A.\n"), "{answer}");
}

#[test]
fn the_listing_names_paths_that_answer() {
    let handle = start(Arc::default());
    let listing = get(&handle, "/");
    let paths: Vec<&str> = listing
        .lines()
        .filter(|line| line.starts_with('/'))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(paths, ["/live", "/ready", "/metrics", "/version"]);
    for path in paths {
        assert!(get(&handle, path).starts_with("HTTP/1.1 200 "), "{path}");
    }
    assert!(get(&handle, "/nothing").starts_with("HTTP/1.1 404 "));
    assert!(
        ask(
            &handle,
            "POST /live HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
        )
        .starts_with("HTTP/1.1 405 ")
    );
}

#[test]
fn a_head_that_does_not_fit_is_refused() {
    let handle = start(Arc::default());
    let mut stream = TcpStream::connect(handle.address()).unwrap();
    // The other side may close while this is on its way.
    let _ = stream
        .write_all(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(60_000)).as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains(" 200 "));
}

#[test]
fn a_connection_that_says_nothing_does_not_keep_others_out_and_stopping_does_not_wait_for_it() {
    let handle = start(Arc::default());
    let _silent: Vec<TcpStream> = (0..10)
        .map(|_| TcpStream::connect(handle.address()).unwrap())
        .collect();
    assert!(get(&handle, "/live").starts_with("HTTP/1.1 200 "));
    handle.stop();
}

#[test]
fn an_address_that_is_taken_is_named_in_the_error() {
    let handle = start(Arc::default());
    let state = AdminState {
        readiness: Arc::new(Readiness::ready),
        metrics: Arc::new(String::new),
        control: None,
    };
    let error = serve(handle.address(), state).unwrap_err().to_string();
    assert!(
        error.contains(&handle.address().to_string()) && error.contains("admin"),
        "{error}"
    );
}

//! The load tool with constant arrivals (`benches/compare/open_load.rs`): it measures what callers would feel.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

#[path = "../benches/compare/open_load/mod.rs"]
mod open_load;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use open_load::{Answer, Arguments, Plan, Reader, Schedule, percentile, run};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/// A server that counts requests from 0 and hands each, with its number, to `reply`, which says whether the connection
/// stays.
fn server(reply: impl Fn(u64, &str, &mut TcpStream) -> bool + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (reply, seen) = (Arc::new(reply), Arc::new(AtomicU64::new(0)));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, reply, seen) = (stream.unwrap(), Arc::clone(&reply), Arc::clone(&seen));
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || {
                while let Some(head) = head_of(&mut stream) {
                    if !reply(seen.fetch_add(1, Ordering::Relaxed), &head, &mut stream) {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// The next head; `None` when the connection ends.
fn head_of(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    while !head.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
        head.extend_from_slice(&piece[..count]);
    }
    Some(String::from_utf8(head).unwrap())
}

/// Answers unless the caller has gone.
fn say(stream: &mut TcpStream, answer: &[u8]) -> bool {
    stream.write_all(answer).is_ok()
}

/// Waits for what never comes: a server that stands still.
fn stand_still(time: Duration) {
    let (never, gate) = (Condvar::new(), Mutex::new(()));
    let _waited = never
        .wait_timeout_while(gate.lock().unwrap(), time, |()| true)
        .unwrap();
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A run without a warm-up.
fn plan(address: SocketAddr, rate: u32, time: Duration, connections: u16) -> Plan {
    Plan {
        addresses: vec![address],
        requests: vec![b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()],
        schedule: Schedule::new(rate, Duration::ZERO, time),
        connections,
        grace: Duration::from_secs(20),
    }
}

/// What the words of a command line come to.
fn planned(words: &[&str]) -> Result<Plan, String> {
    Arguments::try_parse_from(["open-load"].iter().chain(words))
        .map_err(|error| error.to_string())?
        .plan()
}

/// Stands still once, for 200 ms, at its 300th request; nobody is answered meanwhile.
fn stalling() -> SocketAddr {
    let gate = Mutex::new(());
    server(move |number, _, stream| {
        let _through = gate.lock().unwrap();
        if number == 300 {
            stand_still(millis(200));
        }
        say(stream, OK)
    })
}

#[test]
fn a_stop_of_200_ms_is_felt_by_all_who_were_due_meanwhile_where_a_closed_loop_shows_one() {
    let slow = |latencies: &[u32]| latencies.iter().filter(|micros| **micros >= 100_000).count();

    let outcome = run(&plan(stalling(), 1000, Duration::from_secs(1), 4)).unwrap();
    assert_eq!(outcome.errors, 0, "{:?}", outcome.first_error);
    // Those due in the first half of the stop waited for at least the other half.
    assert!(slow(&outcome.latencies) >= 90, "{}", slow(&outcome.latencies));
    let report = outcome.report().unwrap();
    assert_eq!(report.requests, 1000);
    assert!(report.p90_us >= 80_000, "{report:?}");
    assert!(report.p99_us >= 150_000, "{report:?}");
    assert!(report.max_us >= 190_000, "{report:?}");
    // All connections were busy, so requests could not even be written.
    assert!(report.latest_start_us >= 150_000, "{report:?}");

    let mut stream = TcpStream::connect(stalling()).unwrap();
    let mut closed_loop: Vec<u32> = (0..1000)
        .map(|_| {
            let begun = Instant::now();
            assert!(say(&mut stream, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
            stream.read_exact(&mut [0; OK.len()]).unwrap();
            u32::try_from(begun.elapsed().as_micros()).unwrap()
        })
        .collect();
    closed_loop.sort_unstable();
    assert!((1..10).contains(&slow(&closed_loop)), "{}", slow(&closed_loop));
    assert!(percentile(&closed_loop, 990) < 100_000);
}

#[test]
fn requests_arrive_at_the_rate_that_was_asked_for_and_none_comes_early() {
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&arrivals);
    let address = server(move |_, _, stream| {
        noted.lock().unwrap().push(Instant::now());
        say(stream, OK)
    });
    let begun = Instant::now();
    let outcome = run(&Plan {
        schedule: Schedule::new(1000, millis(200), Duration::from_secs(1)),
        ..plan(address, 1, Duration::ZERO, 8)
    })
    .unwrap();
    let mut arrivals = std::mem::take(&mut *arrivals.lock().unwrap());
    arrivals.sort_unstable();
    assert_eq!(arrivals.len(), 1200);
    for (number, arrival) in arrivals.iter().enumerate() {
        assert!(
            arrival.duration_since(begun) >= millis(number as u64),
            "number {number}"
        );
    }
    // The warm-up is sent and not measured.
    assert_eq!(outcome.latencies.len(), 1000);
    let report = outcome.report().unwrap();
    assert_eq!(report.requests, 1000);
    assert!((report.seconds - 1.0).abs() < 1e-9, "{report:?}");
    assert!((500.0..=1200.0).contains(&report.achieved_rate), "{report:?}");
}

#[test]
fn each_moment_is_counted_from_the_start_so_that_no_rounding_adds_up() {
    let schedule = Schedule::new(3, Duration::from_secs(2), millis(1500));
    assert_eq!((schedule.total, schedule.counted()), (10, 4));
    assert_eq!(schedule.due(1), Duration::from_nanos(333_333_333));
    assert_eq!(schedule.due(3), Duration::from_secs(1));
    assert_eq!(schedule.due(3_000_000_000), Duration::from_secs(1_000_000_000));
    assert!(!schedule.is_counted(5) && schedule.is_counted(6));
    assert_eq!(schedule.window().0, Duration::from_secs(2));
}

#[test]
fn a_percentile_is_the_smallest_value_that_so_many_do_not_exceed() {
    let series: Vec<u32> = (1..=1000).collect();
    let at = |per_mille| percentile(&series, per_mille);
    assert_eq!(
        [at(0), at(500), at(900), at(990), at(999), at(1000)],
        [1, 500, 900, 990, 999, 1000]
    );
    assert_eq!(percentile(&[10, 20, 30], 500), 20);
    assert_eq!(percentile(&[10, 20, 30], 990), 30);
    assert_eq!(percentile(&[7], 1), 7);
    assert_eq!(percentile(&[], 500), 0);
}

#[test]
fn requests_that_are_lost_with_their_connection_are_errors_and_the_connection_is_opened_again() {
    let address = server(|number, _, stream| number % 10 != 9 && say(stream, OK));
    let outcome = run(&plan(address, 1000, millis(200), 2)).unwrap();
    assert_eq!(outcome.errors, 20);
    assert!(
        outcome
            .first_error
            .as_deref()
            .unwrap()
            .contains("closed before an answer")
    );
    let report = outcome.report().unwrap();
    assert_eq!((report.requests, report.errors), (180, 20));
}

#[test]
fn a_server_that_closes_after_each_answer_costs_connections_and_no_requests() {
    let address = server(|_, _, stream| {
        say(
            stream,
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
        );
        false
    });
    let outcome = run(&plan(address, 1000, millis(200), 2)).unwrap();
    assert_eq!(outcome.errors, 0, "{:?}", outcome.first_error);
    assert_eq!(outcome.report().unwrap().requests, 200);
}

#[test]
fn whoever_is_unanswered_in_the_end_is_an_error_and_stays_among_the_latencies() {
    let address = server(|number, _, stream| {
        if number >= 50 {
            stand_still(Duration::from_secs(3600));
        }
        say(stream, OK)
    });
    let outcome = run(&Plan {
        grace: millis(100),
        ..plan(address, 1000, millis(200), 2)
    })
    .unwrap();
    assert_eq!((outcome.errors, outcome.latencies.len()), (150, 200));
    assert!(
        outcome
            .first_error
            .as_deref()
            .unwrap()
            .contains("unanswered 100ms")
    );
    let report = outcome.report().unwrap();
    assert_eq!(report.requests, 50);
    assert!(
        report.p50_us >= 100_000 && report.latest_start_us >= 100_000,
        "{report:?}"
    );
}

#[test]
fn a_run_without_any_answer_reports_no_figures() {
    let address = server(|_, _, _| false);
    let outcome = run(&plan(address, 1000, millis(20), 2)).unwrap();
    assert_eq!(outcome.errors, 20);
    assert!(outcome.report().unwrap_err().contains("no request was answered"));
    // Bound and let go: nobody listens there.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let failure = run(&plan(nobody, 1, millis(1000), 1)).unwrap_err();
    assert!(failure.contains("cannot be reached"), "{failure}");
}

#[test]
fn answers_are_counted_by_status_and_the_line_has_every_figure() {
    let address = server(|number, _, stream| {
        let answer: &[u8] = match number % 4 {
            0 => b"HTTP/1.1 429 Too Many Requests\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno!\r\n0\r\n\r\n",
            1 => b"HTTP/1.1 204 No Content\r\n\r\n",
            _ => OK,
        };
        say(stream, answer)
    });
    let outcome = run(&plan(address, 1000, millis(200), 2)).unwrap();
    let line = outcome.report().unwrap().to_json().unwrap();
    assert!(!line.contains('\n'));
    let said: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        said["statuses"],
        serde_json::json!({ "200": 100, "204": 50, "429": 50 })
    );
    assert_eq!((&said["requests"], &said["errors"]), (&200.into(), &0.into()));
    for name in [
        "seconds",
        "achieved_rate",
        "p50_us",
        "p90_us",
        "p99_us",
        "p999_us",
        "max_us",
        "latest_start_us",
    ] {
        assert!(said[name].is_number(), "{name}: {line}");
    }
}

#[test]
fn tokens_are_sent_in_turn_with_a_customer_that_must_not_be_believed() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&heads);
    let address = server(move |_, head, stream| {
        noted.lock().unwrap().push(head.to_owned());
        say(stream, OK)
    });
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"one\ntwo\nthree\n").unwrap();
    let url = format!("http://{address}/small?a=b");
    let common = [
        "--rate",
        "100",
        "--seconds",
        "0.04",
        "--warmup",
        "0",
        "--connections",
        "1",
        url.as_str(),
    ];
    let of_file = ["--tokens", file.path().to_str().unwrap(), "--take", "2"];

    run(&planned(&[&common[..], &of_file[..]].concat()).unwrap()).unwrap();
    let expected = |more: &str| {
        format!(
            "GET /small?a=b HTTP/1.1\r\nHost: {address}\r\nUser-Agent: open-load\r\nAccept: */*\r\n{more}\r\n"
        )
    };
    let with = |token| {
        expected(&format!(
            "Authorization: Bearer {token}\r\nX-Tenant-ID: spoofed\r\n"
        ))
    };
    let sent = std::mem::take(&mut *heads.lock().unwrap());
    assert_eq!(sent, [with("one"), with("two"), with("one"), with("two")]);

    run(&planned(&common).unwrap()).unwrap();
    let sent = std::mem::take(&mut *heads.lock().unwrap());
    assert_eq!(sent, vec![expected(""); 4]);
}

#[test]
fn a_wrong_command_line_is_answered_with_what_to_do() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"one\ntwo words\n").unwrap();
    let file = file.path().to_str().unwrap();
    let url = "http://127.0.0.1:1/";
    for (words, said) in [
        (&["--rate", "0", "--seconds", "1", url][..], "1..=1000000"),
        (
            &["--rate", "1", "--seconds", "soon", url],
            "give a number of seconds",
        ),
        (
            &["--rate", "1", "--seconds", "0.5", url],
            "ask for more of either",
        ),
        (
            &["--rate", "1000000", "--seconds", "1000", url],
            "ask for a smaller --rate",
        ),
        (
            &["--rate", "1", "--seconds", "1", "https://a/"],
            "http://HOST:PORT/PATH",
        ),
        (
            &["--rate", "1", "--seconds", "1", "127.0.0.1:1"],
            "http://HOST:PORT/PATH",
        ),
        (
            &["--rate", "1", "--seconds", "1", "http://a:b@127.0.0.1/"],
            "names a user",
        ),
        (
            &["--rate", "1", "--seconds", "1", "--take", "2", url],
            "--tokens <FILE>",
        ),
        (
            &["--rate", "1", "--seconds", "1", "--tokens", "/nowhere", url],
            "name a file of tokens",
        ),
        (
            &["--rate", "1", "--seconds", "1", "--tokens", file, url],
            "line 2 of",
        ),
        (
            &["--rate", "1", "--seconds", "1", "--tokens", "/dev/null", url],
            "is empty",
        ),
    ] {
        let wrong = planned(words).unwrap_err();
        assert!(wrong.contains(said), "{words:?}: {wrong}");
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"one\n").unwrap();
    let file = file.path().to_str().unwrap();
    let wrong = planned(&[
        "--rate",
        "1",
        "--seconds",
        "1",
        "--tokens",
        file,
        "--take",
        "2",
        url,
    ])
    .unwrap_err();
    assert!(wrong.contains("has 1 tokens, fewer than --take 2"), "{wrong}");
}

/// What a reader makes of these bytes, given so many at a time.
fn read(bytes: &[u8], at_a_time: usize) -> Result<Option<Answer>, String> {
    let mut reader = Reader::default();
    let mut last = Ok(None);
    for piece in bytes.chunks(at_a_time) {
        assert_eq!(
            last,
            Ok(None),
            "it goes on after its end: {}",
            String::from_utf8_lossy(bytes)
        );
        last = reader.push(piece);
    }
    last
}

#[test]
fn answers_are_read_whole_however_they_are_cut() {
    let kept = |status| Answer { status, keeps: true };
    let last = |status| Answer { status, keeps: false };
    for (bytes, answer) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", kept(200)),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", kept(404)),
        ("HTTP/1.1 204 No Content\r\n\r\n", kept(204)),
        (
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
            kept(304),
        ),
        (
            "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            kept(200),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n3;a=b\r\nabc\r\n1f\r\n0123456789012345678901234567890\r\n0\r\nA: b\r\n\r\n",
            kept(200),
        ),
        // The coding decides, not the length.
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            kept(200),
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 1\r\n\r\nx",
            last(200),
        ),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", last(200)),
        (
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
            kept(200),
        ),
    ] {
        for at_a_time in [1, 2, 3, 7, bytes.len()] {
            assert_eq!(
                read(bytes.as_bytes(), at_a_time),
                Ok(Some(answer)),
                "{bytes}, {at_a_time} at a time"
            );
        }
    }
}

#[test]
fn a_body_without_a_length_ends_with_the_connection_and_any_other_end_is_too_early() {
    let mut reader = Reader::default();
    assert!(reader.end().unwrap_err().contains("before an answer came"));
    assert_eq!(reader.push(b"HTTP/1.1 200 OK\r\n\r\nhel"), Ok(None));
    assert_eq!(reader.push(b"lo"), Ok(None));
    assert_eq!(
        reader.end(),
        Ok(Answer {
            status: 200,
            keeps: false
        })
    );
    for cut in ["HTTP/1.1 2", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"] {
        let mut reader = Reader::default();
        assert_eq!(reader.push(cut.as_bytes()), Ok(None));
        assert!(reader.end().unwrap_err().contains("in the middle"), "{cut}");
    }
}

#[test]
fn what_is_no_answer_to_one_request_is_an_error() {
    let long = format!("HTTP/1.1 200 OK\r\nA: {}", "a".repeat(70_000));
    for (bytes, said) in [
        ("hello\r\n\r\n", "no HTTP/1"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy", "more came"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "no readable Content-Length",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "two lengths",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "no readable size",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
            "longer than its size",
        ),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", "another protocol"),
        (long.as_str(), "longer than 65536"),
    ] {
        let wrong = read(bytes.as_bytes(), bytes.len()).unwrap_err();
        assert!(wrong.contains(said), "{wrong}");
    }
}

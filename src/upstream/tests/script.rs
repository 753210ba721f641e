//! A server whose connections do, one after the other, what a test says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// One step of a connection. After the last one it is closed in order.
#[derive(Debug, Clone)]
pub(in crate::upstream) enum Step {
    /// Read a head (to the empty line) and note it down with what came behind it.
    Head,
    /// Read until so many bytes came behind the last head.
    Body(usize),
    /// Write.
    Say(Vec<u8>),
    /// Close so that the peer gets a reset.
    Reset,
    /// Keep the connection open until the peer closes it.
    Hold,
    /// Wait until the test rings the bell.
    Bell,
    /// Say it again and again, until the peer closes.
    Storm(Vec<u8>),
    /// Read until an HTTP/2 frame of that type came (RFC 9113 section 6).
    Frame(u8),
    /// Answer every request with this from now on.
    Serve(Vec<u8>),
}

pub(in crate::upstream) fn say(text: impl AsRef<[u8]>) -> Step {
    Step::Say(text.as_ref().to_vec())
}

pub(in crate::upstream) const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";

/// The server. Connections beyond the scripts answer every request with [`GOOD`].
pub(in crate::upstream) struct Server {
    pub(in crate::upstream) address: SocketAddr,
    pub(in crate::upstream) bell: Arc<Notify>,
    /// What each connection received, in the order of accepting.
    received: Arc<Mutex<Vec<Vec<u8>>>>,
    /// Rung when a connection's script is over.
    ended: Arc<Notify>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(in crate::upstream) async fn start(scripts: Vec<Vec<Step>>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let bell = Arc::new(Notify::new());
        let ended = Arc::new(Notify::new());
        let task = tokio::spawn({
            let (received, bell, ended) = (received.clone(), bell.clone(), ended.clone());
            async move {
                let mut scripts = scripts.into_iter();
                let mut connections = tokio::task::JoinSet::new();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let script = scripts.next().unwrap_or_else(|| vec![Step::Serve(GOOD.to_vec())]);
                    let number = {
                        let mut received = received.lock().unwrap();
                        received.push(Vec::new());
                        received.len() - 1
                    };
                    let (received, bell, ended) = (received.clone(), bell.clone(), ended.clone());
                    connections.spawn(async move {
                        let _ = play(stream, script, number, &received, &bell).await;
                        ended.notify_one();
                    });
                }
            }
        });
        Server {
            address,
            bell,
            received,
            ended,
            task,
        }
    }

    /// Connections accepted so far.
    pub(in crate::upstream) fn connections(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    /// Everything that connection `number` received.
    pub(in crate::upstream) fn received(&self, number: usize) -> String {
        String::from_utf8_lossy(&self.received.lock().unwrap()[number]).into_owned()
    }

    /// All request lines, of all connections.
    pub(in crate::upstream) fn requests(&self) -> Vec<String> {
        let received = self.received.lock().unwrap();
        received
            .iter()
            .flat_map(|bytes| {
                String::from_utf8_lossy(bytes)
                    .split("\r\n")
                    .filter(|line| line.ends_with(" HTTP/1.1"))
                    .map(str::to_owned)
                    .collect::<Vec<String>>()
            })
            .collect()
    }

    /// Waits until a script is over.
    pub(in crate::upstream) async fn script_ended(&self) {
        tokio::time::timeout(super::LONG, self.ended.notified())
            .await
            .unwrap();
    }
}

/// Waits until `condition` holds. It looks again whenever the runtime has nothing else to do, and fails after a time that
/// no working machine needs.
pub(in crate::upstream) async fn until(condition: impl Fn() -> bool) {
    let end = std::time::Instant::now() + super::LONG;
    while !condition() {
        assert!(std::time::Instant::now() < end, "it never came about");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn play(
    mut stream: TcpStream,
    script: Vec<Step>,
    number: usize,
    received: &Mutex<Vec<Vec<u8>>>,
    bell: &Notify,
) -> std::io::Result<()> {
    let mut behind_head = 0;
    for step in script {
        match step {
            Step::Head => behind_head = head(&mut stream, number, received).await?,
            Step::Body(length) => {
                while behind_head < length {
                    behind_head += more(&mut stream, number, received).await?;
                }
            }
            Step::Say(bytes) => stream.write_all(&bytes).await?,
            Step::Reset => {
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
                return Ok(());
            }
            Step::Hold => while more(&mut stream, number, received).await? > 0 {},
            Step::Bell => bell.notified().await,
            Step::Storm(bytes) => loop {
                stream.write_all(&bytes).await?;
            },
            Step::Frame(kind) => {
                while !has_frame(&received.lock().unwrap()[number], kind) {
                    if more(&mut stream, number, received).await? == 0 {
                        return Ok(());
                    }
                }
            }
            Step::Serve(answer) => loop {
                head(&mut stream, number, received).await?;
                stream.write_all(&answer).await?;
            },
        }
    }
    stream.shutdown().await
}

async fn more(
    stream: &mut TcpStream,
    number: usize,
    received: &Mutex<Vec<Vec<u8>>>,
) -> std::io::Result<usize> {
    let mut buffer = vec![0; 16 * 1024];
    let count = stream.read(&mut buffer).await?;
    received.lock().unwrap()[number].extend_from_slice(&buffer[..count]);
    Ok(count)
}

/// Reads to the next empty line; returns how many bytes came behind it.
async fn head(
    stream: &mut TcpStream,
    number: usize,
    received: &Mutex<Vec<Vec<u8>>>,
) -> std::io::Result<usize> {
    let from = received.lock().unwrap()[number].len();
    loop {
        if more(stream, number, received).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let received = received.lock().unwrap();
        let text = &received[number][from..];
        if let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(text.len() - end - 4);
        }
    }
}

/// Is a frame of type `kind` among what came behind the client's preface?
fn has_frame(received: &[u8], kind: u8) -> bool {
    const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
    let mut rest = received.get(PREFACE..).unwrap_or_default();
    while let [a, b, c, found, _, _, _, _, _, ..] = rest {
        if *found == kind {
            return true;
        }
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        rest = rest.get(9 + length..).unwrap_or_default();
    }
    false
}

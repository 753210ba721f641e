//! A backend that does what a test's script says, byte by byte; and the judge of what came out at the client.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// The backend. Ends, with all its connections, when dropped.
pub struct Scripted {
    pub address: SocketAddr,
    requests: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    _end: tokio::sync::watch::Sender<()>,
}

/// One connection of it.
pub struct Talk {
    pub stream: TcpStream,
    /// Of this connection, from 0.
    pub number: usize,
    requests: Arc<AtomicUsize>,
    buffer: Vec<u8>,
}

impl Scripted {
    /// Runs `script` for each connection.
    pub async fn start<F, R>(script: F) -> Scripted
    where
        F: Fn(Talk) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Scripted::listen(listener, script)
    }

    /// The same on a listener that is there.
    pub fn listen<F, R>(listener: TcpListener, script: F) -> Scripted
    where
        F: Fn(Talk) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let (end, ended) = tokio::sync::watch::channel(());
        let scripted = Scripted {
            address: listener.local_addr().expect("an address"),
            requests: Arc::default(),
            connections: Arc::default(),
            _end: end,
        };
        let (requests, connections) = (scripted.requests.clone(), scripted.connections.clone());
        tokio::spawn(async move {
            let mut stop = ended.clone();
            loop {
                let (stream, _) = tokio::select! {
                    accepted = listener.accept() => accepted.expect("a connection"),
                    _ = stop.changed() => return,
                };
                let talk = Talk {
                    stream,
                    number: connections.fetch_add(1, Ordering::SeqCst),
                    requests: requests.clone(),
                    buffer: Vec::new(),
                };
                let (work, mut stop) = (script(talk), ended.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = work => {}
                        _ = stop.changed() => {}
                    }
                });
            }
        });
        scripted
    }

    /// Request heads read so far.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Talk {
    /// The head of the next request with what is there of its body; `None` when the gateway closes.
    pub async fn request(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                self.requests.fetch_add(1, Ordering::SeqCst);
                return Some(String::from_utf8_lossy(&head).into_owned());
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk).await {
                Ok(0) | Err(_) => return None,
                Ok(n) => self.buffer.extend_from_slice(&chunk[..n]),
            }
        }
    }

    /// So many bytes of a body.
    pub async fn body(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < length {
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk).await {
                Ok(0) | Err(_) => return None,
                Ok(n) => self.buffer.extend_from_slice(&chunk[..n]),
            }
        }
        Some(self.buffer.drain(..length).collect())
    }

    /// True if everything was taken.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Waits until the gateway closes.
    pub async fn closed(&mut self) {
        let mut rest = [0; 4096];
        while matches!(self.stream.read(&mut rest).await, Ok(1..)) {}
    }

    /// Ends with RST instead of FIN.
    pub fn reset(self) {
        self.stream.set_zero_linger().expect("an option of the socket");
    }
}

/// An address where nobody listens, and nobody else will while the socket lives.
pub fn nobody() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .bind(SocketAddr::from(([127, 0, 0, 1], 0)))
        .expect("a port");
    let address = socket.local_addr().expect("an address");
    (socket, address)
}

/// What a client can tell of the bytes that it got until the connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A whole answer: status and body.
    Whole(u16, Vec<u8>),
    /// The head of an answer and a part of its body, and the client can tell that something is missing.
    Cut(u16),
    /// Nothing.
    Nothing,
    /// What no client can read.
    Garbage(String),
}

impl Verdict {
    /// The status, if there is one.
    pub fn status(&self) -> u16 {
        match self {
            Verdict::Whole(status, _) | Verdict::Cut(status) => *status,
            Verdict::Nothing | Verdict::Garbage(_) => 0,
        }
    }
}

/// Judges the answer to a request that was no HEAD.
pub fn judge(bytes: &[u8]) -> Verdict {
    let garbage = || Verdict::Garbage(String::from_utf8_lossy(bytes).into_owned());
    if bytes.is_empty() {
        return Verdict::Nothing;
    }
    let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
        return garbage();
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let Some(status) = head.get(9..12).and_then(|status| status.parse::<u16>().ok()) else {
        return garbage();
    };
    let rest = &bytes[end + 4..];
    if status < 200 {
        return judge(rest);
    }
    let field = |name: &str| {
        head.split("\r\n")
            .filter_map(|line| line.split_once(':'))
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value.trim().to_owned())
    };
    if matches!(status, 204 | 304) {
        return if rest.is_empty() {
            Verdict::Whole(status, Vec::new())
        } else {
            garbage()
        };
    }
    if field("transfer-encoding").is_some() {
        let (mut body, mut at) = (Vec::new(), 0);
        loop {
            let Some(line) = rest[at..].windows(2).position(|w| w == b"\r\n") else {
                return Verdict::Cut(status);
            };
            let Ok(size) = usize::from_str_radix(&String::from_utf8_lossy(&rest[at..at + line]), 16) else {
                return garbage();
            };
            at += line + 2;
            if size == 0 {
                return if rest[at..].ends_with(b"\r\n") {
                    Verdict::Whole(status, body)
                } else {
                    Verdict::Cut(status)
                };
            }
            if rest.len() < at + size + 2 {
                return Verdict::Cut(status);
            }
            body.extend_from_slice(&rest[at..at + size]);
            at += size + 2;
        }
    }
    match field("content-length").and_then(|length| length.parse::<usize>().ok()) {
        Some(length) if rest.len() < length => Verdict::Cut(status),
        Some(length) if rest.len() > length => garbage(),
        // Without a length the end of the connection is the end of the answer.
        _ => Verdict::Whole(status, rest.to_vec()),
    }
}

//! A client that sends what it is told to, and says what came of it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::frame::*;
use crate::hpack::{self, Block};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// When a test gives up on an answer that does not come.
const GUARD: Duration = Duration::from_secs(20);

pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// What came of the frames that a case sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// GOAWAY with this code, and the connection was closed.
    Connection(Code),
    /// The connection was closed without a word (section 5.4.1 allows that).
    Closed,
    /// RST_STREAM with this code; the connection goes on.
    Stream(Code),
    /// An answer with this status.
    Answer(u16),
}

/// An answer, as far as a case looks at it.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// One connection.
pub struct Client {
    io: Box<dyn Io>,
    /// Every frame that came, in order.
    pub log: Vec<Frame>,
    /// Frames before this one in the log were looked at.
    looked: usize,
}

impl Client {
    pub fn new(io: impl Io + 'static) -> Client {
        Client {
            io: Box::new(io),
            log: Vec::new(),
            looked: 0,
        }
    }

    /// A connection on which nothing was sent.
    pub async fn silent(address: SocketAddr) -> Client {
        let tcp = TcpStream::connect(address).await.expect("to connect");
        tcp.set_nodelay(true).expect("a socket");
        Client::new(tcp)
    }

    /// A connection whose prefaces were exchanged and acknowledged, with these settings.
    pub async fn with_settings(address: SocketAddr, entries: &[(u16, u32)]) -> Client {
        let mut client = Client::silent(address).await;
        client.greet(entries).await;
        client
    }

    /// Sends the preface, takes the server's, and waits until both are acknowledged.
    pub async fn greet(&mut self, entries: &[(u16, u32)]) {
        self.bytes(PREFACE).await;
        self.send(&[Frame::settings(entries)]).await;
        let first = self.next().await.expect("a preface");
        assert_eq!((first.kind, first.flags), (SETTINGS, 0), "SETTINGS comes first");
        self.send(&[Frame::settings_ack()]).await;
        self.find(|frame| frame.kind == SETTINGS && frame.has(ACK)).await;
    }

    /// Sends bytes. A peer that has closed is found out by reading.
    pub async fn bytes(&mut self, bytes: &[u8]) {
        let _ = timeout(GUARD, self.io.write_all(bytes))
            .await
            .expect("the server reads");
        let _ = timeout(GUARD, self.io.flush()).await.expect("the server reads");
    }

    /// Sends bytes for as long as the server takes them.
    ///
    /// # Errors
    /// The server has closed.
    pub async fn push(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.io.write_all(bytes).await
    }

    /// Sends frames in one piece.
    pub async fn send(&mut self, frames: &[Frame]) {
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect();
        self.bytes(&bytes).await;
    }

    /// No more bytes will come from here.
    pub async fn finish(&mut self) {
        let _ = self.io.shutdown().await;
    }

    /// The next frame; `None` when the connection is closed.
    pub async fn next(&mut self) -> Option<Frame> {
        if let Some(frame) = self.log.get(self.looked) {
            self.looked += 1;
            return Some(frame.clone());
        }
        let mut head = [0; 9];
        self.exactly(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.exactly(&mut payload).await?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let frame = Frame::new(head[3], head[4], stream, payload);
        self.log.push(frame.clone());
        self.looked = self.log.len();
        Some(frame)
    }

    async fn exactly(&mut self, buffer: &mut [u8]) -> Option<()> {
        match timeout(GUARD, self.io.read_exact(buffer)).await {
            Ok(read) => read.ok().map(|_| ()),
            Err(_) => panic!("nothing more came; until then: {:#?}", self.log),
        }
    }

    /// All that comes until the connection is closed, without regard to frames.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = timeout(GUARD, self.io.read_to_end(&mut rest))
            .await
            .expect("the connection to be closed");
        rest
    }

    /// The next frame for which `is` holds; the others are passed over.
    pub async fn find(&mut self, is: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            match self.next().await {
                Some(frame) if is(&frame) => return frame,
                Some(_) => {}
                None => panic!("closed before the frame came; until then: {:#?}", self.log),
            }
        }
    }

    /// Looks again at everything that has come.
    pub fn look_again(&mut self) {
        self.looked = 0;
    }

    /// What becomes of `stream`, or of the connection. An interim answer is passed over (section 8.1).
    pub async fn outcome(&mut self, stream: u32) -> Outcome {
        loop {
            let Some(frame) = self.next().await else {
                return Outcome::Closed;
            };
            match frame.kind {
                GOAWAY if frame.word(4) != NO_ERROR.0 => {
                    let code = Code(frame.word(4));
                    // > After sending the GOAWAY frame for an error condition, the endpoint MUST close the TCP
                    // > connection. (section 5.4.1)
                    while self.next().await.is_some() {}
                    return Outcome::Connection(code);
                }
                RST_STREAM if frame.stream == stream => return Outcome::Stream(Code(frame.word(0))),
                HEADERS if frame.stream == stream && hpack::status(&frame.payload) >= 200 => {
                    return Outcome::Answer(hpack::status(&frame.payload));
                }
                _ => {}
            }
        }
    }

    /// What becomes of the connection alone.
    pub async fn end(&mut self) -> Outcome {
        self.outcome(u32::MAX).await
    }

    /// Sends a whole GET on `stream`, and says what became of it: 200 when nothing before did harm.
    pub async fn serves(&mut self, stream: u32) -> Outcome {
        self.send(&[Frame::headers(WHOLE, stream, Block::get("/next"))])
            .await;
        self.outcome(stream).await
    }

    /// The whole answer on `stream`, with windows as they are.
    pub async fn answer(&mut self, stream: u32) -> Answer {
        let head = self
            .find(|frame| {
                frame.kind == HEADERS && frame.stream == stream && hpack::status(&frame.payload) >= 200
            })
            .await;
        let mut answer = Answer {
            status: hpack::status(&head.payload),
            body: Vec::new(),
        };
        let mut ended = head.has(END_STREAM);
        while !ended {
            let frame = self.find(|frame| frame.stream == stream).await;
            assert!(matches!(frame.kind, DATA | HEADERS), "{frame:?}");
            if frame.kind == DATA {
                answer.body.extend_from_slice(&frame.payload);
            }
            ended = frame.has(END_STREAM);
        }
        answer
    }

    /// Sends a PING and waits for its echo: everything sent before was read by then (section 6.7).
    ///
    /// `None` when the connection was closed instead.
    pub async fn round_trip(&mut self) -> Option<()> {
        const MARK: [u8; 8] = *b"are here";
        self.send(&[Frame::ping(MARK)]).await;
        loop {
            let frame = self.next().await?;
            if frame.kind == PING && frame.has(ACK) && frame.payload == MARK {
                return Some(());
            }
        }
    }

    /// Sends `count` DATA frames of the largest size on `stream`, each when the connection's window has room for it.
    pub async fn pour(&mut self, stream: u32, count: usize) {
        let mut given = WINDOW;
        self.look_again();
        for sent in 0..count {
            while given < (sent + 1) * MAX_FRAME {
                let update = self
                    .find(|frame| frame.kind == WINDOW_UPDATE && frame.stream == 0)
                    .await;
                given += update.word(0) as usize;
            }
            self.send(&[Frame::data(0, stream, vec![0; MAX_FRAME])]).await;
        }
    }

    /// Frames of this type on this stream among those that came.
    pub fn count(&self, kind: u8, stream: u32) -> usize {
        self.log
            .iter()
            .filter(|frame| frame.kind == kind && frame.stream == stream)
            .count()
    }
}

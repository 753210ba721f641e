//! Opening a connection: TCP, then TLS if it is wanted, both within one deadline.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::socket;
use super::tls_client::{Offer, TlsClient};

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// TCP: refused, unreachable, reset.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// TLS: the server's certificate does not verify, or it is not TLS that the server speaks.
    #[error("the TLS handshake failed: {0}")]
    Handshake(#[source] io::Error),
    /// The server did not select `h2`, which is what is configured for it.
    #[error("the server does not speak HTTP/2 (ALPN)")]
    NotHttp2,
    /// The deadline passed.
    #[error("not connected in time")]
    TimedOut,
}

/// Connects to `address`; with `tls` the handshake is part of it.
///
/// # Errors
/// [`DialError`]; [`DialError::TimedOut`] when not all of it is done at `deadline`.
pub async fn dial(
    address: SocketAddr,
    tls: Option<&TlsClient>,
    deadline: Instant,
) -> Result<Line, DialError> {
    tokio::time::timeout_at(deadline, connect(address, tls))
        .await
        .map_err(|_| DialError::TimedOut)?
}

async fn connect(address: SocketAddr, tls: Option<&TlsClient>) -> Result<Line, DialError> {
    let stream = TcpStream::connect(address).await.map_err(DialError::Connect)?;
    socket::tune_outgoing(&stream).map_err(DialError::Connect)?;
    let Some(tls) = tls else {
        return Ok(Line::new(Transport::Plain(stream)));
    };
    let stream = TlsConnector::from(Arc::clone(&tls.config))
        .connect(tls.name.clone(), stream)
        .await
        .map_err(DialError::Handshake)?;
    let selected = stream.get_ref().1.alpn_protocol();
    match (tls.offer, selected) {
        (Offer::Http2, Some(b"h2")) | (Offer::Http1, _) => {}
        (Offer::Http2, _) => return Err(DialError::NotHttp2),
    }
    Ok(Line::new(Transport::Tls(Box::new(stream))))
}

/// An open connection to a server. Writes are not vectored: what is sent is one small head, or a body in frames that
/// are copied behind it, and one flat write of that is measurably cheaper than a gathered one.
#[derive(Debug)]
pub struct Line {
    transport: Transport,
    signs: Signs,
}

#[derive(Debug)]
enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What a [`Line`] shows of itself to whoever no longer holds it. The protocol library tells neither.
#[derive(Debug, Clone, Default)]
pub struct Signs(Arc<SignsInside>);

#[derive(Debug, Default)]
struct SignsInside {
    heard: AtomicBool,
    stuck: AtomicBool,
}

impl Signs {
    /// Did something arrive since [`Signs::forget`]? This tells a connection that ended before an answer began from one
    /// that ended within it.
    pub fn heard(&self) -> bool {
        self.0.heard.load(Ordering::Acquire)
    }

    /// Forgets what arrived so far.
    pub fn forget(&self) {
        self.0.heard.store(false, Ordering::Release);
    }

    /// Are there bytes to write that the peer does not take? The library counts a request as sent when it is in its
    /// buffer.
    pub fn stuck(&self) -> bool {
        self.0.stuck.load(Ordering::Acquire)
    }

    fn wrote<T>(&self, polled: Poll<T>) -> Poll<T> {
        self.0.stuck.store(polled.is_pending(), Ordering::Release);
        polled
    }
}

impl Line {
    fn new(transport: Transport) -> Line {
        Line {
            transport,
            signs: Signs::default(),
        }
    }

    /// A handle that outlives the line's being moved away.
    pub fn signs(&self) -> Signs {
        self.signs.clone()
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        };
        if buffer.filled().len() > before {
            self.signs.0.heard.store(true, Ordering::Release);
        }
        polled
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        };
        self.signs.wrote(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        };
        self.signs.wrote(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        false
    }
}

//! Opening a connection: TCP, then TLS if it is wanted, both within one deadline.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
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
        return Ok(Line(Transport::Plain(stream)));
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
    Ok(Line(Transport::Tls(Box::new(stream))))
}

/// An open connection to a server.
#[derive(Debug)]
pub struct Line(Transport);

#[derive(Debug)]
enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
        }
    }

    /// For libraries that ask, `false`: they copy small pieces into one then, which is measurably cheaper than a gathered
    /// write. Whoever knows that a piece is large need not ask.
    fn is_write_vectored(&self) -> bool {
        false
    }
}

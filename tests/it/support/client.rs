//! Clients: a real HTTP/1.1 and HTTP/2 client, and raw bytes over a socket.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long a test waits for anything before it fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Got {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

impl Got {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// One request on a connection of its own, over HTTP/1.1.
pub async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> Got {
    try_send(address, request).await.expect("an answer")
}

/// The same; the error of a connection that was refused or broke.
pub async fn try_send(address: SocketAddr, request: Request<Full<Bytes>>) -> std::io::Result<Got> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(std::io::Error::other)?;
    let task = tokio::spawn(connection);
    let got = match sender.send_request(request).await {
        Ok(answer) => read(answer).await,
        Err(error) => Err(error),
    };
    drop(sender);
    task.abort();
    got.map_err(std::io::Error::other)
}

/// A kept-alive HTTP/1.1 connection.
pub async fn connect(address: SocketAddr) -> hyper::client::conn::http1::SendRequest<Full<Bytes>> {
    let stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("a connection");
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .expect("a handshake");
    tokio::spawn(connection);
    sender
}

/// A kept-alive HTTP/2 connection with prior knowledge.
pub async fn connect_h2(address: SocketAddr) -> hyper::client::conn::http2::SendRequest<Full<Bytes>> {
    let stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("a connection");
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("a handshake");
    tokio::spawn(connection);
    sender
}

/// Reads an answer to its end.
pub async fn read(answer: Response<hyper::body::Incoming>) -> Result<Got, hyper::Error> {
    let (parts, body) = answer.into_parts();
    let collected = body.collect().await?;
    let trailers = collected.trailers().cloned();
    Ok(Got {
        status: parts.status,
        headers: parts.headers,
        body: collected.to_bytes(),
        trailers,
    })
}

/// A GET with a host, a path and fields.
pub fn get(host: &str, target: &str, fields: &[(&str, &str)]) -> Request<Full<Bytes>> {
    request("GET", host, target, fields, "")
}

/// Any request.
pub fn request(
    method: &str,
    host: &str,
    target: &str,
    fields: &[(&str, &str)],
    body: &str,
) -> Request<Full<Bytes>> {
    let mut builder = Request::builder().method(method).uri(target).header("host", host);
    for (name, value) in fields {
        builder = builder.header(*name, *value);
    }
    builder
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .expect("a request")
}

/// Writes raw bytes, reads until the other side closes.
pub async fn raw(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("a connection");
    stream.write_all(bytes).await.expect("to write");
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .expect("the server to close");
    answer
}

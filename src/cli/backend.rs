//! Small HTTP servers for `stub` and `demo`: a handler behind a listening socket.

use std::convert::Infallible;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use crate::base::tasks;

/// Before the next try when the system gives no connection.
const PAUSE: Duration = Duration::from_millis(100);
/// The head of a request, and the time between two on one connection: longer than a load generator's pauses.
const HEAD_DEADLINE: Duration = Duration::from_secs(300);

/// What is spoken on the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge (RFC 9113 section 3.3).
    Http2,
}

/// Listens on `address`; `flag` is named if that fails.
///
/// # Errors
/// A sentence for the terminal.
pub(super) fn listen(address: SocketAddr, flag: &str) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(address).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("{address} is in use by another program; choose another address with {flag}")
        }
        _ => format!("cannot listen on {address} ({flag}): {error}"),
    })?;
    listener
        .set_nonblocking(true)
        .map_err(|error| format!("cannot listen on {address} ({flag}): {error}"))?;
    Ok(listener)
}

/// Answers every request on `listener` by `handler`, for ever.
///
/// # Errors
/// The runtime does not take the socket.
pub(super) async fn serve<H, F>(listener: TcpListener, spoken: Spoken, handler: H) -> std::io::Result<()>
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // Answers are small and whole: there is nothing to wait for.
        let _ = stream.set_nodelay(true);
        let handler = handler.clone();
        tasks::spawn("backend connection", async move {
            let service = service_fn(move |request| {
                let answer = handler(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let io = TokioIo::new(stream);
            let ended = match spoken {
                Spoken::Http1 => {
                    hyper::server::conn::http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(HEAD_DEADLINE)
                        .pipeline_flush(true)
                        .serve_connection(io, service)
                        .await
                }
                Spoken::Http2 => {
                    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .timer(TokioTimer::new())
                        .max_concurrent_streams(1_024)
                        .serve_connection(io, service)
                        .await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
}

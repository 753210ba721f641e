//! The gateway as a [`tower::Service`]: the whole way of a request without a socket.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;

use crate::http::body::Body;
use crate::net::peer::Peer;
use crate::pipeline;
use crate::reply::Reply;
use crate::shard::Shard;

/// The gateway's way of a request for whoever calls it directly: `oneshot` in a test, a layer of another program's.
///
/// Who is at the other end is taken from the request's extension `Arc<Peer>`; without one it is `127.0.0.1`, no TLS,
/// not trusted. Must be called in a tokio runtime.
#[derive(Debug, Clone)]
pub struct GatewayService {
    shard: Arc<Shard>,
}

impl GatewayService {
    pub(super) fn new(shard: Arc<Shard>) -> GatewayService {
        GatewayService { shard }
    }
}

impl<B> tower::Service<Request<B>> for GatewayService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<Reply>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Reply>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let shard = Arc::clone(&self.shard);
        let peer = request.extensions_mut().remove::<Arc<Peer>>().unwrap_or_else(|| {
            let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
            Arc::new(Peer::new(nobody, nobody, 0, false))
        });
        let request = request.map(|body| {
            if body.is_end_stream() {
                Body::empty()
            } else {
                Body::boxed(body.map_err(Into::into).boxed_unsync())
            }
        });
        Box::pin(async move { Ok(pipeline::handle(&shard, &peer, request).await) })
    }
}

//! The gateway inside another program, with a layer of that program's own around it.
//!
//! `cargo run --example embed`
//!
//! [`Gateway::service`] is the whole way of a request (guard, route, token, access, limits, answer) as a
//! [`tower::Service`]. What it answers carries the reply's body, which counts the request when its last byte was read.

#![expect(clippy::print_stdout, reason = "it shows what it does")]

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Empty};
use tollgate::gateway::{Gateway, Options};
use tower::layer::layer_fn;
use tower::{Service, ServiceBuilder, ServiceExt};

/// The configuration is that of the program. Listeners are bound as well: the gateway can serve beside being called.
const CONFIG: &str = r#"
listeners: [{ address: 127.0.0.1:0 }]
limits:
  per-address: { rate: 2/d, burst: 2, per: address }
apis:
  greetings:
    hosts: [greetings.example]
    limits: [per-address]
    routes:
      - path: /hello
        public: true
        to: { respond: { json: { greeting: hello } } }
"#;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let plan = tollgate::config::load_text(CONFIG, "embedded", &|_name| None).map_err(|found| {
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })?;
    let gateway = Gateway::start(plan, Options::default()).await?;

    // `Timed` is outside: it sees every answer, refusals too.
    let service = ServiceBuilder::new()
        .layer(layer_fn(|gateway| Timed { gateway }))
        .service(gateway.service());

    // Two are let through, the third is one too many.
    for _ in 0..3 {
        let request = Request::get("/hello")
            .header("host", "greetings.example")
            .body(Empty::<Bytes>::new())?;
        let answer = service.clone().oneshot(request).await?;
        let (head, body) = answer.into_parts();
        let text = body.collect().await?.to_bytes();
        println!("{} {:?}", head.status, head.headers.get(SERVER_TIMING));
        println!("  {}", String::from_utf8_lossy(&text));
    }
    gateway.stop();
    Ok(())
}

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Adds to every answer how long the gateway took for its head, in milliseconds.
#[derive(Clone)]
struct Timed<S> {
    gateway: S,
}

impl<S, B, R> Service<Request<B>> for Timed<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.gateway.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let begun = Instant::now();
        let answer = self.gateway.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            let text = format!("gateway;dur={:.3}", begun.elapsed().as_secs_f64() * 1_000.0);
            if let Ok(value) = HeaderValue::from_str(&text) {
                answer.headers_mut().insert(SERVER_TIMING, value);
            }
            Ok(answer)
        })
    }
}

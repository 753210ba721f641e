//! `tollgate stub`: a backend that always gives the same answer, for load tests and to see what reaches a backend.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;

use super::backend::{self, Spoken};
use super::command::Exit;
use super::terminal::{complain, say};
use crate::base::units;

/// Run a backend that always gives the same answer, for load tests
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  tollgate stub --address 127.0.0.1:9001 --status 200 --body '{\"ok\":true}' \\
    --header 'Content-Type: application/json' --delay 5ms --region us-1

A request to /echo is answered with what arrived, as JSON: method, target and header fields.")]
pub(super) struct Args {
    /// Where to listen; port 0 lets the system choose
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9001")]
    address: SocketAddr,
    /// Status of the answer
    #[arg(long, value_name = "CODE", default_value = "200", value_parser = status)]
    status: StatusCode,
    /// Body of the answer
    #[arg(long, value_name = "TEXT", default_value = "ok\n", conflicts_with_all = ["body_file", "body_size"])]
    body: String,
    /// Body of the answer, from a file
    #[arg(long, value_name = "FILE", conflicts_with = "body_size")]
    body_file: Option<PathBuf>,
    /// Body of the answer: so many bytes, such as 64KiB
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    body_size: Option<u64>,
    /// A field of the answer; may be given several times
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = field)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Wait for so long before the answer
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    delay: Option<Duration>,
    /// Name of the region, told in the field X-Served-By
    #[arg(long, value_name = "NAME", value_parser = value)]
    region: Option<HeaderValue>,
    /// Speak HTTP/2 with prior knowledge instead of HTTP/1.1
    #[arg(long)]
    http2: bool,
    /// Threads; one for each core if not given
    #[arg(long, value_name = "NUMBER")]
    workers: Option<std::num::NonZeroUsize>,
}

fn status(text: &str) -> Result<StatusCode, String> {
    match text.parse::<StatusCode>() {
        // An informational status is no answer (RFC 9110 section 15.2), and nothing has a class above 5.
        Ok(status) if (200..600).contains(&status.as_u16()) => Ok(status),
        Ok(_) | Err(_) => Err("a status is a number from 200 to 599".to_owned()),
    }
}

fn field(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value_text) = text.split_once(':').ok_or("a field is written `Name: value`")?;
    let name = HeaderName::try_from(name.trim()).map_err(|error| error.to_string())?;
    if [
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
    ]
    .contains(&name)
    {
        return Err(format!("`{name}` is set by the server itself"));
    }
    Ok((name, value(value_text)?))
}

fn value(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::try_from(text.trim()).map_err(|error| error.to_string())
}

/// What is answered.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    delay: Option<Duration>,
    region: Option<HeaderValue>,
}

/// Name of the field that says which region answered.
pub(super) const SERVED_BY: HeaderName = HeaderName::from_static("x-served-by");

pub(super) fn run(args: &Args) -> Exit {
    match serve(args) {
        Ok(()) => Exit::Success,
        Err(why) => {
            complain(&format_args!("tollgate stub: {why}"));
            Exit::Failure
        }
    }
}

fn serve(args: &Args) -> Result<(), String> {
    let answer = Arc::new(answer(args)?);
    let listener = backend::listen(args.address, "--address")?;
    let address = listener
        .local_addr()
        .map_err(|error| format!("no address: {error}"))?;
    let spoken = if args.http2 { Spoken::Http2 } else { Spoken::Http1 };
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = args.workers {
        builder.worker_threads(workers.get());
    }
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    say(&format_args!("listening on http://{address}"));
    runtime
        .block_on(async {
            tokio::select! {
                ended = backend::serve(listener, spoken, move |request| {
                    let answer = Arc::clone(&answer);
                    async move { answer.to(request).await }
                }) => ended,
                ended = tokio::signal::ctrl_c() => ended,
            }
        })
        .map_err(|error| error.to_string())
}

fn answer(args: &Args) -> Result<Answer, String> {
    let body = match (&args.body_file, args.body_size) {
        (Some(path), _) => std::fs::read(path)
            .map(Bytes::from)
            .map_err(|error| format!("{}: {error}", path.display()))?,
        (None, Some(size)) => Bytes::from(vec![
            b'x';
            usize::try_from(size).map_err(|_| "the body is too large")?
        ]),
        (None, None) => Bytes::from(args.body.clone()),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in &args.headers {
        headers.append(name.clone(), value.clone());
    }
    if !headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
    }
    if let Some(region) = &args.region {
        headers.insert(SERVED_BY, region.clone());
    }
    Ok(Answer {
        status: args.status,
        headers,
        body,
        delay: args.delay,
        region: args.region.clone(),
    })
}

impl Answer {
    async fn to(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, mut body) = request.into_parts();
        // Read to its end, so that the connection can go on; a client that breaks off finds out by itself.
        while let Some(Ok(_)) = body.frame().await {}
        if let Some(delay) = self.delay {
            tokio::time::sleep(delay).await;
        }
        let mut response = Response::new(Full::default());
        if head.uri.path() == "/echo" {
            let echo = serde_json::json!({
                "method": head.method.as_str(),
                "target": head.uri.path_and_query().map_or("", |target| target.as_str()),
                "version": format!("{:?}", head.version),
                "headers": fields(&head.headers),
                "region": self.region.as_ref().map(text),
            });
            *response.body_mut() = Full::new(Bytes::from(format!("{echo}\n")));
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            if let Some(region) = &self.region {
                response.headers_mut().insert(SERVED_BY, region.clone());
            }
            return response;
        }
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        *response.body_mut() = Full::new(self.body.clone());
        response
    }
}

/// All fields by name, each with all its values in order.
pub(super) fn fields(headers: &HeaderMap) -> serde_json::Value {
    let by_name = headers.keys().map(|name| {
        let values = headers.get_all(name).iter().map(text).collect();
        (name.as_str().to_owned(), serde_json::Value::Array(values))
    });
    serde_json::Value::Object(by_name.collect())
}

fn text(value: &HeaderValue) -> serde_json::Value {
    String::from_utf8_lossy(value.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_or_a_field_that_is_none_is_refused() {
        for text in ["99", "100", "101", "600", "abc", ""] {
            assert!(status(text).is_err(), "{text}");
        }
        for text in ["no colon", "bad name: x", ": x", "Content-Length: 5", "X: a\r\nb"] {
            assert!(field(text).is_err(), "{text:?}");
        }
        assert_eq!(
            field("X-A:  b "),
            Ok((HeaderName::from_static("x-a"), HeaderValue::from_static("b")))
        );
    }

    /// What the stub of this command line answers to `request`.
    async fn asked(line: &str, request: &str) -> String {
        use clap::{Args as _, FromArgMatches as _};
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        let command = Args::augment_args(clap::Command::new("stub"));
        let words = std::iter::once("stub").chain(line.split('|'));
        let args = Args::from_arg_matches(&command.get_matches_from(words)).unwrap();
        let answer = Arc::new(answer(&args).unwrap());
        let listener = backend::listen(args.address, "--address").unwrap();
        let address = listener.local_addr().unwrap();
        let handler = move |request| {
            let answer = Arc::clone(&answer);
            async move { answer.to(request).await }
        };
        let talk = async {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut said = String::new();
            stream.read_to_string(&mut said).await.unwrap();
            said
        };
        tokio::select! {
            ended = backend::serve(listener, Spoken::Http1, handler) => panic!("{ended:?}"),
            said = talk => said,
        }
    }

    #[tokio::test]
    async fn the_answer_is_what_the_command_line_says() {
        let said = asked(
            "--address=127.0.0.1:0|--status=503|--body-size=3B|--header=X-A: 1|--header=X-A: 2|--region=us-1|--delay=1ms",
            "POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
        )
        .await;
        assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
        assert!(said.contains("x-a: 1\r\nx-a: 2\r\n"), "{said}");
        assert!(said.contains("x-served-by: us-1\r\n"), "{said}");
        assert!(said.ends_with("\r\n\r\nxxx"), "{said}");
    }

    #[tokio::test]
    async fn an_echo_says_what_arrived() {
        let said = asked(
            "--address=127.0.0.1:0|--region=eu-1",
            "GET /echo?a=1 HTTP/1.1\r\nHost: a\r\nX-Tenant: t\r\nConnection: close\r\n\r\n",
        )
        .await;
        let (_, body) = said.split_once("\r\n\r\n").unwrap();
        let echo: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(echo["target"], "/echo?a=1");
        assert_eq!(echo["headers"]["x-tenant"], serde_json::json!(["t"]));
        assert_eq!(echo["region"], "eu-1");
    }

    #[test]
    fn an_address_that_is_taken_names_the_flag() {
        let first = backend::listen(([127, 0, 0, 1], 0).into(), "--address").unwrap();
        let taken = first.local_addr().unwrap();
        let why = backend::listen(taken, "--address").unwrap_err();
        assert!(
            why.contains(&taken.to_string()) && why.ends_with("with --address"),
            "{why}"
        );
    }

    #[test]
    fn an_echo_keeps_every_value_of_a_repeated_field() {
        let mut headers = HeaderMap::new();
        headers.append("a", HeaderValue::from_static("1"));
        headers.append("a", HeaderValue::from_static("2"));
        assert_eq!(fields(&headers), serde_json::json!({"a": ["1", "2"]}));
    }
}

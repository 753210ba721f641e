//! What commands ask of a running gateway: its operator's endpoints, over the admin listener.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use super::terminal::say;
use crate::base::tasks;
use crate::http::form;

/// How long a gateway has to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of an answer at most: lists have pages.
const LARGEST: usize = 4 << 20;

/// Where the gateway is, and by what it knows its operator.
#[derive(Debug, clap::Args)]
pub(super) struct Gateway {
    /// The admin listener of the gateway
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9901")]
    admin: SocketAddr,
    /// The file with the operator's token, whose digest is `admin.token` in the configuration
    #[arg(long, value_name = "FILE")]
    admin_token: PathBuf,
}

/// The same, for what belongs to a realm.
#[derive(Debug, clap::Args)]
pub(super) struct Operator {
    #[command(flatten)]
    gateway: Gateway,
    /// The realm
    #[arg(long, value_name = "NAME")]
    realm: String,
}

/// Why a gateway did not do it.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotDone {
    /// The file with the operator's token.
    #[error("cannot read {path}: {error}")]
    Token {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It has no token in it.
    #[error("{0} has no token in it")]
    NoToken(PathBuf),
    /// Standard input.
    #[error("standard input: {0}")]
    Input(String),
    /// There is nobody.
    #[error("nobody listens at {address}: {error}; is the gateway running, and is this its `admin.address`?")]
    NobodyThere {
        /// Where.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// The exchange broke off.
    #[error("the gateway's answer broke off: {0}")]
    BrokeOff(String),
    /// No answer came.
    #[error("the gateway does not answer")]
    Silent,
    /// It says that it does not know this operator.
    #[error(
        "the gateway does not take the token of {0}: its digest is not `admin.token` in the configuration"
    )]
    Unknown(PathBuf),
    /// It has no operator's endpoints.
    #[error("the gateway has no operator's endpoints, or no such path: it needs `admin.token` and a realm")]
    NoEndpoints,
    /// It refuses.
    #[error("{detail} ({code}, status {status})")]
    Refused {
        /// What it says.
        detail: String,
        /// Its word for it.
        code: String,
        /// The status.
        status: u16,
    },
}

impl Operator {
    /// The path of something below the realm.
    pub(super) fn path(&self, rest: &str) -> String {
        format!("/v1/realms/{}/{rest}", form::encoded(&self.realm))
    }

    /// As [`Gateway::ask`].
    pub(super) fn ask(&self, method: Method, target: &str, body: Option<&Value>) -> Result<Value, NotDone> {
        self.gateway.ask(method, target, body)
    }

    /// As [`Gateway::each`], for a list of the realm.
    pub(super) fn each(&self, list: &str, line: impl Fn(&Value) -> String) -> Result<(), NotDone> {
        self.gateway.each(&self.path(list), line)
    }
}

impl Gateway {
    /// Says a line for each entry of a list, part after part. `list` may have a query.
    pub(super) fn each(&self, list: &str, line: impl Fn(&Value) -> String) -> Result<(), NotDone> {
        let separator = if list.contains('?') { '&' } else { '?' };
        let mut after = String::new();
        loop {
            let page = self.ask(Method::GET, &format!("{list}{separator}size=1000{after}"), None)?;
            for entry in page.get("items").and_then(Value::as_array).into_iter().flatten() {
                say(&line(entry));
            }
            match page.get("next").and_then(Value::as_str) {
                Some(next) => after = format!("&after={}", form::encoded(next)),
                None => return Ok(()),
            }
        }
    }

    /// Asks, and gives the answer's JSON; [`Value::Null`] where there is none.
    pub(super) fn ask(&self, method: Method, target: &str, body: Option<&Value>) -> Result<Value, NotDone> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| NotDone::BrokeOff(error.to_string()))?;
        runtime.block_on(async {
            tokio::time::timeout(PATIENCE, self.exchange(method, target, body))
                .await
                .map_err(|_| NotDone::Silent)?
        })
    }

    async fn exchange(&self, method: Method, target: &str, body: Option<&Value>) -> Result<Value, NotDone> {
        let broke = |error: &dyn std::fmt::Display| NotDone::BrokeOff(error.to_string());
        let token = read(&self.admin_token)?;
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", *token))
            .map_err(|_| NotDone::NoToken(self.admin_token.clone()))?;
        bearer.set_sensitive(true);
        let content = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let mut request = Request::new(Full::new(content));
        *request.method_mut() = method;
        *request.uri_mut() = target.parse().map_err(|error| broke(&error))?;
        let headers = request.headers_mut();
        let host = HeaderValue::try_from(self.admin.to_string()).map_err(|error| broke(&error))?;
        headers.insert(HOST, host);
        headers.insert(AUTHORIZATION, bearer);
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let stream = TcpStream::connect(self.admin).await;
        let stream = stream.map_err(|error| NotDone::NobodyThere {
            address: self.admin,
            error,
        })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broke(&error))?;
        // Ends with the runtime, which is this question's own.
        tasks::spawn("operator connection", async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the gateway ended badly");
            }
        });
        let answer = sender.send_request(request).await;
        let (head, body) = answer.map_err(|error| broke(&error))?.into_parts();
        let body = Limited::new(body, LARGEST).collect().await;
        let body = body.map_err(|error| broke(&error))?.to_bytes();
        self.judged(head.status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    fn judged(&self, status: StatusCode, said: Value) -> Result<Value, NotDone> {
        if status.is_success() {
            return Ok(said);
        }
        let word = |name: &str| said.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        match (status, word("code"), word("detail")) {
            (StatusCode::UNAUTHORIZED, _, _) => Err(NotDone::Unknown(self.admin_token.clone())),
            (_, Some(code), Some(detail)) => Err(NotDone::Refused {
                detail,
                code,
                status: status.as_u16(),
            }),
            (StatusCode::NOT_FOUND, _, _) => Err(NotDone::NoEndpoints),
            _ => Err(NotDone::BrokeOff(format!("status {status}"))),
        }
    }
}

/// The first line of a file with a token.
fn read(path: &Path) -> Result<Zeroizing<String>, NotDone> {
    let text = std::fs::read_to_string(path).map_err(|error| NotDone::Token {
        path: path.to_owned(),
        error,
    })?;
    let text = Zeroizing::new(text);
    match text.lines().next().map(str::trim) {
        Some(token) if !token.is_empty() => Ok(Zeroizing::new(token.to_owned())),
        Some(_) | None => Err(NotDone::NoToken(path.to_owned())),
    }
}

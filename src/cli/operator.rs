//! What commands ask of a running gateway: its operator's endpoints, over the admin listener; and what they have in common.

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Uri};
use serde_json::Value;
use zeroize::Zeroizing;

use super::command::Exit;
use super::terminal::{complain, say};
use crate::http::form;
use crate::net::fetch::{FetchError, Fetcher};

/// How long a gateway has to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of standard input at most.
const INPUT: u64 = 64 << 10;

/// Where the gateway is, and by what it knows its operator.
#[derive(Debug, clap::Args)]
pub(super) struct Operator {
    /// The admin listener of the gateway
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9901")]
    admin: SocketAddr,
    /// The file with the operator's token, whose digest is `admin.token` in the configuration
    #[arg(long, value_name = "FILE")]
    admin_token: PathBuf,
}

/// The same, for what belongs to a realm.
#[derive(Debug, clap::Args)]
pub(super) struct RealmOperator {
    #[command(flatten)]
    operator: Operator,
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
    /// There is no runtime to ask in.
    #[error("cannot start: {0}")]
    Runtime(#[source] std::io::Error),
    /// There is nobody.
    #[error("{address}: {error}; is the gateway running, and is this its `admin.address`?")]
    NobodyThere {
        /// Where.
        address: SocketAddr,
        /// Why.
        error: Box<FetchError>,
    },
    /// The exchange broke off, or no answer came.
    #[error("no answer of the gateway: {0}")]
    NoAnswer(Box<FetchError>),
    /// An answer that is none of its own.
    #[error("what listens there answers with status {0}, and not as a gateway")]
    Foreign(StatusCode),
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

impl RealmOperator {
    /// Asks about `rest`, something below the realm. As [`Operator::ask`].
    pub(super) fn ask(&self, method: Method, rest: &str, body: Option<&Value>) -> Result<Value, NotDone> {
        self.operator.ask(method, &self.path(rest), body)
    }

    /// As [`Operator::each`], for a list of the realm.
    pub(super) fn each(&self, list: &str, line: impl Fn(&Value) -> String) -> Result<(), NotDone> {
        self.operator.each(&self.path(list), line)
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/realms/{}/{rest}", form::encoded(&self.realm))
    }
}

impl Operator {
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
        let token = first_line(&self.admin_token)?;
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", *token))
            .map_err(|_| NotDone::NoToken(self.admin_token.clone()))?;
        bearer.set_sensitive(true);
        let url = Uri::builder()
            .scheme("http")
            .authority(self.admin.to_string())
            .path_and_query(target);
        let url = url.build().map_err(|bad| NotDone::Input(bad.to_string()))?;
        let no_answer = |error| NotDone::NoAnswer(Box::new(error));
        let fetcher = Fetcher::new(&url, None).map_err(no_answer)?;
        let body = body.map(|body| Bytes::from(body.to_string()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(NotDone::Runtime)?;
        let answer = runtime.block_on(fetcher.ask(method, body, bearer, PATIENCE));
        let answer = answer.map_err(|error| match error {
            error @ FetchError::Dial(_) => NotDone::NobodyThere {
                address: self.admin,
                error: Box::new(error),
            },
            other => no_answer(other),
        })?;
        let said = serde_json::from_slice(answer.body()).unwrap_or(Value::Null);
        self.judged(answer.status(), said)
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
            (other, _, _) => Err(NotDone::Foreign(other)),
        }
    }
}

/// How a command ends; says why it did not do it.
pub(super) fn ended(command: &str, outcome: Result<(), NotDone>) -> Exit {
    match outcome {
        Ok(()) => Exit::Success,
        Err(error) => {
            complain(&format_args!("tollgate {command}: {error}"));
            Exit::Failure
        }
    }
}

/// A line of what is shown, in columns of these widths.
pub(super) fn columns(shown: &Value, names: &[(&str, usize)]) -> String {
    let cell = |(name, width): &(&str, usize)| {
        let text = shown.get(*name).and_then(Value::as_str).unwrap_or("-");
        format!("{text:<width$}")
    };
    let cells: Vec<String> = names.iter().map(cell).collect();
    cells.join("  ").trim_end().to_owned()
}

/// All of standard input, as far as anything there may go.
pub(super) fn standard_input() -> Result<Zeroizing<String>, NotDone> {
    let mut text = Zeroizing::new(String::new());
    std::io::stdin()
        .take(INPUT)
        .read_to_string(&mut text)
        .map_err(|error| NotDone::Input(error.to_string()))?;
    Ok(text)
}

/// The first line of a file with a token.
fn first_line(path: &Path) -> Result<Zeroizing<String>, NotDone> {
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

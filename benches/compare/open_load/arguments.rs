//! The command line, and what is sent according to it.

use std::fmt::Write as _;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use http::Uri;

use super::schedule::Schedule;

/// What is sent besides the request line and `Host`.
const FIELDS: &str = "User-Agent: open-load\r\nAccept: */*\r\n";

/// What a client must not be able to say: a gateway has to replace it.
const SPOOFED: &str = "X-Tenant-ID: spoofed\r\n";

/// Measurements that are kept, 4 bytes each.
const MOST_REQUESTS: u64 = 200_000_000;

const AFTER: &str = "\
Example:
  open-load --rate 10000 --seconds 10 --tokens tokens.txt --take 100 http://127.0.0.1:8080/small

One line of JSON on stdout. `requests` were answered with the `statuses`; `errors` are requests without an answer; the
latencies, in microseconds, run from the moment a request was due until its answer was whole; `achieved_rate` is answers
per second while requests were due; `latest_start_us` is the largest delay between due and written.

Exit codes: 0 success, 1 no connection or no answer, 64 wrong command line.";

/// Sends requests at a constant rate and measures each from the moment at which it was due
///
/// Connections are kept alive. When all are busy, a request that is due waits for one, and its waiting counts. A connection
/// that the server closes is opened again; the request that was lost with it is an error.
#[derive(Debug, Parser)]
#[command(name = "open-load", max_term_width = 100, after_help = AFTER)]
pub(crate) struct Arguments {
    /// Requests per second
    #[arg(long, value_name = "REQ_PER_S", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,

    /// For how long requests are due and measured, such as 10 or 0.5
    #[arg(long, value_parser = seconds)]
    seconds: Duration,

    /// For how long before that requests are sent and not measured
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    warmup: Duration,

    /// For how long after that answers are waited for; what is unanswered then is an error, and its time until then
    /// stays among the latencies
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    grace: Duration,

    /// How many connections are held open
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,

    /// A file of bearer tokens, one a line, sent in turn as `Authorization: Bearer …`, with an `X-Tenant-ID` beside
    /// that a gateway must not believe
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,

    /// How many tokens of the file, from its first; all of them if not said
    #[arg(long, value_name = "N", requires = "tokens", value_parser = clap::value_parser!(u32).range(1..))]
    take: Option<u32>,

    /// Where requests go, as http://HOST:PORT/PATH
    url: String,
}

/// A run, ready to be started.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Where the server is; the first that answers is taken.
    pub(crate) addresses: Vec<SocketAddr>,
    /// The requests as they are written, sent in turn.
    pub(crate) requests: Vec<Vec<u8>>,
    pub(crate) schedule: Schedule,
    pub(crate) connections: u16,
    /// For how long answers are waited for after the last request was due.
    pub(crate) grace: Duration,
}

impl Arguments {
    /// What the command line comes to; an error says what is wrong with it and what to do.
    pub(crate) fn plan(&self) -> Result<Plan, String> {
        let schedule = Schedule::new(self.rate, self.warmup, self.seconds);
        if schedule.counted() == 0 {
            return Err("--rate times --seconds is less than one request; ask for more of either".to_owned());
        }
        if schedule.total > MOST_REQUESTS {
            return Err(format!(
                "these are {} requests, and {MOST_REQUESTS} is the most whose latencies are kept; \
                 ask for a smaller --rate or fewer --seconds",
                schedule.total
            ));
        }
        let target = Target::of(&self.url)?;
        let requests = match &self.tokens {
            None => vec![target.request("")],
            Some(file) => tokens(file, self.take)?
                .iter()
                .map(|token| target.request(&format!("Authorization: Bearer {token}\r\n{SPOOFED}")))
                .collect(),
        };
        Ok(Plan {
            addresses: target.addresses,
            requests,
            schedule,
            connections: self.connections,
            grace: self.grace,
        })
    }
}

/// What a URL says.
struct Target {
    addresses: Vec<SocketAddr>,
    host: String,
    path: String,
}

impl Target {
    fn of(url: &str) -> Result<Self, String> {
        let wanted = "give it as http://HOST:PORT/PATH";
        let uri: Uri = url
            .parse()
            .map_err(|error| format!("`{url}` is no URL ({error}); {wanted}"))?;
        if uri.scheme_str() != Some("http") {
            return Err(format!(
                "`{url}` is not of http, and nothing else is spoken; {wanted}"
            ));
        }
        let name = uri.host().unwrap_or_default();
        if uri
            .authority()
            .is_none_or(|authority| authority.as_str().contains('@'))
        {
            return Err(format!("`{url}` names a user, which is not sent; {wanted}"));
        }
        let mut host = name.to_owned();
        if let Some(port) = uri.port() {
            // Writing to a string does not fail.
            let _written = write!(host, ":{port}");
        }
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let addresses: Vec<SocketAddr> = (bare, uri.port_u16().unwrap_or(80))
            .to_socket_addrs()
            .map_err(|error| {
                format!("`{name}` has no address ({error}); name a host that has one, such as 127.0.0.1")
            })?
            .collect();
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            addresses,
            host,
            path: path.to_owned(),
        })
    }

    fn request(&self, more: &str) -> Vec<u8> {
        let Self { host, path, .. } = self;
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{FIELDS}{more}\r\n").into_bytes()
    }
}

/// The first `take` lines of the file.
fn tokens(file: &Path, take: Option<u32>) -> Result<Vec<String>, String> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| {
        format!("--tokens {name} cannot be read ({error}); name a file of tokens, one a line")
    })?;
    let take = take.map_or(usize::MAX, |take| usize::try_from(take).unwrap_or(usize::MAX));
    let mut tokens = Vec::new();
    for (index, line) in text.lines().enumerate().take(take) {
        let token = line.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!(
                "line {} of {name} is no token; one token stands on each line, without spaces",
                index + 1
            ));
        }
        tokens.push(token.to_owned());
    }
    if tokens.is_empty() {
        return Err(format!(
            "{name} is empty; write tokens into it, one a line, or leave --tokens out"
        ));
    }
    if take != usize::MAX && tokens.len() < take {
        return Err(format!(
            "{name} has {} tokens, fewer than --take {take}; ask for fewer or write more",
            tokens.len()
        ));
    }
    Ok(tokens)
}

/// A time in seconds, with a fraction if wanted.
fn seconds(text: &str) -> Result<Duration, String> {
    let day = Duration::from_secs(86_400);
    text.parse()
        .ok()
        .and_then(|number| Duration::try_from_secs_f64(number).ok())
        .filter(|time| *time <= day)
        .ok_or_else(|| "give a number of seconds from 0 to 86400, such as 10 or 0.5".to_owned())
}

//! A small HTTP client for control traffic such as key sets, introspection and an operator's commands: one request, one deadline,
//! a bounded answer, no redirects.

use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT, AGE, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HOST, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::dial::{DialError, dial};
use super::resolve;
use super::tls_client::{Offer, TlsClient, TlsMaterial, TlsSetupError};
use crate::base::tasks;
use crate::config::plan::UpstreamTls;

/// Largest answer that is read, in bytes.
pub const LARGEST: usize = 1 << 20;

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL is not `http` or `https` with a host.
    #[error("`{0}` is not an http or https URL with a host")]
    Url(Uri),
    /// The client's side of TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    /// The host name has no address.
    #[error("the host name cannot be resolved: {0}")]
    Resolve(#[source] std::io::Error),
    /// No address could be connected to; the last attempt's reason.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The exchange broke off, or the answer is not HTTP.
    #[error("the answer broke off or is not HTTP: {0}")]
    Http(#[from] hyper::Error),
    /// Another status than 200. A redirect is one: whoever can redirect the gateway chooses its keys, or learns its tokens.
    #[error("the answer has status {0}")]
    Status(StatusCode),
    /// The answer is encoded although nothing but identity was asked for.
    #[error("the answer has a content coding")]
    Coding,
    /// The answer is larger than [`LARGEST`].
    #[error("the answer is larger than {LARGEST} bytes")]
    TooLarge,
    /// The deadline passed.
    #[error("no whole answer in time")]
    TimedOut,
}

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The content.
    pub body: Bytes,
    /// For how long the answer is fresh, if it says so: `max-age` less `Age`, and zero for `no-store` and `no-cache`
    /// (RFC 9111 sections 4.2 and 5.2.2).
    pub fresh: Option<Duration>,
}

/// Which answers are read.
#[derive(Debug, Clone, Copy)]
enum Statuses {
    /// 200 alone.
    Ok,
    /// Any.
    Any,
}

/// A client for one URL.
#[derive(Debug, Clone)]
pub struct Fetcher {
    url: Uri,
    host: String,
    port: u16,
    authority: HeaderValue,
    target: Uri,
    material: Option<TlsMaterial>,
    tls: Option<TlsClient>,
}

impl Fetcher {
    /// A client for `url`. With `ca`, a PEM file, its authorities are trusted instead of the system's.
    ///
    /// # Errors
    /// [`FetchError::Url`], [`FetchError::Tls`].
    pub fn new(url: &Uri, ca: Option<PathBuf>) -> Result<Fetcher, FetchError> {
        let bad = || FetchError::Url(url.clone());
        let authority = url.authority().ok_or_else(bad)?;
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let (secure, port) = match url.scheme_str() {
            Some("https") => (true, 443),
            Some("http") => (false, 80),
            Some(_) | None => return Err(bad()),
        };
        let material = if secure {
            Some(TlsMaterial::read(&UpstreamTls {
                ca,
                ..UpstreamTls::default()
            })?)
        } else {
            None
        };
        let tls = match &material {
            Some(material) => Some(material.client(&host, Offer::Http1)?),
            None => None,
        };
        // Credentials in the URL do not belong into the Host field (RFC 9110 section 4.2.4).
        let without_user = authority.as_str().rsplit('@').next().unwrap_or_default();
        Ok(Fetcher {
            url: url.clone(),
            port: authority.port_u16().unwrap_or(port),
            host,
            authority: HeaderValue::from_str(without_user).map_err(|_| bad())?,
            target: url
                .path_and_query()
                .map_or_else(|| Ok(Uri::from_static("/")), |target| target.as_str().parse())
                .map_err(|_| bad())?,
            material,
            tls,
        })
    }

    /// Would `other` ask the same server and believe the same authorities?
    pub fn is_like(&self, other: &Fetcher) -> bool {
        self.url == other.url && self.material == other.material
    }

    /// The URL.
    pub fn url(&self) -> &Uri {
        &self.url
    }

    /// Fetches it, from resolving the name to the last byte within `within`.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn get(&self, within: Duration) -> Result<Fetched, FetchError> {
        let accepted = "application/jwk-set+json, application/json;q=0.9, */*;q=0.1";
        self.fetch(self.request(Method::GET, accepted, Bytes::new()), within)
            .await
    }

    /// Sends a form there and reads the answer, a JSON document, within `within`. `authorization` is the field of that name.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn post_form(
        &self,
        form: Bytes,
        authorization: HeaderValue,
        within: Duration,
    ) -> Result<Fetched, FetchError> {
        let mut request = self.request(Method::POST, "application/json", form);
        let headers = request.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        headers.insert(AUTHORIZATION, authorization);
        self.fetch(request, within).await
    }

    /// Asks for something by `method`, with a JSON document if there is one, and reads the answer within `within`, whatever its
    /// status. `authorization` is the field of that name.
    ///
    /// # Errors
    /// [`FetchError`], but [`FetchError::Status`].
    pub async fn ask(
        &self,
        method: Method,
        json: Option<Bytes>,
        authorization: HeaderValue,
        within: Duration,
    ) -> Result<Response<Bytes>, FetchError> {
        let is_json = json.is_some();
        let mut request = self.request(method, "application/json", json.unwrap_or_default());
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, authorization);
        if is_json {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        self.exchange(request, within, Statuses::Any).await
    }

    /// Sends a form there and reads the answer within `within`, whatever its status. `authorization` is the field of that name.
    ///
    /// # Errors
    /// [`FetchError`], but [`FetchError::Status`].
    pub async fn submit(
        &self,
        form: Bytes,
        authorization: Option<HeaderValue>,
        within: Duration,
    ) -> Result<Response<Bytes>, FetchError> {
        let mut request = self.request(Method::POST, "application/json", form);
        let headers = request.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization);
        }
        self.exchange(request, within, Statuses::Any).await
    }

    async fn fetch(&self, request: Request<Full<Bytes>>, within: Duration) -> Result<Fetched, FetchError> {
        let answer = self.exchange(request, within, Statuses::Ok).await?;
        Ok(Fetched {
            fresh: freshness(answer.headers()),
            body: answer.into_body(),
        })
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        within: Duration,
        statuses: Statuses,
    ) -> Result<Response<Bytes>, FetchError> {
        let deadline = Instant::now() + within;
        tokio::time::timeout_at(deadline, self.exchange_by(deadline, request, within, statuses))
            .await
            .map_err(|_| FetchError::TimedOut)?
    }

    async fn exchange_by(
        &self,
        deadline: Instant,
        request: Request<Full<Bytes>>,
        within: Duration,
        statuses: Statuses,
    ) -> Result<Response<Bytes>, FetchError> {
        let addresses = resolve::addresses(&self.host, self.port, within)
            .await
            .map_err(FetchError::Resolve)?;
        let mut last = FetchError::TimedOut;
        let mut line = None;
        for address in addresses {
            match dial(address, self.tls.as_ref(), deadline).await {
                Ok(open) => {
                    line = Some(open);
                    break;
                }
                Err(error) => last = error.into(),
            }
        }
        let Some(line) = line else {
            return Err(last);
        };
        let (mut sender, connection) = http1::handshake::<_, Full<Bytes>>(TokioIo::new(line)).await?;
        let _driver = Driver(tasks::spawn("fetch connection", async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection of a fetch ended badly");
            }
        }));
        let answer = sender.send_request(request).await?;
        match statuses {
            Statuses::Ok if answer.status() != StatusCode::OK => {
                return Err(FetchError::Status(answer.status()));
            }
            Statuses::Ok | Statuses::Any => {}
        }
        if answer
            .headers()
            .get_all(CONTENT_ENCODING)
            .iter()
            .any(|coding| coding != "identity")
        {
            return Err(FetchError::Coding);
        }
        let (head, body) = answer.into_parts();
        Ok(Response::from_parts(head, whole(body).await?))
    }

    fn request(&self, method: Method, accepted: &'static str, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.target.clone();
        let headers = request.headers_mut();
        headers.insert(HOST, self.authority.clone());
        headers.insert(ACCEPT, HeaderValue::from_static(accepted));
        headers.insert(USER_AGENT, HeaderValue::from_static("tollgate"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        request
    }
}

/// Drives the connection for as long as it is held: the deadline drops it, and the connection with it.
struct Driver(tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn whole(mut body: Incoming) -> Result<Bytes, FetchError> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            if bytes.len() + data.len() > LARGEST {
                return Err(FetchError::TooLarge);
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.freeze())
}

/// For how long an answer is fresh (RFC 9111 section 4.2.1), if its fields say so. Of several `max-age` the smallest
/// counts; what cannot be read counts as none.
fn freshness(headers: &HeaderMap) -> Option<Duration> {
    let mut fresh: Option<u64> = None;
    for line in headers.get_all(CACHE_CONTROL) {
        for directive in line.to_str().unwrap_or_default().split(',') {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            let seconds = match name.trim().to_ascii_lowercase().as_str() {
                "no-store" | "no-cache" => Some(0),
                "max-age" => seconds(value),
                _ => None,
            };
            fresh = match (fresh, seconds) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
    }
    let age = headers
        .get(AGE)
        .and_then(|age| age.to_str().ok())
        .and_then(seconds)
        .unwrap_or(0);
    fresh.map(|fresh| Duration::from_secs(fresh.saturating_sub(age)))
}

/// Delta-seconds: "If a cache receives a delta-seconds value greater than the greatest integer it can represent [...] the
/// cache MUST consider the value to be 2147483648" (RFC 9111 section 1.2.2).
fn seconds(text: &str) -> Option<u64> {
    let digits = text.trim().trim_matches('"');
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse::<u64>().unwrap_or(1 << 31).min(1 << 31))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freshness_is_what_the_fields_say_and_never_more() {
        for (lines, age, wanted) in [
            (&[][..], None, None),
            (&["max-age=300"][..], None, Some(300)),
            (
                &["public, Max-Age=\"300\" , must-revalidate"][..],
                None,
                Some(300),
            ),
            (&["max-age=300"][..], Some("100"), Some(200)),
            (&["max-age=300"][..], Some("400"), Some(0)),
            (&["max-age=300, max-age=60"][..], None, Some(60)),
            (&["max-age=300", "no-store"][..], None, Some(0)),
            (&["no-cache"][..], None, Some(0)),
            (&["max-age=-1"][..], None, None),
            (&["max-age=x"][..], None, None),
            (&["max-age"][..], None, None),
            (&["s-maxage=9"][..], None, None),
            (&["max-age=99999999999999999999999"][..], None, Some(1 << 31)),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(CACHE_CONTROL, HeaderValue::from_static(line));
            }
            if let Some(age) = age {
                headers.insert(AGE, HeaderValue::from_static(age));
            }
            assert_eq!(freshness(&headers), wanted.map(Duration::from_secs), "{lines:?}");
        }
    }

    #[test]
    fn only_http_urls_with_a_host_are_fetched() {
        for url in ["/jwks", "ftp://h/jwks", "file:///etc/passwd"] {
            let Ok(url) = url.parse() else { continue };
            assert!(
                matches!(Fetcher::new(&url, None), Err(FetchError::Url(_))),
                "{url}"
            );
        }
        let fetcher = Fetcher::new(&"http://u:p@[::1]:81/a?b".parse().unwrap(), None).unwrap();
        assert_eq!(
            (
                fetcher.host.as_str(),
                fetcher.port,
                fetcher.authority.to_str().unwrap(),
                fetcher.target.to_string()
            ),
            ("::1", 81, "[::1]:81", "/a?b".to_owned())
        );
    }
}

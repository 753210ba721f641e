//! What a request asks for, in a form that cannot be read in two ways.

use bytes::Bytes;
use http::header::HOST;
use http::uri::{self, PathAndQuery};
use http::{HeaderMap, HeaderValue, Uri};

use super::host::{self, HostName};

/// Host, path and query of one request. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Head {
    target: PathAndQuery,
    authority: Option<Authority>,
    host: HostName,
}

/// Where the authority was named.
#[derive(Debug, Clone)]
pub(super) enum Authority {
    /// In the `Host` field.
    Field(HeaderValue),
    /// In the request target or `:authority`.
    Target(uri::Authority),
}

impl Authority {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Authority::Field(value) => value.as_bytes(),
            Authority::Target(authority) => authority.as_str().as_bytes(),
        }
    }
}

impl Head {
    /// `None` when the authority is no `uri-host [ ":" port ]`.
    pub(super) fn new(target: PathAndQuery, authority: Authority) -> Option<Head> {
        let host = host::parse(std::str::from_utf8(authority.as_bytes()).ok()?)?;
        Some(Head {
            target,
            authority: Some(authority),
            host,
        })
    }

    pub(super) fn without_host(target: PathAndQuery) -> Head {
        Head {
            target,
            authority: None,
            host: HostName::Span(0, 0),
        }
    }

    /// The host: lower case, without port, brackets or final dot; IPv6 addresses in canonical form (RFC 5952). Empty
    /// for an HTTP/1.0 request that names none.
    pub fn host(&self) -> &str {
        match &self.host {
            HostName::Changed(host) => host,
            HostName::Span(start, end) => self
                .authority()
                .get(usize::from(*start)..usize::from(*end))
                .unwrap_or_default(),
        }
    }

    /// The authority as it came: host and port.
    pub fn authority(&self) -> &str {
        self.authority
            .as_ref()
            .and_then(|named| std::str::from_utf8(named.as_bytes()).ok())
            .unwrap_or_default()
    }

    /// The authority as a value of the `Host` field: shared when it came as one.
    pub fn authority_value(&self) -> Option<HeaderValue> {
        match self.authority.as_ref()? {
            Authority::Field(value) => Some(value.clone()),
            Authority::Target(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        }
    }

    /// The path in normal form: what is matched *and* forwarded.
    pub fn path(&self) -> &str {
        self.target.path()
    }

    /// The query, byte for byte.
    pub fn query(&self) -> Option<&str> {
        self.target.query()
    }

    /// Path and query: the request target towards a backend, unless a route rewrites the path.
    pub fn target(&self) -> &PathAndQuery {
        &self.target
    }

    /// The request target with another path (in normal form, beginning with `/`) and the same query. `None` when
    /// `path` is no path.
    pub fn target_with_path(&self, path: &str) -> Option<PathAndQuery> {
        with_path(path, self.query())
    }
}

/// A target made of `path` and `query`.
pub(super) fn with_path(path: &str, query: Option<&str>) -> Option<PathAndQuery> {
    if !path.starts_with('/') {
        return None;
    }
    let mut text = String::with_capacity(path.len() + query.map_or(0, |query| query.len() + 1));
    text.push_str(path);
    if let Some(query) = query {
        text.push('?');
        text.push_str(query);
    }
    PathAndQuery::from_maybe_shared(Bytes::from(text)).ok()
}

/// The head of a request that nobody guards: what a careless gateway would take it for. The first `Host` wins over the
/// target, the path stays as it came.
pub(super) fn unguarded(uri: &Uri, headers: &HeaderMap) -> Head {
    let authority = match (headers.get(HOST), uri.authority()) {
        (Some(host), _) => Some(Authority::Field(host.clone())),
        (None, Some(named)) => Some(Authority::Target(named.clone())),
        (None, None) => None,
    };
    let name = authority.as_ref().map_or_else(String::new, |named| {
        let text = String::from_utf8_lossy(named.as_bytes()).to_ascii_lowercase();
        match text.rsplit_once(':') {
            Some((host, _port)) => host.to_owned(),
            None => text,
        }
    });
    let target = uri
        .path_and_query()
        .cloned()
        .unwrap_or_else(|| PathAndQuery::from_static("/"));
    Head {
        target,
        authority,
        host: HostName::Changed(name.into_boxed_str()),
    }
}

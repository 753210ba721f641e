//! What a backend sees of a request's header, and what a client sees of an answer's.
//!
//! A backend behind this gateway believes the names that the gateway sets. So everything that could be taken for one of
//! them is removed from what the client sent, on every route, public ones too, and in every spelling
//! ([`ManagedNames`]); only then are the gateway's own set. The order matters: the client's `Connection` list is applied
//! to the client's fields, before there are any of ours that it could name. The manual's page is `docs/headers.md`.

use std::sync::Arc;

use http::header::{AUTHORIZATION, COOKIE, EXPECT, FORWARDED, HOST, TE, TRAILER};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::plan::{IdentityHeaders, TenantSelector};
use crate::http::forwarded::{self, Trust};
use crate::http::head::Head;
use crate::http::managed::ManagedNames;
use crate::http::names::{
    TRACEPARENT, TRACESTATE, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, X_REQUEST_ID,
};
use crate::http::trace_context::{State, TraceParent};
use crate::http::{cookie, hop, host, trailers};

pub use crate::http::origin::Scheme;

/// Removed from every request beside the managed names, in every spelling.
///
/// They state an address, a user, a method or a path, which some backends believe; the gateway has decided by the
/// request's own. Everything that begins with `x-forwarded-` goes too.
const REMOVED: [HeaderName; 21] = [
    EXPECT,
    FORWARDED,
    HeaderName::from_static("client-ip"),
    HeaderName::from_static("proxy"),
    HeaderName::from_static("remote-user"),
    HeaderName::from_static("true-client-ip"),
    HeaderName::from_static("x-client-ip"),
    HeaderName::from_static("x-cluster-client-ip"),
    HeaderName::from_static("x-forwarded"),
    HeaderName::from_static("x-host"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-original-host"),
    HeaderName::from_static("x-original-method"),
    HeaderName::from_static("x-original-uri"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-originating-ip"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-remote-user"),
    HeaderName::from_static("x-rewrite-url"),
];

/// What becomes of the header of the requests of one api. Made once, when the view is compiled.
#[derive(Debug, Clone)]
pub struct Outgoing {
    identity: Box<[(HeaderName, Fact)]>,
    request_id: HeaderName,
    managed: Arc<ManagedNames>,
    /// Cookies that mean something to the gateway alone.
    cookies: Box<[String]>,
}

/// What a field of the gateway's says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fact {
    Tenant,
    TenantUuid,
    Customer,
    Subject,
    Region,
    Scopes,
    Roles,
}

/// Verified values; `None` where the caller or the call has none. The field stays away then: an absent field and an
/// empty one are different things to a backend.
#[derive(Debug, Clone, Copy, Default)]
#[allow(
    missing_docs,
    reason = "the names of `IdentityHeaders`, where they are explained"
)]
pub struct Injected<'c> {
    pub tenant: Option<&'c HeaderValue>,
    pub tenant_uuid: Option<&'c HeaderValue>,
    pub customer: Option<&'c HeaderValue>,
    pub subject: Option<&'c HeaderValue>,
    pub region: Option<&'c HeaderValue>,
    pub scopes: Option<&'c HeaderValue>,
    pub roles: Option<&'c HeaderValue>,
    /// The `Authorization` in the name of a caller who signed in elsewhere.
    pub bearer: Option<&'c HeaderValue>,
}

impl<'c> Injected<'c> {
    fn value(&self, fact: Fact) -> Option<&'c HeaderValue> {
        match fact {
            Fact::Tenant => self.tenant,
            Fact::TenantUuid => self.tenant_uuid,
            Fact::Customer => self.customer,
            Fact::Subject => self.subject,
            Fact::Region => self.region,
            Fact::Scopes => self.scopes,
            Fact::Roles => self.roles,
        }
    }
}

fn word(scheme: Scheme) -> HeaderValue {
    match scheme {
        Scheme::Http => HeaderValue::from_static("http"),
        Scheme::Https => HeaderValue::from_static("https"),
    }
}

/// Who is at the other end of the client's connection.
#[derive(Debug, Clone, Copy)]
pub struct Client<'c> {
    /// Its address ([`forwarded::peer_value`]).
    pub peer: &'c HeaderValue,
    /// Is it a proxy of ours?
    pub trust: Trust,
    /// What it spoke.
    pub scheme: Scheme,
}

/// All that is known of one call.
#[derive(Debug, Clone, Copy)]
pub struct Call<'c> {
    /// Its head.
    pub head: &'c Head,
    /// Verified values.
    pub injected: Injected<'c>,
    /// The other end of the connection.
    pub client: Client<'c>,
    /// The request's name.
    pub request_id: &'c HeaderValue,
    /// Its trace, and whether the client's `tracestate` belongs to it.
    pub trace: (TraceParent, State),
}

impl Outgoing {
    /// The rules of one api.
    pub fn new(names: &IdentityHeaders, tenant_selector: &TenantSelector) -> Outgoing {
        let identity = [
            (&names.tenant, Fact::Tenant),
            (&names.tenant_uuid, Fact::TenantUuid),
            (&names.customer, Fact::Customer),
            (&names.subject, Fact::Subject),
            (&names.region, Fact::Region),
            (&names.scopes, Fact::Scopes),
            (&names.roles, Fact::Roles),
        ];
        let request_id = names.request_id.clone().unwrap_or(X_REQUEST_ID);
        let mut managed: Vec<HeaderName> = names.identity().cloned().collect();
        managed.push(request_id.clone());
        managed.extend(tenant_selector.headers().cloned());
        managed.extend(names.remove.iter().cloned());
        managed.extend(REMOVED);
        if !names.keep_authorization {
            managed.push(AUTHORIZATION);
        }
        Outgoing {
            identity: identity
                .into_iter()
                .filter_map(|(name, fact)| Some((name.clone()?, fact)))
                .collect(),
            request_id,
            managed: Arc::new(ManagedNames::new(managed).and_beginning_with(["x-forwarded-"])),
            cookies: Box::default(),
        }
    }

    /// The same, and cookies of these names do not go on: whoever reads a session's id can act as its user.
    #[must_use]
    pub fn without_cookies(mut self, names: Vec<String>) -> Outgoing {
        self.cookies = names.into();
        self
    }

    /// The names that clients may not send, for the filter on trailers ([`crate::http::body::Body::guarded`]).
    pub fn managed(&self) -> &Arc<ManagedNames> {
        &self.managed
    }

    /// Makes the header of a client's request that of the request to a backend: hop-by-hop fields off, every spelling
    /// of a managed name off, forwarded fields rebuilt, one `Host`, one `Cookie`, identity, request id and trace set.
    ///
    /// One walk over the fields; it allocates for the trace, and for what few requests have (several cookies, a list
    /// in `Connection`, a chain of proxies).
    pub fn apply(&self, headers: &mut HeaderMap, call: &Call<'_>) {
        let Call {
            head,
            injected,
            client,
            request_id,
            trace,
        } = call;
        // What a trusted peer says is read before all of it is removed.
        let chain = forwarded::chain(client.peer, client.trust, headers);
        let scheme = said_scheme(client, headers).unwrap_or_else(|| word(client.scheme));
        let host = said_host(client, headers);

        let listed = hop::listed(headers);
        let mut has_te = false;
        let mut has_trailer = false;
        let mut has_cookie = false;
        let mut has_host = false;
        hop::remove_where(headers, |name| {
            has_te |= *name == TE;
            has_trailer |= *name == TRAILER;
            has_cookie |= *name == COOKIE;
            has_host |= *name == HOST;
            hop::is_hop_by_hop(name) || self.managed.matches(name) || listed.contains(name)
        });
        if has_te {
            hop::keep_only_trailers_in_te(headers);
        }
        if has_trailer {
            trailers::keep_announced(headers, Some(&self.managed));
        }
        if has_cookie {
            if !self.cookies.is_empty() {
                cookie::remove(headers, &self.cookies);
            }
            join_cookies(headers);
        }

        if !has_host && let Some(authority) = head.authority_value() {
            headers.insert(HOST, authority);
        }
        headers.insert(X_FORWARDED_FOR, chain);
        headers.insert(X_FORWARDED_PROTO, scheme);
        if let Some(host) = host {
            headers.insert(X_FORWARDED_HOST, host);
        }
        for (name, fact) in &self.identity {
            if let Some(value) = injected.value(*fact) {
                headers.insert(name, value.clone());
            }
        }
        if let Some(bearer) = injected.bearer {
            headers.insert(AUTHORIZATION, bearer.clone());
        }
        headers.insert(&self.request_id, (*request_id).clone());
        let (parent, state) = trace;
        headers.insert(TRACEPARENT, parent.value());
        if *state == State::Foreign {
            headers.remove(TRACESTATE);
        }
    }
}

/// Hop-by-hop fields off an answer, before it goes to the client.
pub fn returning(headers: &mut HeaderMap) {
    hop::strip(headers);
    trailers::keep_announced(headers, None);
}

/// What a trusted proxy says that its client spoke: exactly one of the two words.
fn said_scheme(client: &Client<'_>, headers: &HeaderMap) -> Option<HeaderValue> {
    match single(client, headers, &X_FORWARDED_PROTO)?.as_bytes() {
        b"https" => Some(word(Scheme::Https)),
        b"http" => Some(word(Scheme::Http)),
        _ => None,
    }
}

/// What a trusted proxy says that its client asked for: exactly one host.
fn said_host(client: &Client<'_>, headers: &HeaderMap) -> Option<HeaderValue> {
    let value = single(client, headers, &X_FORWARDED_HOST)?;
    value
        .to_str()
        .is_ok_and(host::is_authority)
        .then(|| value.clone())
}

fn single<'h>(client: &Client<'_>, headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    match client.trust {
        Trust::Stranger => None,
        Trust::Believed => {
            let mut lines = headers.get_all(name).iter();
            lines.next().filter(|_| lines.next().is_none())
        }
    }
}

/// > If there are multiple Cookie header fields after decompression, these MUST be concatenated into a single octet
/// > string using the two-octet delimiter of 0x3b, 0x20 (the ASCII string "; ") before being passed into a
/// > non-HTTP/2 context (RFC 9113 section 8.2.3)
fn join_cookies(headers: &mut HeaderMap) {
    let lines = headers.get_all(COOKIE);
    if lines.iter().nth(1).is_none() {
        return;
    }
    let mut text: Vec<u8> = Vec::with_capacity(lines.iter().map(|line| line.len() + 2).sum());
    for line in lines {
        if !text.is_empty() {
            text.extend_from_slice(b"; ");
        }
        text.extend_from_slice(line.as_bytes());
    }
    // Values joined by a semicolon are a value; if not, several lines are better than none.
    if let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(text)) {
        headers.insert(COOKIE, value);
    }
}

#[cfg(test)]
#[path = "headers_tests.rs"]
mod tests;

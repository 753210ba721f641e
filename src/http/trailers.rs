//! Which trailer fields may be forwarded.
//!
//! > A sender MUST NOT generate trailer fields unless the sender knows the corresponding header field name's
//! > definition permits sending it as trailer field (RFC 9110 section 6.5.1)
//!
//! A gateway cannot know every definition. It drops what is known to matter for framing, routing, authentication,
//! caching or payload handling, every name that only the gateway may set, and lets the rest pass (`grpc-status`,
//! digests, timings).

use http::header;
use http::{HeaderMap, HeaderName};

use super::hop;
use super::managed::ManagedNames;

const FORBIDDEN: &[HeaderName] = &[
    header::AGE,
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::DATE,
    header::EXPECT,
    header::EXPIRES,
    header::FORWARDED,
    header::HOST,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::LOCATION,
    header::MAX_FORWARDS,
    header::ORIGIN,
    header::PRAGMA,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::RANGE,
    header::RETRY_AFTER,
    header::SET_COOKIE,
    header::TE,
    header::VARY,
    header::WARNING,
    header::WWW_AUTHENTICATE,
];

/// Removes what must not travel as a trailer: the fields above, hop-by-hop fields, every spelling of the `managed`
/// names, and everything that begins with `x-forwarded-`.
pub fn keep_allowed(trailers: &mut HeaderMap, managed: Option<&ManagedNames>) {
    let dropped: Vec<HeaderName> = trailers
        .keys()
        .filter(|name| !is_allowed(name, managed))
        .cloned()
        .collect();
    for name in dropped {
        trailers.remove(name);
    }
}

fn is_allowed(name: &HeaderName, managed: Option<&ManagedNames>) -> bool {
    !hop::is_hop_by_hop(name)
        && !FORBIDDEN.contains(name)
        && !name.as_str().starts_with("x-forwarded-")
        && !managed.is_some_and(|managed| managed.matches(name))
}

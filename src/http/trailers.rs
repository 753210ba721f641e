//! Which trailer fields may be forwarded.
//!
//! > A sender MUST NOT generate trailer fields unless the sender knows the corresponding header field name's
//! > definition permits sending it as trailer field (RFC 9110 section 6.5.1)
//!
//! A gateway cannot know every definition. It drops what is known to matter for framing, routing, authentication,
//! caching or payload handling, every name that only the gateway may set, and lets the rest pass (`grpc-status`,
//! digests, timings).

use http::header;
use http::{HeaderMap, HeaderName, HeaderValue};

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
    header::TRAILER,
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

/// Reduces the announcement of trailers (`Trailer`, RFC 9110 section 6.6.2) to those that may travel: one line, or none.
/// HTTP/1.1 sends what is announced and nothing else.
pub fn keep_announced(headers: &mut HeaderMap, managed: Option<&ManagedNames>) {
    if !headers.contains_key(header::TRAILER) {
        return;
    }
    let mut text = String::new();
    for name in headers
        .get_all(header::TRAILER)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| is_allowed(name, managed))
    {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(name.as_str());
    }
    headers.remove(header::TRAILER);
    // Names joined by commas are a value; if not, nothing is announced.
    if let Ok(announced) = HeaderValue::try_from(text)
        && !announced.is_empty()
    {
        headers.insert(header::TRAILER, announced);
    }
}

fn is_allowed(name: &HeaderName, managed: Option<&ManagedNames>) -> bool {
    !hop::is_hop_by_hop(name)
        && !FORBIDDEN.contains(name)
        && !name.as_str().starts_with("x-forwarded-")
        && !managed.is_some_and(|managed| managed.matches(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_names_what_may_travel_in_one_line() {
        let managed = ManagedNames::new([HeaderName::from_static("x-tenant-id")]);
        for (lines, kept) in [
            (&["X-Sum"][..], Some("x-sum")),
            (
                &["x_tenant_id, X-Sum ,, content-length", "grpc-status"][..],
                Some("x-sum, grpc-status"),
            ),
            (&["X-Tenant-ID, Trailer, Transfer-Encoding", ""][..], None),
            (&["\"x\""][..], None),
            (&[][..], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::TRAILER, HeaderValue::from_str(line).unwrap());
            }
            keep_announced(&mut headers, Some(&managed));
            let found: Vec<&str> = headers
                .get_all(header::TRAILER)
                .iter()
                .map(|line| line.to_str().unwrap())
                .collect();
            assert_eq!(found, kept.into_iter().collect::<Vec<_>>(), "{lines:?}");
        }
    }
}

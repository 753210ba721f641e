//! Whose request is it? The client's address through trusted proxies (RFC 7239, and the older `X-Forwarded-For`).

use std::net::{IpAddr, SocketAddr};

use http::header::FORWARDED;
use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;

use super::names::{X_FORWARDED_FOR, X_FORWARDED_PROTO};
use super::origin::Scheme;

/// Is `address` one of the `trusted` proxies? An IPv4 address that came over an IPv6 socket counts as IPv4.
pub fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|net| net.contains(&address))
}

/// The client's address: the peer's own unless the peer is trusted; else the rightmost address in `X-Forwarded-For`
/// that is not trusted itself. `Forwarded` is read only when there is no `X-Forwarded-For` at all.
///
/// A trusted proxy must append to the field it uses, or replace it, and must not pass on the other one from its
/// clients; every common proxy can be told so. An entry that is no address (`unknown`, `_hidden`, garbage) ends the
/// search: the proxy that wrote it is the last hop that is known for certain.
pub fn client_address(peer: IpAddr, trusted: &[IpNet], headers: &HeaderMap) -> IpAddr {
    let peer = peer.to_canonical();
    if !is_trusted(peer, trusted) {
        return peer;
    }
    let chain = headers.get_all(X_FORWARDED_FOR);
    if chain.iter().next().is_some() {
        let entries = chain
            .iter()
            .rev()
            .flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        return walk(peer, trusted, entries.map(address));
    }
    let lines = headers.get_all(FORWARDED);
    walk(
        peer,
        trusted,
        lines
            .iter()
            .rev()
            .flat_map(elements_from_the_right)
            .map(for_parameter),
    )
}

/// From the nearest hop outwards, as long as each is trusted to have told the truth about the next.
fn walk(peer: IpAddr, trusted: &[IpNet], entries: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
    let mut nearest = peer;
    for entry in entries {
        let Some(address) = entry else {
            return nearest;
        };
        nearest = address;
        if !is_trusted(address, trusted) {
            return nearest;
        }
    }
    nearest
}

/// An address, with or without port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry.trim_ascii()).ok()?;
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()))
        .ok()
        .map(|address| address.to_canonical())
}

/// The elements of a `Forwarded` line, last first. A line with a quote that does not end gives one element that is no
/// address, which ends the search.
fn elements_from_the_right(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let mut elements = split_outside_quotes(line.as_bytes(), b',');
    elements.reverse();
    elements.into_iter()
}

fn split_outside_quotes(text: &[u8], separator: u8) -> Vec<&[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    let parts: Vec<&[u8]> = text
        .split(|byte| {
            if escaped {
                escaped = false;
                return false;
            }
            match *byte {
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ => {}
            }
            *byte == separator && !quoted
        })
        .collect();
    if quoted { vec![b"unknown"] } else { parts }
}

/// The `for` parameter of one element (RFC 7239 section 4). `None` when there is none or two, or it is no address.
fn for_parameter(element: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    for pair in split_outside_quotes(element, b';') {
        let pair = pair.trim_ascii();
        let Some(equals) = pair.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        let (name, value) = pair.split_at(equals);
        if !name.eq_ignore_ascii_case(b"for") {
            continue;
        }
        let value = value.strip_prefix(b"=")?;
        let value = value
            .strip_prefix(b"\"")
            .and_then(|value| value.strip_suffix(b"\""))
            .unwrap_or(value);
        if found.is_some() {
            return None;
        }
        found = Some(address(value)?);
    }
    found
}

/// `X-Forwarded-For` towards a backend: what a trusted peer said, then the peer itself (see [`peer_value`]). One value;
/// from a stranger it is the peer alone, shared.
pub fn chain(peer: &HeaderValue, trust: Trust, headers: &HeaderMap) -> HeaderValue {
    let mut said = match trust {
        Trust::Believed => headers.get_all(X_FORWARDED_FOR).iter().peekable(),
        Trust::Stranger => return peer.clone(),
    };
    if said.peek().is_none() {
        return peer.clone();
    }
    let mut text = Vec::with_capacity(64);
    for line in said {
        text.extend_from_slice(line.as_bytes());
        text.extend_from_slice(b", ");
    }
    text.extend_from_slice(peer.as_bytes());
    // Values joined by a comma are a value.
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).unwrap_or_else(|_| peer.clone())
}

/// An address as it stands in `X-Forwarded-For`. Made once for a connection.
pub fn peer_value(peer: IpAddr) -> HeaderValue {
    // Digits, letters, dots and colons are a value.
    HeaderValue::from_str(&peer.to_canonical().to_string())
        .unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

/// What the client spoke: what this connection is (`own`), unless a trusted proxy says in exactly one `X-Forwarded-Proto`
/// what its client spoke to it.
pub fn scheme(own: Scheme, trust: Trust, headers: &HeaderMap) -> Scheme {
    match trust {
        Trust::Stranger => own,
        Trust::Believed => {
            let mut lines = headers.get_all(X_FORWARDED_PROTO).iter();
            let said = lines.next().filter(|_| lines.next().is_none());
            match said.map(HeaderValue::as_bytes) {
                Some(b"https") => Scheme::Https,
                Some(b"http") => Scheme::Http,
                Some(_) | None => own,
            }
        }
    }
}

/// Is the peer a proxy of ours?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Its `Forwarded`, `X-Forwarded-*` and `X-Request-ID` fields are believed.
    Believed,
    /// Nothing it says about others is.
    Stranger,
}

#[cfg(test)]
mod tests {
    use http::HeaderName;
    use proptest::prelude::*;

    use super::*;

    fn client(peer: &str, fields: &[(&str, &str)]) -> String {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "2001:db8:1::/48"]
            .iter()
            .map(|net| net.parse().unwrap())
            .collect();
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        client_address(peer.parse().unwrap(), &trusted, &headers).to_string()
    }

    #[test]
    fn a_stranger_cannot_say_who_it_is() {
        assert_eq!(
            client("192.0.2.9", &[("x-forwarded-for", "203.0.113.1")]),
            "192.0.2.9"
        );
        assert_eq!(
            client("192.0.2.9", &[("forwarded", "for=203.0.113.1")]),
            "192.0.2.9"
        );
    }

    #[test]
    fn the_scheme_is_the_connections_own_unless_a_trusted_proxy_says_otherwise_once() {
        use Scheme::{Http, Https};
        use Trust::{Believed, Stranger};
        let of = |own, trust, lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(X_FORWARDED_PROTO, HeaderValue::from_static(line));
            }
            scheme(own, trust, &headers)
        };
        assert_eq!(of(Http, Believed, &["https"]), Https);
        assert_eq!(of(Https, Believed, &["http"]), Http);
        for lines in [&[][..], &["https", "https"], &["https, http"], &["HTTPS"], &[""]] {
            assert_eq!(of(Http, Believed, lines), Http, "{lines:?}");
        }
        assert_eq!(of(Http, Stranger, &["https"]), Http);
        assert_eq!(of(Https, Stranger, &["http"]), Https);
    }

    #[test]
    fn the_rightmost_untrusted_address_is_the_client() {
        for (fields, expected) in [
            (&[][..], "10.0.0.1"),
            (&[("x-forwarded-for", "203.0.113.1")], "203.0.113.1"),
            (
                &[("x-forwarded-for", "198.51.100.7, 203.0.113.1, 10.0.0.2")],
                "203.0.113.1",
            ),
            (
                &[
                    ("x-forwarded-for", "198.51.100.7"),
                    ("x-forwarded-for", "203.0.113.1"),
                ],
                "203.0.113.1",
            ),
            (&[("x-forwarded-for", "203.0.113.1:4711")], "203.0.113.1"),
            (&[("x-forwarded-for", "[2001:db8:2::1]:4711")], "2001:db8:2::1"),
            (
                &[("x-forwarded-for", "2001:db8:2::1,2001:db8:1::5")],
                "2001:db8:2::1",
            ),
            (&[("x-forwarded-for", "::ffff:203.0.113.1")], "203.0.113.1"),
            (&[("x-forwarded-for", "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
            (
                &[("forwarded", "for=203.0.113.1;proto=https, For=\"10.0.0.2:80\"")],
                "203.0.113.1",
            ),
            (
                &[("forwarded", "by=x;for=\"[2001:db8:2::1]:80\"")],
                "2001:db8:2::1",
            ),
            (
                &[
                    ("x-forwarded-for", "203.0.113.1"),
                    ("forwarded", "for=198.51.100.7"),
                ],
                "203.0.113.1",
            ),
        ] {
            assert_eq!(client("10.0.0.1", fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn an_entry_that_is_no_address_ends_the_search_at_the_proxy_that_wrote_it() {
        for fields in [
            [("x-forwarded-for", "203.0.113.1, unknown, 10.0.0.2")],
            [("x-forwarded-for", "203.0.113.1, , 10.0.0.2")],
            [("forwarded", "for=203.0.113.1, for=_hidden, for=10.0.0.2")],
            [("forwarded", "for=203.0.113.1, proto=https, for=10.0.0.2")],
            [(
                "forwarded",
                "for=203.0.113.1, for=198.51.100.1;for=203.0.113.2, for=10.0.0.2",
            )],
        ] {
            assert_eq!(client("10.0.0.1", &fields), "10.0.0.2", "{fields:?}");
        }
        assert_eq!(
            client(
                "10.0.0.1",
                &[("forwarded", "for=203.0.113.1, for=\"198.51.100.1")]
            ),
            "10.0.0.1"
        );
    }

    #[test]
    fn a_peer_in_ipv6_clothes_is_still_trusted() {
        assert_eq!(
            client("::ffff:10.0.0.1", &[("x-forwarded-for", "203.0.113.1")]),
            "203.0.113.1"
        );
    }

    #[test]
    fn the_chain_ends_with_the_peer() {
        let mut headers = HeaderMap::new();
        headers.append(X_FORWARDED_FOR, HeaderValue::from_static("203.0.113.1"));
        headers.append(X_FORWARDED_FOR, HeaderValue::from_static("10.0.0.2"));
        let peer = &peer_value("::ffff:10.0.0.1".parse().unwrap());
        assert_eq!(
            chain(peer, Trust::Believed, &headers),
            "203.0.113.1, 10.0.0.2, 10.0.0.1"
        );
        assert_eq!(chain(peer, Trust::Stranger, &headers), "10.0.0.1");
        assert_eq!(chain(peer, Trust::Believed, &HeaderMap::new()), "10.0.0.1");
    }

    proptest! {
        #[test]
        fn nothing_makes_the_parsers_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let trusted = ["0.0.0.0/0".parse().unwrap()];
                let mut headers = HeaderMap::new();
                headers.insert(FORWARDED, value.clone());
                let _ = client_address([10, 0, 0, 1].into(), &trusted, &headers);
                headers.insert(X_FORWARDED_FOR, value);
                let _ = client_address([10, 0, 0, 1].into(), &trusted, &headers);
                let _ = chain(&peer_value([10, 0, 0, 1].into()), Trust::Believed, &headers);
            }
        }

        #[test]
        fn what_a_client_writes_to_the_left_never_matters(
            forged in "[0-9., :;a-f\\[\\]\"]{0,40}",
            real in any::<[u8; 4]>(),
        ) {
            let real = IpAddr::from(real);
            prop_assume!(!real.to_string().starts_with("10."));
            prop_assert_eq!(
                client("10.0.0.1", &[("x-forwarded-for", &format!("{forged},{real}"))]),
                real.to_string()
            );
        }
    }
}

//! Hop-by-hop fields: those that concern one connection and must not travel further (RFC 9110 section 7.6.1).

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::names::{HTTP2_SETTINGS, KEEP_ALIVE, PROXY_CONNECTION};

/// Fields that go whether `Connection` lists them or not. `te` is treated apart: `trailers` may stay.
const ALWAYS: [HeaderName; 8] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    HTTP2_SETTINGS,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
];

/// Is this a field that never travels further, whatever `Connection` says? (`te` is not: see [`strip`].)
///
/// Nor is `trailer` (RFC 9110 section 6.6.2): it announces trailers, which are filtered on the way, and so is what it
/// announces ([`super::trailers`]).
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    // The length decides for nearly every field without a comparison of bytes.
    match name.as_str().len() {
        7 | 10 | 14 | 16 | 17 | 18 | 19 => ALWAYS.contains(name),
        _ => false,
    }
}

/// The fields that all `Connection` lines together list, without the options that are no fields (`close`,
/// `keep-alive`) and without those that the gateway itself answers for (`host`, `content-length`): a client must not
/// be able to take those away from the next hop. Empty, without an allocation, in the usual case.
pub fn listed(headers: &HeaderMap) -> Vec<HeaderName> {
    let mut names = Vec::new();
    for line in headers.get_all(CONNECTION) {
        for option in line.as_bytes().split(|byte| *byte == b',') {
            let option = option.trim_ascii();
            if option.is_empty()
                || option.eq_ignore_ascii_case(b"close")
                || option.eq_ignore_ascii_case(b"keep-alive")
            {
                continue;
            }
            // What is no token cannot name a field either.
            if let Ok(name) = HeaderName::from_bytes(option)
                && name != HOST
                && name != CONTENT_LENGTH
                && name != TE
            {
                names.push(name);
            }
        }
    }
    names
}

/// Takes all hop-by-hop fields off: what all `Connection` lines list, and the fixed ones. `te` is reduced to
/// `trailers`, or removed when it does not say that.
///
/// > Intermediaries MUST parse a received Connection header field before a message is forwarded and, for each
/// > connection-option in this field, remove any header or trailer field(s) from the message with the same name as
/// > the connection-option, and then remove the Connection header field itself (RFC 9110 section 7.6.1)
pub fn strip(headers: &mut HeaderMap) {
    // Most answers have nothing but `Connection: keep-alive`, or nothing at all: one look, and nothing is set up.
    let mut has_connection = false;
    let mut has_others = false;
    for name in headers.keys() {
        has_connection |= *name == CONNECTION;
        has_others |= *name != CONNECTION && (*name == TE || is_hop_by_hop(name));
    }
    if !has_connection && !has_others {
        return;
    }
    let listed = listed(headers);
    if !has_others && listed.is_empty() {
        headers.remove(CONNECTION);
        return;
    }
    let mut has_te = false;
    remove_where(headers, |name| {
        has_te |= *name == TE;
        is_hop_by_hop(name) || listed.contains(name)
    });
    if has_te {
        keep_only_trailers_in_te(headers);
    }
}

/// Removes all fields whose name is `doomed`. One walk in the usual case; does not allocate.
pub fn remove_where(headers: &mut HeaderMap, mut doomed: impl FnMut(&HeaderName) -> bool) {
    // A map cannot be changed while it is walked: names are noted first, so many at a time.
    const AT_ONCE: usize = 8;
    loop {
        let mut noted: [Option<HeaderName>; AT_ONCE] = Default::default();
        let mut places = noted.iter_mut();
        let mut full = false;
        for name in headers.keys() {
            if doomed(name) {
                let Some(place) = places.next() else {
                    full = true;
                    break;
                };
                *place = Some(name.clone());
            }
        }
        for name in noted.into_iter().map_while(|name| name) {
            headers.remove(name);
        }
        if !full {
            return;
        }
    }
}

/// Reduces `te` to `trailers`, or removes it when it does not say that.
pub fn keep_only_trailers_in_te(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(TE).iter().peekable();
    if lines.peek().is_none() {
        return;
    }
    let trailers = lines.any(|line| {
        line.as_bytes()
            .split(|byte| *byte == b',')
            .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    });
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    } else {
        headers.remove(TE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        headers
    }

    #[test]
    fn what_any_connection_line_lists_goes() {
        let mut headers = map(&[
            ("connection", "close, X-One"),
            ("Connection", " x-two ,, keep-alive,x-one"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("x-two", "again"),
            ("x-three", "3"),
        ]);
        strip(&mut headers);
        assert_eq!(headers, map(&[("x-three", "3")]));
    }

    #[test]
    fn the_fixed_ones_go_without_being_listed() {
        let mut headers = map(&[
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAAQAAP__"),
            ("proxy-authenticate", "Basic"),
            ("proxy-authorization", "Basic eA=="),
            ("te", "gzip"),
            ("accept", "*/*"),
        ]);
        strip(&mut headers);
        assert_eq!(headers, map(&[("accept", "*/*")]));
    }

    #[test]
    fn te_keeps_trailers_only() {
        let mut headers = map(&[("connection", "te"), ("te", "gzip;q=0.5, Trailers")]);
        strip(&mut headers);
        assert_eq!(headers, map(&[("te", "trailers")]));
    }

    #[test]
    fn a_client_cannot_take_host_or_length_away_from_the_next_hop() {
        let mut headers = map(&[
            ("connection", "host, content-length"),
            ("host", "a"),
            ("content-length", "3"),
        ]);
        strip(&mut headers);
        assert_eq!(headers, map(&[("host", "a"), ("content-length", "3")]));
    }

    #[test]
    fn more_names_than_are_noted_at_once_all_go() {
        let mut headers = map(&[("host", "a")]);
        for n in 0..100 {
            headers.insert(
                HeaderName::try_from(format!("x-{n}")).unwrap(),
                HeaderValue::from_static("1"),
            );
        }
        remove_where(&mut headers, |name| name != HOST);
        assert_eq!(headers, map(&[("host", "a")]));
    }

    #[test]
    fn every_fixed_name_passes_the_length_filter() {
        for name in &ALWAYS {
            assert!(is_hop_by_hop(name), "{name}");
        }
        assert!(!is_hop_by_hop(&TE) && !is_hop_by_hop(&HOST));
    }
}

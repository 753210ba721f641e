use proptest::prelude::*;

use super::*;

const GUARD: Guard = Guard {
    max_fields: 100,
    max_bytes: 64 * 1024,
    max_target: 8 * 1024,
    off: false,
};

fn request(method: &str, target: &str, version: Version, fields: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri(target).version(version);
    for (name, value) in fields {
        request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    request.body(()).unwrap()
}

fn h1(target: &str, fields: &[(&str, &str)]) -> Result<Head, BadHead> {
    GUARD.check(&request("GET", target, Version::HTTP_11, fields), false)
}

fn h2(target: &str, fields: &[(&str, &str)]) -> Result<Head, BadHead> {
    GUARD.check(&request("GET", target, Version::HTTP_2, fields), true)
}

#[test]
fn a_value_with_blanks_around_it_is_refused_in_http2() {
    for value in [" a", "a ", "\ta", "a\t", " "] {
        let got = h2("https://a/x", &[("x-any", value)]);
        assert!(matches!(got, Err(BadHead::Field)), "{value:?}: {got:?}");
    }
    assert!(h2("https://a/x", &[("x-any", "a b"), ("x-empty", "")]).is_ok());
}

#[test]
fn rfc9112_3_2_exactly_one_valid_host() {
    assert_eq!(h1("/", &[]).unwrap_err(), BadHead::Host);
    assert_eq!(
        h1("/", &[("host", "a"), ("host", "a")]).unwrap_err(),
        BadHead::Host
    );
    assert_eq!(
        h1("/", &[("host", "a"), ("host", "b")]).unwrap_err(),
        BadHead::Host
    );
    for host in ["", "a, b", "user@a", "a/path", "a\\b", "a b", "a:x", "a%2eb", "ä"] {
        assert_eq!(h1("/", &[("host", host)]).unwrap_err(), BadHead::Host, "{host}");
    }
    let head = h1("/", &[("host", "API.example.com:8080")]).unwrap();
    assert_eq!(
        (head.host(), head.authority()),
        ("api.example.com", "API.example.com:8080")
    );
}

#[test]
fn http_1_0_may_come_without_host_and_then_names_none() {
    let head = GUARD
        .check(&request("GET", "/", Version::HTTP_10, &[]), false)
        .unwrap();
    assert_eq!((head.host(), head.authority()), ("", ""));
    assert!(head.authority_value().is_none());
}

#[test]
fn rfc9112_3_2_2_an_absolute_target_must_agree_with_host() {
    let head = h1("http://A:80/x?y", &[("host", "a:80")]).unwrap();
    assert_eq!((head.host(), head.path(), head.query()), ("a", "/x", Some("y")));
    assert_eq!(h1("http://a/", &[("host", "b")]).unwrap_err(), BadHead::Host);
    assert_eq!(h1("http://a/", &[("host", "a:80")]).unwrap_err(), BadHead::Host);
    assert_eq!(h1("http://a/", &[]).unwrap_err(), BadHead::Host);
    assert_eq!(h1("http://u@a/", &[("host", "u@a")]).unwrap_err(), BadHead::Host);
    assert_eq!(
        h1("http://a?x", &[("host", "a")]).unwrap().target().as_str(),
        "/?x"
    );
}

#[test]
fn rfc9112_3_2_only_origin_and_absolute_form() {
    assert_eq!(h1("a:80", &[("host", "a:80")]).unwrap_err(), BadHead::Target);
    assert_eq!(h1("*", &[("host", "a")]).unwrap_err(), BadHead::Target);
    let options = request("OPTIONS", "*", Version::HTTP_11, &[("host", "a")]);
    assert_eq!(GUARD.check(&options, false).unwrap_err(), BadHead::Target);
    assert_eq!(h1("ftp://a/", &[("host", "a")]).unwrap_err(), BadHead::Target);
    assert_eq!(
        h1("https://a/", &[("host", "a")]).unwrap_err(),
        BadHead::Target,
        "plain connection"
    );
    let over_tls = request("GET", "https://a/", Version::HTTP_11, &[("host", "a")]);
    assert!(GUARD.check(&over_tls, true).is_ok());
}

#[test]
fn connect_and_trace_are_refused() {
    for (method, target) in [("CONNECT", "a:443"), ("CONNECT", "/"), ("TRACE", "/")] {
        let request = request(method, target, Version::HTTP_11, &[("host", "a:443")]);
        assert_eq!(
            GUARD.check(&request, false).unwrap_err(),
            BadHead::Method,
            "{method} {target}"
        );
    }
}

#[test]
fn rfc9112_6_1_only_the_one_token_chunked() {
    for value in ["chunked", "Chunked", "CHUNKED"] {
        assert!(
            h1("/", &[("host", "a"), ("transfer-encoding", value)]).is_ok(),
            "{value}"
        );
    }
    for value in [
        "xchunked",
        "identity",
        "chunked, identity",
        "identity, chunked",
        "chunked,",
        ",chunked",
        "gzip, chunked",
        "\"chunked\"",
        "chunked;x",
        "",
        "chunked chunked",
    ] {
        let refused = h1("/", &[("host", "a"), ("transfer-encoding", value)]).unwrap_err();
        assert_eq!(refused, BadHead::Framing, "{value}");
    }
    let twice = [
        ("host", "a"),
        ("transfer-encoding", "chunked"),
        ("transfer-encoding", "chunked"),
    ];
    assert_eq!(h1("/", &twice).unwrap_err(), BadHead::Framing);
    let old = request(
        "POST",
        "/",
        Version::HTTP_10,
        &[("host", "a"), ("transfer-encoding", "chunked")],
    );
    assert_eq!(GUARD.check(&old, false).unwrap_err(), BadHead::Framing);
}

#[test]
fn rfc9112_6_3_one_content_length_of_digits_alone() {
    assert!(h1("/", &[("host", "a"), ("content-length", "18446744073709551615")]).is_ok());
    for value in [
        "",
        "+5",
        "-5",
        "0x5",
        "5.0",
        "5, 5",
        "5,",
        "18446744073709551616",
        "5 5",
        "٥",
    ] {
        let refused = h1("/", &[("host", "a"), ("content-length", value)]).unwrap_err();
        assert_eq!(refused, BadHead::Framing, "{value}");
    }
    let twice = [("host", "a"), ("content-length", "5"), ("content-length", "5")];
    assert_eq!(h1("/", &twice).unwrap_err(), BadHead::Framing);
    for both in [
        [
            ("host", "a"),
            ("content-length", "5"),
            ("transfer-encoding", "chunked"),
        ],
        [
            ("host", "a"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
        ],
    ] {
        assert_eq!(h1("/", &both).unwrap_err(), BadHead::Framing);
    }
}

#[test]
fn rfc9113_8_2_2_connection_specific_fields_are_malformed() {
    for (name, value) in [
        ("connection", "close"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "close"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
    ] {
        assert_eq!(
            h2("https://a/", &[(name, value)]).unwrap_err(),
            BadHead::Field,
            "{name}"
        );
    }
    assert_eq!(
        h2("https://a/", &[("transfer-encoding", "chunked")]).unwrap_err(),
        BadHead::Framing
    );
    assert!(h2("https://a/", &[("te", "trailers")]).is_ok());
}

#[test]
fn rfc9113_8_3_1_authority_and_host_must_agree() {
    assert_eq!(h2("https://a/", &[("host", "b")]).unwrap_err(), BadHead::Host);
    let head = h2("https://A.example:443/x", &[]).unwrap();
    assert_eq!((head.host(), head.authority()), ("a.example", "A.example:443"));
    assert_eq!(head.authority_value().unwrap(), "A.example:443");
    assert!(h2("https://a/", &[("host", "A")]).is_ok());
    assert_eq!(h2("/x", &[("host", "a")]).unwrap().host(), "a");
    assert_eq!(h2("/x", &[]).unwrap_err(), BadHead::Host);
    assert!(
        GUARD
            .check(&request("GET", "https://a/", Version::HTTP_2, &[]), false)
            .is_ok(),
        "TLS ended before us"
    );
}

#[test]
fn versions_other_than_1_0_1_1_and_2_are_refused() {
    for version in [Version::HTTP_09, Version::HTTP_3] {
        assert_eq!(
            GUARD
                .check(&request("GET", "/", version, &[("host", "a")]), false)
                .unwrap_err(),
            BadHead::Version
        );
    }
}

#[test]
fn rfc9110_10_1_1_only_100_continue_is_expected() {
    assert!(h1("/", &[("host", "a"), ("expect", "100-Continue")]).is_ok());
    for value in ["200-ok", "100-continue, x", ""] {
        assert_eq!(
            h1("/", &[("host", "a"), ("expect", value)]).unwrap_err(),
            BadHead::Expectation,
            "{value}"
        );
    }
}

#[test]
fn a_head_beyond_the_bounds_is_refused() {
    let long = "x".repeat(9_000);
    assert_eq!(
        h1(&format!("/{long}"), &[("host", "a")]).unwrap_err(),
        BadHead::TargetTooLong
    );
    assert_eq!(
        h1(&format!("/?{long}"), &[("host", "a")]).unwrap_err(),
        BadHead::TargetTooLong
    );
    let many: Vec<(&str, &str)> = std::iter::once(("host", "a"))
        .chain((0..100).map(|_| ("x", "y")))
        .collect();
    assert_eq!(h1("/", &many).unwrap_err(), BadHead::TooLarge);
    let big: Vec<(&str, &str)> = std::iter::once(("host", "a"))
        .chain((0..8).map(|_| ("x", long.as_str())))
        .collect();
    assert_eq!(h1("/", &big).unwrap_err(), BadHead::TooLarge);
}

#[test]
fn upgrades_are_let_through_to_be_stripped_later() {
    let fields = [
        ("host", "a"),
        ("connection", "Upgrade, HTTP2-Settings"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABkAAQAAP__"),
        ("content-length", "5"),
    ];
    assert!(h1("/", &fields).is_ok());
}

#[test]
fn the_query_is_kept_byte_for_byte() {
    for query in [
        "flag",
        "a&b",
        "a=1|2",
        "f=(x,y)",
        "",
        "a=%2f..%5c&b=%zz",
        "a=b?c=/d",
        "{}^`",
        "x=ä",
    ] {
        let head = h1(&format!("/%61?{query}"), &[("host", "a")]).unwrap();
        assert_eq!((head.path(), head.query()), ("/a", Some(query)));
        assert_eq!(head.target().as_str(), format!("/a?{query}"));
        assert_eq!(
            head.target_with_path("/b").unwrap().as_str(),
            format!("/b?{query}")
        );
    }
    assert_eq!(h1("/a", &[("host", "a")]).unwrap().query(), None);
}

#[test]
fn a_head_that_needs_no_change_shares_what_came() {
    let request = request("GET", "/a/b?c", Version::HTTP_11, &[("host", "a.example")]);
    let head = GUARD.check(&request, false).unwrap();
    assert_eq!(
        head.target().as_str().as_ptr(),
        request.uri().path_and_query().unwrap().as_str().as_ptr()
    );
}

#[test]
fn without_the_guard_everything_passes_as_it_came() {
    let off = Guard { off: true, ..GUARD };
    let bad = [("host", "B:1"), ("host", "c"), ("transfer-encoding", "x")];
    let head = off
        .check(&request("CONNECT", "/a/../b", Version::HTTP_11, &bad), false)
        .unwrap();
    assert_eq!((head.host(), head.path()), ("b", "/a/../b"));
}

proptest! {
    #[test]
    fn what_passes_is_in_normal_form(
        target in "/[a-z./%2e;]{0,24}(\\?[ -~&&[^#<>\"`\\\\^ ]]{0,8})?",
        host in "[a-zA-Z0-9.:\\[\\]_-]{0,20}",
    ) {
        if let Ok(uri) = target.parse::<Uri>() {
            let mut request = Request::new(());
            *request.uri_mut() = uri;
            request.headers_mut().insert(header::HOST, HeaderValue::from_str(&host).unwrap());
            if let Ok(head) = GUARD.check(&request, false) {
                let normal = path::normalise(head.path()).unwrap();
                prop_assert_eq!(normal.as_ref(), head.path());
                prop_assert_eq!(head.host().to_ascii_lowercase(), head.host());
                prop_assert!(!head.host().contains(':') || host.starts_with('['));
                prop_assert_eq!(head.query(), request.uri().query());
            }
        }
    }
}

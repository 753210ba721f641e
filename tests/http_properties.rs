//! Properties of what stands at the door: whatever a client sends, the rules of the header and of the parsers hold.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version};
use proptest::prelude::*;
use tollgate::config::plan::{IdentityHeaders, TenantSelector};
use tollgate::headers::{self, Call, Client, Injected, Outgoing, Scheme};
use tollgate::http::forwarded::Trust;
use tollgate::http::guard::Guard;
use tollgate::http::trace_context::TraceParent;
use tollgate::http::{authorization, forwarded, hop, path, pattern, query};

/// The rule for spellings, written down a second time.
fn folded(name: &str) -> String {
    let dashes: String = name
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    dashes.trim_matches('-').to_owned()
}

/// What only the gateway may say.
const OURS: [&str; 7] = [
    "x-tenant-id",
    "x-customer-id",
    "x-request-id",
    "x-select-tenant",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
];

fn outgoing() -> Outgoing {
    let names = IdentityHeaders {
        tenant: Some(HeaderName::from_static("x-tenant-id")),
        customer: Some(HeaderName::from_static("x-customer-id")),
        ..IdentityHeaders::default()
    };
    Outgoing::new(
        &names,
        &TenantSelector::by_name(HeaderName::from_static("x-select-tenant")),
    )
}

/// Names that a clever client would try, and harmless ones.
fn hostile_name() -> impl Strategy<Value = String> {
    let base = prop::sample::select(vec![
        "x-tenant-id",
        "x-customer-id",
        "x-request-id",
        "x-select-tenant",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-uri",
        "forwarded",
        "x-real-ip",
        "x-original-url",
        "x-http-method-override",
        "authorization",
        "connection",
        "keep-alive",
        "upgrade",
        "te",
        "trailer",
        "transfer-encoding",
        "proxy-authorization",
        "cookie",
        "accept",
        "content-type",
        "x-own",
        "traceparent",
        "tracestate",
        "timeout",
    ]);
    let signs = prop::collection::vec(prop::sample::select(vec!["-", "_", ".", "!", "~"]), 0..4);
    (
        base,
        signs,
        any::<bool>(),
        prop::sample::select(vec!["", "-", "_"]),
        prop::sample::select(vec!["", "-", "_", "."]),
    )
        .prop_map(|(base, signs, upper, before, after)| {
            let mut signs = signs.into_iter();
            let spelled: String = base
                .chars()
                .map(|c| {
                    if c == '-' {
                        signs.next().unwrap_or("-").to_owned()
                    } else {
                        c.to_string()
                    }
                })
                .collect();
            let spelled = format!("{before}{spelled}{after}");
            if upper {
                spelled.to_ascii_uppercase()
            } else {
                spelled
            }
        })
}

fn fields() -> impl Strategy<Value = Vec<(String, String)>> {
    let value = prop_oneof![
        Just("evil".to_owned()),
        Just("x-tenant-id, x-own, x-request-id, host, close".to_owned()),
        Just("203.0.113.9, 10.0.0.1".to_owned()),
        "[ -~]{0,12}",
    ];
    prop::collection::vec((hostile_name(), value), 0..24)
}

fn headers_of(fields: &[(String, String)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("api.example.com"));
    for (name, value) in fields {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.trim().as_bytes()).unwrap(),
        );
    }
    headers
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn after_the_header_stage_no_spelling_of_a_managed_name_is_left_but_ours(fields in fields(), believed in any::<bool>()) {
        let mut sent = headers_of(&fields);
        let before = sent.clone();
        let mut plain = Request::builder().uri("/").body(()).unwrap();
        plain.headers_mut().insert("host", HeaderValue::from_static("api.example.com"));
        let head = Guard::new(100, 65_536, 8_192, false).check(&plain, false).unwrap();
        let tenant = HeaderValue::from_static("verified");
        let call = Call {
            head: &head,
            injected: Injected { tenant: Some(&tenant), ..Injected::default() },
            client: Client {
                peer: &HeaderValue::from_static("192.0.2.1"),
                trust: if believed { Trust::Believed } else { Trust::Stranger },
                scheme: Scheme::Https,
            },
            request_id: &HeaderValue::from_static("0af7"),
            trace: TraceParent::continue_or_begin(&before, [7; 24]),
        };
        outgoing().apply(&mut sent, &call);

        for name in sent.keys() {
            let normal = folded(name.as_str());
            let ours = OURS.contains(&normal.as_str()) || normal.starts_with("x-forwarded");
            prop_assert!(!ours || name.as_str() == normal, "{} is left", name);
            for gone in ["forwarded", "x-real-ip", "x-original-url", "x-http-method-override", "authorization"] {
                prop_assert_ne!(&normal, gone);
            }
            prop_assert!(!hop::is_hop_by_hop(name), "{} is left", name);
            prop_assert!(sent.get_all(name).iter().count() == 1 || before.get_all(name).iter().count() > 1);
        }
        prop_assert_eq!(sent.get_all("x-tenant-id").iter().collect::<Vec<_>>(), vec!["verified"]);
        prop_assert!(!sent.contains_key("x-customer-id") && !sent.contains_key("x-select-tenant"));
        prop_assert_eq!(sent.get_all("x-request-id").iter().collect::<Vec<_>>(), vec!["0af7"]);
        prop_assert_eq!(sent.get_all("host").iter().collect::<Vec<_>>(), vec!["api.example.com"]);
        prop_assert_eq!(sent.get_all("traceparent").iter().count(), 1);
        prop_assert!(sent.get_all("cookie").iter().count() <= 1);
        let chain = sent.get("x-forwarded-for").unwrap();
        prop_assert!(chain.as_bytes().ends_with(b"192.0.2.1"));
        prop_assert!(believed || chain == "192.0.2.1");
        // What Connection listed of the client's own fields is gone; everything harmless that it did not list is there.
        let listed = hop::listed(&before);
        for name in ["x-own", "accept", "content-type", "timeout"] {
            let kept = sent.get_all(name).iter().eq(before.get_all(name).iter());
            let is_listed = listed.iter().any(|listed| listed == name);
            prop_assert_eq!(sent.contains_key(name), before.contains_key(name) && !is_listed);
            prop_assert!(is_listed || kept);
        }
    }

    #[test]
    fn stripping_twice_is_stripping_once(fields in fields()) {
        let mut once = headers_of(&fields);
        headers::returning(&mut once);
        let mut twice = once.clone();
        headers::returning(&mut twice);
        prop_assert_eq!(&once, &twice);
        prop_assert!(once.keys().all(|name| !hop::is_hop_by_hop(name)));
    }

    #[test]
    fn no_bytes_make_a_parser_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        text in any::<String>(),
        method in "[!-~]{1,9}",
    ) {
        let _ = path::normalise(&text);
        let _ = pattern::check(&text);
        let _ = query::values(&text, "limit").count();
        let _ = tollgate::http::host::canonical(&text);
        let _ = tollgate::http::host::is_authority(&text);
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            let mut headers = HeaderMap::new();
            for name in ["authorization", "connection", "te", "x-forwarded-for", "forwarded", "traceparent", "tracestate", "host", "content-length", "transfer-encoding", "expect"] {
                headers.insert(HeaderName::from_static(name), value.clone());
            }
            let _ = authorization::bearer(&headers);
            let trusted = ["::/0".parse().unwrap(), "0.0.0.0/0".parse().unwrap()];
            let _ = forwarded::client_address(IpAddr::from([10, 0, 0, 1]), &trusted, &headers);
            let _ = TraceParent::continue_or_begin(&headers, [0; 24]);
            let mut request = Request::new(());
            if let Ok(uri) = text.parse() {
                *request.uri_mut() = uri;
            }
            if let Ok(method) = Method::from_bytes(method.as_bytes()) {
                *request.method_mut() = method;
            }
            *request.headers_mut() = headers;
            for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
                *request.version_mut() = version;
                let _ = Guard::new(100, 65_536, 8_192, false).check(&request, true);
                let _ = Guard::new(100, 65_536, 8_192, true).check(&request, true);
            }
            hop::strip(request.headers_mut());
        }
    }

    #[test]
    fn a_query_look_up_finds_what_a_form_parser_finds(
        pairs in prop::collection::vec(("[a-c%+]{1,3}", "[0-9a-f%+=]{0,4}"), 0..6),
    ) {
        let text: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let text = text.join("&");
        let decoded = |text: &str| {
            percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
        };
        let expected: Vec<String> =
            pairs.iter().filter(|(name, _)| decoded(name) == "a").map(|(_, value)| decoded(value)).collect();
        let found: Vec<String> = query::values(&text, "a").map(std::borrow::Cow::into_owned).collect();
        prop_assert_eq!(found, expected);
    }
}

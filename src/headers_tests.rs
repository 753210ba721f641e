use http::Request;

use super::*;
use crate::http::guard::Guard;

const GUARD: (usize, usize, usize) = (1_000, 1 << 20, 8_192);

fn names() -> IdentityHeaders {
    IdentityHeaders {
        tenant: Some(HeaderName::from_static("x-tenant-id")),
        tenant_uuid: Some(HeaderName::from_static("x-tenant-uuid")),
        customer: Some(HeaderName::from_static("x-customer-id")),
        subject: Some(HeaderName::from_static("x-subject")),
        region: Some(HeaderName::from_static("x-region")),
        scopes: Some(HeaderName::from_static("x-scopes")),
        roles: Some(HeaderName::from_static("x-roles")),
        request_id: None,
        remove: vec![HeaderName::from_static("x-debug")],
        keep_authorization: false,
    }
}

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(
            HeaderName::try_from(*name).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    headers
}

fn head(uri: &str, version: http::Version, headers: &HeaderMap) -> Head {
    let mut request = Request::builder().uri(uri).version(version).body(()).unwrap();
    *request.headers_mut() = headers.clone();
    Guard::new(GUARD.0, GUARD.1, GUARD.2, false)
        .check(&request, true)
        .unwrap()
}

/// What a backend sees when a stranger sends `fields` and nothing is known of the caller.
fn sent(fields: &[(&str, &str)], trust: Trust, injected: Injected<'_>) -> HeaderMap {
    let mut headers = map(&[("host", "api.example.com")]);
    headers.extend(map(fields));
    let head = head("/", http::Version::HTTP_11, &headers);
    run(&mut headers, &head, trust, injected);
    headers
}

fn run(headers: &mut HeaderMap, head: &Head, trust: Trust, injected: Injected<'_>) {
    let outgoing = Outgoing::new(
        &names(),
        &TenantSelector::by_name(HeaderName::from_static("x-select-tenant")),
    );
    let trace = TraceParent::continue_or_begin(headers, [7; 24]);
    outgoing.apply(
        headers,
        &Call {
            head,
            injected,
            client: Client {
                peer: &HeaderValue::from_static("192.0.2.1"),
                trust,
                scheme: Scheme::Https,
            },
            request_id: &HeaderValue::from_static("0af7"),
            trace,
        },
    );
}

/// What the gateway adds to a request that has nothing but a host.
fn bare() -> HeaderMap {
    map(&[
        ("host", "api.example.com"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
        ("x-request-id", "0af7"),
        (
            "traceparent",
            "00-07070707070707070707070707070707-0707070707070707-00",
        ),
    ])
}

fn anonymous(fields: &[(&str, &str)]) -> HeaderMap {
    sent(fields, Trust::Stranger, Injected::default())
}

#[test]
fn every_spelling_of_an_identity_name_is_removed_even_if_nothing_takes_its_place() {
    for name in [
        "x-tenant-id",
        "X-Tenant-ID",
        "x_tenant_id",
        "x_tenant-id",
        "x.tenant.id",
        "x-tenant-id-",
        "_x_tenant_id",
        "x~tenant!id",
        "x-customer-id",
        "X_CUSTOMER_ID",
        "x-subject",
        "x_region",
        "x-scopes",
        "x_roles",
        "x-request-id",
        "x_request_id",
        "x-select-tenant",
        "x_select.tenant",
        "x-debug",
        "x_debug",
    ] {
        assert_eq!(anonymous(&[(name, "evil"), (name, "again")]), bare(), "{name}");
    }
}

#[test]
fn statements_about_the_client_are_removed_unless_the_gateway_makes_them() {
    for name in [
        "forwarded",
        "x-forwarded-for",
        "x_forwarded_for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-uri",
        "x.forwarded.method",
        "x-forwarded-user",
        "x-forwarded-client-cert",
        "x-real-ip",
        "x_real_ip",
        "x-original-url",
        "x-rewrite-url",
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "true-client-ip",
        "proxy",
        "remote-user",
        "expect",
    ] {
        assert_eq!(anonymous(&[(name, "100-continue")]), bare(), "{name}");
    }
}

#[test]
fn what_connection_lists_is_removed_before_our_own_fields_are_set() {
    let tenant = HeaderValue::from_static("t-1");
    let injected = Injected {
        tenant: Some(&tenant),
        ..Injected::default()
    };
    let headers = sent(
        &[
            ("connection", "close, X-Tenant-ID, X-Forwarded-For, host"),
            ("connection", "traceparent, x-request-id, x-own"),
            ("x-own", "1"),
        ],
        Trust::Stranger,
        injected,
    );
    let mut expected = bare();
    expected.insert("x-tenant-id", tenant.clone());
    assert_eq!(headers, expected);
}

#[test]
fn verified_values_are_set_once_each() {
    let value = |text: &'static str| HeaderValue::from_static(text);
    let (tenant, customer, subject) = (value("t"), value("c"), value("s"));
    let (region, scopes, roles) = (value("r"), value("a b"), value("x y"));
    let uuid = value("tenant-1");
    let headers = sent(
        &[
            ("x-tenant-id", "evil"),
            ("x_tenant_uuid", "evil"),
            ("X_Roles", "admin"),
            ("accept", "*/*"),
        ],
        Trust::Stranger,
        Injected {
            tenant: Some(&tenant),
            tenant_uuid: Some(&uuid),
            customer: Some(&customer),
            subject: Some(&subject),
            region: Some(&region),
            scopes: Some(&scopes),
            roles: Some(&roles),
            bearer: None,
        },
    );
    let mut expected = bare();
    expected.extend(map(&[
        ("accept", "*/*"),
        ("x-tenant-id", "t"),
        ("x-tenant-uuid", "tenant-1"),
        ("x-customer-id", "c"),
        ("x-subject", "s"),
        ("x-region", "r"),
        ("x-scopes", "a b"),
        ("x-roles", "x y"),
    ]));
    assert_eq!(headers, expected);
}

#[test]
fn the_token_goes_to_the_backend_only_where_the_api_says_so() {
    assert_eq!(
        anonymous(&[("authorization", "Bearer x"), ("authorization-", "Bearer y")]),
        bare()
    );
    let mut headers = map(&[("host", "a"), ("authorization", "Bearer x")]);
    let head = head("/", http::Version::HTTP_11, &headers);
    let outgoing = Outgoing::new(
        &IdentityHeaders {
            keep_authorization: true,
            ..names()
        },
        &TenantSelector::default(),
    );
    outgoing.apply(
        &mut headers,
        &Call {
            head: &head,
            injected: Injected::default(),
            client: Client {
                peer: &HeaderValue::from_static("192.0.2.1"),
                trust: Trust::Stranger,
                scheme: Scheme::Http,
            },
            request_id: &HeaderValue::from_static("1"),
            trace: TraceParent::continue_or_begin(&HeaderMap::new(), [7; 24]),
        },
    );
    assert_eq!(headers[AUTHORIZATION], "Bearer x");
    assert_eq!(headers[X_FORWARDED_PROTO], "http");
}

#[test]
fn a_trusted_proxy_is_believed_and_added_to() {
    let believed = |fields: &[(&str, &str)]| sent(fields, Trust::Believed, Injected::default());
    let headers = believed(&[
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-for", "10.0.0.2"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "www.example.com:8443"),
        ("forwarded", "for=203.0.113.7"),
        ("x-original-url", "/admin"),
    ]);
    let mut expected = bare();
    expected.insert(
        X_FORWARDED_FOR,
        HeaderValue::from_static("203.0.113.7, 10.0.0.2, 192.0.2.1"),
    );
    expected.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
    expected.insert(X_FORWARDED_HOST, HeaderValue::from_static("www.example.com:8443"));
    assert_eq!(headers, expected);
    for nonsense in [
        &[("x-forwarded-proto", "ftp"), ("x-forwarded-host", "a b")][..],
        &[("x-forwarded-proto", "http"), ("x-forwarded-proto", "http")],
        &[("x-forwarded-host", "a"), ("x-forwarded-host", "b")],
    ] {
        assert_eq!(believed(nonsense), bare(), "{nonsense:?}");
    }
}

#[test]
fn the_authority_of_http2_becomes_a_host_field() {
    let mut headers = HeaderMap::new();
    let head = head("https://API.example.com:8443/x", http::Version::HTTP_2, &headers);
    run(&mut headers, &head, Trust::Stranger, Injected::default());
    assert_eq!(headers[HOST], "API.example.com:8443");
    assert!(!headers.contains_key(X_FORWARDED_HOST), "Host says it");
}

#[test]
fn rfc9113_8_2_3_cookie_crumbs_become_one_field() {
    let mut expected = bare();
    expected.insert(COOKIE, HeaderValue::from_static("a=1; b=2; a=3"));
    assert_eq!(anonymous(&[("cookie", "a=1; b=2"), ("cookie", "a=3")]), expected);
}

#[test]
fn a_valid_trace_is_continued_and_its_state_kept() {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut expected = bare();
    let ours = HeaderValue::from_static("00-0af7651916cd43dd8448eb211c80319c-0707070707070707-01");
    expected.insert(TRACEPARENT, ours);
    expected.insert(TRACESTATE, HeaderValue::from_static("a=b"));
    assert_eq!(
        anonymous(&[("traceparent", parent), ("tracestate", "a=b")]),
        expected
    );
    assert_eq!(
        anonymous(&[("traceparent", "nonsense"), ("tracestate", "a=b")]),
        bare()
    );
}

#[test]
fn oddities_of_real_clients_pass_as_they_came() {
    let odd = [
        ("timeout", "None"),
        ("accept-encoding", "application/json"),
        ("content-type", "application/json"),
        ("cookie", "csrftoken=a; csrftoken=b"),
        ("x_custom_under_score", "1"),
        ("te", "trailers"),
        ("x-latin", "\u{e4}"),
        ("content-length", "0"),
    ];
    let mut expected = bare();
    expected.extend(map(&odd));
    assert_eq!(anonymous(&odd), expected);
}

#[test]
fn hop_by_hop_fields_do_not_travel() {
    let fields = [
        ("connection", "Upgrade, HTTP2-Settings, keep-alive"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABkAAQAAP__"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic eA=="),
        ("transfer-encoding", "chunked"),
        ("trailer", "x-tenant-id"),
        ("te", "gzip"),
    ];
    assert_eq!(anonymous(&fields), bare());
    let mut answer = map(&[
        ("connection", "x-a"),
        ("x-a", "1"),
        ("keep-alive", "5"),
        ("etag", "\"1\""),
    ]);
    returning(&mut answer);
    assert_eq!(answer, map(&[("etag", "\"1\"")]));
}

#[test]
fn trailers_are_filtered_by_the_same_names() {
    let outgoing = Outgoing::new(&names(), &TenantSelector::default());
    let mut trailers = map(&[
        ("x_tenant_id", "evil"),
        ("x-forwarded-for", "1.2.3.4"),
        ("content-length", "5"),
        ("set-cookie", "a=b"),
        ("authorization", "Bearer x"),
        ("grpc-status", "0"),
    ]);
    crate::http::trailers::keep_allowed(&mut trailers, Some(outgoing.managed()));
    assert_eq!(trailers, map(&[("grpc-status", "0")]));
    let mut expected = bare();
    expected.extend(map(&[("trailer", "grpc-status")]));
    assert_eq!(
        anonymous(&[
            ("trailer", "x_tenant_id, X-Forwarded-For"),
            ("trailer", "Grpc-Status")
        ]),
        expected
    );
    let mut answer = map(&[("trailer", "x-sum, content-length")]);
    returning(&mut answer);
    assert_eq!(answer, map(&[("trailer", "x-sum")]));
}

#[test]
fn the_gateways_own_cookies_stay_here_and_the_others_go_on() {
    let sent = |lines: &[&str]| {
        let mut headers = map(&[("host", "api.example.com")]);
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_str(line).unwrap());
        }
        let head = head("/", http::Version::HTTP_11, &headers);
        let outgoing = Outgoing::new(&names(), &TenantSelector::default())
            .without_cookies(vec!["session".to_owned(), "csrftoken".to_owned()]);
        let trace = TraceParent::continue_or_begin(&headers, [7; 24]);
        let call = Call {
            head: &head,
            injected: Injected::default(),
            client: Client {
                peer: &HeaderValue::from_static("192.0.2.1"),
                trust: Trust::Stranger,
                scheme: Scheme::Https,
            },
            request_id: &HeaderValue::from_static("0af7"),
            trace,
        };
        outgoing.apply(&mut headers, &call);
        let left: Vec<String> = headers
            .get_all(COOKIE)
            .iter()
            .map(|line| line.to_str().unwrap().to_owned())
            .collect();
        left
    };
    assert_eq!(sent(&["session=s"]), [""; 0]);
    assert_eq!(sent(&["a=1; session=s; b=2; csrftoken=c"]), ["a=1; b=2"]);
    assert_eq!(sent(&["session = s;a=1", "b=2", "session=t"]), ["a=1; b=2"]);
    assert_eq!(
        sent(&["a=1; sessions=x; Session=y"]),
        ["a=1; sessions=x; Session=y"]
    );
    assert_eq!(sent(&["a=1;b=2"]), ["a=1;b=2"]);
}

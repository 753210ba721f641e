//! Verified identity goes upstream, and nothing that a client could have written in its place.

use crate::support::client::{connect_h2, get, raw, read, send};
use crate::support::gateway::{Fixture, start};

const ROUTES: &str = r#"
      - path: /open/{*rest}
        public: true
        to: { backend: us }
      - path: /{*rest}
        to: { backend: us }
"#;

#[tokio::test]
async fn the_tenant_header_is_the_tokens_and_only_the_tokens() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let token = fixture.token("cust-1", "us-1");
    let spoofs = [
        ("x-tenant-id", "spoofed"),
        ("X-Tenant-Id", "spoofed"),
        ("X_TENANT_ID", "spoofed"),
        ("x_tenant-id", "spoofed"),
        ("x.tenant.id", "spoofed"),
        ("x-tenant-id-", "spoofed"),
        ("x-customer-id", "spoofed"),
        ("x_customer_id", "spoofed"),
        ("x-subject", "spoofed"),
        ("forwarded", "for=9.9.9.9"),
        ("x-forwarded-for", "9.9.9.9"),
        ("x-forwarded-host", "evil.test"),
        ("x-forwarded-proto", "https"),
        ("x-real-ip", "9.9.9.9"),
        ("x-original-url", "/admin"),
        ("x-rewrite-url", "/admin"),
        ("x-forwarded-uri", "/admin"),
    ];
    for (name, value) in spoofs {
        let got = send(
            fixture.address,
            get("api.test", "/a", &[("authorization", &token), (name, value)]),
        )
        .await;
        assert_eq!(got.status, 200, "{name}: {}", got.text());
        let seen = fixture.us.seen().pop().unwrap();
        assert_eq!(seen.only("x-tenant-id"), "cust-1", "{name}");
        assert_eq!(seen.only("x-customer-id"), "cust-1", "{name}");
        for (field, value) in &seen.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            assert!(
                !value.contains("spoofed")
                    && !value.contains("9.9.9.9")
                    && !value.contains("/admin")
                    && !value.contains("evil"),
                "{name}: {field}: {value}"
            );
        }
    }
}

#[tokio::test]
async fn public_routes_lose_the_spoofed_names_too() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let got = send(
        fixture.address,
        get(
            "api.test",
            "/open/a",
            &[("x-tenant-id", "spoofed"), ("x_tenant_id", "spoofed")],
        ),
    )
    .await;
    assert_eq!(got.status, 200);
    let seen = fixture.us.only();
    assert!(
        seen.headers.get("x-tenant-id").is_none() && seen.headers.get("x_tenant_id").is_none(),
        "{seen:?}"
    );
}

/// A backend that believes a name believes it whichever api a call came through.
#[tokio::test]
async fn what_one_api_sets_as_identity_no_other_api_lets_through() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let text = fixture.config("1000000/s", ROUTES)
        + "  other:\n    hosts: [other.test]\n    routes: [{ path: /, public: true, to: { backend: us } }]\n";
    let (_gateway, address, _admin) = start(&text).await;
    for name in ["x-tenant-id", "X_Tenant.ID", "x-customer-id", "x-subject"] {
        let request = get("other.test", "/", &[(name, "spoofed"), ("x-own", "kept")]);
        assert_eq!(send(address, request).await.status, 200);
        let seen = fixture.us.seen().pop().unwrap();
        assert_eq!(seen.only("x-own"), "kept");
        assert!(
            seen.headers.values().all(|value| value != "spoofed"),
            "{name}: {seen:?}"
        );
    }
}

#[tokio::test]
async fn a_name_listed_in_connection_cannot_take_the_gateways_own_header_away() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let token = fixture.token("cust-1", "us-1");
    let answer = raw(
        fixture.address,
        format!(
            "GET /a HTTP/1.1\r\nHost: api.test\r\nAuthorization: {token}\r\nConnection: close, X-Tenant-ID\r\nConnection: x-customer-id, x-other\r\nX-Other: 1\r\n\r\n"
        )
        .as_bytes(),
    )
    .await;
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    let seen = fixture.us.only();
    assert_eq!(seen.only("x-tenant-id"), "cust-1");
    assert_eq!(seen.only("x-customer-id"), "cust-1");
    assert!(seen.headers.get("x-other").is_none());
    assert!(
        seen.headers
            .get("connection")
            .is_none_or(|value| value == "keep-alive"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn identity_in_trailers_does_not_reach_the_backend() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let token = fixture.token("cust-1", "us-1");
    let answer = raw(
        fixture.address,
        format!(
            "POST /a HTTP/1.1\r\nHost: api.test\r\nAuthorization: {token}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-Tenant-ID\r\n\r\n3\r\nabc\r\n0\r\nX-Tenant-ID: spoofed\r\nx_customer_id: spoofed\r\n\r\n"
        )
        .as_bytes(),
    )
    .await;
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    let seen = fixture.us.only();
    assert_eq!(seen.body, b"abc".as_slice());
    assert!(
        seen.trailers.is_none_or(|trailers| trailers.is_empty()),
        "no identity in trailers"
    );
}

#[tokio::test]
async fn the_answers_hop_by_hop_fields_stay_on_their_hop() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let got = send(fixture.address, get("api.test", "/open/a", &[])).await;
    assert!(
        got.headers.get("x-hop").is_none() && got.header("x-served-by") == Some("us"),
        "{got:?}"
    );
}

#[tokio::test]
async fn http2_requests_are_treated_alike() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let token = fixture.token("cust-1", "us-1");
    let mut sender = connect_h2(fixture.address).await;
    let call = http::Request::get("http://api.test/a")
        .header("authorization", &token)
        .header("x-tenant-id", "spoofed")
        .header("x_tenant_id", "spoofed")
        .body(Default::default())
        .unwrap();
    let got = read(sender.send_request(call).await.unwrap()).await.unwrap();
    assert_eq!(got.status, 200, "{}", got.text());
    let seen = fixture.us.only();
    assert_eq!(seen.only("x-tenant-id"), "cust-1");
    assert!(seen.headers.get("x_tenant_id").is_none());
    assert_eq!(seen.only("host"), "api.test");
}

#[tokio::test]
async fn a_request_id_and_a_trace_context_go_upstream() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    send(
        fixture.address,
        get("api.test", "/open/a", &[("traceparent", parent)]),
    )
    .await;
    let seen = fixture.us.only();
    let sent = seen.only("traceparent");
    assert!(
        sent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && !sent.contains("00f067aa0ba902b7"),
        "{sent}"
    );
    assert!(seen.only("x-request-id").len() >= 16);
}

#[tokio::test]
async fn the_bearer_token_does_not_reach_the_backend() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let token = fixture.token("cust-1", "us-1");
    send(
        fixture.address,
        get("api.test", "/a", &[("authorization", &token)]),
    )
    .await;
    assert!(fixture.us.only().headers.get("authorization").is_none());
}

#[tokio::test]
async fn the_query_goes_upstream_byte_for_byte_avi_47_48_53_56() {
    let fixture = Fixture::with_routes(ROUTES).await;
    for target in [
        "/open/api/pool?name.in=pool-1,pool-12",
        "/open/api/pool?search=(name,vs-pool-)|(uuid,)",
        "/open/api/pool/?label_key=app",
        "/open/api/pool?include_name",
        "/open/api/pool?a=%2F..%2f&b=%zz&&=&c",
    ] {
        let got = send(fixture.address, get("api.test", target, &[])).await;
        assert_eq!(got.status, 200, "{target}: {}", got.text());
        assert_eq!(fixture.us.seen().pop().unwrap().target, target);
    }
}

#[tokio::test]
async fn what_a_trusted_proxy_says_of_its_client_is_believed_and_nobody_elses_word() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let said = [
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "https"),
        ("x-request-id", "from-the-balancer"),
    ];
    send(fixture.address, get("api.test", "/open/a", &said)).await;
    let seen = fixture.us.only();
    assert_eq!(
        (seen.only("x-forwarded-for"), seen.only("x-forwarded-proto")),
        ("127.0.0.1", "http")
    );
    assert_ne!(seen.only("x-request-id"), "from-the-balancer");

    let fixture = Fixture::with_server("trusted-proxies: [127.0.0.0/8]", ROUTES).await;
    send(fixture.address, get("api.test", "/open/a", &said)).await;
    let seen = fixture.us.only();
    assert_eq!(seen.only("x-forwarded-for"), "203.0.113.7, 127.0.0.1");
    assert_eq!(seen.only("x-forwarded-proto"), "https");
    assert_eq!(seen.only("x-request-id"), "from-the-balancer");
    let refused = send(fixture.address, get("api.test", "/nothing", &said)).await;
    assert_eq!(
        refused.json()["instance"],
        "from-the-balancer",
        "refusals carry it too"
    );
}

//! Host, path, method; default deny; one normal form of the path.

use crate::support::client::{get, raw, request, send};
use crate::support::gateway::{Fixture, start};

const ROUTES: &str = r#"
      - path: /open/{*rest}
        public: true
        to: { backend: us }
      - path: /strip/{*rest}
        public: true
        to: { backend: us }
        rewrite: { strip-prefix: /strip }
      - path: /old/{id}/things/{*rest}
        public: true
        to: { backend: us }
        rewrite: { template: "/new/{rest}/of/{id}" }
      - path: /only-get
        methods: [GET]
        public: true
        to: { backend: us }
      - path: /admin/{*rest}
        access: { roles: [admin] }
        to: { backend: us }
      - path: /scoped
        access: { scopes: [write] }
        to: { backend: us }
      - path: /gone
        public: true
        to: gone
"#;

#[tokio::test]
async fn what_no_route_allows_is_404_and_never_open() {
    let fixture = Fixture::with_routes(ROUTES).await;
    for target in ["/", "/nothing", "/open", "/ADMIN/x", "/only-get/"] {
        let got = send(fixture.address, get("api.test", target, &[])).await;
        assert_eq!(got.status, 404, "{target}");
        assert_eq!(got.header("content-type"), Some("application/problem+json"));
        assert_eq!(got.json()["code"], "no_route");
    }
    let got = send(fixture.address, get("unknown.test", "/open/a", &[])).await;
    assert_eq!(got.status, 404);
    assert!(fixture.us.seen().is_empty());
}

#[tokio::test]
async fn a_template_that_captures_fill_to_a_path_with_two_readings_is_refused() {
    let fixture = Fixture::with_routes(ROUTES).await;
    for (target, status) in [
        ("/old/5/things/a/b", 200),
        ("/old/5%20/things/a%2Cb", 200),
        // `/new//of/5` and `/new/a//of/5`.
        ("/old/5/things/", 400),
        ("/old/5/things/a/", 400),
    ] {
        let got = send(fixture.address, get("api.test", target, &[])).await;
        assert_eq!(got.status, status, "{target}: {}", got.text());
        if status == 400 {
            assert_eq!(got.json()["code"], "bad_request");
        }
    }
    let seen: Vec<String> = fixture.us.seen().into_iter().map(|call| call.target).collect();
    assert_eq!(seen, ["/new/a/b/of/5", "/new/a%2Cb/of/5%20"]);
}

#[tokio::test]
async fn a_wrong_method_is_405_with_allow() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let got = send(
        fixture.address,
        request("DELETE", "api.test", "/only-get", &[], ""),
    )
    .await;
    assert_eq!(got.status, 405);
    assert!(
        got.header("allow").is_some_and(|allow| allow.contains("GET")),
        "{got:?}"
    );
}

#[tokio::test]
async fn the_host_is_compared_without_case_and_port() {
    let fixture = Fixture::with_routes(ROUTES).await;
    for host in ["api.test", "API.test", "api.test:8443", "Api.Test:80"] {
        assert_eq!(
            send(fixture.address, get(host, "/open/a", &[])).await.status,
            200,
            "{host}"
        );
    }
}

#[tokio::test]
async fn the_backend_gets_the_path_that_was_matched() {
    let fixture = Fixture::with_routes(ROUTES).await;
    for (sent, seen) in [
        ("/open/a", "/open/a"),
        ("/open/%61?x=%61", "/open/a?x=%61"),
        ("/open/./a/../b", "/open/b"),
        ("/strip/a/b?q", "/a/b?q"),
        ("/old/7/things/a/b?q=1", "/new/a/b/of/7?q=1"),
        ("/open/caf%c3%a9", "/open/caf%C3%A9"),
    ] {
        let got = send(fixture.address, get("api.test", sent, &[])).await;
        assert_eq!(got.status, 200, "{sent}: {}", got.text());
        assert_eq!(fixture.us.seen().pop().unwrap().target, seen);
    }
}

#[tokio::test]
async fn no_spelling_of_a_protected_path_gets_past_its_rule() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let spellings = [
        "/admin/x",
        "//admin/x",
        "/./admin/x",
        "/open/../admin/x",
        "/open/%2e%2e/admin/x",
        "/open/.%2e/admin/x",
        "/open/%252e%252e/admin/x",
        "/%61dmin/x",
        "/admin/./x",
        "/open/..;/admin/x",
        "/open/..%2fadmin/x",
        "/open/..%5cadmin/x",
        "/open/..\\admin/x",
        "/open/%2e%2e%2fadmin/x",
        "/open/x/../../admin/x",
        "/open/%00/../admin/x",
        "/open/..%c0%afadmin/x",
        "/open//..//admin/x",
        "/open/;/../admin/x",
        "/admin%2fx",
    ];
    for target in spellings {
        let answer = raw(
            fixture.address,
            format!("GET {target} HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n").as_bytes(),
        )
        .await;
        let line = String::from_utf8_lossy(&answer)
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned();
        assert!(
            line.contains(" 400") || line.contains(" 401") || line.contains(" 404"),
            "{target}: {line}"
        );
    }
    for seen in fixture.us.seen() {
        assert!(!seen.target.contains("admin"), "{seen:?}");
    }
}

#[tokio::test]
async fn scopes_and_roles_are_asked_for_with_403() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let claims = serde_json::json!({"customer_id": "cust-1", "region": "us-1", "sub": "u", "scope": "read", "roles": ["viewer"]});
    let token = fixture.token_with(claims);
    let got = send(
        fixture.address,
        get("api.test", "/scoped", &[("authorization", &token)]),
    )
    .await;
    assert_eq!(
        (got.status.as_u16(), got.json()["code"].as_str()),
        (403, Some("scope_missing"))
    );
    let challenge = got.header("www-authenticate").expect("a challenge");
    assert!(
        challenge.contains("insufficient_scope") && challenge.contains("scope=\"write\""),
        "{challenge}"
    );
    let got = send(
        fixture.address,
        get("api.test", "/admin/x", &[("authorization", &token)]),
    )
    .await;
    assert_eq!(
        (got.status.as_u16(), got.json()["code"].as_str()),
        (403, Some("role_missing"))
    );
    let claims = serde_json::json!({"customer_id": "cust-1", "region": "us-1", "sub": "u", "scope": "write read", "roles": ["admin"]});
    let token = fixture.token_with(claims);
    for path in ["/scoped", "/admin/x"] {
        assert_eq!(
            send(
                fixture.address,
                get("api.test", path, &[("authorization", &token)])
            )
            .await
            .status,
            200
        );
    }
}

#[tokio::test]
async fn a_removed_route_says_so_aruba_109() {
    let fixture = Fixture::with_routes(ROUTES).await;
    assert_eq!(
        send(fixture.address, get("api.test", "/gone", &[])).await.status,
        410
    );
}

#[tokio::test]
async fn a_request_from_before_host_was_asked_for_reaches_the_backend_with_one() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let text = fixture.config("1000000/s", ROUTES)
        + "  any:\n    hosts: [\"*\"]\n    routes: [{ path: /old, public: true, to: { backend: us } }]\n";
    let (_gateway, address, _admin) = start(&text).await;
    let answer = raw(address, b"GET /old HTTP/1.0\r\n\r\n").await;
    assert!(
        answer.starts_with(b"HTTP/1.0 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert_eq!(fixture.us.only().only("host"), fixture.us.address.to_string());
}

//! The operator's part of the admin listener: who may, users, applications, the token list, revoking, the audit log.

use serde_json::{Value, json};

use crate::support::client::{get, send};
use crate::support::world::{PASSWORD, World, cookie};

const ROUTES: &str = r#"
      - path: /login
        methods: [POST]
        public: true
        to: { sign-in: { realm: staff, body: { json: {} }, gives: session } }
      - path: /token-of
        methods: [POST]
        public: true
        to: { sign-in: { realm: staff, body: { json: {} }, gives: { token: staff }, answer: { json: { token: "{token}" } } } }
      - path: /{*rest}
        to: { backend: backend }
"#;

/// PULSE-14.
#[tokio::test]
async fn probes_ask_nobody_and_everything_else_asks_for_the_token() {
    let world = World::with_routes(ROUTES).await;
    assert_eq!(send(world.admin, get("admin", "/live", &[])).await.status, 200);
    for fields in [
        &[][..],
        &[("authorization", "Bearer wrong")],
        &[("authorization", "Basic b3A6eA==")],
    ] {
        let got = send(world.admin, get("admin", "/v1/realms", fields)).await;
        assert_eq!(got.status, 401);
        assert!(
            got.header("www-authenticate")
                .is_some_and(|value| value.starts_with("Bearer"))
        );
    }
    assert_eq!(
        world.operate("GET", "/v1/realms", None).await.json(),
        json!(["staff"])
    );
}

#[tokio::test]
async fn a_user_is_created_approved_disabled_and_deleted() {
    let world = World::with_routes(ROUTES).await;
    let users = "/v1/realms/staff/users";
    let carol = json!({"name": "Carol", "access": {"customer": "acme", "roles": ["admin"]}});
    let got = world.operate("POST", users, Some(&carol)).await;
    assert_eq!(
        (got.status.as_u16(), got.json()["state"].as_str()),
        (201, Some("pending")),
        "{}",
        got.text()
    );
    assert_eq!(world.operate("POST", users, Some(&carol)).await.status, 409);
    let of_the_file = json!({"name": "alice"});
    assert_eq!(world.operate("POST", users, Some(&of_the_file)).await.status, 409);
    // PULSE-13, PULSE-21, PULSE-22, PULSE-23: the password activates, an operator approves.
    assert_eq!(world.sign_in("carol", PASSWORD).await.status, 401);
    let password = json!({"password": PASSWORD});
    assert_eq!(
        world
            .operate("PUT", &format!("{users}/carol/password"), Some(&password))
            .await
            .status,
        204
    );
    assert_eq!(
        world.operate("GET", &format!("{users}/carol"), None).await.json()["state"],
        "activated"
    );
    assert_eq!(world.sign_in("carol", PASSWORD).await.status, 403);
    let active = json!({"state": "active"});
    assert_eq!(
        world
            .operate("PUT", &format!("{users}/carol/state"), Some(&active))
            .await
            .status,
        204
    );
    let sid = format!("sid={}", cookie(&world.sign_in("carol", PASSWORD).await, "sid"));
    assert_eq!(world.call("GET", "/x", &[("cookie", &sid)], "").await.status, 200);
    // Switched off: the very next request is refused.
    let disabled = json!({"state": "disabled"});
    assert_eq!(
        world
            .operate("PUT", &format!("{users}/carol/state"), Some(&disabled))
            .await
            .status,
        204
    );
    assert_eq!(world.call("GET", "/x", &[("cookie", &sid)], "").await.status, 401);
    let listed = world
        .operate("GET", &format!("{users}?state=disabled"), None)
        .await
        .json();
    assert_eq!(listed["items"][0]["name"], "Carol");
    assert!(!listed.to_string().contains("argon2"));
    assert_eq!(
        world
            .operate("DELETE", &format!("{users}/carol"), None)
            .await
            .status,
        204
    );
    assert_eq!(
        world.operate("GET", &format!("{users}/carol"), None).await.status,
        404
    );
    let audit = world.operate("GET", "/v1/audit?realm=staff", None).await.json();
    let actions: Vec<&str> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| entry["action"].as_str())
        .collect();
    assert!(actions.len() >= 5, "{actions:?}");
    assert!(
        audit["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|entry| entry["by"] == "operator:admin")
    );
}

/// ARUBA-37, ARUBA-43.
#[tokio::test]
async fn the_token_list_shows_no_token_and_a_revoked_one_is_refused_at_once() {
    let world = World::with_routes(ROUTES).await;
    let body = json!({"username": "alice", "password": PASSWORD});
    let token = world.post_json("/token-of", &body).await.json()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let bearer = format!("Bearer {token}");
    assert_eq!(
        world
            .call("GET", "/x", &[("authorization", &bearer)], "")
            .await
            .status,
        200
    );
    let listed = world
        .operate("GET", "/v1/realms/staff/tokens?user=alice", None)
        .await;
    assert!(!listed.text().contains(&token));
    let listed: Value = listed.json();
    let id = listed["items"][0]["id"].as_str().unwrap();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    for member in ["user", "generated_at", "expires_at"] {
        assert!(!listed["items"][0][member].is_null(), "{member}: {listed}");
    }
    assert!(listed["items"][0].get("application").is_some(), "{listed}");
    assert_eq!(
        world
            .operate("DELETE", &format!("/v1/realms/staff/tokens/{id}"), None)
            .await
            .status,
        204
    );
    assert_eq!(
        world
            .call("GET", "/x", &[("authorization", &bearer)], "")
            .await
            .status,
        401
    );
    // All of a user's at once.
    for _ in 0..3 {
        world.post_json("/token-of", &body).await;
    }
    let revoked = world
        .operate("DELETE", "/v1/realms/staff/tokens?user=alice", None)
        .await;
    assert_eq!(revoked.json()["revoked"], 3, "{}", revoked.text());
    assert_eq!(
        world
            .operate("DELETE", "/v1/realms/staff/tokens", None)
            .await
            .status,
        400
    );
}

/// ARUBA-35, ARUBA-36, ARUBA-38, ARUBA-42, ARUBA-128.
#[tokio::test]
async fn an_application_shows_its_secret_once() {
    let world = World::with_routes(ROUTES).await;
    let applications = "/v1/realms/staff/applications";
    let new = json!({"name": "Reports", "redirect_uris": ["https://app.test/cb"], "owner": "alice",
                     "scopes": ["read"], "grants": ["authorization_code", "refresh_token"]});
    let got = world.operate("POST", applications, Some(&new)).await;
    assert_eq!(got.status, 201, "{}", got.text());
    let (id, secret) = (
        got.json()["client_id"].clone(),
        got.json()["client_secret"].clone(),
    );
    let (id, secret) = (id.as_str().unwrap(), secret.as_str().unwrap().to_owned());
    let shown = world.operate("GET", &format!("{applications}/{id}"), None).await;
    assert!(!shown.text().contains(&secret));
    for member in ["name", "client_id", "redirect_uris", "owner", "created_at"] {
        assert!(!shown.json()[member].is_null(), "{member}: {}", shown.text());
    }
    let rotated = world
        .operate("POST", &format!("{applications}/{id}/secret"), None)
        .await
        .json();
    assert_ne!(rotated["client_secret"], secret.as_str());
    let bad = json!({"name": "x", "redirect_uris": ["https://app.test/cb#fragment"], "grants": ["authorization_code"]});
    assert_eq!(world.operate("POST", applications, Some(&bad)).await.status, 400);
    let off = json!({"state": "disabled"});
    assert_eq!(
        world
            .operate("PATCH", &format!("{applications}/{id}"), Some(&off))
            .await
            .status,
        204
    );
    assert_eq!(
        world
            .operate("GET", &format!("{applications}/{id}"), None)
            .await
            .json()["state"],
        "disabled"
    );
    assert_eq!(
        world
            .operate("DELETE", &format!("{applications}/{id}"), None)
            .await
            .status,
        204
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_and_named() {
    let world = World::with_routes(ROUTES).await;
    for (method, target, body, status) in [
        ("GET", "/v1/realms/other/users", None, 404),
        ("GET", "/v1/realms/staff/users?colour=red", None, 400),
        (
            "GET",
            "/v1/realms/staff/users?state=active&state=active",
            None,
            400,
        ),
        ("GET", "/v1/realms/staff/tokens?after=x", None, 400),
        (
            "PUT",
            "/v1/realms/staff/users/nobody/state",
            Some(json!({"state": "active"})),
            404,
        ),
        (
            "PUT",
            "/v1/realms/staff/users/alice/state",
            Some(json!({"state": "asleep"})),
            400,
        ),
    ] {
        let got = world.operate(method, target, body.as_ref()).await;
        assert_eq!(got.status, status, "{method} {target}: {}", got.text());
    }
}

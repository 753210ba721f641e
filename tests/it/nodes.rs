//! Nodes: how they join, who may let them in, what they may do, and how it is seen that they are there.

use serde_json::{Value, json};

use crate::support::client::Got;
use crate::support::world::{PASSWORD, World, cookie};

const ROUTES: &str = r#"
      - { path: /login, methods: [POST], public: true, to: { sign-in: { realm: staff, body: { json: {} }, gives: session } } }
      - { path: /token, methods: [POST], public: true, to: { token: { service: staff } } }
      - { path: /tokens, methods: [GET, POST], to: &tokens { enrolment-tokens: { service: staff, scopes: [read], longest: 2h } } }
      - { path: "/tokens/{id}", methods: [GET, DELETE], to: *tokens }
      - { path: /join, methods: [POST], public: true, to: { enrol: { service: staff, token: /token } } }
      - { path: /assets, methods: [POST], to: { enrol: { service: staff, uuid: /controller/uuid, scopes: [read] } } }
      - { path: /assets, methods: [GET], to: &nodes { nodes: { service: staff, connected-within: 5m, words: { silent: Not Registered } } } }
      - { path: "/assets/{uuid}", methods: [GET, DELETE], to: *nodes }
      - { path: "/jobs/{*rest}", access: { scopes: [read] }, to: { backend: backend } }
"#;

struct Staff {
    world: World,
    cookies: String,
    csrf: String,
}

impl Staff {
    async fn start() -> Staff {
        Staff::of(World::with_routes(ROUTES).await).await
    }

    async fn of(world: World) -> Staff {
        let got = world.sign_in("alice", PASSWORD).await;
        let csrf = cookie(&got, "csrf");
        Staff {
            cookies: format!("sid={}", cookie(&got, "sid")),
            world,
            csrf,
        }
    }

    async fn call(&self, method: &str, target: &str, body: Option<Value>, tenant: Option<&str>) -> Got {
        let mut fields = vec![("cookie", self.cookies.as_str()), ("x-csrf", self.csrf.as_str())];
        if body.is_some() {
            fields.push(("content-type", "application/json"));
        }
        fields.extend(tenant.map(|tenant| ("tenantid", tenant)));
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.world.call(method, target, &fields, &body).await
    }

    async fn token(&self) -> Value {
        let got = self.call("POST", "/tokens", None, None).await;
        assert_eq!(got.status, 200, "{}", got.text());
        got.json()
    }

    async fn join(&self, token: &str, uuid: &str) -> Got {
        self.world
            .post_json("/join", &json!({"token": token, "uuid": uuid}))
            .await
    }

    async fn by(&self, token: &str, method: &str, target: &str) -> Got {
        let bearer = format!("Bearer {token}");
        self.world
            .call(method, target, &[("authorization", &bearer)], "")
            .await
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// PULSE-29, PULSE-30, PULSE-34 to PULSE-39, PULSE-42, PULSE-43.
#[tokio::test]
async fn somebody_registers_a_node_which_gets_a_token_of_its_own_and_is_connected_while_it_calls() {
    let staff = Staff::start().await;
    let status = async |uuid: &str| {
        let got = staff.call("GET", &format!("/assets/{uuid}"), None, None).await;
        assert_eq!(got.status, 200, "{}", got.text());
        got.json()
    };
    assert_eq!(
        status("ctl-1").await,
        json!({"uuid": "ctl-1", "status": "Not Registered"})
    );
    let registered = staff
        .call(
            "POST",
            "/assets",
            Some(json!({"controller": {"uuid": "ctl-1"}})),
            None,
        )
        .await;
    assert_eq!(registered.status, 200, "{}", registered.text());
    let registered = registered.json();
    let token = text(&registered, "access_token").to_owned();
    let before = status("ctl-1").await;
    assert_eq!(
        (text(&before, "status"), text(&before, "asset_id")),
        ("Connected", text(&registered, "asset_id"))
    );
    staff.world.pass(301);
    assert_eq!(
        text(&status("ctl-1").await, "status"),
        "Not Registered",
        "it has not called for five minutes"
    );
    assert_eq!(staff.by(&token, "GET", "/jobs/x").await.status, 200);
    let seen = staff.world.backend.seen().pop().unwrap();
    assert_eq!(
        (seen.only("x-subject"), seen.only("x-tenant")),
        ("node:ctl-1", "acme")
    );
    let after = status("ctl-1").await;
    assert_eq!(
        (text(&after, "status"), text(&after, "last_seen")),
        ("Connected", "2026-01-01T00:05:01Z")
    );
    // A call that is remembered is noted too.
    staff.world.pass(290);
    assert_eq!(staff.by(&token, "GET", "/jobs/y").await.status, 200);
    staff.world.pass(290);
    assert_eq!(text(&status("ctl-1").await, "status"), "Connected");
    let list = staff.call("GET", "/assets", None, None).await.json();
    assert_eq!(
        (&list["count"], &list["results"][0]["uuid"]),
        (&json!(1), &json!("ctl-1"))
    );
}

#[tokio::test]
async fn a_node_that_is_removed_is_refused_with_its_next_call() {
    let staff = Staff::start().await;
    let registered = staff
        .call(
            "POST",
            "/assets",
            Some(json!({"controller": {"uuid": "ctl-1"}})),
            None,
        )
        .await
        .json();
    let token = text(&registered, "access_token").to_owned();
    assert_eq!(staff.by(&token, "GET", "/jobs/x").await.status, 200);
    assert_eq!(
        staff.call("DELETE", "/assets/ctl-1", None, None).await.status,
        204
    );
    assert_eq!(staff.by(&token, "GET", "/jobs/x").await.status, 401);
    assert_eq!(
        staff.call("DELETE", "/assets/ctl-1", None, None).await.status,
        404
    );
    let body = format!(
        "grant_type=client_credentials&client_id=node%3Actl-1&client_secret={}",
        text(&registered, "client_secret")
    );
    assert_eq!(
        staff.world.post_form("/token", &body).await.json()["error"],
        "invalid_client"
    );
}

#[tokio::test]
async fn a_token_lets_one_node_in_and_says_so() {
    let staff = Staff::start().await;
    let made = staff.token().await;
    let (token, id) = (text(&made, "token").to_owned(), text(&made, "id").to_owned());
    assert_eq!(
        (token.len(), text(&made, "expires_at")),
        (43, "2026-01-01T01:00:00Z")
    );
    let show = async || {
        staff
            .call("GET", &format!("/tokens/{id}"), None, None)
            .await
            .json()
    };
    let shown = show().await;
    assert_eq!(
        text(&shown, "token"),
        format!("{}…", &token[..6]),
        "only who made it has it"
    );
    let joined = staff.join(&token, "se-1").await;
    assert_eq!(joined.status, 200, "{}", joined.text());
    let shown = show().await;
    assert_eq!((&shown["in_use"], &shown["node"]), (&json!(true), &json!("se-1")));
    let again = staff.join(&token, "se-2").await;
    assert_eq!(
        (again.status.as_u16(), again.json()["code"].as_str()),
        (401, Some("credentials_invalid"))
    );
    let all = staff.call("GET", "/tokens", None, None).await.json();
    assert_eq!((&all["count"], &all["results"][0]["id"]), (&json!(1), &json!(id)));
}

#[tokio::test]
async fn of_twenty_nodes_that_show_one_token_at_once_one_joins() {
    let staff = Staff::start().await;
    let made = staff.token().await;
    let names: Vec<String> = (0..20).map(|number| format!("se-{number}")).collect();
    let joins = names.iter().map(|name| staff.join(text(&made, "token"), name));
    let statuses: Vec<u16> = futures_util::future::join_all(joins)
        .await
        .iter()
        .map(|got| got.status.as_u16())
        .collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        1,
        "{statuses:?}"
    );
    assert!(
        statuses.iter().all(|status| [200, 401].contains(status)),
        "{statuses:?}"
    );
}

#[tokio::test]
async fn a_token_that_is_over_or_taken_back_lets_nobody_in() {
    let staff = Staff::start().await;
    let (first, second) = (staff.token().await, staff.token().await);
    let gone = staff
        .call("DELETE", &format!("/tokens/{}", text(&first, "id")), None, None)
        .await;
    assert_eq!(gone.status, 204);
    assert_eq!(staff.join(text(&first, "token"), "se-1").await.status, 401);
    staff.world.pass(3600);
    let late = staff.join(text(&second, "token"), "se-1").await;
    assert_eq!(
        (late.status.as_u16(), late.json()["code"].as_str()),
        (401, Some("token_expired"))
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_token_that_is_asked_for_or_shown_is_said() {
    let staff = Staff::start().await;
    let now = crate::support::world::START.0;
    for (body, status) in [
        (
            json!({"token": "20-characters-or-more", "expires_at": now + 7200}),
            200,
        ),
        (json!({"token": "20-characters-or-more"}), 400),
        (json!({"token": "too-short"}), 400),
        (json!({"token": "with blanks in the middle"}), 400),
        (json!({"token": 7}), 400),
        (json!({"expires_at": now}), 400),
        (json!({"expires_at": now + 7201}), 400),
        (json!({"expires_at": "soon"}), 400),
        (json!({"expires_at": 1e300}), 400),
        (json!({"expires_at": f64::from(u32::MAX) * 1e3}), 400),
        (json!({"metadata": {"key": "a"}}), 400),
        (json!({"metadata": [{"key": "a", "val": "b"}]}), 200),
    ] {
        let got = staff.call("POST", "/tokens", Some(body.clone()), None).await;
        assert_eq!(got.status.as_u16(), status, "{body}: {}", got.text());
    }
    for body in [
        json!({}),
        json!({"token": "20-characters-or-more"}),
        json!({"token": 1, "uuid": "x"}),
        json!([]),
    ] {
        let got = staff.world.post_json("/join", &body).await;
        assert_eq!(got.status.as_u16(), 400, "{body}");
    }
    for uuid in ["", "a b", &"x".repeat(121)] {
        assert_eq!(
            staff.join("20-characters-or-more", uuid).await.status,
            400,
            "{uuid}"
        );
    }
    assert_eq!(
        staff.join("20-characters-or-more", "after all that").await.status,
        400
    );
    assert_eq!(
        staff.join("20-characters-or-more", "after-all-that").await.status,
        200
    );
}

/// AVI-23: whoever has no role in a tenant sees nothing of it.
#[tokio::test]
async fn tokens_and_nodes_are_of_one_tenant() {
    let staff = Staff::start().await;
    let there = staff.call("POST", "/tokens", None, Some("t1")).await;
    assert_eq!(there.status, 200, "{}", there.text());
    let there = there.json();
    let id = text(&there, "id");
    let home = staff.call("GET", "/tokens", None, None).await.json();
    assert_eq!(home["count"], 0);
    assert_eq!(
        staff
            .call("GET", &format!("/tokens/{id}"), None, None)
            .await
            .status,
        404
    );
    assert_eq!(
        staff
            .call("DELETE", &format!("/tokens/{id}"), None, None)
            .await
            .status,
        404
    );
    let joined = staff.join(text(&there, "token"), "se-1").await.json();
    let node = text(&joined, "access_token").to_owned();
    assert_eq!(staff.by(&node, "GET", "/jobs/x").await.status, 200);
    assert_eq!(staff.world.backend.seen().pop().unwrap().only("x-tenant"), "t1");
    let bearer = format!("Bearer {node}");
    let elsewhere = [("authorization", bearer.as_str()), ("tenantid", "acme")];
    assert_eq!(
        staff.world.call("GET", "/jobs/x", &elsewhere, "").await.status,
        403
    );
    assert_eq!(
        text(
            &staff.call("GET", "/assets/se-1", None, None).await.json(),
            "status"
        ),
        "Not Registered"
    );
    let seen = staff.call("GET", "/assets/se-1", None, Some("t1")).await.json();
    assert_eq!(text(&seen, "status"), "Connected");
    // Its name is taken, for the other tenant.
    let other = staff
        .call(
            "POST",
            "/assets",
            Some(json!({"controller": {"uuid": "se-1"}})),
            None,
        )
        .await;
    assert_eq!(other.status, 403);
}

#[tokio::test]
async fn a_node_lets_nobody_in_and_sees_nobody_but_itself() {
    let staff = Staff::start().await;
    let joined = staff
        .join(text(&staff.token().await, "token"), "se-1")
        .await
        .json();
    let node = text(&joined, "access_token").to_owned();
    let own = staff.by(&node, "GET", "/assets/se-1").await;
    assert_eq!(
        (own.status.as_u16(), text(&own.json(), "status")),
        (200, "Connected")
    );
    for (method, target) in [
        ("GET", "/assets"),
        ("GET", "/assets/se-2"),
        ("DELETE", "/assets/se-1"),
        ("GET", "/tokens"),
        ("POST", "/tokens"),
    ] {
        let got = staff.by(&node, method, target).await;
        assert_eq!(
            (got.status.as_u16(), got.json()["code"].as_str()),
            (403, Some("role_missing")),
            "{method} {target}"
        );
    }
    let bearer = format!("Bearer {node}");
    let fields = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let body = json!({"controller": {"uuid": "se-2"}}).to_string();
    assert_eq!(
        staff.world.call("POST", "/assets", &fields, &body).await.status,
        403
    );
}

#[tokio::test]
async fn nodes_are_there_after_a_restart_and_their_last_call_is() {
    let mut staff = Staff::of(World::with("{ sqlite: FOLDER/store.db }", ROUTES).await).await;
    let joined = staff
        .join(text(&staff.token().await, "token"), "se-1")
        .await
        .json();
    let node = text(&joined, "access_token").to_owned();
    staff.world.pass(60);
    assert_eq!(staff.by(&node, "GET", "/jobs/x").await.status, 200);
    staff.world = staff.world.restart().await;
    assert_eq!(
        text(
            &staff.call("GET", "/assets/se-1", None, None).await.json(),
            "last_seen"
        ),
        "2026-01-01T00:01:00Z"
    );
    assert_eq!(staff.by(&node, "GET", "/jobs/x").await.status, 200);
}

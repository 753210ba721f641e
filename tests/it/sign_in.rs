//! Signing in and out by configuration: sessions, their cookies and CSRF values, lockout, and everything that a body can get
//! wrong.

use serde_json::json;

use crate::support::client::{Got, request, send};
use crate::support::world::{PASSWORD, World, cookie, cookies};

const ROUTES: &str = r#"
      - path: /login
        methods: [POST]
        public: true
        to:
          sign-in:
            realm: staff
            body:
              json: { username: /username, password: /password }
              form: { username: username, password: password, token: token }
            gives: session
            answer: { json: { user: "{user}", csrf: "{csrf}", expires_in: "{expires_in}" } }
      - path: /admins
        methods: [POST]
        public: true
        to:
          sign-in:
            realm: staff
            client: { query: client_id }
            body: { json: {} }
            roles: [admin]
            gives: { token: staff }
            answer: { json: { accessToken: "{token}", type: "{token_type}", until: "{expires_at}" } }
      - path: /step
        methods: [POST]
        public: true
        limits: [step]
        to: { sign-in: { realm: staff, client: { query: client_id }, body: { json: {} }, gives: session } }
      - path: /logout
        methods: [POST]
        to: { sign-out: {} }
      - path: /{*rest}
        to: { backend: backend }
"#;

fn code(got: &Got) -> (u16, String) {
    let code = got.json()["code"].as_str().unwrap_or_default().to_owned();
    (got.status.as_u16(), code)
}

#[tokio::test]
async fn a_session_opens_calls_until_it_is_ended() {
    let world = World::with_routes(ROUTES).await;
    let got = world.sign_in("Alice ", PASSWORD).await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert_eq!(got.header("cache-control"), Some("no-store"));
    assert_eq!(got.json()["user"], "alice");
    assert_eq!(got.json()["expires_in"], 7200);
    let set = cookies(&got);
    assert_eq!(set.len(), 2, "each cookie has a field of its own: {set:?}");
    let (sid, csrf) = (cookie(&got, "sid"), cookie(&got, "csrf"));
    assert_eq!(got.json()["csrf"], csrf.as_str());
    let sid = format!("sid={sid}");
    let call = |method: &'static str, csrf: Option<String>| {
        let (world, sid) = (&world, sid.clone());
        async move {
            let mut fields = vec![("cookie", sid.as_str())];
            if let Some(csrf) = &csrf {
                fields.push(("x-csrf", csrf));
            }
            world.call(method, "/x", &fields, "").await
        }
    };
    assert_eq!(call("GET", None).await.status, 200);
    assert_eq!(code(&call("POST", None).await), (403, "csrf_failed".to_owned()));
    assert_eq!(call("POST", Some(csrf.clone())).await.status, 200);
    let fields = [("cookie", sid.as_str()), ("x-csrf", csrf.as_str())];
    let got = world.call("POST", "/logout", &fields, "").await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert_eq!(cookies(&got).len(), 2, "both cookies are taken back");
    assert_eq!(code(&call("GET", None).await), (401, "session_ended".to_owned()));
}

#[tokio::test]
async fn a_sign_in_never_takes_an_id_that_it_is_given_and_ends_the_session_it_came_with() {
    let world = World::with_routes(ROUTES).await;
    let first = world.sign_in("alice", PASSWORD).await;
    let first = format!("sid={}", cookie(&first, "sid"));
    let body = json!({"username": "alice", "password": PASSWORD}).to_string();
    let fields = [("content-type", "application/json"), ("cookie", first.as_str())];
    let second = world.call("POST", "/login", &fields, &body).await;
    let second = format!("sid={}", cookie(&second, "sid"));
    assert_ne!(first, second);
    assert_eq!(
        world.call("GET", "/x", &[("cookie", &first)], "").await.status,
        401
    );
    assert_eq!(
        world.call("GET", "/x", &[("cookie", &second)], "").await.status,
        200
    );
    // Two sign-ins from two places go on side by side.
    let third = world.sign_in("alice", PASSWORD).await;
    let third = format!("sid={}", cookie(&third, "sid"));
    for sid in [&second, &third] {
        assert_eq!(world.call("GET", "/x", &[("cookie", sid)], "").await.status, 200);
    }
    // One that somebody has made up opens nothing, and is not taken over.
    let fields = [("content-type", "application/json"), ("cookie", "sid=planted")];
    let got = world.call("POST", "/login", &fields, &body).await;
    assert_ne!(cookie(&got, "sid"), "planted");
}

#[tokio::test]
async fn a_body_that_is_not_as_it_should_be_is_400_and_counts_for_nothing() {
    let world = World::with_routes(ROUTES).await;
    let long = "x".repeat(20 << 10);
    for (media, body, status) in [
        ("text/plain", r#"{"username":"alice","password":"x"}"#, 400),
        (
            "application/json",
            r#"{"username":"alice","password":"x","password":"y"}"#,
            400,
        ),
        ("application/json", r#"{"username":"alice"}"#, 400),
        ("application/json", r#"{"username":1,"password":"x"}"#, 400),
        ("application/json", r#"["alice"]"#, 400),
        ("application/json", "username=alice&password=x", 400),
        (
            "application/x-www-form-urlencoded",
            "username=alice&password=x&password=x",
            400,
        ),
        (
            "application/x-www-form-urlencoded",
            "username=alice&password=%",
            400,
        ),
        ("application/x-www-form-urlencoded", "password=x", 400),
        (
            "application/x-www-form-urlencoded",
            "username=alice&password=x&token=y",
            400,
        ),
        ("application/json", long.as_str(), 413),
    ] {
        let got = world
            .call("POST", "/login", &[("content-type", media)], body)
            .await;
        assert_eq!(
            got.status,
            status,
            "{media} {}: {}",
            &body[..body.len().min(60)],
            got.text()
        );
    }
    assert_eq!(world.sign_in("alice", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_form_of_another_site_signs_nobody_in() {
    let world = World::with_routes(ROUTES).await;
    let body = format!("username=alice&password={}", PASSWORD.replace(' ', "+"));
    let form = ("content-type", "application/x-www-form-urlencoded");
    let foreign = [form, ("origin", "https://evil.test")];
    assert_eq!(
        code(&world.call("POST", "/login", &foreign, &body).await),
        (403, "csrf_failed".to_owned())
    );
    let own = [form, ("origin", "http://api.test")];
    assert_eq!(world.call("POST", "/login", &own, &body).await.status, 200);
    assert_eq!(
        world.post_form("/login", &body).await.status,
        200,
        "a program says no origin"
    );
}

#[tokio::test]
async fn wrong_names_wrong_passwords_and_locked_names_are_told_the_same() {
    let world = World::with_routes(ROUTES).await;
    let nobody = world.sign_in("mallory", "wrong").await;
    assert_eq!(code(&nobody), (401, "sign_in_failed".to_owned()));
    for _ in 0..3 {
        let wrong = world.sign_in("bob", "wrong").await;
        assert_eq!(
            (wrong.status, wrong.json()["title"].clone()),
            (nobody.status, nobody.json()["title"].clone())
        );
    }
    // Now the name is locked: the right password does not help, and is told nothing else.
    let locked = world.sign_in("bob", PASSWORD).await;
    assert_eq!(
        (locked.status, locked.json()["title"].clone()),
        (nobody.status, nobody.json()["title"].clone())
    );
    assert_eq!(
        world.sign_in("alice", PASSWORD).await.status,
        200,
        "nobody else is locked"
    );
    world.pass(61);
    assert_eq!(world.sign_in("bob", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_lock_suspends_what_the_account_has_and_lets_it_work_again() {
    let world = World::with_routes(ROUTES).await;
    let sid = format!("sid={}", cookie(&world.sign_in("alice", PASSWORD).await, "sid"));
    let body = json!({"username": "alice", "password": PASSWORD});
    let got = world.post_json("/admins?client_id=app1", &body).await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert_eq!(got.json()["type"], "Bearer");
    let bearer = format!("Bearer {}", got.json()["accessToken"].as_str().unwrap());
    let both = [("cookie", sid.as_str()), ("authorization", bearer.as_str())];
    for field in both {
        assert_eq!(world.call("GET", "/x", &[field], "").await.status, 200);
    }
    for _ in 0..3 {
        world.sign_in("alice", "wrong").await;
    }
    for field in both {
        assert_eq!(
            code(&world.call("GET", "/x", &[field], "").await),
            (401, "account_suspended".to_owned())
        );
    }
    world.pass(61);
    for field in both {
        assert_eq!(world.call("GET", "/x", &[field], "").await.status, 200);
    }
}

#[tokio::test]
async fn only_those_with_the_role_sign_in_and_only_for_a_known_application() {
    let world = World::with_routes(ROUTES).await;
    let of = |name: &str| json!({"username": name, "password": PASSWORD});
    assert_eq!(
        code(&world.post_json("/admins?client_id=app1", &of("bob")).await),
        (403, "role_missing".to_owned())
    );
    for query in ["", "?client_id=", "?client_id=other"] {
        assert_eq!(
            code(&world.post_json(&format!("/admins{query}"), &of("alice")).await),
            (401, "client_unknown".to_owned()),
            "{query}"
        );
    }
    let twice = world
        .post_json("/admins?client_id=app1&client_id=app1", &of("alice"))
        .await;
    assert_eq!(twice.status, 400);
    assert_eq!(
        world
            .post_json("/admins?client_id=app1", &of("alice"))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_token_signs_its_own_user_in_and_nobody_else() {
    let world = World::with_routes(ROUTES).await;
    let body = json!({"username": "alice", "password": PASSWORD});
    let token = world.post_json("/admins?client_id=app1", &body).await.json()["accessToken"].clone();
    let token = token.as_str().unwrap();
    let with = |name: &str, token: &str| format!("username={name}&token={token}");
    assert_eq!(world.post_form("/login", &with("alice", token)).await.status, 200);
    assert_eq!(world.post_form("/login", &with("bob", token)).await.status, 401);
    assert_eq!(
        world.post_form("/login", &with("alice", "made-up")).await.status,
        401
    );
}

/// ARUBA-65.
#[tokio::test]
async fn a_step_is_limited_by_the_application_that_is_named() {
    let world = World::with_routes(ROUTES).await;
    let body = json!({"username": "alice", "password": PASSWORD});
    assert_eq!(world.post_json("/step?client_id=app1", &body).await.status, 200);
    assert_eq!(world.post_json("/step?client_id=app1", &body).await.status, 429);
    world.pass(1);
    assert_eq!(world.post_json("/step?client_id=app1", &body).await.status, 200);
}

#[tokio::test]
async fn sessions_of_the_file_outlive_a_restart_and_end_when_they_are_not_used() {
    let world = World::with("{ sqlite: FOLDER/tollgate.db }", ROUTES).await;
    let sid = format!("sid={}", cookie(&world.sign_in("alice", PASSWORD).await, "sid"));
    let world = world.restart().await;
    assert_eq!(world.call("GET", "/x", &[("cookie", &sid)], "").await.status, 200);
    world.pass(31 * 60);
    assert_eq!(world.call("GET", "/x", &[("cookie", &sid)], "").await.status, 401);
}

#[tokio::test]
async fn a_reload_keeps_sessions_and_another_store_needs_a_restart() {
    let world = World::with_routes(ROUTES).await;
    let sid = format!("sid={}", cookie(&world.sign_in("alice", PASSWORD).await, "sid"));
    world
        .gateway
        .reload(crate::support::gateway::plan(world.text()))
        .await
        .unwrap();
    assert_eq!(world.call("GET", "/x", &[("cookie", &sid)], "").await.status, 200);
    let other = world.text().replace(
        "store: memory",
        &format!("store: {{ sqlite: {}/x.db }}", world.folder().display()),
    );
    let refused = world
        .gateway
        .reload(crate::support::gateway::plan(&other))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("`store`"), "{refused}");
}

/// Neither an answer nor a metric has a password, a session's id or a token in it.
#[tokio::test]
async fn secrets_are_in_no_answer_but_their_own() {
    let world = World::with_routes(ROUTES).await;
    let canary = "canary-5b1e0c77";
    let got = world.sign_in("alice", canary).await;
    assert!(!got.text().contains(canary));
    let got = world
        .post_form("/login", &format!("username={canary}&password={canary}"))
        .await;
    assert!(!got.text().contains(canary));
    let metrics = send(world.admin, request("GET", "admin", "/metrics", &[], ""))
        .await
        .text();
    assert!(!metrics.contains(canary));
}

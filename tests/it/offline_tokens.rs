//! Tokens that an operator makes, and those that an operator ends: by the admin listener, and by the command that asks it.

use std::process::Output;

use serde_json::json;

use crate::support::client::{get, send};
use crate::support::process::{stderr, stdout, tollgate};
use crate::support::world::{PASSWORD, World, cookie};

const ROUTES: &str = r#"
      - path: /login
        methods: [POST]
        public: true
        to: { sign-in: { realm: staff, body: { json: {} }, gives: session } }
      - path: /code
        methods: [POST]
        credentials: [session]
        to: { authorize-step: { service: staff, answer: { json: { code: "{code}" } } } }
      - path: /token
        methods: [POST]
        public: true
        to: { token: { service: staff } }
      - path: /tokens
        methods: [DELETE]
        credentials: [session]
        to: { delete-token: { service: staff, token: /access_token } }
      - path: /{*rest}
        to: { backend: backend }
"#;

const TOKENS: &str = "/v1/realms/staff/tokens";

/// Runs `tollgate token …` for the realm of `world`, with `input` at its standard input.
async fn token(world: &World, words: &[&str], input: &str) -> Output {
    let operator = world.as_operator();
    let operator = operator.iter().map(String::as_str);
    let words = ["token"].into_iter().chain(words.iter().copied());
    tollgate(words.chain(["--realm", "staff"]).chain(operator), input).await
}

async fn status(world: &World, token: &str) -> u16 {
    let bearer = format!("Bearer {token}");
    let got = world.call("GET", "/x", &[("authorization", &bearer)], "").await;
    got.status.as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_makes_a_token_for_a_user_and_ends_it_before_the_next_call_aruba_47() {
    let world = World::with_routes(ROUTES).await;
    let words = [
        "issue",
        "--application",
        "app1",
        "--user",
        "alice",
        "--scope",
        "read",
        "--lifetime",
        "90d",
    ];
    let made = token(&world, &words, "").await;
    let text = stdout(&made);
    assert!(stderr(&made).contains("not shown again"), "{}", stderr(&made));
    // Twice, so that it is remembered when it is ended.
    assert_eq!(
        (status(&world, &text).await, status(&world, &text).await),
        (200, 200)
    );
    let call = world.backend.seen().pop().unwrap();
    assert_eq!(call.headers["x-roles"], "admin");

    let list = stdout(&token(&world, &["list", "--user", "alice"], "").await);
    let id = stderr(&made).split([' ', ',']).nth(1).unwrap().to_owned();
    assert!(
        list.contains(&id) && list.contains("offline") && list.contains("app1"),
        "{list}"
    );
    assert!(!list.contains(&text), "the list shows the token");

    let said = stdout(&token(&world, &["revoke", "--stdin"], &format!("Bearer {text}\n")).await);
    assert_eq!(said, format!("revoked: {id}"));
    assert_eq!(status(&world, &text).await, 401);
    assert!(!stdout(&token(&world, &["list"], "").await).contains(&id));
    let all = stdout(&token(&world, &["list", "--all"], "").await);
    assert!(all.contains(&id) && all.contains("revoked"), "{all}");
    let again = token(&world, &["revoke", "--stdin"], &text).await;
    assert!(
        stderr(&again).contains("was revoked before"),
        "{}",
        stderr(&again)
    );
    let audit = world.operate("GET", "/v1/audit", None).await.text();
    assert!(audit.contains(&id) && audit.contains("operator:admin"), "{audit}");
}

/// ARUBA-44, ARUBA-45, ARUBA-127.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_revoked_by_id_by_user_and_by_application() {
    let world = World::with_routes(ROUTES).await;
    let issue = async |user: &'static str| {
        let made = token(&world, &["issue", "--application", "app1", "--user", user], "").await;
        let id = stderr(&made).split([' ', ',']).nth(1).unwrap().to_owned();
        (stdout(&made), id)
    };
    let (first, id) = issue("alice").await;
    let (second, _) = issue("alice").await;
    let (third, _) = issue("bob").await;
    let said = stdout(&token(&world, &["revoke", "--id", &id], "").await);
    assert_eq!(said, "revoked: 1");
    assert_eq!(
        (status(&world, &first).await, status(&world, &second).await),
        (401, 200)
    );
    let said = stdout(&token(&world, &["revoke", "--user", "bob", "--application", "app1"], "").await);
    assert_eq!(said, "revoked: 1");
    assert_eq!(
        (status(&world, &third).await, status(&world, &second).await),
        (401, 200)
    );
    let said = stdout(&token(&world, &["revoke", "--application", "app1"], "").await);
    assert_eq!(said, "revoked: 1");
    assert_eq!(status(&world, &second).await, 401);
}

/// What alice gets by a grant to app1, and the fields of her session.
struct Granted {
    access: String,
    refresh: String,
    session: String,
    csrf: String,
}

const CLIENT: &str = "client_id=app1&client_secret=the+secret+of+app1";

async fn granted(world: &World) -> Granted {
    let signed_in = world.sign_in("alice", PASSWORD).await;
    let session = format!("sid={}", cookie(&signed_in, "sid"));
    let csrf = cookie(&signed_in, "csrf");
    let fields = [
        ("cookie", session.as_str()),
        ("x-csrf", &csrf),
        ("content-type", "application/json"),
    ];
    let target = "/code?client_id=app1&response_type=code&scope=all";
    let got = world.call("POST", target, &fields, "{}").await;
    let given = got.json();
    let code = given["code"].as_str().unwrap_or_else(|| panic!("{given}"));
    let body = format!("grant_type=authorization_code&code={code}&{CLIENT}");
    let given = world.post_form("/token", &body).await.json();
    let text = |name: &str| given[name].as_str().unwrap().to_owned();
    Granted {
        access: text("access_token"),
        refresh: text("refresh_token"),
        session,
        csrf,
    }
}

async fn refreshed(world: &World, refresh: &str) -> serde_json::Value {
    let body = format!("grant_type=refresh_token&refresh_token={refresh}&{CLIENT}");
    world.post_form("/token", &body).await.json()
}

#[tokio::test]
async fn a_refresh_token_in_hand_ends_the_whole_grant() {
    let world = World::with_routes(ROUTES).await;
    let granted = granted(&world).await;
    assert_eq!(status(&world, &granted.access).await, 200);
    let body = json!({"token": granted.refresh});
    let ended = world
        .operate("POST", &format!("{TOKENS}/revoke"), Some(&body))
        .await;
    assert_eq!(ended.status, 200, "{}", ended.text());
    assert_eq!(status(&world, &granted.access).await, 401);
    assert_eq!(
        refreshed(&world, &granted.refresh).await["error"],
        "invalid_grant"
    );
}

/// An access token that has expired is what a client has in hand that was away for a while: its refresh token would go on.
#[tokio::test]
async fn an_access_token_that_has_expired_still_ends_its_grant() {
    let world = World::with_routes(ROUTES).await;
    let by_user = granted(&world).await;
    let by_operator = granted(&world).await;
    world.pass(2 * 3_600);
    assert_eq!(status(&world, &by_user.access).await, 401);
    // The session of the first is over as well; the user signs in again.
    let again = granted(&world).await;
    let fields = [
        ("cookie", again.session.as_str()),
        ("x-csrf", &again.csrf),
        ("content-type", "application/json"),
    ];
    let body = json!({"access_token": by_user.access}).to_string();
    let got = world.call("DELETE", "/tokens", &fields, &body).await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert_eq!(
        refreshed(&world, &by_user.refresh).await["error"],
        "invalid_grant"
    );
    let body = json!({"token": by_operator.access});
    let got = world
        .operate("POST", &format!("{TOKENS}/revoke"), Some(&body))
        .await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert_eq!(
        refreshed(&world, &by_operator.refresh).await["error"],
        "invalid_grant"
    );
    assert!(refreshed(&world, &again.refresh).await["access_token"].is_string());
}

#[tokio::test]
async fn a_made_token_ends_by_itself_and_is_worth_no_more_than_who_it_is_for() {
    let world = World::with_routes(ROUTES).await;
    let make = async |body: serde_json::Value| world.operate("POST", TOKENS, Some(&body)).await;
    let made = make(json!({"application": "app1", "user": "alice", "lifetime": 120})).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let text = made.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(made.json()["scopes"], json!(["all", "read"]));
    assert_eq!(status(&world, &text).await, 200);
    world.pass(121);
    assert_eq!(status(&world, &text).await, 401);

    for (body, expected, word) in [
        (json!({"application": "app1", "lifetime": 59}), 400, "`lifetime`"),
        (
            json!({"application": "app1", "lifetime": 366 * 86_400 + 1}),
            400,
            "`lifetime`",
        ),
        (json!({"application": "app1", "scopes": ["root"]}), 400, "`root`"),
        (json!({"application": "nobody"}), 404, "application"),
        (json!({"application": "app1", "user": "nobody"}), 404, "user"),
    ] {
        let got = make(body.clone()).await;
        assert_eq!(got.status.as_u16(), expected, "{body}: {}", got.text());
        assert!(
            got.json()["detail"].as_str().unwrap().contains(word),
            "{}",
            got.text()
        );
    }
    let carol = json!({"name": "carol", "access": {"customer": "acme"}});
    world
        .operate("POST", "/v1/realms/staff/users", Some(&carol))
        .await;
    let got = make(json!({"application": "app1", "user": "carol"})).await;
    assert_eq!(got.status, 409, "a pending user has no token: {}", got.text());
    let unknown = json!({"token": "nobodys-token"});
    let got = world
        .operate("POST", &format!("{TOKENS}/revoke"), Some(&unknown))
        .await;
    assert_eq!(got.status, 404);
    // Not without the operator's token.
    let got = send(world.admin, get("admin", TOKENS, &[])).await;
    assert_eq!(got.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_says_what_is_wrong_and_what_to_look_at() {
    let world = World::with_routes(ROUTES).await;
    for (words, said) in [
        (&["revoke", "--user", "nobody"][..], "no such user"),
        (&["revoke", "--id", "00"], "no such token"),
        (
            &["issue", "--application", "app1", "--lifetime", "1s"],
            "`lifetime` is from 60",
        ),
        (&["list", "--realm", "other"], "cannot be used multiple times"),
        (&["revoke"], "required arguments"),
        (&["revoke", "--stdin", "--user", "alice"], "cannot be used with"),
    ] {
        let output = token(&world, words, "").await;
        assert!(!output.status.success());
        assert!(stderr(&output).contains(said), "{words:?}: {}", stderr(&output));
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let wrong = world.folder().join("wrong.token");
    std::fs::write(&wrong, "not-the-token").unwrap();
    let empty = world.folder().join("empty.token");
    std::fs::write(&empty, "\n").unwrap();
    let right = world.folder().join("operator.token");
    for (admin, file, said) in [
        (world.admin, &wrong, "does not take the token"),
        (world.admin, &empty, "has no token in it"),
        (world.admin, &world.folder().join("missing"), "cannot read"),
        (nobody, &right, "is the gateway running"),
    ] {
        let (admin, file) = (admin.to_string(), file.display().to_string());
        let words = [
            "token",
            "list",
            "--realm",
            "staff",
            "--admin",
            &admin,
            "--admin-token",
            &file,
        ];
        let output = tollgate(words, "").await;
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
}

//! Credentials that were changed on the way, that another gateway gave, or that are far too long.

use serde_json::json;

use crate::support::process::tollgate;
use crate::support::world::{PASSWORD, World, cookie};

const ROUTES: &str = r#"
      - path: /login
        methods: [POST]
        public: true
        to: { sign-in: { realm: staff, body: { json: {}, form: {} }, gives: session } }
      - path: /token-of
        methods: [POST]
        public: true
        to: { sign-in: { realm: staff, body: { json: {} }, gives: { token: staff }, answer: { json: { token: "{token}" } } } }
      - path: /{*rest}
        to: { backend: backend }
"#;

async fn by_cookie(world: &World, value: &str) -> u16 {
    let field = format!("sid={value}");
    let got = world.call("GET", "/x", &[("cookie", &field)], "").await;
    got.status.as_u16()
}

async fn by_token(world: &World, value: &str) -> u16 {
    let field = format!("Bearer {value}");
    let got = world.call("GET", "/x", &[("authorization", &field)], "").await;
    got.status.as_u16()
}

async fn session_and_token(world: &World) -> (String, String) {
    let sid = cookie(&world.sign_in("alice", PASSWORD).await, "sid");
    let body = json!({"username": "alice", "password": PASSWORD});
    let token = world.post_json("/token-of", &body).await.json();
    (sid, token["token"].as_str().unwrap().to_owned())
}

/// Every spelling of `value` with one character more, less or changed.
fn changed(value: &str) -> Vec<String> {
    let other = |character: char| if character == 'a' { 'b' } else { 'a' };
    let at = |place: usize, with: &str| format!("{}{with}{}", &value[..place], &value[place + 1..]);
    let mut all = vec![
        format!("{value}a"),
        format!("a{value}"),
        value.to_lowercase(),
        value.to_uppercase(),
    ];
    for (place, character) in value.char_indices() {
        all.push(at(place, ""));
        all.push(at(place, &other(character).to_string()));
    }
    all.retain(|one| one != value && !one.is_empty());
    all
}

#[tokio::test]
async fn a_session_or_a_token_that_was_changed_by_one_character_opens_nothing() {
    let world = World::with_routes(ROUTES).await;
    let (sid, token) = session_and_token(&world).await;
    for other in changed(&sid) {
        assert_eq!(by_cookie(&world, &other).await, 401, "{other}");
    }
    for other in changed(&token) {
        assert_eq!(by_token(&world, &other).await, 401, "{other}");
    }
    assert_eq!(
        (by_cookie(&world, &sid).await, by_token(&world, &token).await),
        (200, 200)
    );
    // One is not good as the other.
    assert_eq!(
        (by_cookie(&world, &token).await, by_token(&world, &sid).await),
        (401, 401)
    );
}

#[tokio::test]
async fn what_another_gateway_with_the_same_configuration_gave_is_worth_nothing_here() {
    let (here, there) = (World::with_routes(ROUTES).await, World::with_routes(ROUTES).await);
    let (sid, token) = session_and_token(&there).await;
    assert_eq!(
        (by_cookie(&there, &sid).await, by_token(&there, &token).await),
        (200, 200)
    );
    assert_eq!(
        (by_cookie(&here, &sid).await, by_token(&here, &token).await),
        (401, 401)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_of_a_mebibyte_is_refused_unread_and_locks_nobody() {
    let world = World::with_routes(ROUTES).await;
    let long = "x".repeat(1 << 20);
    for _ in 0..4 {
        assert_eq!(world.sign_in("alice", &long).await.status, 413);
        let form = format!("username=alice&password={long}");
        assert_eq!(world.post_form("/login", &form).await.status, 413);
    }
    assert!(world.sign_in("alice", PASSWORD).await.status.is_success());
    let user = json!({"name": "carol", "password": long});
    let got = world.operate("POST", "/v1/realms/staff/users", Some(&user)).await;
    assert_eq!(got.status, 413, "{}", got.text());
    let hashed = tollgate(["hash-password"], &long).await;
    assert_eq!(hashed.status.code(), Some(1), "{hashed:?}");
    assert!(hashed.stdout.is_empty());
}

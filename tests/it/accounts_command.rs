//! Users, applications and customers from the command line, against a running gateway.

use std::process::Output;

use crate::support::process::{stderr, stdout, tollgate};
use crate::support::world::{PASSWORD, World, cookie};

const ROUTES: &str = r#"
      - path: /login
        methods: [POST]
        public: true
        to: { sign-in: { realm: staff, body: { json: {} }, gives: session } }
      - path: /token
        methods: [POST]
        public: true
        to: { token: { service: staff } }
      - path: /{*rest}
        to: { backend: backend }
"#;

async fn command(world: &World, words: &[&str], input: &str) -> Output {
    let operator = world.as_operator();
    let operator = operator.iter().map(String::as_str);
    let realm: &[&str] = if words[0] == "customer" {
        &[]
    } else {
        &["--realm", "staff"]
    };
    let words = words.iter().chain(realm).copied().chain(operator);
    tollgate(words, input).await
}

async fn done(world: &World, words: &[&str], input: &str) -> String {
    stdout(&command(world, words, input).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_created_signs_in_and_is_disabled() {
    let world = World::with_routes(ROUTES).await;
    let create = ["user", "create", "carol", "--customer", "acme", "--role", "admin"];
    let made = done(&world, &create, "a password of carol\n").await;
    assert!(made.ends_with("active"), "{made}");
    let signed_in = world.sign_in("carol", "a password of carol").await;
    let session = format!("sid={}", cookie(&signed_in, "sid"));
    let status = async || {
        let got = world.call("GET", "/x", &[("cookie", &session)], "").await;
        got.status.as_u16()
    };
    assert_eq!(status().await, 200);
    let listed = done(&world, &["user", "list"], "").await;
    for word in ["carol", "active", "acme"] {
        assert!(listed.contains(word), "{listed}");
    }
    done(&world, &["user", "state", "carol", "disabled"], "").await;
    assert_eq!(status().await, 401);
    for _ in 0..3 {
        world.sign_in("alice", "wrong").await;
    }
    assert_eq!(world.sign_in("alice", PASSWORD).await.status, 401);
    done(&world, &["user", "unlock", "alice"], "").await;
    assert!(world.sign_in("alice", PASSWORD).await.status.is_success());
    done(&world, &["user", "delete", "carol"], "").await;
    assert_eq!(done(&world, &["user", "list"], "").await, "");
    let pending = done(&world, &["user", "create", "dave"], "").await;
    assert!(pending.ends_with("pending"), "{pending}");
    let again = command(&world, &["user", "create", "dave"], "").await;
    assert_eq!(again.status.code(), Some(1));
    let said = stderr(&again);
    assert!(said.contains("conflict, status 409"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_is_created_and_its_secret_is_shown_once() {
    let world = World::with_routes(ROUTES).await;
    let create =
        "application create Inventory --customer acme --tenant acme --scope read --grant client_credentials";
    let create: Vec<&str> = create.split(' ').collect();
    let made = done(&world, &create, "").await;
    let (client, secret) = made.split_once('\n').unwrap();
    let body = format!("grant_type=client_credentials&client_id={client}&client_secret={secret}");
    let got = world.post_form("/token", &body).await;
    let bearer = format!("Bearer {}", got.json()["access_token"].as_str().unwrap());
    let status = async || {
        let fields = [("authorization", bearer.as_str())];
        let got = world.call("GET", "/x", &fields, "").await;
        got.status.as_u16()
    };
    assert_eq!(status().await, 200);
    let listed = done(&world, &["application", "list"], "").await;
    assert!(
        listed.contains(client) && listed.contains("Inventory"),
        "{listed}"
    );
    assert!(!listed.contains(secret));
    done(&world, &["application", "delete", client], "").await;
    assert_eq!(status().await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_is_written_shown_and_deleted() {
    let world = World::with_routes(ROUTES).await;
    let text = r#"{"name": "Acme", "tenants": [{"tenant": "t9", "roles": ["viewer"]}]}"#;
    done(&world, &["customer", "put", "acme"], text).await;
    let shown = done(&world, &["customer", "show", "acme"], "").await;
    assert!(shown.contains("\"tenant\": \"t9\""), "{shown}");
    assert!(done(&world, &["customer", "list"], "").await.contains("Acme"));
    let wrong = command(&world, &["customer", "put", "acme"], "{").await;
    let said = stderr(&wrong);
    assert!(said.contains("it is not JSON"), "{said}");
    done(&world, &["customer", "delete", "acme"], "").await;
    let gone = command(&world, &["customer", "show", "acme"], "").await;
    assert_eq!(gone.status.code(), Some(1));
}

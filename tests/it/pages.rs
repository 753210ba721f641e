//! The sign-in and consent pages in a real browser, over TLS: by the keyboard alone, with and without scripts, and looked at by
//! axe. Pictures of each page are left in `target/screenshots`.

use std::process::Command;

use serde_json::{Value, json};
use tollgate::gateway::{Gateway, Options};

use crate::foreign_peers::have;
use crate::support::client::{request, send};
use crate::support::gateway::plan;
use crate::support::world::{PASSWORD, World};
use crate::tokens::python;

const ROUTES: &str = r#"
      - path: /authorize
        methods: [GET, POST]
        public: true
        to: { authorize: staff }
      - path: /token
        methods: [POST]
        public: true
        to: { token: { service: staff } }
      - path: /{*rest}
        to: { backend: backend }
"#;

/// The gateway of [`World`] behind TLS, as browsers meet it: with a plain listener beside it for the test itself.
async fn behind_tls(world: &World) -> Gateway {
    let certified = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let file = |name: &str, text: String| {
        let path = world.folder().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let certificate = file("chain.pem", certified.cert.pem());
    let key = file("key.pem", certified.signing_key.serialize_pem());
    let tls = format!(
        "listeners: [{{ address: 127.0.0.1:0, tls: {{ certificate: {certificate}, key: {key} }} }}, {{ address: 127.0.0.1:0 }}]"
    );
    let text = world
        .text()
        .replace("listeners: [{ address: 127.0.0.1:0 }]", &tls)
        .replace("hosts: [api.test]", "hosts: ['*']");
    let options = Options {
        clock: world.clock.clone(),
        ..Options::default()
    };
    Gateway::start(plan(&text), options).await.expect("to start")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_work_by_keyboard_without_scripts_and_satisfy_axe() {
    let Some(python) = python() else { return };
    if !have("chromium") {
        return;
    }
    let world = World::with_routes(ROUTES).await;
    let gateway = behind_tls(&world).await;
    let [secure, plain] = gateway.addresses()[..] else {
        panic!("two listeners")
    };
    let root = env!("CARGO_MANIFEST_DIR");
    let output = tokio::task::spawn_blocking(move || {
        Command::new(python)
            .arg(format!("{root}/tests/foreign/pages.py"))
            .args([
                format!("https://{secure}/authorize").as_str(),
                "app1",
                "alice",
                PASSWORD,
            ])
            .arg(format!("{root}/target/screenshots"))
            .env("NO_PROXY", "*")
            .output()
            .unwrap()
    })
    .await
    .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    let did: Value = serde_json::from_slice(&output.stdout).expect("JSON");

    assert_eq!(did["axe"], json!([]), "{did:#}");
    assert_eq!(did["axe_can_find"], json!(["image-alt"]));
    // Nothing that the pages need is against their own policy.
    assert_eq!(did["blocked"], json!([]));
    let order = [
        "Name",
        "Password",
        "Sign in",
        "Allow",
        "Deny",
        "Use another account",
    ];
    assert_eq!(did["tab_order"], json!(order));
    assert_eq!(
        did["after_a_wrong_password"],
        json!(["The name or the password is wrong.", "Password"])
    );
    assert_eq!(did["name_is_kept"], "alice");
    assert_eq!(did["wider_than_the_window"], json!(false));
    assert_eq!(did["denied"], json!(["access_denied"]));
    assert_eq!(did["a_foreign_redirect_stays_here"], json!(true));
    assert_eq!(did["signed_in_is_not_asked_again"], json!(true));
    assert_eq!(did["cookies"][0], json!(["sid", true, true, "Lax"]), "{did:#}");

    // What the browser brought back without any script is good for a token.
    let back = &did["without_scripts"];
    assert_eq!(
        (&back["state"], &back["iss"]),
        (&json!("s1"), &json!("http://127.0.0.1:9/"))
    );
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let body = format!(
        "grant_type=authorization_code&client_id=app1&client_secret=the+secret+of+app1&code={}&redirect_uri={}&code_verifier={}",
        text(&back["code"]),
        text(&did["redirect"]),
        text(&did["verifier"]),
    );
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let got = send(plain, request("POST", "127.0.0.1", "/token", &form, &body)).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let bearer = format!("Bearer {}", text(&got.json()["access_token"]));
    let call = [("authorization", bearer.as_str())];
    let got = send(plain, request("GET", "127.0.0.1", "/x", &call, "")).await;
    assert_eq!((got.status.as_u16(), got.text().is_empty()), (200, false));
}

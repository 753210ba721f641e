//! The shipped portal, in a real browser, with two identity providers: its own token service, and a foreign one that is written
//! with a library and can be made to misbehave.

use std::process::Command;

use serde_json::{Value, json};
use tollgate::base::clock::Clock;

use crate::foreign_peers::have;
use crate::support::client::{Got, request, send};
use crate::support::driver::Driver;
use crate::support::example::Example;
use crate::support::upstream::Upstream;
use crate::support::world::PASSWORD;
use crate::tokens::python;

pub const HOST: &str = "portal.test";
const SECRET: &str = "of-forty-characters-as-the-rules-ask-for";
const USER: &str = "user@customer.example";

/// The portal, and the foreign provider as a process.
struct Portal {
    example: Example,
    provider: String,
    _process: Driver,
}

/// The other provider, and what the portal is told of it.
pub struct Foreign {
    pub provider: String,
    pub variables: Vec<(&'static str, String)>,
    pub process: Driver,
}

impl Foreign {
    pub async fn start() -> Option<Foreign> {
        let callback = format!("https://{HOST}/portal/ctrcallback");
        let process = Driver::start("provider.py", &["registrar", SECRET, &callback])?;
        let (process, port) = process.next().await;
        let provider = format!("http://127.0.0.1:{port}");
        let variables = vec![
            ("SF_AUTHORIZATION", format!("{provider}/authorize")),
            ("SF_TOKEN", format!("{provider}/token")),
            ("SF_INTROSPECTION", format!("{provider}/introspect")),
            ("SF_ISSUER", provider.clone()),
            ("SF_SECRET", SECRET.to_owned()),
        ];
        Some(Foreign {
            provider,
            variables,
            process,
        })
    }
}

/// What an operator makes.
pub async fn users(example: &Example) {
    let access = json!({"customer": "acme", "roles": ["customer_users"]});
    example.user("pulse", USER, PASSWORD, access).await;
}

/// A browser does all that there is to do, and says what came of it.
pub async fn browse(example: &Example, provider: &str) -> Value {
    let python = python().expect("it started the provider");
    let arguments = [
        HOST.to_owned(),
        example.secure.port().to_string(),
        provider.to_owned(),
        USER.to_owned(),
        PASSWORD.to_owned(),
    ];
    let output = tokio::task::spawn_blocking(move || {
        Command::new(python)
            .arg(format!("{}/tests/foreign/portal.py", env!("CARGO_MANIFEST_DIR")))
            .args(arguments)
            .env("NO_PROXY", "*")
            .output()
            .unwrap()
    })
    .await
    .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

impl Portal {
    async fn start() -> Option<Portal> {
        let foreign = Foreign::start().await?;
        let backend = Upstream::start("portal").await;
        let example = Example::before("avi-pulse", HOST, Clock::system(), backend, &foreign.variables).await;
        users(&example).await;
        Some(Portal {
            example,
            provider: foreign.provider,
            _process: foreign.process,
        })
    }
}

/// PULSE-01 to PULSE-06, PULSE-08, PULSE-09, PULSE-12, PULSE-17, PULSE-18, PULSE-31 to PULSE-39.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_signs_in_at_either_provider_works_and_signs_out_and_a_provider_that_misbehaves_opens_nothing()
 {
    if !have("chromium") {
        return;
    }
    let Some(portal) = Portal::start().await else {
        return;
    };
    let did = browse(&portal.example, &portal.provider).await;

    // At the portal's own provider.
    assert_eq!(
        did["way"],
        json!([
            [302, "/portal/cases/7"],
            [302, "/portal/login"],
            [200, "/idp/authorize"]
        ])
    );
    assert_eq!(did["arrived"][0], "/portal/cases/7?open=1&all", "{did:#}");
    assert!(
        did["arrived"][1]
            .as_str()
            .is_some_and(|text| text.contains("served_by")),
        "{did:#}"
    );
    assert_eq!(did["cookies"], json!(["idp", "idpcsrf", "portal", "portalcsrf"]));
    assert_eq!(
        did["a_script_sees"],
        json!(["portalcsrf"]),
        "neither session nor token"
    );
    assert_eq!(
        [
            &did["made"],
            &did["without_the_value"],
            &did["for_admins"],
            &did["signed_out"]
        ],
        [&json!(200), &json!(403), &json!(403), &json!(200)]
    );
    assert_eq!(did["cookies_then"], json!(["idp", "idpcsrf"]));
    assert_eq!(
        did["then"],
        json!([200, "/idp/authorize"]),
        "who is signed out is asked again"
    );
    let seen = portal.example.backend.seen();
    let first = seen
        .iter()
        .find(|seen| seen.target.starts_with("/portal/cases/7"))
        .expect("the call");
    assert_eq!(first.target, "/portal/cases/7?open=1&all");
    assert!(
        first.only("authorization").starts_with("Bearer "),
        "the token goes to the service"
    );
    assert_eq!(
        (
            first.only("x-customer"),
            first.only("x-roles"),
            first.only("x-scopes")
        ),
        ("acme", "customer_users", "cases downloads crs admin")
    );
    assert!(
        first
            .headers
            .get("cookie")
            .is_none_or(|cookie| !cookie.to_str().unwrap().contains("portal="))
    );

    // At the other one.
    assert_eq!(did["foreign_page"], json!(true));
    assert_eq!(
        did["registered_at"],
        json!(["/portal/registered", r#"{"signed_in":true}"#])
    );
    let asset = &did["asset"];
    assert_eq!(
        (&asset[0], &asset[1]["uuid"], &did["status"]),
        (&json!(200), &json!("ctl-1"), &json!("Connected"))
    );
    let token = asset[1]["access_token"].as_str().unwrap();
    assert_eq!(
        token.split('.').count(),
        3,
        "a signed token for that one controller"
    );
    let bearer = format!("Bearer {token}");
    let call = async |target: &str| -> Got {
        let fields = [("authorization", bearer.as_str())];
        send(portal.example.plain, request("GET", HOST, target, &fields, "")).await
    };
    assert_eq!(call("/services/ip-reputation").await.status, 200);
    let seen = portal.example.backend.seen().pop().unwrap();
    assert_eq!(
        (seen.only("x-user"), seen.only("x-customer")),
        ("node:ctl-1", "acme")
    );
    assert_eq!(
        call("/portal/assets/ctl-1").await.json()["status"],
        "Connected",
        "it may look at itself"
    );
    assert_eq!(call("/portal/cases/1").await.status, 401);

    // When it misbehaves.
    for (mood, status) in [
        ("wrong-state", 403),
        ("wrong-issuer", 403),
        ("replayed", 403),
        ("slow", 503),
        ("down", 503),
    ] {
        assert_eq!(did[mood], json!([status, "/portal/ctrcallback", false]), "{mood}");
    }
    assert_eq!(did["good"], json!([200, "/portal/registered", true]));
    assert!(
        did["shown"]
            .as_str()
            .is_some_and(|text| text.contains("The sign-in was refused") && text.contains("Begin again")),
        "{did:#}"
    );
}

/// PULSE-44, PULSE-45, PULSE-27, PULSE-28: what needs no browser.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_portal_tells_the_status_of_its_services_and_lets_nobody_in_without_signing_in() {
    let Some(portal) = Portal::start().await else {
        return;
    };
    let get =
        async |target: &str, fields: &[(&str, &str)]| portal.example.call("GET", target, fields, "").await;
    let status = get("/portal/stat?service=cases", &[]).await.json();
    assert_eq!(
        (&status["status"], &status["version"]),
        (&json!("available"), &json!("7.1.0"))
    );
    let all = get("/portal/stat", &[]).await.json();
    assert_eq!(all["services"].as_array().map(Vec::len), Some(2));
    for target in [
        "/portal/cases",
        "/portal/cases/1",
        "/portal/downloads/x",
        "/portal/crs/x",
        "/portal/users/x",
        "/portal/licenses/x",
    ] {
        assert_eq!(get(target, &[]).await.status, 401, "{target}");
        let page = get(target, &[("accept", "text/html")]).await;
        assert_eq!(page.status, 302, "{target}");
        assert!(
            page.header("location")
                .unwrap()
                .starts_with("/portal/login?return_to="),
            "{target}"
        );
    }
    for target in ["/packages/22.1.pkg", "/services/x", "/portal/assets/ctl-1"] {
        assert_eq!(get(target, &[]).await.status, 401, "{target}");
    }
    assert!(portal.example.backend.seen().is_empty());
}

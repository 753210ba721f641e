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
use crate::support::world::{OPERATOR, PASSWORD, cookie, cookies};
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

/// PULSE-13 to PULSE-16, PULSE-21 to PULSE-23.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_has_an_e_mail_address_a_password_and_an_approval_before_it_is_worth_anything() {
    let Some(portal) = Portal::start().await else {
        return;
    };
    let example = &portal.example;
    let operate = async |method: &str, target: &str, body: Value| {
        let bearer = format!("Bearer {OPERATOR}");
        let fields = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        send(
            example.admin,
            request(method, "admin", target, &fields, &body.to_string()),
        )
        .await
    };
    let users = "/v1/realms/pulse/users";
    // Nobody but an operator makes accounts, and the name is an e-mail address.
    let got = send(
        example.admin,
        request(
            "POST",
            "admin",
            users,
            &[("content-type", "application/json")],
            "{}",
        ),
    )
    .await;
    assert_eq!(got.status, 401);
    for name in ["carol", "carol@", "@customer.example", "carol@customer example"] {
        let got = operate("POST", users, json!({"name": name})).await;
        assert_eq!(got.status, 400, "{name}: {}", got.text());
    }
    let access = |role: &str| json!({"customer": "acme", "roles": [role]});
    let carol = json!({"name": "Carol@Customer.example", "access": access("customer_admin")});
    assert_eq!(operate("POST", users, carol).await.status, 201);
    let account = format!("{users}/carol@customer.example");
    let state = async || operate("GET", &account, Value::Null).await.json()["state"].clone();
    let call = async |session: &str, target: &str| {
        let cookie = format!("portal={session}");
        example
            .call("GET", target, &[("cookie", &cookie)], "")
            .await
            .status
            .as_u16()
    };
    assert_eq!(state().await, "pending");
    assert_eq!(
        signed_in(example, "carol@customer.example").await,
        None,
        "it has no password"
    );
    let password = operate(
        "PUT",
        &format!("{account}/password"),
        json!({"password": PASSWORD}),
    )
    .await;
    assert_eq!(password.status, 204);
    assert_eq!(state().await, "activated");
    assert_eq!(
        signed_in(example, "carol@customer.example").await,
        None,
        "nobody has approved it"
    );
    let put = async |state: &str| {
        operate("PUT", &format!("{account}/state"), json!({"state": state}))
            .await
            .status
    };
    assert_eq!(put("active").await, 204);
    let session = signed_in(example, "carol@customer.example")
        .await
        .expect("it is active");
    assert_eq!(
        call(&session, "/portal/users/x").await,
        200,
        "an administrator's page"
    );
    assert_eq!(put("disabled").await, 204);
    assert_eq!(
        call(&session, "/portal/users/x").await,
        401,
        "from the next call on"
    );
    // One that is turned down, and one with a role that the portal does not know.
    let dave = json!({"name": "dave@customer.example", "access": access("customer_users")});
    assert_eq!(operate("POST", users, dave).await.status, 201);
    for (what, body) in [
        ("password", json!({"password": PASSWORD})),
        ("state", json!({"state": "rejected"})),
    ] {
        let target = format!("{users}/dave@customer.example/{what}");
        assert_eq!(operate("PUT", &target, body).await.status, 204, "{what}");
    }
    assert_eq!(signed_in(example, "dave@customer.example").await, None);
    // An operator who sets the password has approved.
    let erin = json!({"name": "erin@customer.example", "password": PASSWORD, "access": access("auditor")});
    assert_eq!(operate("POST", users, erin).await.status, 201);
    let session = signed_in(example, "erin@customer.example")
        .await
        .expect("it is active");
    assert_eq!(
        call(&session, "/portal/cases/1").await,
        403,
        "two roles, and no third"
    );
}

/// What a browser would do at the portal's own provider, without one: the session, if there is one.
async fn signed_in(example: &Example, name: &str) -> Option<String> {
    let form = ("content-type", "application/x-www-form-urlencoded");
    let begun = example.call("GET", "/portal/login", &[], "").await;
    let path = |to: &str| to.trim_start_matches(&format!("https://{HOST}")).to_owned();
    let there = path(begun.header("location").expect("the way to the provider"));
    let (name_of_way, value) = cookies(&begun).remove(0);
    let way = format!("{name_of_way}={}", value.split(';').next().unwrap_or_default());
    let body = format!(
        "step=sign-in&username={}&password={}",
        name.replace('@', "%40"),
        PASSWORD.replace(' ', "+")
    );
    let got = example.call("POST", &there, &[form], &body).await;
    if got.status != 303 {
        return None;
    }
    let there_signed_in = format!("idp={}", cookie(&got, "idp"));
    let page = example
        .call("GET", &there, &[("cookie", &there_signed_in)], "")
        .await
        .text();
    let proof = page
        .split("name=\"proof\" value=\"")
        .nth(1)?
        .split('"')
        .next()?
        .to_owned();
    let body = format!("step=consent&decision=allow&proof={proof}");
    let got = example
        .call("POST", &there, &[form, ("cookie", &there_signed_in)], &body)
        .await;
    let back = path(got.header("location").expect("the way back"));
    let got = example.call("GET", &back, &[("cookie", way.as_str())], "").await;
    assert_eq!(got.status, 303, "{}", got.text());
    Some(cookie(&got, "portal"))
}

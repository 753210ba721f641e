//! Bearer tokens: foreign ones accepted, their forgeries refused, answers as RFC 6750 section 3 wants them.

use std::process::Command;

use crate::support::client::{get, raw, send};
use crate::support::gateway::{Fixture, start};
use crate::support::upstream::Upstream;

const ROUTES: &str = r#"
      - path: /{*rest}
        to: { backend: us }
"#;

#[tokio::test]
async fn without_a_token_the_challenge_names_no_error_and_with_a_bad_one_it_does() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let got = send(fixture.address, get("api.test", "/a", &[])).await;
    assert_eq!(
        (got.status.as_u16(), got.json()["code"].as_str()),
        (401, Some("credentials_missing"))
    );
    let challenge = got.header("www-authenticate").expect("a challenge");
    assert!(
        challenge.starts_with("Bearer") && !challenge.contains("error"),
        "{challenge}"
    );
    let got = send(
        fixture.address,
        get("api.test", "/a", &[("authorization", "Bearer abc.def.ghi")]),
    )
    .await;
    assert_eq!(
        (got.status.as_u16(), got.json()["code"].as_str()),
        (401, Some("credentials_invalid"))
    );
    assert!(
        got.header("www-authenticate")
            .is_some_and(|value| value.contains("error=\"invalid_token\"")),
        "{got:?}"
    );
    assert!(fixture.us.seen().is_empty());
}

#[tokio::test]
async fn a_token_is_refused_twice_and_a_good_one_accepted_twice() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let good = fixture.token("cust-1", "us-1");
    let expired =
        fixture.token_with(serde_json::json!({"customer_id": "cust-1", "sub": "u", "exp": 1_000_000}));
    for _ in 0..2 {
        assert_eq!(
            send(
                fixture.address,
                get("api.test", "/a", &[("authorization", &good)])
            )
            .await
            .status,
            200
        );
        let got = send(
            fixture.address,
            get("api.test", "/a", &[("authorization", &expired)]),
        )
        .await;
        assert_eq!(
            (got.status.as_u16(), got.json()["code"].as_str()),
            (401, Some("token_expired"))
        );
    }
}

#[tokio::test]
async fn two_authorization_fields_are_refused() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let token = fixture.token("cust-1", "us-1");
    let answer = raw(
        fixture.address,
        format!("GET /a HTTP/1.1\r\nHost: api.test\r\nAuthorization: {token}\r\nAuthorization: {token}\r\nConnection: close\r\n\r\n").as_bytes(),
    )
    .await;
    let line = String::from_utf8_lossy(&answer)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned();
    assert!(line.contains(" 400") || line.contains(" 401"), "{line}");
    assert!(fixture.us.seen().is_empty());
}

#[tokio::test]
async fn a_removed_key_stops_working_on_the_next_request_after_a_reload() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let token = fixture.token("cust-1", "us-1");
    assert_eq!(
        send(
            fixture.address,
            get("api.test", "/a", &[("authorization", &token)])
        )
        .await
        .status,
        200
    );
    let other = crate::support::keys::Signer::new(fixture.folder());
    std::fs::write(fixture.folder().join("jwks.json"), other.jwks("k2").to_string()).unwrap();
    fixture.reload_with_limit("1000000/s", ROUTES).await;
    let got = send(
        fixture.address,
        get("api.test", "/a", &[("authorization", &token)]),
    )
    .await;
    assert_eq!(got.status, 401, "a cached token does not outlive its key");
}

/// The Python of the tests' virtual environment (`make test` makes it). In CI a missing one is a failure.
pub fn python() -> Option<String> {
    python_of("venv", "jwt, httpx, cryptography")
}

/// The interpreter of a virtual environment in which `modules` can be imported.
pub fn python_of(venv: &str, modules: &str) -> Option<String> {
    let python = format!("{}/target/{venv}/bin/python", env!("CARGO_MANIFEST_DIR"));
    let usable = Command::new(&python)
        .args(["-c", &format!("import {modules}")])
        .output()
        .is_ok_and(|out| out.status.success());
    if usable {
        return Some(python);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "no Python with {modules} at {python}: run `make test`"
    );
    eprintln!("skipped: no Python with {modules} at {python} (run `make test` once)");
    None
}

#[tokio::test]
async fn tokens_of_a_foreign_library_are_accepted_and_its_forgeries_refused() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign/mint.py");
    let out = Command::new(python)
        .arg(script)
        .arg(folder.path())
        .output()
        .expect("to run Python");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let tokens: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let us = Upstream::start("us").await;
    let text = format!(
        r#"
listeners: [{{ address: 127.0.0.1:0 }}]
admin: {{ address: 127.0.0.1:0 }}
issuers:
  idp:
    issuer: https://idp.example/
    audience: [api]
    algorithms: [RS256, PS256, ES256, ES384, EdDSA]
    keys: {{ file: {}/jwks.json }}
    claims: {{ customer: customer_id, region: region, scope: scope }}
limits:
  per-customer: {{ rate: 1000000/s, per: customer }}
backends:
  us: {{ endpoints: [{}] }}
apis:
  api:
    hosts: [api.test]
    credentials: [{{ bearer: idp }}]
    access: {{}}
    limits: [per-customer]
    headers: {{ tenant: X-Tenant-ID }}
    routes:
      - path: /{{*rest}}
        to: {{ backend: us }}
"#,
        folder.path().display(),
        us.url()
    );
    let (_gateway, address, _) = start(&text).await;
    for (name, token) in tokens["good"].as_object().unwrap() {
        let value = format!("Bearer {}", token.as_str().unwrap());
        let got = send(address, get("api.test", "/a", &[("authorization", &value)])).await;
        assert_eq!(got.status, 200, "{name}: {}", got.text());
        assert_eq!(us.seen().pop().unwrap().only("x-tenant-id"), "cust-1");
    }
    let accepted = us.seen().len();
    for (name, token) in tokens["forged"].as_object().unwrap() {
        let value = format!("Bearer {}", token.as_str().unwrap());
        for _ in 0..2 {
            let got = send(address, get("api.test", "/a", &[("authorization", &value)])).await;
            assert_eq!(got.status, 401, "{name}: {}", got.text());
            assert!(
                got.header("www-authenticate")
                    .is_some_and(|value| value.contains("invalid_token")),
                "{name}: {got:?}"
            );
        }
    }
    assert_eq!(us.seen().len(), accepted, "no forgery reaches the backend");
}

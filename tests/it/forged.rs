//! Keys (class: JWT and JWKS), through the running gateway: nothing in a token makes it fetch anything, and a key server may
//! be late, rotate, fail or lie.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tollgate::gateway::Gateway;

use crate::support::client::{Got, PATIENCE, get, send};
use crate::support::gateway::{Fixture, start};
use crate::support::keys::Signer;
use crate::support::scripted::{Scripted, Talk};
use crate::support::upstream::Upstream;

const ROUTES: &str = "      - path: /{*rest}\n        to: { backend: us }\n";

fn claims() -> serde_json::Value {
    json!({"customer_id": "cust-1", "sub": "user-1", "region": "us-1", "scope": "read"})
}

pub async fn call(address: SocketAddr, token: &str) -> Got {
    let value = format!("Bearer {token}");
    send(address, get("api.test", "/a", &[("authorization", &value)])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attackers_jku_x5u_and_jwk_are_neither_fetched_nor_used_cve_2018_0114() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let trap = Scripted::start(|mut talk: Talk| async move {
        talk.request().await;
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let attacker = Signer::new(folder.path());
    let jwk = attacker.jwks("k1")["keys"][0].clone();
    let url = format!("http://{}/keys", trap.address);
    let members = [
        json!({"jku": url}),
        json!({"x5u": url}),
        json!({"jwk": jwk}),
        json!({"x5c": ["MIIB"]}),
        json!({"kid": url}),
        json!({"kid": url, "jku": url, "x5u": url, "jwk": jwk}),
        json!({"kid": "../../../../dev/null"}),
        json!({"kid": "k1' OR '1'='1"}),
        json!({"kid": "k1", "iss": url}),
        json!({"kid": "k1", "crit": ["jku"], "jku": url}),
        json!({"kid": "k1", "zip": "DEF"}),
        json!({"kid": ["k1"]}),
        json!({"kid": 1}),
    ];
    for (n, extra) in members.iter().enumerate() {
        for algorithm in ["ES256", "none", "HS256", "RS256"] {
            let mut header = json!({"alg": algorithm, "typ": "JWT"});
            header
                .as_object_mut()
                .unwrap()
                .extend(extra.as_object().unwrap().clone());
            let mut said = claims();
            said["iss"] = if n == 8 {
                json!(url)
            } else {
                json!("https://idp.example/")
            };
            let got = call(fixture.address, &attacker.sign_with(header.clone(), said)).await;
            assert_eq!(got.status, 401, "{header}: {}", got.text());
        }
    }
    assert_eq!(trap.connections(), 0, "nobody asked the attacker's server");
    assert!(fixture.us.seen().is_empty());
}

/// A key server whose answer is what the test last said.
struct KeyServer {
    server: Scripted,
    answer: Arc<Mutex<Vec<u8>>>,
}

impl KeyServer {
    async fn answering(answer: impl Into<Vec<u8>>) -> KeyServer {
        let answer = Arc::new(Mutex::new(answer.into()));
        let current = answer.clone();
        let server = Scripted::start(move |mut talk: Talk| {
            let current = current.clone();
            async move {
                if talk.request().await.is_some() {
                    let bytes = current.lock().expect("the answer").clone();
                    talk.write(bytes).await;
                }
            }
        })
        .await;
        KeyServer { server, answer }
    }

    fn say(&self, answer: impl Into<Vec<u8>>) {
        *self.answer.lock().expect("the answer") = answer.into();
    }

    /// Waits until it has been asked so many times more.
    async fn asked(&self, more: usize) {
        let goal = self.server.requests() + more;
        eventually("the gateway asks for keys", async || {
            self.server.requests() >= goal
        })
        .await;
    }
}

pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    let mut look = tokio::time::interval(Duration::from_millis(20));
    while !is_so().await {
        look.tick().await;
        assert!(begin.elapsed() < PATIENCE, "{what}: not in time");
    }
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nCache-Control: max-age=1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

pub fn keys(of: &[(&Signer, &str)]) -> String {
    let all: Vec<_> = of
        .iter()
        .map(|(signer, kid)| signer.jwks(kid)["keys"][0].clone())
        .collect();
    answer("200 OK", &json!({"keys": all}).to_string())
}

pub fn token(signer: &Signer, kid: &str) -> String {
    let mut said = claims();
    // Each is another one, so that no memory of verified tokens answers for the key.
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    said["jti"] = json!(NEXT.fetch_add(1, std::sync::atomic::Ordering::SeqCst).to_string());
    signer.sign_with(json!({"alg": "ES256", "typ": "JWT", "kid": kid}), said)
}

async fn gateway(keys_from: SocketAddr, us: &Upstream) -> (Gateway, SocketAddr, SocketAddr) {
    start(&format!(
        r#"
server: {{ workers: 1 }}
listeners: [{{ address: 127.0.0.1:0 }}]
admin: {{ address: 127.0.0.1:0 }}
issuers:
  idp:
    issuer: https://idp.example/
    audience: [api]
    algorithms: [ES256]
    keys: {{ url: "http://{keys_from}/jwks.json", refresh: 1s, floor: 1s, stale: 1h }}
    claims: {{ customer: customer_id, scope: scope }}
backends:
  us: {{ endpoints: [{us}] }}
apis:
  api:
    hosts: [api.test]
    credentials: [{{ bearer: idp }}]
    access: {{}}
    headers: {{ tenant: X-Tenant-ID }}
    routes:
{ROUTES}
"#,
        us = us.url()
    ))
    .await
}

pub fn signers() -> (tempfile::TempDir, Signer, Signer) {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (Signer::new(folder.path()), Signer::new(folder.path()));
    (folder, one, other)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_keys_is_not_ready_and_not_open_until_the_keys_come() {
    let (_folder, signer, _) = signers();
    let us = Upstream::start("us").await;
    let server = KeyServer::answering(answer("500 Internal Server Error", "{}")).await;
    let (_gateway, address, admin) = gateway(server.server.address, &us).await;
    let ready = async || send(admin, get("localhost", "/ready", &[])).await;
    let got = ready().await;
    assert_eq!(got.status, 503, "{}", got.text());
    assert!(got.text().contains("idp"), "it says why: {}", got.text());
    let got = call(address, &token(&signer, "k1")).await;
    assert_eq!(got.status, 503, "{}", got.text());
    assert!(us.seen().is_empty());
    server.say(keys(&[(&signer, "k1")]));
    eventually("readiness", async || ready().await.status == 200).await;
    let got = call(address, &token(&signer, "k1")).await;
    assert_eq!(got.status, 200, "{}", got.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_with_an_overlap_and_a_removed_one_stops_working() {
    let (_folder, old, new) = signers();
    let us = Upstream::start("us").await;
    let server = KeyServer::answering(keys(&[(&old, "old")])).await;
    let (_gateway, address, admin) = gateway(server.server.address, &us).await;
    eventually("readiness", async || {
        send(admin, get("localhost", "/ready", &[])).await.status == 200
    })
    .await;
    let remembered = token(&old, "old");
    assert_eq!(call(address, &remembered).await.status, 200);
    assert_eq!(call(address, &token(&new, "new")).await.status, 401, "not yet");
    server.say(keys(&[(&old, "old"), (&new, "new")]));
    eventually("the new key", async || {
        call(address, &token(&new, "new")).await.status == 200
    })
    .await;
    assert_eq!(
        call(address, &token(&old, "old")).await.status,
        200,
        "both are good"
    );
    server.say(keys(&[(&new, "new")]));
    eventually("the end of the old key", async || {
        call(address, &token(&old, "old")).await.status == 401
    })
    .await;
    assert_eq!(
        call(address, &remembered).await.status,
        401,
        "a remembered token does not outlive its key"
    );
    assert_eq!(call(address, &token(&new, "new")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_server_that_fails_or_lies_changes_nothing() {
    let (_folder, good, evil) = signers();
    let us = Upstream::start("us").await;
    let trap = KeyServer::answering(keys(&[(&evil, "evil")])).await;
    let secret = URL_SAFE_NO_PAD.encode([7; 32]);
    for (name, lie) in [
        ("an error", answer("500 Internal Server Error", "{}")),
        (
            "an error with keys",
            keys(&[(&evil, "evil")]).replace("200 OK", "503 Service Unavailable"),
        ),
        (
            "a redirect",
            format!(
                "HTTP/1.1 302 Found\r\nLocation: http://{}/\r\nContent-Length: 0\r\n\r\n",
                trap.server.address
            ),
        ),
        ("a page", answer("200 OK", "<html>maintenance</html>")),
        ("an empty set", answer("200 OK", r#"{"keys":[]}"#)),
        ("an empty object", answer("200 OK", "{}")),
        (
            "half an answer",
            keys(&[(&evil, "evil")]).chars().take(200).collect(),
        ),
        (
            "10 MiB",
            answer(
                "200 OK",
                &format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(10 << 20)),
            ),
        ),
        ("nothing", String::new()),
        (
            "a secret",
            answer(
                "200 OK",
                &format!(r#"{{"keys":[{{"kty":"oct","kid":"evil","k":"{secret}"}}]}}"#),
            ),
        ),
    ] {
        // Each begins with the good keys.
        let server = KeyServer::answering(keys(&[(&good, "k1")])).await;
        let (_gateway, address, admin) = gateway(server.server.address, &us).await;
        eventually("readiness", async || {
            send(admin, get("localhost", "/ready", &[])).await.status == 200
        })
        .await;
        server.say(lie);
        server.asked(1).await;
        let unknown = call(address, &token(&evil, "evil")).await;
        assert_eq!(unknown.status, 401, "{name}: {}", unknown.text());
        let got = call(address, &token(&good, "k1")).await;
        assert_eq!(
            got.status,
            200,
            "{name}: the keys of before are still good: {}",
            got.text()
        );
        let ready = send(admin, get("localhost", "/ready", &[])).await;
        assert_eq!(ready.status, 200, "{name}: {}", ready.text());
    }
    assert_eq!(trap.server.requests(), 0, "a redirect is not followed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_unknown_kids_asks_the_key_server_hardly_more_than_no_flood() {
    let (_folder, good, evil) = signers();
    let us = Upstream::start("us").await;
    let server = KeyServer::answering(keys(&[(&good, "k1")])).await;
    let (_gateway, address, admin) = gateway(server.server.address, &us).await;
    eventually("readiness", async || {
        send(admin, get("localhost", "/ready", &[])).await.status == 200
    })
    .await;
    let (before, begin) = (server.server.requests(), Instant::now());
    for n in 0..300 {
        assert_eq!(
            call(address, &token(&evil, &format!("unknown-{n}"))).await.status,
            401
        );
    }
    let (asked, took) = (server.server.requests() - before, begin.elapsed());
    println!("300 unknown kids in {took:?}: the key server was asked {asked} times");
    // `refresh` and `floor` are a second each.
    let most = 2 * (usize::try_from(took.as_secs()).unwrap() + 2);
    assert!(asked <= most, "{asked} times in {took:?}");
    assert_eq!(call(address, &token(&good, "k1")).await.status, 200);
}

//! Signed URLs, from whoever makes one to the backend that does not see the signature.

use serde_json::json;
use tollgate::base::clock::Clock;
use tollgate::gateway::{Gateway, Options};

use crate::support::client::{Got, request, send};
use crate::support::gateway::plan;
use crate::support::upstream::Upstream;
use crate::support::world::{PASSWORD, START, hash};

struct Links {
    gateway: Gateway,
    address: std::net::SocketAddr,
    backend: Upstream,
    clock: Clock,
    folder: tempfile::TempDir,
}

fn config(backend: &Upstream, folder: &std::path::Path, keys: &[&str]) -> String {
    for key in keys {
        std::fs::write(folder.join(key), format!("{key:*<40}")).expect("a file");
    }
    let keys: Vec<String> = keys
        .iter()
        .map(|key| format!("{key}: {{ file: \"{}\" }}", folder.join(key).display()))
        .collect();
    format!(
        r#"
server: {{ workers: 1 }}
listeners: [{{ address: 127.0.0.1:0 }}]
store: memory
realms:
  staff:
    users:
      alice: {{ password: {{ hash: "{hash}" }}, customer: acme, roles: [support], tenants: {{ t1: {{}} }} }}
customers:
  acme:
    uuid: u-acme
    tenants: {{ t1: {{ roles: [admin] }}, t2: {{ roles: [admin] }} }}
  t2: {{ uuid: u-t2 }}
token-services: {{}}
signed-urls:
  files: {{ keys: {{ {keys} }} }}
backends:
  backend: {{ endpoints: [{url}] }}
limits:
  per-customer: {{ rate: 3/m, burst: 3, per: customer }}
apis:
  portal:
    hosts: [portal.test, cdn.test]
    headers: {{ customer: X-Customer, tenant: X-Tenant, subject: X-Subject, roles: X-Roles }}
    tenant-selector: X-Select
    tenant-uuid-selector: X-Select-UUID
    session: {{ realm: staff }}
    access: {{}}
    routes:
      - {{ path: /login, methods: [POST], public: true, to: {{ sign-in: {{ realm: staff, body: {{ json: {{}} }}, gives: session }} }} }}
      - path: /links
        methods: [POST]
        credentials: [session]
        to: {{ sign-url: {{ keys: files, paths: ["/files/{{*rest}}"], methods: [GET, PUT], longest: 2h }} }}
      - {{ path: "/files/for-admins", credentials: [signed-url: files], access: {{ roles: [admin] }}, to: {{ backend: backend }} }}
      - {{ path: "/files/{{*rest}}", credentials: [signed-url: files], limits: [per-customer], to: {{ backend: backend }} }}
  other:
    hosts: [other.test]
    access: {{}}
    credentials: [signed-url: files]
    routes:
      - {{ path: "/files/{{*rest}}", to: {{ backend: backend }} }}
"#,
        hash = hash(),
        keys = keys.join(", "),
        url = backend.url(),
    )
    .replace("token-services: {}\n", "")
}

impl Links {
    async fn start() -> Links {
        let (backend, folder, clock) = (
            Upstream::start("files").await,
            tempfile::tempdir().expect("a folder"),
            Clock::manual(START),
        );
        let text = config(&backend, folder.path(), &["k1"]);
        let options = Options {
            clock: clock.clone(),
            ..Options::default()
        };
        let gateway = Gateway::start(plan(&text), options).await.expect("to start");
        Links {
            address: gateway.addresses()[0],
            gateway,
            backend,
            clock,
            folder,
        }
    }

    async fn call(&self, method: &str, host: &str, target: &str, fields: &[(&str, &str)], body: &str) -> Got {
        send(self.address, request(method, host, target, fields, body)).await
    }

    /// A link that alice makes, or what she is told instead.
    async fn link(&self, wanted: serde_json::Value, more: &[(&str, &str)]) -> Result<serde_json::Value, u16> {
        let body = json!({"username": "alice", "password": PASSWORD}).to_string();
        let media = ("content-type", "application/json");
        let session = self.call("POST", "portal.test", "/login", &[media], &body).await;
        let cookie = format!("session={}", crate::support::world::cookie(&session, "session"));
        let mut fields = vec![media, ("cookie", cookie.as_str())];
        fields.extend(more);
        let got = self
            .call("POST", "portal.test", "/links", &fields, &wanted.to_string())
            .await;
        if got.status == 200 {
            Ok(got.json())
        } else {
            Err(got.status.as_u16())
        }
    }

    async fn path(&self, wanted: serde_json::Value) -> String {
        let made = self.link(wanted, &[]).await.expect("a link");
        let url = made["url"].as_str().unwrap();
        url.strip_prefix("http://portal.test")
            .expect("its own host")
            .to_owned()
    }
}

/// PULSE-27, PULSE-28.
#[tokio::test]
async fn a_link_lets_whoever_has_it_make_one_call_for_an_hour_in_the_name_of_who_made_it() {
    let links = Links::start().await;
    let made = links
        .link(json!({"path": "/files/22.1/controller.pkg?v=a,b&flag"}), &[])
        .await
        .unwrap();
    assert_eq!(made["expires_in"], 3600);
    assert_eq!(made["expires_at"], "2026-01-01T01:00:00Z");
    let path = made["url"]
        .as_str()
        .unwrap()
        .strip_prefix("http://portal.test")
        .unwrap();
    for method in ["GET", "HEAD"] {
        assert_eq!(links.call(method, "portal.test", path, &[], "").await.status, 200);
    }
    let seen = links.backend.seen().pop().unwrap();
    assert_eq!(
        seen.target, "/files/22.1/controller.pkg?v=a,b&flag",
        "without the signature"
    );
    assert_eq!((seen.only("x-customer"), seen.only("x-tenant")), ("acme", "acme"));
    let also = links.call("GET", "cdn.test", path, &[], "").await;
    assert_eq!(also.status, 200, "another host of the same api");
    for (what, method, host, target) in [
        ("another method", "PUT", "portal.test", path.to_owned()),
        (
            "another path",
            "GET",
            "portal.test",
            path.replace("controller", "se"),
        ),
        (
            "another query",
            "GET",
            "portal.test",
            path.replace("flag", "flag=1"),
        ),
        (
            "another customer",
            "GET",
            "portal.test",
            path.replace("acme", "evil"),
        ),
        ("another api", "GET", "other.test", path.to_owned()),
        (
            "a dot segment",
            "GET",
            "portal.test",
            path.replace("/22.1/", "/22.1/../22.2/"),
        ),
    ] {
        let got = links.call(method, host, &target, &[], "").await;
        assert_eq!(
            (got.status.as_u16(), got.json()["code"].as_str()),
            (401, Some("credentials_invalid")),
            "{what}"
        );
    }
    let none = links
        .call("GET", "portal.test", "/files/22.1/controller.pkg", &[], "")
        .await;
    assert_eq!(none.json()["code"], "credentials_missing");
    links.clock.advance(std::time::Duration::from_secs(3600));
    let late = links.call("GET", "portal.test", path, &[], "").await;
    assert_eq!(
        (late.status.as_u16(), late.json()["code"].as_str()),
        (401, Some("token_expired"))
    );
}

#[tokio::test]
async fn a_link_says_its_tenant_and_spends_the_quota_of_its_customer() {
    let links = Links::start().await;
    let made = links
        .link(
            json!({"path": "/files/x", "method": "PUT", "expires_in": 600}),
            &[("x-select", "t1")],
        )
        .await;
    let url = made.unwrap()["url"].as_str().unwrap().to_owned();
    let path = url.strip_prefix("http://portal.test").unwrap();
    for status in [200, 200, 200, 429] {
        assert_eq!(
            links.call("PUT", "portal.test", path, &[], "x").await.status,
            status
        );
    }
    assert_eq!(links.backend.seen()[0].only("x-tenant"), "t1");
    // Whoever has it cannot select another tenant beside it: not one that its customer may act on, and not the customer itself.
    links.clock.advance(std::time::Duration::from_secs(60));
    for field in [
        ("x-select", "t2"),
        ("x-select", "t3"),
        ("x-select", "acme"),
        ("x-select-uuid", "u-t2"),
        ("x-select-uuid", "u-acme"),
    ] {
        let got = links.call("PUT", "portal.test", path, &[field], "x").await;
        assert_eq!(got.json()["code"], "tenant_forbidden", "{field:?}");
    }
    let got = links
        .call("PUT", "portal.test", path, &[("x-select", "t1")], "x")
        .await;
    assert_eq!(got.status, 200, "its own");
}

#[tokio::test]
async fn a_link_has_no_roles_whatever_its_customer_was_granted() {
    let links = Links::start().await;
    for path in ["/files/for-admins", "/files/x"] {
        let made = links.link(json!({"path": path}), &[("x-select", "t1")]).await;
        let url = made.unwrap()["url"].as_str().unwrap().to_owned();
        let target = url.strip_prefix("http://portal.test").unwrap();
        let got = links.call("GET", "portal.test", target, &[], "").await;
        let may = path == "/files/x";
        assert_eq!(got.status, if may { 200 } else { 403 }, "{path}: {}", got.text());
    }
    let seen = links.backend.seen();
    assert_eq!((seen.len(), seen[0].only("x-tenant")), (1, "t1"));
    assert!(!seen[0].headers.contains_key("x-roles"), "{:?}", seen[0].headers);
}

#[tokio::test]
async fn links_are_made_for_the_paths_methods_and_times_that_the_route_allows() {
    let links = Links::start().await;
    for (wanted, status) in [
        (json!({"path": "/links"}), 403),
        (json!({"path": "/files"}), 403),
        (json!({"path": "/files/../links"}), 403),
        (json!({"path": "/files/a", "method": "DELETE"}), 403),
        (json!({"path": "/files/a", "expires_in": 7200}), 200),
        (json!({"path": "/files/a", "expires_in": 7201}), 400),
        (json!({"path": "/files/a", "expires_in": 0}), 400),
        (json!({"path": "/files/a", "expires_in": "60"}), 400),
        (json!({"path": "files/a"}), 400),
        (json!({"path": "//evil.example/files/a"}), 403),
        (json!({"path": "http://evil.example/files/a"}), 400),
        (json!({"path": "/files/a#b"}), 400),
        (json!({"path": "/files/%2e%2e%2fa"}), 400),
        (json!({"path": 1}), 400),
        (json!({}), 400),
    ] {
        let made = links.link(wanted.clone(), &[]).await;
        assert_eq!(made.map_or_else(|status| status, |_| 200), status, "{wanted}");
    }
    let nobody = links
        .call(
            "POST",
            "portal.test",
            "/links",
            &[("content-type", "application/json")],
            "{}",
        )
        .await;
    assert_eq!(nobody.status, 401);
}

#[tokio::test]
async fn keys_are_changed_without_breaking_links_until_the_old_one_is_taken_out() {
    let links = Links::start().await;
    let before = links.path(json!({"path": "/files/a"})).await;
    let reload = async |keys: &[&str]| {
        let text = config(&links.backend, links.folder.path(), keys);
        links.gateway.reload(plan(&text)).await.unwrap();
    };
    reload(&["k2", "k1"]).await;
    let after = links.path(json!({"path": "/files/b"})).await;
    assert!(after.contains("sig-key=k2&"), "{after}");
    assert_eq!(
        links.call("GET", "portal.test", &before, &[], "").await.status,
        200
    );
    assert_eq!(
        links.call("GET", "portal.test", &after, &[], "").await.status,
        200
    );
    reload(&["k2"]).await;
    assert_eq!(
        links.call("GET", "portal.test", &before, &[], "").await.status,
        401
    );
    // A key with the same id and other bytes is another key.
    std::fs::write(links.folder.path().join("k2"), "x".repeat(40)).unwrap();
    let text = config(&links.backend, links.folder.path(), &[]).replace(
        "keys: {  }",
        &format!(
            "keys: {{ k2: {{ file: \"{}\" }} }}",
            links.folder.path().join("k2").display()
        ),
    );
    links.gateway.reload(plan(&text)).await.unwrap();
    assert_eq!(
        links.call("GET", "portal.test", &after, &[], "").await.status,
        401
    );
}

//! A gateway with accounts of its own, in this process, whose clock the test turns.

use std::net::SocketAddr;
use std::time::Duration;

use http::Request;
use http_body_util::Full;
use tollgate::accounts::{Cost, StoredPassword};
use tollgate::base::clock::{Clock, UnixTime};
use tollgate::base::secret::Secret;
use tollgate::gateway::{Gateway, Options};

use super::client::{Got, request, send};
use super::gateway::plan;
use super::upstream::Upstream;

/// The password of every user of these tests.
pub const PASSWORD: &str = "correct horse battery staple";

/// 2026-01-01T00:00:00Z.
pub const START: UnixTime = UnixTime(1_767_225_600);

/// The token of the admin listener.
pub const OPERATOR: &str = "operators-token-of-the-tests";

/// A hash of [`PASSWORD`] as cheap as the rules allow.
pub fn hash() -> String {
    let cost = Cost::new(8, 1, 1).expect("a cost");
    StoredPassword::hash(&Secret::new(PASSWORD.into()), cost)
        .expect("a hash")
        .to_phc()
}

/// A running gateway.
pub struct World {
    pub gateway: Gateway,
    pub address: SocketAddr,
    pub admin: SocketAddr,
    pub backend: Upstream,
    pub clock: Clock,
    folder: tempfile::TempDir,
    text: String,
}

impl World {
    /// An api `api.test` with these routes, the realm `staff` with alice (admin) and bob (readonly), and a token service.
    pub async fn with_routes(routes: &str) -> World {
        World::with("memory", routes).await
    }

    /// The same with this store.
    pub async fn with(store: &str, routes: &str) -> World {
        let backend = Upstream::start("backend").await;
        let folder = tempfile::tempdir().expect("a folder");
        let store = store.replace("FOLDER", &folder.path().display().to_string());
        let text = config(&backend, &store, routes);
        let clock = Clock::manual(START);
        let (gateway, address, admin) = start(&text, &clock).await;
        World {
            gateway,
            address,
            admin,
            backend,
            clock,
            folder,
            text,
        }
    }

    /// Stops this gateway and starts another one with the same files.
    pub async fn restart(mut self) -> World {
        self.gateway.drain().await;
        let (gateway, address, admin) = start(&self.text, &self.clock).await;
        (self.gateway, self.address, self.admin) = (gateway, address, admin);
        self
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The configuration's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub async fn call(&self, method: &str, target: &str, fields: &[(&str, &str)], body: &str) -> Got {
        send(self.address, request(method, "api.test", target, fields, body)).await
    }

    pub async fn post_json(&self, target: &str, body: &serde_json::Value) -> Got {
        let fields = [("content-type", "application/json")];
        self.call("POST", target, &fields, &body.to_string()).await
    }

    pub async fn post_form(&self, target: &str, body: &str) -> Got {
        let fields = [("content-type", "application/x-www-form-urlencoded")];
        self.call("POST", target, &fields, body).await
    }

    /// Signs in by JSON at `/login`.
    pub async fn sign_in(&self, name: &str, password: &str) -> Got {
        let body = serde_json::json!({"username": name, "password": password});
        self.post_json("/login", &body).await
    }

    /// Where an operator's commands find the gateway, and what they are known by.
    pub fn as_operator(&self) -> [String; 4] {
        let file = self.folder().join("operator.token");
        std::fs::write(&file, format!("{OPERATOR}\n")).expect("a file");
        let (admin, file) = (self.admin.to_string(), file.display().to_string());
        ["--admin".to_owned(), admin, "--admin-token".to_owned(), file]
    }

    /// What an operator asks of the admin listener.
    pub async fn operate(&self, method: &str, target: &str, body: Option<&serde_json::Value>) -> Got {
        let bearer = format!("Bearer {OPERATOR}");
        let mut fields = vec![("authorization", bearer.as_str())];
        if body.is_some() {
            fields.push(("content-type", "application/json"));
        }
        let text = body.map(ToString::to_string).unwrap_or_default();
        let request: Request<Full<_>> = request(method, "admin", target, &fields, &text);
        send(self.admin, request).await
    }
}

async fn start(text: &str, clock: &Clock) -> (Gateway, SocketAddr, SocketAddr) {
    let options = Options {
        clock: clock.clone(),
        ..Options::default()
    };
    let gateway = Gateway::start(plan(text), options).await.expect("to start");
    let address = gateway.addresses()[0];
    let admin = gateway.admin_address().expect("an admin listener");
    (gateway, address, admin)
}

/// The cookies that an answer sets, as name and value.
pub fn cookies(got: &Got) -> Vec<(String, String)> {
    let lines = got.headers.get_all("set-cookie").iter();
    lines
        .map(|line| {
            let line = line.to_str().expect("text");
            let pair = line.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a name and a value");
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

/// The value of the cookie `name` that an answer sets.
pub fn cookie(got: &Got, name: &str) -> String {
    let all = cookies(got);
    let found = all.iter().find(|(own, _)| own == name);
    found
        .unwrap_or_else(|| panic!("no {name} among {all:?}"))
        .1
        .clone()
}

/// The configuration of such a gateway, whose store is `store`.
pub fn config(backend: &Upstream, store: &str, routes: &str) -> String {
    let digest = |text: &str| {
        use std::fmt::Write as _;
        let digest = tollgate::base::digest::Digest::of(text);
        digest.as_bytes().iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("to write");
            hex
        })
    };
    format!(
        r#"
server: {{ workers: 1 }}
listeners: [{{ address: 127.0.0.1:0 }}]
admin: {{ address: 127.0.0.1:0, token: {{ sha256: {operator} }} }}
store: {store}
realms:
  staff:
    lockout: {{ attempts: 3, window: 15m, duration: 1m, suspends-tokens: true }}
    sessions: {{ lifetime: 2h, idle: 30m }}
    users:
      alice: {{ password: {{ hash: "{hash}" }}, customer: acme, roles: [admin], tenants: {{ t1: {{ roles: [viewer] }} }} }}
      bob: {{ password: {{ hash: "{hash}" }}, customer: acme, roles: [readonly] }}
    applications:
      app1:
        name: Reports & more
        secret: {{ sha256: {secret} }}
        redirect-uris: ["http://127.0.0.1/cb"]
        scopes: [all, read]
        grants: [authorization-code, refresh-token, client-credentials]
token-services:
  staff:
    realm: staff
    issuer: http://127.0.0.1:9/
    audience: api
    refresh: {{ lifetime: 14d }}
    scopes: {{ all: every, read: [GET, HEAD] }}
limits:
  step: {{ rate: 1/s, burst: 1, per: [route, client] }}
backends:
  backend: {{ endpoints: [{url}] }}
apis:
  api:
    hosts: [api.test]
    credentials: [bearer: staff, session]
    session: {{ realm: staff, cookie: sid, csrf: {{ cookie: csrf, headers: [X-CSRF] }} }}
    access: {{}}
    headers: {{ subject: X-Subject, roles: X-Roles, tenant: X-Tenant }}
    tenant-selector: TenantID
    routes:
{routes}
"#,
        operator = digest(OPERATOR),
        secret = digest("the secret of app1"),
        hash = hash(),
        url = backend.url(),
    )
}

//! A gateway in this process, with two regional backends, on ports that the system chose.

use std::net::SocketAddr;

use tollgate::gateway::{Gateway, Options};

use super::keys::Signer;
use super::upstream::Upstream;

/// A running gateway with backends `us` and `eu`, and someone to sign tokens.
pub struct Fixture {
    pub gateway: Gateway,
    pub address: SocketAddr,
    pub admin: SocketAddr,
    pub us: Upstream,
    pub eu: Upstream,
    signer: Signer,
    folder: tempfile::TempDir,
}

impl Fixture {
    /// One api on host `api.test`; a limit that nobody meets.
    pub async fn with_routes(routes: &str) -> Fixture {
        Fixture::with_limit("1000000/s", routes).await
    }

    /// The same with one more line under `server:`.
    pub async fn with_server(line: &str, routes: &str) -> Fixture {
        Fixture::build("1000000/s", routes, line).await
    }

    /// The same with this limit per customer.
    pub async fn with_limit(rate: &str, routes: &str) -> Fixture {
        Fixture::build(rate, routes, "").await
    }

    async fn build(rate: &str, routes: &str, server: &str) -> Fixture {
        let folder = tempfile::tempdir().expect("a folder");
        let signer = Signer::new(folder.path());
        let (us, eu) = (Upstream::start("us").await, Upstream::start("eu").await);
        let text = config(&signer, &us, &eu, rate, routes)
            .replace("  workers: 1\n", &format!("  workers: 1\n  {server}\n"));
        let (gateway, address, admin) = start(&text).await;
        Fixture {
            gateway,
            address,
            admin,
            us,
            eu,
            signer,
            folder,
        }
    }

    /// A `Bearer …` value for a customer whose home is `region`.
    pub fn token(&self, customer: &str, region: &str) -> String {
        self.token_for(customer, region, "user-1")
    }

    /// The same for another user.
    pub fn token_for(&self, customer: &str, region: &str, subject: &str) -> String {
        self.token_with(
            serde_json::json!({"customer_id": customer, "region": region, "sub": subject, "scope": "read"}),
        )
    }

    /// A token with these claims over the usual `iss`, `aud`, `exp`.
    pub fn token_with(&self, claims: serde_json::Value) -> String {
        format!("Bearer {}", self.signer.sign(claims))
    }

    /// The configuration's text with this limit and these routes.
    pub fn config(&self, rate: &str, routes: &str) -> String {
        config(&self.signer, &self.us, &self.eu, rate, routes)
    }

    /// Replaces the configuration of the running gateway.
    pub async fn reload_with_limit(&self, rate: &str, routes: &str) {
        let text = self.config(rate, routes);
        self.gateway
            .reload(plan(&text))
            .await
            .expect("a good configuration");
    }

    /// The folder of this fixture's files.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}

/// A plan from text; every diagnostic is a failure of the test.
pub fn plan(text: &str) -> tollgate::config::plan::Plan {
    tollgate::config::load_text(text, "test.yaml", &|_| None)
        .unwrap_or_else(|found| panic!("{found:#?}\n{text}"))
}

/// Starts a gateway from text: it, its first listener and its admin listener.
pub async fn start(text: &str) -> (Gateway, SocketAddr, SocketAddr) {
    let gateway = Gateway::start(plan(text), Options::default())
        .await
        .expect("to start");
    let address = gateway.addresses()[0];
    let admin = gateway.admin_address().expect("an admin listener");
    (gateway, address, admin)
}

/// The configuration of most tests.
pub fn config(signer: &Signer, us: &Upstream, eu: &Upstream, rate: &str, routes: &str) -> String {
    format!(
        r#"
server:
  workers: 1
listeners:
  - address: 127.0.0.1:0
admin: {{ address: 127.0.0.1:0 }}
regions:
  us-1: {{ hosts: [us.api.test] }}
  eu-1: {{ hosts: [eu.api.test] }}
issuers:
  idp:
    issuer: https://idp.example/
    audience: [api]
    algorithms: [ES256]
    keys: {{ file: {keys} }}
    claims: {{ customer: customer_id, region: region, scope: scope, roles: roles, tenants: tenants }}
limits:
  per-customer: {{ rate: {rate}, per: customer }}
plans:
  gold: {{ per-customer: {{ rate: 3/d }} }}
customers:
  gold-1: {{ plan: gold }}
  own-1: {{ plan: gold, limits: {{ per-customer: {{ rate: 2/d }} }} }}
  msp-1:
    tenants:
      tenant-a: {{}}
      tenant-b: {{ roles: [viewer] }}
backends:
  us: {{ endpoints: [{us}] }}
  eu: {{ endpoints: [{eu}] }}
  both:
    regions:
      us-1: [{us}]
      eu-1: [{eu}]
apis:
  api:
    hosts: [api.test, us.api.test, eu.api.test]
    credentials: [{{ bearer: idp }}]
    access: {{}}
    limits: [per-customer]
    headers: {{ tenant: X-Tenant-ID, customer: X-Customer-ID, subject: X-Subject }}
    tenant-selector: TenantID
    region: {{ from: [claim, host] }}
    routes:
{routes}
"#,
        keys = signer.public_file.display(),
        us = us.url(),
        eu = eu.url(),
    )
}

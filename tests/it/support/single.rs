//! A gateway before one backend of any kind: what the tests of hostile clients and broken backends need.

use std::net::SocketAddr;

use tollgate::gateway::Gateway;

use super::gateway::start;
use super::keys::Signer;

/// What differs from test to test; YAML in flow style, without the braces around it.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Members of `server`.
    pub server: &'static str,
    /// Members of the backend beside `endpoints`.
    pub backend: &'static str,
    /// Further routes beside `/open/{*rest}` (public) and `/{*rest}`.
    pub routes: &'static str,
}

/// The gateway, with one api on `api.test` that injects tenant, customer and subject and has the selector `TenantID`.
pub struct Single {
    pub gateway: Gateway,
    pub address: SocketAddr,
    pub admin: SocketAddr,
    signer: Signer,
    _folder: tempfile::TempDir,
}

impl Single {
    /// Before these endpoints, which are one backend.
    pub async fn before(endpoints: &[SocketAddr], setup: &Setup) -> Single {
        let folder = tempfile::tempdir().expect("a folder");
        let signer = Signer::new(folder.path());
        let (gateway, address, admin) = start(&config(&signer, endpoints, setup)).await;
        Single {
            gateway,
            address,
            admin,
            signer,
            _folder: folder,
        }
    }

    /// A `Bearer …` value for a customer and `user-1`.
    pub fn token(&self, customer: &str) -> String {
        let claims = serde_json::json!({"customer_id": customer, "sub": "user-1", "scope": "read"});
        format!("Bearer {}", self.signer.sign(claims))
    }
}

/// The configuration; `msp-1` is a provider for `tenant-a`.
pub fn config(signer: &Signer, endpoints: &[SocketAddr], setup: &Setup) -> String {
    let endpoints: Vec<String> = endpoints
        .iter()
        .map(|address| format!("\"http://{address}\""))
        .collect();
    format!(
        r#"
server: {{ workers: 1, {server} }}
listeners: [{{ address: 127.0.0.1:0 }}]
admin: {{ address: 127.0.0.1:0 }}
issuers:
  idp:
    issuer: https://idp.example/
    audience: [api]
    algorithms: [ES256]
    keys: {{ file: {keys} }}
    claims: {{ customer: customer_id, scope: scope }}
customers:
  msp-1: {{ tenants: {{ tenant-a: {{}} }} }}
backends:
  one: {{ endpoints: [{endpoints}], {backend} }}
apis:
  api:
    hosts: [api.test]
    credentials: [{{ bearer: idp }}]
    access: {{}}
    headers: {{ tenant: X-Tenant-ID, customer: X-Customer-ID, subject: X-Subject }}
    tenant-selector: TenantID
    routes:
      - path: /open/{{*rest}}
        public: true
        to: {{ backend: one }}
      - path: /{{*rest}}
        to: {{ backend: one }}
{routes}
"#,
        server = setup.server,
        backend = setup.backend,
        routes = setup.routes,
        endpoints = endpoints.join(", "),
        keys = signer.public_file.display(),
    )
}

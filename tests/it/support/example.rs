//! A configuration of `config/examples` as it is, started in this process: its backends are recording servers, its clock is
//! turned by the test, and what its users would do as operators is done through the admin listener.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tollgate::base::clock::Clock;
use tollgate::config::plan::{ListenerMode, Plan};
use tollgate::gateway::{Gateway, Options};

use super::client::{Got, request, send};
use super::upstream::Upstream;
use super::world::{OPERATOR, hash};

/// A running example.
pub struct Example {
    pub gateway: Gateway,
    /// The TLS listener of the file.
    pub secure: SocketAddr,
    /// A plain listener beside those of the file, for what TLS adds nothing to.
    pub plain: SocketAddr,
    pub admin: SocketAddr,
    pub backend: Upstream,
    pub clock: Clock,
    host: String,
    folder: tempfile::TempDir,
}

impl Example {
    /// Starts `config/examples/{name}.yaml` for clients that know it as `host`.
    pub async fn start(name: &str, host: &str, clock: Clock) -> Example {
        let backend = Upstream::start("backend").await;
        Example::before(name, host, clock, backend, &[]).await
    }

    /// The same before this backend, with these variables.
    pub async fn before(
        name: &str,
        host: &str,
        clock: Clock,
        backend: Upstream,
        variables: &[(&str, String)],
    ) -> Example {
        Example::known_as(name, &[host], clock, backend, variables).await
    }

    /// The same for clients that know it as each of `hosts`, the first before all.
    pub async fn known_as(
        name: &str,
        hosts: &[&str],
        clock: Clock,
        backend: Upstream,
        variables: &[(&str, String)],
    ) -> Example {
        let host = hosts[0];
        let folder = tempfile::tempdir().expect("a folder");
        let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let certified = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
        write("chain.pem", &certified.cert.pem());
        write("key.pem", &certified.signing_key.serialize_pem());
        write("operator.token", &format!("{OPERATOR}\n"));
        let mut plan = load(name, host, folder.path(), &backend, variables);
        let options = Options {
            clock: clock.clone(),
            ..Options::default()
        };
        let gateway = Gateway::start(plan.clone(), options).await.expect("to start");
        let addresses = gateway.addresses();
        if itself(&mut plan, addresses[addresses.len() - 1]) {
            gateway
                .reload(plan)
                .await
                .expect("the same, now that its port is known");
        }
        let (secure, plain) = (addresses[0], addresses[addresses.len() - 1]);
        let admin = gateway.admin_address().expect("an admin listener");
        Example {
            gateway,
            secure,
            plain,
            admin,
            backend,
            clock,
            host: host.to_owned(),
            folder,
        }
    }

    /// The certificate that clients have to believe.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("chain.pem")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where clients find it, with the port that the system chose.
    pub fn url(&self) -> String {
        self.url_of(&self.host)
    }

    /// The same under another of its names.
    pub fn url_of(&self, host: &str) -> String {
        format!("https://{host}:{}", self.secure.port())
    }

    pub async fn call(&self, method: &str, target: &str, fields: &[(&str, &str)], body: &str) -> Got {
        send(self.plain, request(method, &self.host, target, fields, body)).await
    }

    /// What an operator asks of the admin listener, and it does.
    pub async fn operate(&self, method: &str, target: &str, body: &Value) -> Value {
        let bearer = format!("Bearer {OPERATOR}");
        let fields = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        let got = send(
            self.admin,
            request(method, "admin", target, &fields, &body.to_string()),
        )
        .await;
        assert!(got.status.is_success(), "{target}: {} {}", got.status, got.text());
        serde_json::from_slice(&got.body).unwrap_or(Value::Null)
    }

    /// A user of `realm` who may sign in.
    pub async fn user(&self, realm: &str, name: &str, password: &str, access: Value) {
        let body = json!({"name": name, "password": password, "access": access});
        let users = format!("/v1/realms/{realm}/users");
        let made = self.operate("POST", &users, &body).await;
        let state = format!("{users}/{}/state", made["id"].as_str().expect("an id"));
        self.operate("PUT", &state, &json!({"state": "active"})).await;
    }

    /// An application of `realm`: its client id and its secret.
    pub async fn application(&self, realm: &str, body: Value) -> (String, String) {
        let target = format!("/v1/realms/{realm}/applications");
        let made = self.operate("POST", &target, &body).await;
        let text = |name: &str| made[name].as_str().expect(name).to_owned();
        (text("client_id"), text("client_secret"))
    }
}

/// A gateway that is its own identity provider posts codes to itself, at a port that the system chose.
fn itself(plan: &mut Plan, address: SocketAddr) -> bool {
    let mut is_asked = false;
    for provider in &mut plan.providers {
        for url in [Some(&mut provider.token), provider.revocation.as_mut()]
            .into_iter()
            .flatten()
        {
            let text = url.to_string();
            if let Some(rest) = text.strip_prefix(NOWHERE) {
                *url = format!("http://{address}{rest}").parse().expect("a URL");
                is_asked = true;
            }
        }
    }
    is_asked
}

/// Stands for the gateway itself until its port is known.
const NOWHERE: &str = "http://127.0.0.1:9";

/// The file, with ports that the system chooses, and every backend in the place of which there is one.
fn load(name: &str, host: &str, folder: &Path, backend: &Upstream, variables: &[(&str, String)]) -> Plan {
    let file = format!("{}/config/examples/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let path = |name: &str| Some(folder.join(name).display().to_string());
    let given = |variable: &str| {
        variables
            .iter()
            .find(|(name, _)| *name == variable)
            .map(|(_, value)| value.clone())
    };
    let environment = |variable: &str| match variable {
        _ if given(variable).is_some() => given(variable),
        "LISTEN_INNER" | "LISTEN_TLS" | "LISTEN_PLAIN" | "ADMIN_ADDRESS" => Some("127.0.0.1:0".to_owned()),
        "TLS_CERTIFICATE" => path("chain.pem"),
        "TLS_KEY" => path("key.pem"),
        "OPERATOR_TOKEN" => path("operator.token"),
        "STORE" => path("store.db"),
        "KEYS" => path("keys"),
        "CONTROLLER_KEYS" => path("controller-keys"),
        "PORTAL_KEYS" => path("portal-keys"),
        "VCENTER_KEYS" => path("vcenter-keys"),
        "ADDRESS" | "CENTRAL_ADDRESS" | "CONTROLLER_ADDRESS" | "PORTAL_ADDRESS" | "VCENTER_ADDRESS" => {
            Some(format!("https://{host}"))
        }
        "ISSUER" => Some("https://idp.example/".to_owned()),
        "KEYS_URL" => Some("http://127.0.0.1:9/jwks.json".to_owned()),
        "CONTROLLER_BACKEND" | "VCENTER_BACKEND" => Some(backend.url()),
        "PORTAL_IDP" => Some(NOWHERE.to_owned()),
        "PORTAL_SECRET" | "LINKS_KEY" => Some("of-forty-characters-as-the-rules-ask-for".to_owned()),
        "ADMIN_PASSWORD" => Some(hash()),
        _ => None,
    };
    let mut plan =
        tollgate::config::load(Path::new(&file), &environment).unwrap_or_else(|found| panic!("{found:#?}"));
    for backends in &mut plan.backends {
        for endpoint in &mut backends.endpoints {
            endpoint.host = backend.address.ip().to_string();
            endpoint.port = backend.address.port();
        }
    }
    // An issuer that is somebody else's is not asked for keys here: nobody brings its tokens.
    for issuer in &mut plan.issuers {
        issuer.keys.clear();
    }
    let mut beside = plan.listeners[0].clone();
    beside.address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    beside.mode = ListenerMode::Plain;
    plan.listeners.push(beside);
    plan.telemetry.access_log = None;
    plan
}

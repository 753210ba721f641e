//! A shipped configuration as it is, with local backends and keys in the places of the real ones: the ten regions of
//! Table 4, the four capped routes, the provider's header, and the refusals that existing clients act on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use tollgate::config::plan::{KeySource, ListenerMode, Plan};
use tollgate::gateway::{Gateway, Options};

use crate::support::client::{Got, get, raw, request, send};
use crate::support::keys::Signer;
use crate::support::process::Process;
use crate::support::upstream::Upstream;

/// Region, host name (ARUBA-24 to 33).
const TABLE_4: [(&str, &str); 10] = [
    ("US-1", "app1-apigw.central.arubanetworks.com"),
    ("US-2", "apigw-prod2.central.arubanetworks.com"),
    ("US-WEST-4", "apigw-uswest4.central.arubanetworks.com"),
    ("EU-1", "eu-apigw.central.arubanetworks.com"),
    ("EU-3", "apigw-eucentral3.central.arubanetworks.com"),
    ("Canada-1", "apigw-ca.central.arubanetworks.com"),
    ("China-1", "apigw.central.arubanetworks.com.cn"),
    ("APAC-1", "api-ap.central.arubanetworks.com"),
    ("APAC-EAST1", "apigw-apaceast.central.arubanetworks.com"),
    ("APAC-SOUTH1", "apigw-apacsouth.central.arubanetworks.com"),
];

struct House {
    _gateway: Gateway,
    address: SocketAddr,
    redirect: SocketAddr,
    signer: Signer,
    backends: Vec<(String, Upstream)>,
    _folder: tempfile::TempDir,
}

impl House {
    async fn start() -> House {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["dev-cert", "--name", "localhost", "--out"])
            .arg(folder.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        std::fs::write(folder.path().join("operator.token"), "the-operators-token").unwrap();
        let signer = Signer::new(folder.path());
        let mut plan = load(folder.path());
        let anywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        for listener in &mut plan.listeners {
            listener.address = anywhere;
            // TLS itself is tested elsewhere; this is about what is answered.
            if matches!(listener.mode, ListenerMode::Tls(_)) {
                listener.mode = ListenerMode::Plain;
            }
        }
        plan.telemetry.access_log = None;
        if let Some(admin) = &mut plan.admin {
            admin.address = anywhere;
        }
        for issuer in &mut plan.issuers {
            issuer.keys = vec![KeySource::JwkFile(signer.public_file.clone())];
            issuer.audience = vec!["api".to_owned()];
        }
        let mut backends = Vec::new();
        for backend in &mut plan.backends {
            for endpoint in &mut backend.endpoints {
                let region = endpoint
                    .region
                    .map(|region| plan.regions[region.index()].name.to_string());
                let upstream = Upstream::start("backend").await;
                endpoint.host = upstream.address.ip().to_string();
                endpoint.port = upstream.address.port();
                backends.push((
                    format!("{} {}", backend.name, region.unwrap_or_default()),
                    upstream,
                ));
            }
        }
        let gateway = Gateway::start(plan, Options::default()).await.unwrap();
        let addresses = gateway.addresses();
        House {
            _gateway: gateway,
            address: addresses[0],
            redirect: addresses[1],
            signer,
            backends,
            _folder: folder,
        }
    }

    fn token(&self, customer: &str, region: &str, scope: &str) -> String {
        let claims =
            serde_json::json!({"sub": "user-1", "customer_id": customer, "region": region, "scope": scope});
        format!("Bearer {}", self.signer.sign(claims))
    }

    fn seen_by(&self, backend: &str) -> usize {
        self.backends
            .iter()
            .filter(|(name, _)| name == backend)
            .map(|(_, upstream)| upstream.seen().len())
            .sum()
    }

    fn seen_at_all(&self) -> usize {
        self.backends
            .iter()
            .map(|(_, upstream)| upstream.seen().len())
            .sum()
    }

    async fn call(&self, region: usize, token: &str, method: &str, target: &str, body: &str) -> Got {
        let fields = [("authorization", token), ("content-type", "application/json")];
        send(
            self.address,
            request(method, TABLE_4[region].1, target, &fields, body),
        )
        .await
    }
}

fn load(folder: &Path) -> Plan {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/examples/aruba-central.yaml");
    let environment = |name: &str| match name {
        "TLS_CERTIFICATE" => Some(folder.join("chain.pem").display().to_string()),
        "TLS_KEY" => Some(folder.join("key.pem").display().to_string()),
        "ISSUER" => Some("https://idp.example/".to_owned()),
        "KEYS_URL" => Some("https://idp.example/jwks.json".to_owned()),
        "CENTRAL_ADDRESS" => Some("https://gateway.example".to_owned()),
        "STORE" => Some(folder.join("store.db").display().to_string()),
        "OPERATOR_TOKEN" => Some(folder.join("operator.token").display().to_string()),
        _ => None,
    };
    tollgate::config::load(Path::new(file), &environment).unwrap_or_else(|found| panic!("{found:#?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_the_ten_regions_is_served_at_its_own_door_and_at_no_other_aruba_23_to_33() {
    let house = House::start().await;
    for (index, (region, host)) in TABLE_4.iter().enumerate() {
        let token = house.token(&format!("customer-{index}"), region, "read");
        let got = house.call(index, &token, "GET", "/monitoring/v1/aps", "").await;
        assert_eq!(got.status, 200, "{region}: {}", got.text());
        assert_eq!(house.seen_by(&format!("central {region}")), 1, "{region}");
        let wrong = house
            .call((index + 1) % 10, &token, "GET", "/monitoring/v1/aps", "")
            .await;
        assert_eq!(wrong.status, 421, "{region}");
        assert!(wrong.text().contains(host), "{region}: {}", wrong.text());
    }
    assert_eq!(house.seen_at_all(), 10);
    for stranger in [
        "central.arubanetworks.com",
        "x.app1-apigw.central.arubanetworks.com",
        "apigw.central.arubanetworks.coms",
    ] {
        let got = send(house.address, get(stranger, "/monitoring/v1/aps", &[])).await;
        assert_eq!(got.status, 404, "{stranger}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_four_routes_are_capped_and_their_refusal_is_the_documented_one_aruba_11_to_18() {
    let house = House::start().await;
    for (index, path) in [
        "/msp_api/v1/customers",
        "/msp_api/v1/customers/c1/devices",
        "/msp_api/v1/devices",
    ]
    .iter()
    .enumerate()
    {
        let token = house.token(&format!("customer-{index}"), "US-1", "read");
        let got = house
            .call(0, &token, "GET", &format!("{path}?limit=50&offset=0"), "")
            .await;
        assert_eq!(got.status, 200, "{path}: {}", got.text());
        let got = house
            .call(0, &token, "GET", &format!("{path}?offset=0&limit=100"), "")
            .await;
        assert_eq!(
            (got.status.as_u16(), got.text().as_str()),
            (400, r#"{"message":"LIMIT_REQUEST_EXCEEDED"}"#),
            "{path}"
        );
    }
    let token = house.token("customer-put", "US-1", "read write");
    let devices = |count: usize| {
        serde_json::json!({"devices": vec![serde_json::json!({"serial": "S"}); count]}).to_string()
    };
    let path = "/msp_api/v1/customers/c1/devices";
    assert_eq!(house.call(0, &token, "PUT", path, &devices(50)).await.status, 200);
    let got = house.call(0, &token, "PUT", path, &devices(51)).await;
    assert_eq!(
        (got.status.as_u16(), got.text().as_str()),
        (400, r#"{"message":"LIMIT_REQUEST_EXCEEDED"}"#)
    );
    let got = house
        .call(0, &token, "GET", "/monitoring/v1/aps?limit=1000", "")
        .await;
    assert_eq!(got.status, 200, "no other route is capped");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_refusals_are_those_that_the_clients_act_on() {
    let house = House::start().await;
    let got = house
        .call(0, "Bearer nonsense", "GET", "/monitoring/v1/aps", "")
        .await;
    assert_eq!(got.status, 401);
    assert!(
        got.text().contains("invalid_token"),
        "they refresh only if the body says so: {}",
        got.text()
    );
    let token = house.token("customer-1", "US-1", "read");
    let got = house.call(0, &token, "POST", "/monitoring/v1/aps", "{}").await;
    assert_eq!(got.status, 403, "scope `read` is for reading only (ARUBA-86)");
    for _ in 0..6 {
        assert_eq!(
            house
                .call(0, &token, "GET", "/monitoring/v1/aps", "")
                .await
                .status,
            200
        );
    }
    let mut limited = house.call(0, &token, "GET", "/monitoring/v1/aps", "").await;
    while limited.status == 200 {
        limited = house.call(0, &token, "GET", "/monitoring/v1/aps", "").await;
    }
    assert_eq!(
        (limited.status.as_u16(), limited.text().as_str()),
        (429, r#"{"message":"API rate limit exceeded"}"#)
    );
    assert_eq!(
        limited.header("x-ratelimit-remaining-second"),
        Some("0"),
        "without it they end themselves"
    );
    assert!(limited.header("retry-after").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_acts_on_its_tenant_with_the_tenants_role_aruba_58_to_62() {
    let house = House::start().await;
    let token = house.token("msp-example", "US-1", "read");
    let tenant = "267958b55d5a463e94a302c20f4a6b68";
    let fields = [("authorization", token.as_str()), ("TenantID", tenant)];
    let got = send(house.address, get(TABLE_4[0].1, "/central/v2/sites", &fields)).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let seen = house
        .backends
        .iter()
        .flat_map(|(_, upstream)| upstream.seen())
        .next()
        .unwrap();
    assert_eq!(seen.only("tenantid"), tenant);
    assert_eq!(seen.only("x-customer-id"), "msp-example", "the provider pays");
    assert_eq!(seen.only("x-roles"), "readonly");
    let fields = [
        ("authorization", token.as_str()),
        ("TenantID", "00000000000000000000000000000000"),
    ];
    assert_eq!(
        send(house.address, get(TABLE_4[0].1, "/central/v2/sites", &fields))
            .await
            .status,
        403
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_sent_to_the_tls_port_with_method_and_query_aruba_50_51() {
    let house = House::start().await;
    let bytes = format!(
        "POST /oauth2/token?a=b HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        TABLE_4[0].1
    );
    let answer = String::from_utf8(raw(house.redirect, bytes.as_bytes()).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 308"), "{answer}");
    let location = format!("https://{}/oauth2/token?a=b", TABLE_4[0].1);
    assert!(
        answer
            .to_ascii_lowercase()
            .contains(&format!("location: {location}")),
        "{answer}"
    );
    assert_eq!(house.seen_at_all(), 0);
}

#[tokio::test]
async fn the_first_configuration_starts_as_it_lies_there_and_answers() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/tollgate.yaml");
    let anywhere = [
        ("TOLLGATE_ADDRESS", "127.0.0.1:0"),
        ("TOLLGATE_ADMIN", "127.0.0.1:0"),
    ];
    let process = Process::start_with(&file, &anywhere);
    let got = send(process.admin, get("localhost", "/ready", &[])).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let got = send(process.address, get("anything.example", "/health", &[])).await;
    assert_eq!((got.status.as_u16(), &got.json()["status"]), (200, &"ok".into()));
    let got = send(process.address, get("anything.example", "/v1/things", &[])).await;
    assert_eq!(got.status, 401, "{}", got.text());
}

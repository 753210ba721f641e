//! Three front doors with accounts of their own, driven by the programs that were written for them: a vendor's SDK, a printed
//! sample, generic OAuth libraries.

use serde_json::json;
use tollgate::base::clock::Clock;

use crate::support::client::{request, send};
use crate::support::driver::Driver;
use crate::support::example::Example;
use crate::support::world::{PASSWORD, START, cookie, cookies};
use crate::tokens::python_of;

// ---- a provider's api with scripted sign-in

pub const DOOR: &str = "eu-apigw.central.arubanetworks.com";
const CUSTOMER: &str = "267958b55d5a463e94a302c20f4a0001";
const TENANT: &str = "267958b55d5a463e94a302c20f4a6b68";
const OPERATOR_NAME: &str = "operator@msp.example";

/// The shipped configuration with a provider, one of its users and an application, as an operator makes them.
struct Central {
    example: Example,
    client: String,
    secret: String,
}

impl Central {
    async fn start(clock: &Clock) -> Central {
        let example = Example::start("aruba-central", DOOR, clock.clone()).await;
        let (client, secret) = central_users(&example).await;
        Central {
            example,
            client,
            secret,
        }
    }

    /// The vendor's SDK, as it is, over TLS at the door of the region.
    fn sdk(&self, folder: &std::path::Path, step: &str) -> Option<Driver> {
        central_sdk(&self.example, (&self.client, &self.secret), folder, step)
    }
}

/// What an operator makes: the client id and the secret of an application.
pub async fn central_users(example: &Example) -> (String, String) {
    let provider = json!({"name": "A provider", "region": "EU-1", "tenants": [{"tenant": TENANT, "roles": ["readonly"]}]});
    let customer = format!("/v1/customers/{CUSTOMER}");
    example.operate("PUT", &customer, &provider).await;
    let access = json!({"customer": CUSTOMER, "roles": ["admin"]});
    example.user("central", OPERATOR_NAME, PASSWORD, access).await;
    example
            .application(
                "central",
                json!({"name": "Inventory", "owner": OPERATOR_NAME, "customer": CUSTOMER, "scopes": ["all", "read"],
                    "grants": ["authorization_code", "refresh_token"]}),
            )
            .await
}

/// The vendor's SDK, as it is, in the name of this application.
pub fn central_sdk(
    example: &Example,
    (client, secret): (&str, &str),
    folder: &std::path::Path,
    step: &str,
) -> Option<Driver> {
    let certificate = example.certificate();
    Driver::start(
        "central_sdk.py",
        &[
            &example.url_of(DOOR),
            client,
            secret,
            CUSTOMER,
            certificate.to_str().unwrap(),
            folder.to_str().unwrap(),
            step,
        ],
    )
}

/// ARUBA-04, ARUBA-05, ARUBA-19, ARUBA-53, ARUBA-56, ARUBA-101 to ARUBA-105.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_signs_in_calls_and_refreshes_when_its_token_has_expired() {
    let clock = Clock::manual(START);
    let central = Central::start(&clock).await;
    let backend = &central.example.backend;
    let folder = tempfile::tempdir().unwrap();
    let Some(driver) = central.sdk(folder.path(), "refresh") else {
        return;
    };
    let (driver, first) = driver.next().await;
    assert_eq!(first["call"]["code"], 200, "{first}");
    assert_eq!(
        first["token"],
        json!(["access_token", "expires_in", "refresh_token", "token_type"]),
        "{first}"
    );
    let seen = backend.seen().pop().unwrap();
    assert_eq!(seen.only("x-customer-id"), CUSTOMER);
    let (mut driver, turn) = driver.next().await;
    assert_eq!(turn, "turn");
    clock.advance(std::time::Duration::from_secs(2 * 3600));
    driver.go_on();
    let (_driver, then) = driver.next().await;
    assert_eq!(then["call"]["code"], 200, "{then}");
    assert_eq!(
        (&then["another"], &then["rotated"]),
        (&json!(true), &json!(true)),
        "{then}"
    );
}

/// ARUBA-58 to ARUBA-62, ARUBA-76.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_recovers_from_429_and_acts_on_its_tenants_alone() {
    let central = Central::start(&Clock::system()).await;
    let folder = tempfile::tempdir().unwrap();
    let Some(driver) = central.sdk(folder.path(), "limited") else {
        return;
    };
    let (driver, first) = driver.next().await;
    assert_eq!(first["call"]["code"], 200, "{first}");
    let (_driver, codes) = driver.next().await;
    assert_eq!(codes, json!(vec![200; 10]));
    // The token file is there: the second program goes on with it.
    let Some(driver) = central.sdk(folder.path(), "tenant") else {
        return;
    };
    let (driver, _) = driver.next().await;
    let (_driver, tenants) = driver.next().await;
    assert_eq!(tenants, json!({"own": 200, "other": 403}));
    let seen = central.example.backend.seen();
    let on_tenant = seen
        .iter()
        .find(|seen| seen.headers.get("tenantid").is_some_and(|value| value == TENANT));
    let on_tenant = on_tenant.expect("the call on the tenant");
    assert_eq!(
        on_tenant.only("x-roles"),
        "readonly",
        "the tenant's role, not the user's"
    );
    assert_eq!(on_tenant.only("x-customer-id"), CUSTOMER, "the provider pays");
}

/// ARUBA-64 to ARUBA-67, ARUBA-69 to ARUBA-73, ARUBA-75 to ARUBA-81, ARUBA-83 to ARUBA-90, ARUBA-93, ARUBA-94, ARUBA-97, ARUBA-99,
/// ARUBA-106.
#[tokio::test]
async fn the_steps_make_codes_clients_and_tokens_and_take_them_back() {
    let clock = Clock::manual(START);
    let central = Central::start(&clock).await;
    let (address, backend) = (central.example.plain, &central.example.backend);
    let (client, owned_secret) = (central.client.as_str(), central.secret.as_str());
    let post = |target: String, fields: Vec<(&'static str, String)>, body: String| async move {
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        send(address, request("POST", DOOR, &target, &fields, &body)).await
    };
    let media = ("content-type", "application/json".to_owned());
    let steps = "/oauth2/authorize/central/api";
    // ARUBA-75: a wrong password.
    let wrong = json!({"username": "operator@msp.example", "password": "wrong"}).to_string();
    let got = post(
        format!("{steps}/login?client_id={client}"),
        vec![media.clone()],
        wrong,
    )
    .await;
    assert_eq!(
        (got.status.as_u16(), got.json()),
        (401, json!({"message": "Auth failure", "status": false}))
    );
    clock.advance(std::time::Duration::from_secs(1));
    let right = json!({"username": "operator@msp.example", "password": PASSWORD}).to_string();
    let got = post(
        format!("{steps}/login?client_id={client}"),
        vec![media.clone()],
        right.clone(),
    )
    .await;
    assert_eq!(
        (got.status.as_u16(), got.json()),
        (200, json!({"status": true})),
        "{}",
        got.text()
    );
    assert_eq!(cookies(&got).len(), 2);
    let session = ("cookie", format!("session={}", cookie(&got, "session")));
    let csrf = ("x-csrf-token", cookie(&got, "csrftoken"));
    // ARUBA-65: one call a second on each step and client.
    let limited = post(
        format!("{steps}/login?client_id={client}"),
        vec![media.clone()],
        right,
    )
    .await;
    assert_eq!(
        (limited.status.as_u16(), limited.json()),
        (429, json!({"message": "API rate limit exceeded"}))
    );
    // ARUBA-77 to 82: credentials for a tenant of the provider, and for no other.
    let all = || vec![media.clone(), session.clone(), csrf.clone()];
    let body = |customer: &str| json!({"customer_id": customer}).to_string();
    let got = post(
        format!("{steps}/client_credentials?client_id={client}"),
        all(),
        body(TENANT),
    )
    .await;
    assert_eq!(got.status, 200, "{}", got.text());
    let minted = got.json();
    clock.advance(std::time::Duration::from_secs(1));
    let other = "0".repeat(32);
    let got = post(
        format!("{steps}/client_credentials?client_id={client}"),
        all(),
        body(&other),
    )
    .await;
    assert_eq!(got.status, 403, "{}", got.text());
    // ARUBA-89, 90.
    let query = format!("{steps}?client_id={client}&response_type=code&scope=all");
    let got = post(
        query.clone(),
        vec![media.clone(), session.clone()],
        body(CUSTOMER),
    )
    .await;
    assert_eq!(got.status, 403, "{}", got.text());
    let got = post(query.clone(), vec![media.clone()], body(CUSTOMER)).await;
    assert_eq!(got.status, 401, "{}", got.text());
    let got = post(query.clone(), all(), body(CUSTOMER)).await;
    assert_eq!(got.status, 200, "{}", got.text());
    // ARUBA-94: the same two cookies once more.
    let again = cookies(&got);
    assert_eq!(again.len(), 2);
    assert_eq!(format!("session={}", cookie(&got, "session")), session.1);
    assert_eq!(cookie(&got, "csrftoken"), csrf.1);
    let code = got.json()["auth_code"].as_str().unwrap().to_owned();
    let exchange = |client: &str, secret: &str, code: &str| {
        format!(
            "/oauth2/token?client_id={client}&client_secret={secret}&grant_type=authorization_code&code={code}"
        )
    };
    let got = post(exchange(client, owned_secret, &code), vec![], String::new()).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let token = got.json();
    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
    let call = |bearer: String| async move {
        let fields = [("authorization", bearer.as_str())];
        send(address, request("GET", DOOR, "/monitoring/v1/aps", &fields, "")).await
    };
    assert_eq!(call(bearer.clone()).await.status, 200);
    // ARUBA-65 once more: the third step is counted as well.
    clock.advance(std::time::Duration::from_secs(1));
    // The code again: it revokes what came of it.
    let got = post(exchange(client, owned_secret, &code), vec![], String::new()).await;
    assert_eq!(
        (got.status.as_u16(), got.json()["error"].as_str()),
        (400, Some("invalid_grant")),
        "{}",
        got.text()
    );
    let refused = call(bearer).await;
    assert_eq!(refused.status, 401);
    assert!(refused.text().contains("invalid_token"), "{}", refused.text());
    // The minted credentials act on their tenant.
    clock.advance(std::time::Duration::from_secs(1));
    let (id, secret) = (
        minted["client_id"].as_str().unwrap(),
        minted["client_secret"].as_str().unwrap(),
    );
    let query = format!("{steps}/?client_id={id}&response_type=code&scope=read");
    let got = post(query, all(), body(TENANT)).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let code = got.json()["auth_code"].as_str().unwrap().to_owned();
    let token = post(exchange(id, secret, &code), vec![], String::new())
        .await
        .json();
    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap_or_default());
    assert_eq!(call(bearer.clone()).await.status, 200, "{token}");
    assert_eq!(backend.seen().pop().unwrap().only("tenantid"), TENANT);
    // ARUBA-86: a token of scope `read` changes nothing.
    let fields = [("authorization", bearer.as_str())];
    let got = send(address, request("POST", DOOR, "/monitoring/v1/aps", &fields, "")).await;
    assert_eq!(got.status, 403);
    // Deleting it by session: the next call is refused.
    let text = json!({"access_token": token["access_token"]}).to_string();
    let fields = [media, session, csrf];
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let got = send(
        address,
        request("DELETE", DOOR, "/oauth2/api/tokens", &fields, &text),
    )
    .await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert_eq!(call(bearer).await.status, 401);
}

/// ARUBA-68, ARUBA-74, ARUBA-82, ARUBA-91, ARUBA-92, ARUBA-95, ARUBA-96, ARUBA-98, ARUBA-100, ARUBA-102, ARUBA-103, ARUBA-104,
/// ARUBA-128.
#[tokio::test]
async fn the_steps_refuse_in_the_words_of_the_guide_and_their_codes_end_after_five_minutes() {
    let clock = Clock::manual(START);
    let central = Central::start(&clock).await;
    let (client, secret) = (central.client.as_str(), central.secret.as_str());
    // ARUBA-98: both are hexadecimal, and ARUBA-128: an operator has handed them out.
    for text in [client, secret] {
        assert!(
            text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{text}"
        );
    }
    let address = central.example.plain;
    let post = async |target: &str, fields: &[(&str, &str)], body: &str| {
        send(address, request("POST", DOOR, target, fields, body)).await
    };
    let json_body = ("content-type", "application/json");
    let steps = "/oauth2/authorize/central/api";
    let extra = |text: &serde_json::Value| text["extra"] == json!({}) && text["message"].is_string();
    let right = json!({"username": OPERATOR_NAME, "password": PASSWORD}).to_string();
    let got = post(&format!("{steps}/login?client_id={client}"), &[json_body], "{").await;
    assert_eq!(
        (got.status.as_u16(), extra(&got.json())),
        (400, true),
        "{}",
        got.text()
    );
    let got = post(&format!("{steps}/login?client_id=nobody"), &[json_body], &right).await;
    assert_eq!(
        (got.status.as_u16(), got.json()),
        (401, json!({"message": "Auth failure", "status": false}))
    );
    clock.advance(std::time::Duration::from_secs(1));
    let got = post(&format!("{steps}/login?client_id={client}"), &[json_body], &right).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let session = format!("session={}", cookie(&got, "session"));
    let csrf = cookie(&got, "csrftoken");
    let fields = [
        json_body,
        ("cookie", session.as_str()),
        ("x-csrf-token", csrf.as_str()),
    ];
    let own = json!({"customer_id": CUSTOMER}).to_string();
    let second = format!("{steps}?client_id={client}&response_type=code&scope=all");
    // A step refuses what it cannot read, and counts it.
    let got = post(&second, &fields, "[]").await;
    assert_eq!(
        (got.status.as_u16(), extra(&got.json())),
        (400, true),
        "{}",
        got.text()
    );
    for step in [&second, &format!("{steps}/client_credentials?client_id={client}")] {
        let got = post(step, &fields, &own).await;
        let got = if got.status == 429 {
            got
        } else {
            post(step, &fields, &own).await
        };
        assert_eq!(
            (got.status.as_u16(), got.json()),
            (429, json!({"message": "API rate limit exceeded"})),
            "{step}"
        );
    }
    let code = async || {
        clock.advance(std::time::Duration::from_secs(1));
        let got = post(&second, &fields, &own).await;
        got.json()["auth_code"]
            .as_str()
            .unwrap_or_else(|| panic!("{}", got.text()))
            .to_owned()
    };
    let exchange = async |rest: &str| {
        clock.advance(std::time::Duration::from_secs(1));
        post(
            &format!("/oauth2/token?client_id={client}&client_secret={secret}&{rest}"),
            &[],
            "",
        )
        .await
    };
    // Another redirect URI than the one of the registration: it has none.
    let late = code().await;
    let got = exchange(&format!(
        "grant_type=authorization_code&code={late}&redirect_uri=https%3A%2F%2Fevil.example%2F"
    ))
    .await;
    assert_eq!(got.status, 400, "{}", got.text());
    let late = code().await;
    clock.advance(std::time::Duration::from_secs(300));
    let got = exchange(&format!("grant_type=authorization_code&code={late}")).await;
    assert_eq!(
        (got.status.as_u16(), got.json()["error"].as_str()),
        (400, Some("invalid_grant")),
        "{}",
        got.text()
    );
    let in_time = code().await;
    clock.advance(std::time::Duration::from_secs(297));
    let tokens = exchange(&format!("grant_type=authorization_code&code={in_time}"))
        .await
        .json();
    assert_eq!(
        (&tokens["token_type"], &tokens["expires_in"]),
        (&json!("bearer"), &json!(7200)),
        "{tokens}"
    );
    // ARUBA-103, 104: another access token without the steps, for the application that it was granted to and for no other.
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let (other, other_secret) = central
        .example
        .application(
            "central",
            json!({"name": "Other", "scopes": ["all"], "grants": ["refresh_token"]}),
        )
        .await;
    let got = post(
        &format!("/oauth2/token?client_id={other}&client_secret={other_secret}&grant_type=refresh_token&refresh_token={refresh}"),
        &[],
        "",
    )
    .await;
    assert_eq!(got.json()["error"], "invalid_grant", "{}", got.text());
    let got = exchange(&format!("grant_type=refresh_token&refresh_token={refresh}")).await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert_ne!(got.json()["refresh_token"], tokens["refresh_token"]);
}

/// ARUBA-01, ARUBA-02, ARUBA-03, ARUBA-07 to 10, ARUBA-20, ARUBA-21, ARUBA-54, ARUBA-55, ARUBA-57, ARUBA-63, ARUBA-108, ARUBA-110 to 126.
#[tokio::test]
async fn each_family_of_the_api_is_behind_the_one_door_and_answers_are_the_backends_own() {
    let clock = Clock::manual(START);
    let central = Central::start(&clock).await;
    let made = central
        .example
        .operate(
            "POST",
            "/v1/realms/central/tokens",
            &json!({"user": OPERATOR_NAME, "application": central.client, "scopes": ["all"]}),
        )
        .await;
    let bearer = format!("Bearer {}", made["token"].as_str().expect("a token"));
    let fields = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    for path in [
        "/monitoring/v1/aps",
        "/configuration/v2/groups",
        "/apprf/v1/topstats",
        "/guest/v1/portals",
        "/msp_api/v1/resource",
        "/platform/rbac/v1/users",
        "/auditlogs/v1/events",
        "/platform/device_inventory/v1/devices",
        "/platform/licensing/v1/subscriptions",
        "/presence/v3/analytics/trends",
        "/device_management/v1/device/x/action/reboot",
        "/firmware/v1/status",
        "/troubleshooting/v1/commands",
        "/notifications/v1",
        "/ucc/v1/SessionSummary",
        "/reports/CUSTOMER/configured",
        "/wan_health/v1/policy",
        "/branchhealth/v1/site",
        "/webhooks/v1/w/token",
        "/visualrf_api/v1/campus",
        "/dps/v1/policies",
        "/central/v2/sites",
    ] {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            clock.advance(std::time::Duration::from_secs(1));
            let got = central
                .example
                .call(method, &format!("{path}?q=a%2Cb"), &fields, "")
                .await;
            assert_eq!(got.status, 200, "{method} {path}: {}", got.text());
            let seen = central.example.backend.seen().pop().unwrap();
            assert_eq!(
                (seen.method.as_str(), seen.target.as_str()),
                (method, format!("{path}?q=a%2Cb").as_str())
            );
            assert_eq!(seen.only("x-customer-id"), CUSTOMER);
            assert_eq!(
                got.json()["served_by"],
                "backend",
                "as the backend said it: {}",
                got.text()
            );
            assert_eq!(got.header("content-type"), Some("application/json"));
        }
    }
    clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(
        central
            .example
            .call("GET", "/swagger/central", &fields, "")
            .await
            .status,
        200
    );
    let calls = central.example.backend.seen().len();
    assert_eq!(
        central
            .example
            .call("GET", "/monitoring/v1/aps", &[], "")
            .await
            .status,
        401
    );
    assert_eq!(
        central
            .example
            .call("GET", "/unknown/v1/x", &fields, "")
            .await
            .status,
        404
    );
    assert_eq!(central.example.backend.seen().len(), calls);
}

// ---- a login that gives a signed token

/// The shipped configuration with an administrator and a user who only reads, as an operator makes them.
async fn vcenter(clock: &Clock) -> Example {
    let example = Example::start("omivv", "127.0.0.1", clock.clone()).await;
    vcenter_users(&example).await;
    example
}

pub async fn vcenter_users(example: &Example) {
    for (name, role) in [("corp\\admin", "admin"), ("corp\\viewer", "readonly")] {
        example
            .user("vcenter", name, PASSWORD, json!({"roles": [role]}))
            .await;
    }
}

/// OMIVV-02, OMIVV-04 to OMIVV-08, OMIVV-10, OMIVV-12 to OMIVV-15, OMIVV-17 to OMIVV-19.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_printed_sample_logs_in_calls_and_logs_off() {
    let example = vcenter(&Clock::manual(START)).await;
    let (base, certificate) = (example.url(), example.certificate());
    let certificate = certificate.to_str().unwrap();
    let Some(driver) = Driver::start(
        "vcenter_sample.py",
        &[&base, "Admin", "CORP", PASSWORD, certificate],
    ) else {
        return;
    };
    let (_driver, did) = driver.next().await;
    assert_eq!(
        (
            &did["login"],
            &did["parts"],
            &did["call"],
            &did["logoff"],
            &did["after"]
        ),
        (&json!(200), &json!(3), &json!(200), &json!(200), &json!(401)),
        "{did}"
    );
    let Some(driver) = Driver::start(
        "vcenter_sample.py",
        &[&base, "viewer", "corp", PASSWORD, certificate],
    ) else {
        return;
    };
    let (_driver, did) = driver.next().await;
    assert_eq!(did["login"], 403, "read-only users are refused: {did}");
}

/// OMIVV-01, OMIVV-03, OMIVV-09, OMIVV-11, OMIVV-12, OMIVV-13, OMIVV-16.
#[tokio::test]
async fn nothing_of_the_authentication_service_reaches_the_server_behind_and_refusals_have_code_and_message()
{
    let example = vcenter(&Clock::manual(START)).await;
    let services = "/Spectre/api/rest/v1/Services";
    let authentication = format!("{services}/AuthenticationService");
    let media = [("content-type", "application/json")];
    let login = async |body: serde_json::Value| {
        let target = format!("{authentication}/login");
        example.call("POST", &target, &media, &body.to_string()).await
    };
    let credentials = |user: &str, password: &str| json!({"apiUserCredential": {"username": user, "domain": "corp", "password": password}});
    let said = |got: &crate::support::client::Got| {
        let body = got.json();
        assert!(
            body["errorCode"].is_string() && body["message"].as_str().is_some_and(|text| !text.is_empty()),
            "{}",
            got.text()
        );
        got.status.as_u16()
    };
    for (body, status) in [
        (json!({}), 400),
        (
            json!({"apiUserCredential": {"username": "admin", "domain": "corp"}}),
            400,
        ),
        (credentials("admin", "wrong"), 401),
        (credentials("nobody", PASSWORD), 401),
        (credentials("viewer", PASSWORD), 403),
    ] {
        assert_eq!(said(&login(body.clone()).await), status, "{body}");
    }
    let own = format!("{services}/PluginProfileService/Profiles");
    for fields in [
        &[][..],
        &[("authorization", "Bearer a.b.c")],
        &[("authorization", "Basic YTpi")],
    ] {
        assert_eq!(
            said(&example.call("GET", &own, fields, "").await),
            401,
            "{fields:?}"
        );
    }
    assert!(example.backend.seen().is_empty(), "nobody has got in");
    let token = login(credentials("admin", PASSWORD)).await.json()["accessToken"].clone();
    let bearer = format!("Bearer {}", token.as_str().unwrap());
    let fields = [("authorization", bearer.as_str())];
    assert_eq!(example.call("GET", &own, &fields, "").await.status, 200);
    for (method, rest) in [
        ("GET", "login"),
        ("GET", "logoff"),
        ("POST", "other"),
        ("GET", "login/x"),
    ] {
        let got = example
            .call(method, &format!("{authentication}/{rest}"), &fields, "")
            .await;
        assert!(got.status.is_client_error(), "{method} {rest}: {}", got.status);
    }
    let got = example
        .call("POST", &format!("{authentication}/logoff"), &fields, "")
        .await;
    assert_eq!(got.status, 200);
    let seen: Vec<String> = example
        .backend
        .seen()
        .iter()
        .map(|seen| seen.target.clone())
        .collect();
    assert_eq!(seen, [own]);
}

/// OMIVV-18, OMIVV-20 to OMIVV-24.
#[tokio::test]
async fn a_lockout_stops_signed_tokens_and_lets_them_work_again_until_they_expire() {
    let clock = Clock::manual(START);
    let example = vcenter(&clock).await;
    let address = example.plain;
    let services = "/Spectre/api/rest/v1/Services";
    let login = |password: &'static str| async move {
        let body =
            json!({"apiUserCredential": {"username": "admin", "domain": "corp", "password": password}});
        let fields = [("content-type", "application/json")];
        let target = format!("{services}/AuthenticationService/login");
        send(
            address,
            request("POST", "10.0.0.1", &target, &fields, &body.to_string()),
        )
        .await
    };
    let call = |bearer: String| async move {
        let fields = [("authorization", bearer.as_str())];
        send(
            address,
            request("GET", "10.0.0.1", &format!("{services}/x"), &fields, ""),
        )
        .await
    };
    // Two sessions side by side.
    let mut bearers = Vec::new();
    for _ in 0..2 {
        let got = login(PASSWORD).await;
        assert_eq!(got.status, 200, "{}", got.text());
        bearers.push(format!("Bearer {}", got.json()["accessToken"].as_str().unwrap()));
    }
    assert_ne!(bearers[0], bearers[1]);
    for bearer in &bearers {
        assert_eq!(call(bearer.clone()).await.status, 200);
    }
    for _ in 0..5 {
        assert_eq!(login("wrong").await.status, 401);
    }
    for bearer in &bearers {
        assert_eq!(call(bearer.clone()).await.status, 401, "OMIVV-23");
    }
    clock.advance(std::time::Duration::from_secs(61));
    for bearer in &bearers {
        assert_eq!(call(bearer.clone()).await.status, 200, "OMIVV-24");
    }
    // Logging off ends one of them.
    let fields = [("authorization", bearers[0].as_str())];
    let off = request(
        "POST",
        "10.0.0.1",
        &format!("{services}/AuthenticationService/logoff"),
        &fields,
        "",
    );
    assert_eq!(send(address, off).await.status, 200);
    assert_eq!(call(bearers[0].clone()).await.status, 401);
    assert_eq!(call(bearers[1].clone()).await.status, 200);
    // OMIVV-20, 21: after 60 minutes, with the sentence that clients look for.
    clock.advance(std::time::Duration::from_secs(59 * 60));
    let got = call(bearers[1].clone()).await;
    assert_eq!(got.status, 401);
    assert_eq!(
        got.json()["message"],
        "Token is already expired",
        "{}",
        got.text()
    );
}

// ---- generic libraries, and pages

const PAGES: &str = r#"
      - path: /authorize
        methods: [GET, POST]
        public: true
        to: { authorize: staff }
      - path: /token
        methods: [POST]
        public: true
        to: { token: { service: staff } }
      - path: /revoke
        methods: [POST]
        public: true
        to: { revoke: staff }
      - path: /{*rest}
        to: { backend: backend }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generic_libraries_find_the_endpoints_and_get_tokens_through_the_pages() {
    let example = Example::start("openid", "127.0.0.1", Clock::manual(START)).await;
    let access = json!({"customer": "acme", "roles": ["admin"]});
    example
        .user("people", "alice@example.com", PASSWORD, access)
        .await;
    // A loopback redirect takes any port (RFC 8252 section 7.3).
    let (client, secret) = example
        .application(
            "people",
            json!({"name": "Reports", "customer": "acme", "redirect_uris": ["http://127.0.0.1/callback"],
                "scopes": ["read", "write"],
                "grants": ["authorization_code", "refresh_token", "client_credentials"]}),
        )
        .await;
    let (url, certificate) = (example.url(), example.certificate());
    let arguments = [
        url.as_str(),
        certificate.to_str().unwrap(),
        &client,
        &secret,
        "http://127.0.0.1:5000/callback",
        "alice@example.com",
        PASSWORD,
    ];
    let Some(driver) = Driver::start("browserless.py", &arguments) else {
        return;
    };
    let (_driver, did) = driver.next().await;
    assert_eq!(did["iss"], json!(["https://127.0.0.1"]), "{did}");
    assert_eq!(
        (&did["rotated"], &did["revoked"], &did["denied"]),
        (&json!(true), &json!(200), &json!(["access_denied"])),
        "{did}"
    );
    let own = ["access_token", "expires_at", "expires_in", "scope", "token_type"];
    assert_eq!(did["client_credentials"], json!(own), "{did}");
    assert_eq!(did["introspected"], json!([true, "read"]), "{did}");
    let bearer = format!("Bearer {}", did["token"].as_str().unwrap());
    let call = async |method: &str| {
        let fields = [("authorization", bearer.as_str())];
        let got = example.call(method, "/resource/x", &fields, "").await;
        got.status.as_u16()
    };
    assert_eq!(
        (call("GET").await, call("POST").await),
        (200, 403),
        "the scope `read`"
    );
}

/// The shipped configuration with an application for `central_next_sdk.py`, and that program at `step`.
async fn next_sdk(clock: Clock, step: &str) -> Option<(Example, Driver)> {
    let python = python_of("venv-next", "pycentral")?;
    let example = Example::start("openid", "127.0.0.1", clock).await;
    let application = json!({"name": "Inventory", "customer": "acme", "scopes": ["read"], "grants": ["client_credentials"]});
    let (client, secret) = example.application("people", application).await;
    let (url, certificate) = (example.url(), example.certificate());
    let arguments = [
        url.as_str(),
        certificate.to_str().unwrap(),
        &client,
        &secret,
        step,
    ];
    let driver = Driver::by(&python, "central_next_sdk.py", &arguments);
    Some((example, driver))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_sdk_gets_another_token_when_the_first_has_expired() {
    let clock = Clock::manual(START);
    let Some((example, driver)) = next_sdk(clock.clone(), "expired").await else {
        return;
    };
    let (driver, first) = driver.next().await;
    assert_eq!(first, json!({"call": 200}));
    assert_eq!(
        example.backend.seen().pop().unwrap().only("x-customer-id"),
        "acme"
    );
    let (mut driver, turn) = driver.next().await;
    assert_eq!(turn, "turn");
    clock.advance(std::time::Duration::from_secs(3_601));
    driver.go_on();
    let (_driver, then) = driver.next().await;
    assert_eq!(then, json!({"call": 200, "another": true}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_sdk_recovers_from_429() {
    let Some((example, driver)) = next_sdk(Clock::system(), "limited").await else {
        return;
    };
    let (_driver, codes) = driver.next().await;
    assert_eq!(codes, json!(vec![200; 60]));
    let metrics = send(example.admin, request("GET", "admin", "/metrics", &[], ""))
        .await
        .text();
    let refused = metrics
        .lines()
        .filter(|line| line.contains("rate_limited") && !line.ends_with(" 0"));
    assert!(refused.count() > 0, "nothing was refused: {metrics}");
}

#[tokio::test]
async fn the_pages_decide_nothing_for_another_site_another_session_or_another_request() {
    let world = crate::support::world::World::with_routes(PAGES).await;
    let query =
        "/authorize?response_type=code&client_id=app1&redirect_uri=http://127.0.0.1/cb&scope=read&state=s1";
    let page = world.call("GET", query, &[], "").await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("Reports &#38; more"), "{}", page.text());
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    let body = format!(
        "step=sign-in&username=alice&password={}",
        PASSWORD.replace(' ', "+")
    );
    let form = ("content-type", "application/x-www-form-urlencoded");
    let got = world
        .call("POST", query, &[form, ("origin", "https://evil.test")], &body)
        .await;
    assert_eq!(got.status, 403);
    let wrong = world
        .call("POST", query, &[form], "step=sign-in&username=alice&password=x")
        .await;
    assert_eq!(wrong.status, 403);
    assert!(wrong.text().contains("The name or the password is wrong."));
    let sid = |got: &crate::support::client::Got| format!("sid={}", cookie(got, "sid"));
    let first = world.call("POST", query, &[form], &body).await;
    let second = world.call("POST", query, &[form], &body).await;
    assert_eq!(first.status, 303);
    let (first, second) = (sid(&first), sid(&second));
    let proof = |page: &str| {
        let from = page.split("name=\"proof\" value=\"").nth(1).expect("a proof");
        from.split('"').next().unwrap().to_owned()
    };
    let shown = world.call("GET", query, &[("cookie", &first)], "").await.text();
    let decide = |query: String, cookie: String, proof: String| {
        let world = &world;
        async move {
            let body = format!("step=consent&decision=allow&proof={proof}");
            world
                .call("POST", &query, &[form, ("cookie", cookie.as_str())], &body)
                .await
        }
    };
    let other = query.replace("scope=read", "scope=all");
    for (query, cookie, proof) in [
        (query.to_owned(), second.clone(), proof(&shown)),
        (other, first.clone(), proof(&shown)),
        (query.to_owned(), first.clone(), String::new()),
    ] {
        assert_eq!(decide(query, cookie, proof).await.status, 403);
    }
    let got = decide(query.to_owned(), first, proof(&shown)).await;
    assert_eq!(got.status, 303, "{}", got.text());
    let location = got.header("location").unwrap();
    assert!(
        location.starts_with("http://127.0.0.1/cb?code=") && location.contains("state=s1"),
        "{location}"
    );
    // RFC 6749 section 4.1.2.1: an address that is not registered is never sent to.
    for query in [
        "/authorize?response_type=code&client_id=app1&redirect_uri=https://evil.test/cb",
        "/authorize?response_type=code&client_id=nobody&redirect_uri=http://127.0.0.1/cb",
    ] {
        let got = world.call("GET", query, &[], "").await;
        assert_eq!(
            (got.status.as_u16(), got.header("location")),
            (400, None),
            "{query}"
        );
    }
}

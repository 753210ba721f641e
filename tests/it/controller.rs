//! The shipped front door of a controller, driven by the vendor's SDK as it is: sessions, tenants, versions, credentials.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tollgate::base::clock::Clock;

use crate::support::client::Got;
use crate::support::driver::Driver;
use crate::support::example::Example;
use crate::support::upstream::{Seen, Upstream};
use crate::support::world::{PASSWORD, START, cookie};

pub const HOST: &str = "controller.test";

/// A controller that keeps pools, and can be asked whether it has started.
fn controller(has_started: &'static AtomicBool) -> impl Fn(&Seen) -> Option<(u16, Value)> + Send + Sync {
    let pools: Mutex<BTreeMap<String, Value>> = Mutex::default();
    move |seen| {
        let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
        if path == "/health" {
            return Some((
                if has_started.load(Ordering::SeqCst) {
                    200
                } else {
                    503
                },
                Value::Null,
            ));
        }
        let mut pools = pools.lock().expect("the pools");
        let rest = path.strip_prefix("/api/pool")?;
        let body: Value = serde_json::from_slice(&seen.body).unwrap_or(Value::Null);
        let parameter = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .filter(|(own, _)| *own == name)
                .map(|(_, value)| value)
                .next()
        };
        Some(match (seen.method.as_str(), rest.trim_matches('/')) {
            ("POST", "") => {
                let uuid = format!("pool-{:04}", pools.len());
                let pool = json!({"uuid": uuid, "name": body["name"], "url": format!("/api/pool/{uuid}")});
                pools.insert(uuid, pool.clone());
                (201, pool)
            }
            ("GET", "") => {
                let named = |pool: &&Value| parameter("name").is_none_or(|name| pool["name"] == name);
                let all: Vec<&Value> = pools.values().filter(named).collect();
                let number =
                    |name, usual| parameter(name).map_or(usual, |text| text.parse().expect("a number"));
                let (page, size): (usize, usize) = (number("page", 1), number("page_size", 25));
                let some: Vec<&&Value> = all.iter().skip((page - 1) * size).take(size).collect();
                let mut list = json!({"count": all.len(), "results": some});
                if page * size < all.len() {
                    list["next"] = json!(format!("/api/pool?page={}&page_size={size}", page + 1));
                }
                (200, list)
            }
            (_, uuid) if !pools.contains_key(uuid) => (404, json!({"error": "object not found!"})),
            ("GET", uuid) => (200, pools[uuid].clone()),
            ("PUT", uuid) => {
                pools.insert(uuid.to_owned(), body.clone());
                (200, body)
            }
            ("PATCH", uuid) => (200, pools[uuid].clone()),
            ("DELETE", uuid) => {
                pools.remove(uuid);
                (204, Value::Null)
            }
            (_, _) => (405, Value::Null),
        })
    }
}

static STARTED: AtomicBool = AtomicBool::new(true);

async fn start(clock: &Clock) -> Example {
    let example = Example::before("avi-controller", HOST, clock.clone(), backend().await, &[]).await;
    users(&example).await;
    example
}

pub async fn backend() -> Upstream {
    Upstream::behaving("controller", controller(&STARTED)).await
}

/// What an operator makes.
pub async fn users(example: &Example) {
    let tenants =
        json!([{"tenant": "finance", "roles": ["Tenant-Admin"]}, {"tenant": "sales", "roles": ["Operator"]}]);
    let access = json!({"tenants": tenants, "default_tenant": "finance"});
    example.user("controller", "alice", PASSWORD, access).await;
    let sales = json!({"name": "Sales", "uuid": "tenant-sales-uuid"});
    example.operate("PUT", "/v1/customers/sales", &sales).await;
}

pub fn sdk(example: &Example, step: &str, more: &[&str]) -> Option<Driver> {
    let (port, certificate) = (example.secure.port().to_string(), example.certificate());
    let mut arguments = vec![HOST, port.as_str(), certificate.to_str().unwrap(), step];
    arguments.extend(more);
    Driver::start("avi_sdk.py", &arguments)
}

/// AVI-12, AVI-13, AVI-17, AVI-18, AVI-29 to AVI-37, AVI-41, AVI-58, AVI-59, AVI-60, AVI-08, AVI-09, AVI-20.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_signs_in_makes_reads_changes_and_deletes_objects_and_pages_through_lists() {
    let example = start(&Clock::system()).await;
    let Some(driver) = sdk(&example, "crud", &[]) else {
        return;
    };
    let (driver, version) = driver.next().await;
    assert_eq!(version, json!({"version": {"Version": "30.2.1"}}));
    let (driver, first) = driver.next().await;
    let missing = json!({"raised": "ObjectNotFound", "status": null});
    let expected = json!({"made": 201, "read": "pool-1", "put": false, "patched": 200, "found": true, "gone": 204,
        "missing": missing});
    assert_eq!(first, expected);
    let (driver, paged) = driver.next().await;
    assert_eq!(paged, json!({"paged": 230, "different": 230}));
    let (_driver, sizes) = driver.next().await;
    assert_eq!(sizes, json!({"page_size": [200, 200, 400, 400]}));
    let seen = example.backend.seen();
    let created = seen
        .iter()
        .find(|seen| seen.method == "POST")
        .expect("a creation");
    assert_eq!(created.only("x-avi-tenant"), "admin");
    assert_eq!(created.only("x-avi-tenant-uuid"), "admin");
    assert_eq!(created.only("x-auth-roles"), "System-Admin");
    assert_eq!(created.only("content-type"), "application/json");
    // AVI-09: what the client says of itself goes on; what opens its session does not.
    assert!(created.headers.get("cookie").is_none(), "{:?}", created.headers);
    assert!(created.headers.contains_key("referer"));
    let sign_ins = seen.iter().filter(|seen| seen.target == "/login").count();
    assert_eq!(sign_ins, 0, "the sign-in never reaches the controller");
}

/// AVI-06, AVI-21 to AVI-28, SCT-02, SCT-03, PULSE-19.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_switches_tenants_by_name_and_uuid_and_is_refused_where_it_has_no_role() {
    let example = start(&Clock::system()).await;
    let Some(driver) = sdk(&example, "tenants", &[]) else {
        return;
    };
    let (driver, codes) = driver.next().await;
    let expected = json!({"own": 200, "other": 200, "by_uuid": 200, "unknown_uuid": 403, "without_a_role": 403,
        "admin": 403, "disagree": 400});
    assert_eq!(codes, expected);
    let seen = example.backend.seen();
    let told: Vec<(&str, Option<&str>, &str)> = seen
        .iter()
        .map(|seen| {
            let uuid = seen
                .headers
                .get("x-avi-tenant-uuid")
                .map(|uuid| uuid.to_str().unwrap());
            (seen.only("x-avi-tenant"), uuid, seen.only("x-auth-roles"))
        })
        .collect();
    let sales = ("sales", Some("tenant-sales-uuid"), "Operator");
    assert_eq!(told, [("finance", None, "Tenant-Admin"), sales, sales]);
    let (driver, default) = driver.next().await;
    assert_eq!(default, json!({"default": 200}));
    assert_eq!(
        example.backend.seen().last().unwrap().only("x-avi-tenant"),
        "finance"
    );
    let (driver, everywhere) = driver.next().await;
    assert_eq!(everywhere, json!({"admin_everywhere": [200, 200, 200]}));
    let (mut driver, turn) = driver.next().await;
    assert_eq!(turn, "turn");
    let later = json!({"name": "Later", "uuid": "tenant-later-uuid"});
    example.operate("PUT", "/v1/customers/later", &later).await;
    driver.go_on();
    let (_driver, later) = driver.next().await;
    assert_eq!(later, json!({"admin_later": 200, "admin_later_by_uuid": 200}));
}

/// AVI-02 to AVI-05, SCT-04, SCT-05: the value goes on, so that the controller can answer by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_is_told_invalid_version_for_one_that_is_newer_than_the_controller() {
    let example = start(&Clock::system()).await;
    let Some(driver) = sdk(&example, "versions", &[]) else {
        return;
    };
    let (_driver, codes) = driver.next().await;
    let text = r#"{"error":"Invalid version. The newest version here is 30.2.1."}"#;
    let expected = json!({"None": 200, "17.2.4": 200, "9.9.9": 200, "30.2.1": 200, "30.2.2": 400, "100.1.1": 400,
        "text 30.2.2": text, "text 100.1.1": text, "by_name": "AviServerError"});
    assert_eq!(codes, expected);
    let seen = example.backend.seen();
    let versions: Vec<Option<&str>> = seen
        .iter()
        .map(|seen| {
            seen.headers
                .get("x-avi-version")
                .map(|version| version.to_str().unwrap())
        })
        .collect();
    assert_eq!(versions, [None, Some("17.2.4"), Some("9.9.9"), Some("30.2.1")]);
}

/// AVI-40: an ended session is 401, so the SDK signs in again by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_signs_in_again_when_its_session_was_not_used_for_too_long_and_when_it_was_ended() {
    let clock = Clock::manual(START);
    let example = start(&clock).await;
    let Some(driver) = sdk(&example, "expiry", &[]) else {
        return;
    };
    let (driver, before) = driver.next().await;
    assert_eq!(before, json!({"before": 200}));
    let (mut driver, turn) = driver.next().await;
    assert_eq!(turn, "turn");
    clock.advance(Duration::from_secs(20 * 60));
    driver.go_on();
    let (driver, after) = driver.next().await;
    assert_eq!(after, json!({"after": 201, "another": true}));
    let (_driver, signed_out) = driver.next().await;
    assert_eq!(signed_out, json!({"signed_out": 200}));
}

/// AVI-07, AVI-14, AVI-15, AVI-16, SCT-07.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_works_by_password_with_each_call_by_bearer_token_and_by_a_token_in_the_form() {
    let example = start(&Clock::system()).await;
    let token = issue_token(&example).await;
    let Some(driver) = sdk(&example, "credentials", &[&token]) else {
        return;
    };
    let (_driver, answers) = driver.next().await;
    let wrong = json!({"raised": "APIError", "status": 401});
    assert_eq!(answers["basic"], json!([200, 201]), "{answers}");
    assert_eq!(answers["bearer"], json!([200, 201]), "{answers}");
    assert_eq!(answers["token_in_the_form"], json!([200, 201]), "{answers}");
    for name in ["wrong_basic", "wrong_password", "wrong_token"] {
        assert_eq!(answers[name], wrong, "{name}: {answers}");
    }
}

/// A token of `admin`, as an operator makes one for automation.
async fn issue_token(example: &Example) -> String {
    let application =
        json!({"name": "Automation", "owner": "admin", "scopes": ["all"], "grants": ["authorization_code"]});
    let (client, _) = example.application("controller", application).await;
    let wanted = json!({"application": client, "user": "admin"});
    let made = example
        .operate("POST", "/v1/realms/controller/tokens", &wanted)
        .await;
    made["token"]
        .as_str()
        .unwrap_or_else(|| panic!("{made}"))
        .to_owned()
}

struct Session {
    cookies: String,
    csrf: String,
}

async fn sign_in(example: &Example) -> Session {
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = format!("username=admin&password={}", PASSWORD.replace(' ', "+"));
    let got = example.call("POST", "/login", &form, &body).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let (session, csrf) = (cookie(&got, "sessionid"), cookie(&got, "csrftoken"));
    Session {
        cookies: format!("csrftoken={csrf}; sessionid={session}"),
        csrf,
    }
}

async fn post(example: &Example, session: &Session, more: &[(&str, &str)]) -> Got {
    let mut fields = vec![
        ("cookie", session.cookies.as_str()),
        ("content-type", "application/json"),
    ];
    fields.extend(more);
    example
        .call("POST", "/api/pool", &fields, r#"{"name":"p"}"#)
        .await
}

/// AVI-08, AVI-09, AVI-19, AVI-20, SCT-07: 403 and never 401, which would cost the SDK five sign-ins.
#[tokio::test]
async fn a_session_needs_its_csrf_value_and_a_referer_of_this_host_to_change_something_and_nothing_to_read() {
    let example = start(&Clock::manual(START)).await;
    let session = sign_in(&example).await;
    let own = ("referer", "http://controller.test");
    let value = ("x-csrftoken", session.csrf.as_str());
    let read = example
        .call("GET", "/api/pool", &[("cookie", &session.cookies)], "")
        .await;
    assert_eq!(read.status, 200);
    assert_eq!(post(&example, &session, &[own, value]).await.status, 201);
    for (what, fields) in [
        ("no value", &[own][..]),
        ("no referer", &[value][..]),
        ("another site", &[value, ("referer", "http://evil.example/")][..]),
        ("a wrong value", &[own, ("x-csrftoken", "wrong")][..]),
    ] {
        let got = post(&example, &session, fields).await;
        assert_eq!(got.status, 403, "{what}");
        assert_eq!(
            got.text(),
            r#"{"error":"CSRF token missing or incorrect."}"#,
            "{what}"
        );
    }
    let logout = [("cookie", session.cookies.as_str()), own, value];
    assert_eq!(example.call("POST", "/logout", &logout, "").await.status, 200);
    let after = example
        .call("GET", "/api/pool", &[("cookie", &session.cookies)], "")
        .await;
    // SCT-18: without a body.
    assert_eq!((after.status.as_u16(), after.text()), (401, String::new()));
    assert!(after.headers.get("content-type").is_none(), "{:?}", after.headers);
}

/// SCT-08: a client that takes the value from each answer and one that keeps its sign-in's both work.
#[tokio::test]
async fn the_value_of_the_sign_in_is_good_for_the_whole_session_beside_repeated_cookies() {
    let example = start(&Clock::manual(START)).await;
    let session = sign_in(&example).await;
    let cookies = format!("{c}; {c}; avi-sessionid=x", c = session.cookies);
    for _ in 0..3 {
        let fields = [
            ("cookie", cookies.as_str()),
            ("content-type", "application/json"),
            ("referer", "http://controller.test"),
            ("x-csrftoken", session.csrf.as_str()),
            ("timeout", "None"),
        ];
        let got = example
            .call("POST", "/api/pool", &fields, r#"{"name":"p"}"#)
            .await;
        assert_eq!(got.status, 201, "{}", got.text());
    }
}

/// AVI-01, AVI-10, AVI-11.
#[tokio::test]
async fn bodies_are_json_and_a_strange_accept_encoding_changes_nothing() {
    let example = start(&Clock::manual(START)).await;
    let session = sign_in(&example).await;
    let fields = [
        ("cookie", session.cookies.as_str()),
        ("referer", "http://controller.test"),
        ("x-csrftoken", session.csrf.as_str()),
        ("content-type", "text/plain"),
    ];
    let got = example.call("POST", "/api/pool", &fields, "{}").await;
    assert_eq!(
        (got.status.as_u16(), got.text()),
        (400, r#"{"error":"The body must be application/json"}"#.to_owned())
    );
    // Files are no JSON, and have a route of their own.
    let mut form = fields;
    form[3] = ("content-type", "multipart/form-data; boundary=x");
    let got = example
        .call("POST", "/api/fileservice/uploads", &form, "--x--\r\n")
        .await;
    assert_eq!(got.status, 200, "{}", got.text());
    let get = [
        ("cookie", session.cookies.as_str()),
        ("accept-encoding", "application/json"),
        ("content-type", "application/json"),
    ];
    let got = example.call("GET", "/api/pool", &get, "").await;
    assert_eq!(got.status, 200);
    assert_eq!(got.headers["content-type"], "application/json");
    assert!(got.headers.get("content-encoding").is_none());
    assert_eq!(
        example.backend.seen().last().unwrap().only("accept-encoding"),
        "application/json"
    );
}

/// AVI-35 to AVI-39, AVI-41 to AVI-43.
#[tokio::test]
async fn what_the_controller_answers_comes_back_as_it_said_it() {
    let answers = |seen: &Seen| {
        let status = seen.target.strip_prefix("/api/status/")?.parse().ok()?;
        Some((status, json!({"said": status})))
    };
    let backend = Upstream::behaving("controller", answers).await;
    let example = Example::before("avi-controller", HOST, Clock::manual(START), backend, &[]).await;
    let session = sign_in(&example).await;
    let fields = [("cookie", session.cookies.as_str())];
    for status in [200, 201, 302, 400, 401, 403, 404, 405, 409, 500, 502, 503] {
        let got = example
            .call("GET", &format!("/api/status/{status}"), &fields, "")
            .await;
        assert_eq!(
            (got.status.as_u16(), got.json()),
            (status, json!({"said": status}))
        );
    }
    assert_eq!(
        example.call("GET", "/api/status/204", &fields, "").await.status,
        204
    );
}

/// AVI-45 to AVI-57: queries go on byte for byte.
#[tokio::test]
async fn queries_go_on_byte_for_byte() {
    let example = start(&Clock::manual(START)).await;
    let session = sign_in(&example).await;
    for target in [
        "/api/pool?fail_action.type=FAIL_ACTION_CLOSE_CONN",
        "/api/pool?name.contains=pool-&name.icontains=POOL",
        "/api/pool?name.in=pool-1,pool-12",
        "/api/pool?search=(name,vs-pool-)|(name,)",
        "/api/pool?isearch=(name,%20x)|(y,)",
        "/api/virtualservice?refers_to=pool:pool-1,any&depth=1",
        "/api/pool?cloud_ref.uuid=cloud-1&limit_by=3&exclude.uuid.in=a,b",
        "/api/pool/?label_key=app&label_value=",
        "/api/pool?sort=-name&fields=a,b&skip_default=True",
        "/api/pool?include_name",
        "/api/pool?include_name&include_name=&a=b=c&&x",
        "/api/pool?page_size=1&page=2",
    ] {
        let got = example
            .call("GET", target, &[("cookie", &session.cookies)], "")
            .await;
        assert_eq!(got.status, 200, "{target}: {}", got.text());
        assert_eq!(example.backend.seen().last().unwrap().target, target);
    }
}

/// SCT-01 to SCT-04, SCT-07, SCT-09 to SCT-12, SCT-14 to SCT-17.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_makes_a_token_a_node_joins_by_it_once_and_calls_as_itself() {
    let clock = Clock::manual(START);
    let example = start(&clock).await;
    let Some(driver) = sdk(&example, "securechanneltoken", &[]) else {
        return;
    };
    let (driver, made) = driver.next().await;
    assert_eq!(made["status"], 200, "{made}");
    let token = &made["token"];
    assert_eq!(token["name"], "an-auth-token-of-32-characters-x");
    assert_eq!(
        (&token["in_use"], &token["metadata"]),
        (&json!(false), &json!([{"key": "se", "val": "1"}]))
    );
    assert_eq!(token["expiry_time"], START.0 + 3600);
    assert_eq!(token["_last_modified"], (START.0 * 1_000_000).to_string());
    let uuid = token["uuid"].as_str().expect("an id");
    assert!(
        token["url"]
            .as_str()
            .is_some_and(|url| url.ends_with(&format!("/api/securechanneltoken/{uuid}")))
    );
    let (driver, listed) = driver.next().await;
    assert_eq!(listed, json!({"count": 1, "in_use": [false]}));
    let (mut driver, turn) = driver.next().await;
    assert_eq!(turn, "turn");

    let media = ("content-type", "application/json");
    let join = async |token: &str, node: &str| {
        let body = json!({"auth_token": token, "uuid": node}).to_string();
        example
            .call("POST", "/api/securechannel/join", &[media], &body)
            .await
    };
    assert_eq!(join("an-auth-token-of-32-characters-y", "se-1").await.status, 401);
    let joined = join("an-auth-token-of-32-characters-x", "se-1").await;
    assert_eq!(joined.status, 200, "{}", joined.text());
    let joined = joined.json();
    assert_eq!(joined["uuid"], "se-1");
    assert_eq!(
        join("an-auth-token-of-32-characters-x", "se-2").await.status,
        401,
        "once"
    );

    let access = joined["access_token"].as_str().expect("a token");
    assert_eq!(access.split('.').count(), 3, "a signed one");
    let bearer = format!("Bearer {access}");
    let call = async |path: &str| example.call("GET", path, &[("authorization", &bearer)], "").await;
    assert_eq!(call("/api/securechannel/config").await.status, 200);
    let seen = example.backend.seen().pop().unwrap();
    assert_eq!(
        (seen.only("x-auth-user"), seen.only("x-avi-tenant")),
        ("node:se-1", "admin")
    );
    assert_eq!(
        call("/api/pool").await.status,
        401,
        "what users call is not for nodes"
    );
    assert_eq!(
        call("/api/securechanneltoken").await.status,
        401,
        "and it lets nobody in"
    );

    // When the token has ended it asks for another by its own name and secret.
    clock.advance(Duration::from_secs(3600));
    assert_eq!(call("/api/securechannel/config").await.status, 401);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let text = |name: &str| joined[name].as_str().unwrap().to_owned();
    let body = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        text("client_id").replace(':', "%3A"),
        text("client_secret")
    );
    let next = example
        .call("POST", "/api/securechannel/token", &form, &body)
        .await;
    assert_eq!(next.status, 200, "{}", next.text());
    let next = format!("Bearer {}", next.json()["access_token"].as_str().unwrap());
    let got = example
        .call(
            "GET",
            "/api/securechannel/config",
            &[("authorization", &next)],
            "",
        )
        .await;
    assert_eq!(got.status, 200);

    driver.go_on();
    let (_driver, then) = driver.next().await;
    assert_eq!(then, json!({"in_use": [true], "gone": 204}));
}

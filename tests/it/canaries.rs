//! Secrets in a whole life of a gateway with a store: they are in the answers that give them out, and nowhere else.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::client::{Got, get, request, send};
use crate::support::process::Process;
use crate::support::upstream::Upstream;
use crate::support::world::{OPERATOR, PASSWORD, config, cookie};

const ROUTES: &str = r#"
      - path: /login
        methods: [POST]
        public: true
        to: { sign-in: { realm: staff, body: { json: {}, form: {} }, gives: session } }
      - path: /code
        methods: [POST]
        credentials: [session]
        to: { authorize-step: { service: staff, answer: { json: { code: "{code}" } } } }
      - path: /mint
        methods: [POST]
        credentials: [session]
        to: { mint-client: { service: staff, customer: /customer_id, answer: { json: { id: "{client_id}", secret: "{client_secret}" } } } }
      - path: /token
        methods: [POST]
        public: true
        to: { token: { service: staff, parameters: [form, query] } }
      - path: /revoke
        methods: [POST]
        public: true
        to: { revoke: staff }
      - path: /introspect
        methods: [POST]
        public: true
        to: { introspect: staff }
      - path: /logout
        methods: [POST]
        to: { sign-out: {} }
      - { path: /there, methods: [GET], public: true, to: { begin-sign-in: elsewhere } }
      - { path: /back, methods: [GET], public: true, to: { finish-sign-in: elsewhere } }
      - { path: /out, methods: [POST], public: true, to: { end-sign-in: elsewhere } }
      - { path: "/cases/{*rest}", credentials: [signed-in: elsewhere], to: { backend: backend } }
      - { path: /letters, methods: [GET, POST], to: { enrolment-tokens: { service: staff, scopes: [read] } } }
      - { path: /join, methods: [POST], public: true, to: { enrol: { service: staff, token: /token } } }
      - { path: /links, methods: [POST], to: { sign-url: { keys: links, paths: ["/files/{*rest}"] } } }
      - { path: "/files/{*rest}", methods: [GET], credentials: [signed-url: links], to: { backend: backend } }
      - path: /{*rest}
        to: { backend: backend }
"#;

/// Another provider, and what signs links. `PROVIDER` and `FOLDER` are put in.
const ELSEWHERE: &str = r#"
introspections:
  elsewhere:
    url: PROVIDER/introspect
    client: { id: portal, secret: { file: FOLDER/provider.secret } }
    claims: { customer: customer }
providers:
  elsewhere:
    authorization: https://idp.test/authorize
    token: PROVIDER/token
    revocation: PROVIDER/revoke
    client: { id: portal, secret: { file: FOLDER/provider.secret } }
    judge: elsewhere
signed-urls:
  links: { keys: { k1: { file: FOLDER/links.key } } }
"#;
const SIGN_INS: &str = r#"
    sign-ins:
      elsewhere:
        provider: elsewhere
        redirect-uri: https://api.test/back
        cookie: elsewhere
        csrf: { cookie: elsewherecsrf, headers: [X-CSRF] }
        forwards-token: true
    routes:
"#;
const PROVIDER_SECRET: &str = "canary-provider-secret-of-32-characters";
const LINKS_KEY: &str = "canary-links-key-of-more-than-32-characters";

const CLIENT_SECRET: &str = "the secret of app1";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("content-type", "application/json");

/// What must not be found, by what it is; and every text in which it is looked for, by where it comes from.
struct Search {
    process: Process,
    secrets: BTreeMap<String, String>,
    places: Vec<(String, Vec<u8>)>,
}

impl Search {
    fn secret(&mut self, what: &str, value: &str) -> String {
        assert!(value.len() >= 8, "{what} is too short to be looked for: {value}");
        self.secrets.insert(what.to_owned(), value.to_owned());
        value.to_owned()
    }

    async fn post(&self, target: &str, fields: &[(&str, &str)], body: &str) -> Got {
        send(
            self.process.address,
            request("POST", "api.test", target, fields, body),
        )
        .await
    }

    /// A call that gives no secret out: its answer is a place.
    async fn refused(&mut self, method: &str, target: &str, fields: &[(&str, &str)], body: &str) -> Got {
        let got = send(
            self.process.address,
            request(method, "api.test", target, fields, body),
        )
        .await;
        assert!(
            got.status.is_client_error(),
            "{target}: {} {}",
            got.status,
            got.text()
        );
        let place = format!("{:?}\n{}", got.headers, got.text());
        self.places
            .push((format!("answer {} of {target}", got.status), place.into_bytes()));
        got
    }

    async fn operate(&mut self, method: &str, target: &str, body: &Value) -> Value {
        let bearer = format!("Bearer {OPERATOR}");
        let fields = [("authorization", bearer.as_str()), JSON];
        let got = send(
            self.process.admin,
            request(method, "admin", target, &fields, &body.to_string()),
        )
        .await;
        assert!(got.status.is_success(), "{target}: {}", got.text());
        if method == "GET" {
            self.places.push((format!("admin {target}"), got.body.to_vec()));
        }
        serde_json::from_slice(&got.body).unwrap_or_default()
    }

    /// Where `text` is.
    fn found(&self, text: &str) -> Vec<&str> {
        let holds = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        self.places
            .iter()
            .filter(|(_, bytes)| holds(bytes))
            .map(|(place, _)| place.as_str())
            .collect()
    }
}

fn field(got: &Got, name: &str) -> String {
    assert!(got.status.is_success(), "{} {}", got.status, got.text());
    got.json()[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name}: {}", got.text()))
        .to_owned()
}

/// A provider that gives the tokens out and vouches for the second of them.
async fn provider() -> Upstream {
    let tokens = std::sync::atomic::AtomicU32::new(0);
    Upstream::behaving("provider", move |seen| {
        Some(match seen.target.as_str() {
            "/token" => {
                let number = tokens.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
                let text = |what: &str| format!("canary-{what}-of-the-provider-{number}");
                (
                    200,
                    json!({"access_token": text("access"), "refresh_token": text("refresh"), "token_type": "Bearer",
                        // At once: the next call refreshes it.
                        "expires_in": if number == 1 { 1 } else { 3600 }}),
                )
            }
            "/introspect" => (
                200,
                json!({"active": true, "sub": "u1", "customer": "acme", "exp": 4_000_000_000_u64}),
            ),
            _ => (200, json!({})),
        })
    })
    .await
}

fn start(folder: &Path, backend: &Upstream, provider: &Upstream) -> Process {
    let store = format!("{{ sqlite: {}/store.db }}", folder.display());
    let telemetry = format!(
        "telemetry: {{ log: {{ level: trace }}, access-log: {{ file: {}/access.log }} }}\n",
        folder.display()
    );
    let text = config(backend, &store, ROUTES).replace(
        "authorization-code, refresh-token",
        "authorization-code, token-exchange, refresh-token",
    );
    let text = text.replace("\n    routes:\n", SIGN_INS)
        + &ELSEWHERE
            .replace("PROVIDER", &provider.url())
            .replace("FOLDER", &folder.display().to_string())
        + &telemetry;
    std::fs::write(folder.join("provider.secret"), PROVIDER_SECRET).unwrap();
    std::fs::write(folder.join("links.key"), LINKS_KEY).unwrap();
    let file = folder.join("tollgate.yaml");
    std::fs::write(&file, text).unwrap();
    Process::start(&file)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_logs_metrics_listings_refusals_or_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Upstream::start("backend").await;
    let provider = provider().await;
    let mut search = Search {
        process: start(folder.path(), &backend, &provider),
        secrets: BTreeMap::new(),
        places: Vec::new(),
    };
    search.secret("a password", PASSWORD);
    search.secret("the operator's token", OPERATOR);
    search.secret("a client's secret", CLIENT_SECRET);
    search.secret("the same in a form", &CLIENT_SECRET.replace(' ', "+"));

    signs_in_wrongly(&mut search).await;
    let session = signs_in(&mut search).await;
    let tokens = gets_tokens(&mut search, &session).await;
    uses_them_wrongly(&mut search, &session, &tokens).await;
    signs_in_elsewhere(&mut search).await;
    lets_a_node_in_and_makes_a_link(&mut search).await;
    is_administered(&mut search).await;

    // Everything that is written anywhere.
    let metrics = send(search.process.admin, get("admin", "/metrics", &[])).await;
    search.places.push(("/metrics".to_owned(), metrics.body.to_vec()));
    search.process.signal("TERM");
    let log = search.process.everything();
    search
        .places
        .push(("the program's log".to_owned(), log.into_bytes()));
    let mut files = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !["tollgate.yaml", "provider.secret", "links.key"].contains(&name.as_str()) {
            files += 1;
            search
                .places
                .push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    assert!(files >= 2, "the store and the access log");

    // What is no secret is found: so the search looks at the right places.
    for (known, place) in [
        ("app1", "store.db"),
        ("carol@example.com", "store.db"),
        ("/code", "access.log"),
        ("draining", "the program's log"),
        ("credentials_invalid", "answer 401"),
        ("tollgate_", "/metrics"),
        ("carol@example.com", "admin /v1/realms/staff/users"),
    ] {
        assert!(
            search.found(known).iter().any(|found| found.contains(place)),
            "{known} is not in {place}: {:?}",
            search.found(known)
        );
    }
    for (what, value) in &search.secrets {
        assert!(
            search.found(value).is_empty(),
            "{what} ({value}) is in {:?}",
            search.found(value)
        );
    }
    // A hash is no secret of the store, which has it to compare; nobody else needs it.
    let hashes = search.found("$argon2");
    assert!(
        hashes.iter().all(|place| place.contains("store.db")),
        "{hashes:?}"
    );
    println!("{} secrets, {} places", search.secrets.len(), search.places.len());
}

async fn signs_in_wrongly(search: &mut Search) {
    let wrong = search.secret("a wrong password", "canary-wrong-password");
    let body = json!({"username": "alice", "password": wrong}).to_string();
    search.refused("POST", "/login", &[JSON], &body).await;
    let body = format!("username=alice&password={wrong}");
    search.refused("POST", "/login", &[FORM], &body).await;
    // Cut off, twice the same member, and in the wrong place: none of it is repeated.
    for body in [
        format!("{{\"username\":\"alice\",\"password\":\"{wrong}\""),
        format!("{{\"username\":\"alice\",\"password\":\"{wrong}\",\"password\":\"{wrong}\"}}"),
        format!("[\"{wrong}\"]"),
    ] {
        search.refused("POST", "/login", &[JSON], &body).await;
    }
    let token = search.secret("a foreign token", "canary-foreign-token-0123456789");
    let bearer = format!("Bearer {token}");
    search
        .refused("GET", "/x", &[("authorization", &bearer)], "")
        .await;
    let cookie_of_others = search.secret("a foreign session", "canary-foreign-session-0123456789");
    search
        .refused("GET", "/x", &[("cookie", &format!("sid={cookie_of_others}"))], "")
        .await;
    let basic = search.secret(
        "basic credentials",
        &STANDARD.encode("alice:canary-basic-password"),
    );
    search
        .refused("GET", "/x", &[("authorization", &format!("Basic {basic}"))], "")
        .await;
    search
        .refused("GET", &format!("/x?access_token={token}"), &[], "")
        .await;
}

/// The cookies and the CSRF value of a session.
struct Session {
    cookies: String,
    csrf: String,
}

async fn signs_in(search: &mut Search) -> Session {
    let body = json!({"username": "alice", "password": PASSWORD}).to_string();
    let got = search.post("/login", &[JSON], &body).await;
    assert!(got.status.is_success(), "{}", got.text());
    let id = search.secret("a session's id", &cookie(&got, "sid"));
    let csrf = search.secret("a CSRF value", &cookie(&got, "csrf"));
    Session {
        cookies: format!("sid={id}; csrf={csrf}"),
        csrf,
    }
}

struct Tokens {
    code: String,
    access: String,
    refresh: String,
}

async fn gets_tokens(search: &mut Search, session: &Session) -> Tokens {
    let own = [
        ("cookie", session.cookies.as_str()),
        ("x-csrf", &session.csrf),
        JSON,
    ];
    let code_for = "/code?client_id=app1&response_type=code&scope=all";
    let code = field(&search.post(code_for, &own, "{}").await, "code");
    let code = search.secret("a code", &code);
    let with = format!(
        "client_id=app1&client_secret={}",
        CLIENT_SECRET.replace(' ', "%20")
    );
    let query = format!("/token?grant_type=authorization_code&code={code}&{with}");
    let got = search.post(&query, &[FORM], "").await;
    let first = search.secret("an access token", &field(&got, "access_token"));
    let refresh = search.secret("a refresh token", &field(&got, "refresh_token"));
    let got = search
        .post(
            "/token",
            &[FORM],
            &format!("grant_type=refresh_token&refresh_token={refresh}&{with}"),
        )
        .await;
    let access = search.secret("the next access token", &field(&got, "access_token"));
    let refresh = search.secret("the next refresh token", &field(&got, "refresh_token"));
    assert_ne!(first, access);
    let got = search
        .post(
            "/token",
            &[FORM],
            &format!("grant_type=client_credentials&{with}"),
        )
        .await;
    search.secret("an application's token", &field(&got, "access_token"));
    let bearer = format!("Bearer {access}");
    let call = get("api.test", "/x?page=1", &[("authorization", &bearer)]);
    assert_eq!(send(search.process.address, call).await.status, 200);
    let minted = search
        .post(
            "/mint?client_id=app1",
            &own,
            &json!({"customer_id": "t1"}).to_string(),
        )
        .await;
    search.secret("a minted client's secret", &field(&minted, "secret"));
    let got = search
        .post("/introspect", &[FORM], &format!("token={access}&{with}"))
        .await;
    assert_eq!(got.json()["active"], true);
    Tokens {
        code,
        access,
        refresh,
    }
}

async fn uses_them_wrongly(search: &mut Search, session: &Session, tokens: &Tokens) {
    let Tokens {
        code,
        access,
        refresh,
    } = tokens;
    let wrong = search.secret("a wrong client secret", "canary-wrong-client-secret");
    for body in [
        format!("grant_type=refresh_token&refresh_token={refresh}&client_id=app1&client_secret={wrong}"),
        format!(
            "grant_type=refresh_token&refresh_token={refresh}x&client_id=app1&client_secret=the+secret+of+app1"
        ),
        format!("grant_type={access}&client_id=app1&client_secret=the+secret+of+app1"),
        format!(
            "grant_type=client_credentials&client_id=app1&client_secret=the+secret+of+app1&scope={access}"
        ),
        format!("grant_type=client_credentials&client_id={access}&client_secret={wrong}"),
    ] {
        search.refused("POST", "/token", &[FORM], &body).await;
    }
    search
        .refused(
            "POST",
            "/revoke",
            &[FORM],
            &format!("token={access}&client_id=app1&client_secret={wrong}"),
        )
        .await;
    let bad = search.secret("a wrong CSRF value", "canary-wrong-csrf-value");
    let fields = [("cookie", session.cookies.as_str()), ("x-csrf", &bad), JSON];
    search
        .refused("POST", "/code?client_id=app1", &fields, "{}")
        .await;
    // A code that is used twice ends what it gave: the last thing that is tried with these tokens.
    let again =
        format!("grant_type=authorization_code&code={code}&client_id=app1&client_secret=the+secret+of+app1");
    search.refused("POST", "/token", &[FORM], &again).await;
    let bearer = format!("Bearer {access}");
    search
        .refused("GET", "/x", &[("authorization", &bearer)], "")
        .await;
    let fields = [("cookie", session.cookies.as_str()), ("x-csrf", &session.csrf)];
    let got = search.post("/logout", &fields, "").await;
    assert!(got.status.is_success(), "{}", got.text());
    let fields = [("cookie", session.cookies.as_str())];
    search.refused("GET", "/x", &fields, "").await;
}

async fn signs_in_elsewhere(search: &mut Search) {
    search.secret("the secret at the provider", PROVIDER_SECRET);
    search.secret(
        "its Basic form",
        &STANDARD.encode(format!("portal:{PROVIDER_SECRET}")),
    );
    for number in [1, 2] {
        for what in ["access", "refresh"] {
            let text = format!("canary-{what}-of-the-provider-{number}");
            search.secret(&format!("{what} token {number} of the provider"), &text);
        }
    }
    let begun = send(search.process.address, get("api.test", "/there", &[])).await;
    assert_eq!(begun.status, 302, "{}", begun.text());
    let (name, way) = crate::support::world::cookies(&begun).remove(0);
    let way = search.secret("a sign-in under way", &way);
    let to = begun.header("location").unwrap().to_owned();
    let state = to.split("state=").nth(1).unwrap().split('&').next().unwrap();
    let state = search.secret("its state", state);
    let code = search.secret("a code of the provider", "canary-code-of-the-provider");
    let cookie_of_way = format!("{name}={way}");
    let wrong = format!("/back?code={code}&state={}", "canary-wrong-state");
    search
        .refused("GET", &wrong, &[("cookie", &cookie_of_way)], "")
        .await;
    let back = format!("/back?code={code}&state={state}");
    let fields = [("cookie", cookie_of_way.as_str())];
    let got = send(search.process.address, get("api.test", &back, &fields)).await;
    assert_eq!(got.status, 303, "{}", got.text());
    let id = search.secret("a session over a provider's token", &cookie(&got, "elsewhere"));
    let csrf = search.secret("its CSRF value", &cookie(&got, "elsewherecsrf"));
    let session = format!("elsewhere={id}; elsewherecsrf={csrf}");
    let fields = [("cookie", session.as_str())];
    let got = send(search.process.address, get("api.test", "/cases/1", &fields)).await;
    assert_eq!(got.status, 200, "{}", got.text());
    search.refused("POST", "/out", &fields, "").await;
    let fields = [("cookie", session.as_str()), ("x-csrf", csrf.as_str())];
    let got = search.post("/out", &fields, "").await;
    assert_eq!(got.status, 200, "{}", got.text());
    search.refused("GET", "/cases/1", &fields, "").await;
}

async fn lets_a_node_in_and_makes_a_link(search: &mut Search) {
    search.secret("the key of links", LINKS_KEY);
    let session = signs_in(search).await;
    let own = [
        ("cookie", session.cookies.as_str()),
        ("x-csrf", &session.csrf),
        JSON,
    ];
    let made = search.post("/letters", &own, "{}").await;
    let token = search.secret("an enrolment token", &field(&made, "token"));
    let listed = send(search.process.address, get("api.test", "/letters", &own)).await;
    assert_eq!(listed.status, 200);
    search
        .places
        .push(("answer of /letters".to_owned(), listed.body.to_vec()));
    let body = json!({"token": token, "uuid": "node-1"}).to_string();
    let joined = search.post("/join", &[JSON], &body).await;
    search.secret("a node's secret", &field(&joined, "client_secret"));
    let access = search.secret("a node's token", &field(&joined, "access_token"));
    search.refused("POST", "/join", &[JSON], &body).await;
    let bearer = format!("Bearer {access}x");
    search
        .refused("GET", "/x", &[("authorization", &bearer)], "")
        .await;
    let wanted = json!({"path": "/files/report.pdf", "method": "GET"}).to_string();
    let made = search.post("/links", &own, &wanted).await;
    let url = field(&made, "url");
    let target = url
        .split_once("api.test")
        .map_or(url.as_str(), |(_, target)| target)
        .to_owned();
    let signature = target.rsplit('=').next().unwrap();
    search.secret("a link's signature", signature);
    let got = send(search.process.address, get("api.test", &target, &[])).await;
    assert_eq!(got.status, 200, "{target}: {}", got.text());
    search.refused("GET", &format!("{target}&x=1"), &[], "").await;
    search
        .refused("GET", &target.replace("report", "other"), &[], "")
        .await;
}

async fn is_administered(search: &mut Search) {
    let password = search.secret("a new user's password", "canary password of carol");
    let carol = json!({"name": "carol@example.com", "password": password, "access": {"customer": "acme", "roles": ["admin"]}});
    search.operate("POST", "/v1/realms/staff/users", &carol).await;
    let application = json!({"name": "made", "public": false, "redirect_uris": [], "owner": null, "customer": "acme",
        "tenant": null, "scopes": ["read"], "grants": ["client_credentials"]});
    let made = search
        .operate("POST", "/v1/realms/staff/applications", &application)
        .await;
    search.secret(
        "a new application's secret",
        made["client_secret"].as_str().unwrap_or_else(|| panic!("{made}")),
    );
    for listing in ["users", "applications", "tokens?all=true"] {
        search
            .operate("GET", &format!("/v1/realms/staff/{listing}"), &Value::Null)
            .await;
    }
    search.operate("GET", "/v1/audit", &Value::Null).await;
}

//! Callers of the gateway's own accounts, the whole way of their requests: who they are for the backend and in the log, on whose
//! quota they call, and that every change in the store is felt by the next request, be the store in memory or a file.

use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderValue, Method, Request};
use http_body_util::BodyExt;
use tollgate::accounts::password::Cost;
use tollgate::accounts::{Accounts, Passwords};
use tollgate::base::clock::{Clock, UnixTime};
use tollgate::base::digest::Digest;
use tollgate::base::random::Ids;
use tollgate::base::secret::Secret;
use tollgate::base::units::Quota;
use tollgate::config::plan::{AccessLogPlan, StorePlan};
use tollgate::gateway::{Gateway, Options};
use tollgate::http::body::Body;
use tollgate::identity::{AccountKey, AccountName, FamilyId, RealmName, StoredPassword, TenantGrant, UserId};
use tollgate::net::peer::{Peer, TlsFacts};
use tollgate::pipeline;
use tollgate::shard::Shard;
use tollgate::snapshot::{Live, View};
use tollgate::store::Store;
use tollgate::store::model::{
    AccessKey, Actor, Application, ApplicationState, By, CustomerRecord, GrantType, NewAccess, NewFamily,
    NewSession, NewTokens, Origin, Reach, Session, User, UserAccess, UserState,
};
use tollgate::telemetry::access_log::AccessLog;
use tollgate::telemetry::metrics::Metrics;
use tollgate::telemetry::record::Recorder;
use tower::Service as _;

use crate::support::client::Got;
use crate::support::gateway::plan;
use crate::support::upstream::Upstream;

const START: UnixTime = UnixTime(1_800_000_000);

fn id<I: for<'t> TryFrom<&'t str>>(text: &str) -> I {
    I::try_from(text).unwrap_or_else(|_| panic!("{text:?} is outside the grammar"))
}

fn cheap() -> Cost {
    Cost::new(32, 1, 1).unwrap()
}

fn hash(password: &str) -> String {
    let hash = StoredPassword::hash(&Secret::new(password.as_bytes().to_vec()), cheap()).unwrap();
    hash.to_phc()
}

fn config(backend: &Upstream, store: &str) -> String {
    format!(
        r#"
server: {{ workers: 1, trusted-proxies: [10.0.0.0/8] }}
listeners: [{{ address: 127.0.0.1:0 }}]
store: {store}
realms:
  central:
    lockout: {{ attempts: 3, window: 15m, duration: 1m, suspends-tokens: true }}
    sessions: {{ lifetime: 12h, idle: 30m }}
    users:
      root@example.com:
        password: {{ hash: "{root}" }}
        customer: msp
        roles: [admin]
        every-tenant: [auditor]
token-services:
  login:
    realm: central
    issuer: https://login.example.com/
    audience: [central]
    scopes: {{ all: every, read: [GET, HEAD] }}
limits:
  per-customer: {{ rate: 3/d, burst: 3, per: customer }}
customers:
  msp: {{ tenants: {{ t-1: {{ roles: [operator] }}, t-2: {{ roles: [viewer] }} }} }}
backends:
  one: {{ endpoints: ["{backend}"] }}
apis:
  api:
    hosts: [api.test]
    credentials:
      - bearer: login
      - api-key: {{ service: login, header: X-API-Key }}
      - basic: central
      - session
    session:
      realm: central
      cookie: sessionid
      read: [sessionid, avi-sessionid]
      csrf: {{ cookie: csrftoken, headers: [X-CSRFToken], referer: same-host }}
    scope-methods: true
    access: {{}}
    headers: {{ tenant: X-Tenant-ID, customer: X-Customer-ID, subject: X-Subject, roles: X-Roles, scopes: X-Scopes }}
    tenant-selector: TenantID
    routes:
      - path: /limited/{{*rest}}
        limits: [per-customer]
        to: {{ backend: one }}
      - path: /admin/{{*rest}}
        access: {{ roles: [admin] }}
        to: {{ backend: one }}
      - path: /{{*rest}}
        to: {{ backend: one }}
"#,
        root = hash("root-password"),
        backend = backend.url(),
    )
}

/// The lines of the access log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A gateway without sockets towards its clients, whose store the test holds too.
struct World {
    store: Store,
    shard: Shard,
    backend: Upstream,
    alice: UserId,
    clock: Clock,
    log: AccessLog,
    lines: Lines,
    _live: Live,
    _folder: tempfile::TempDir,
}

impl World {
    async fn both() -> [World; 2] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tollgate.db");
        let file = Store::open(&StorePlan::Sqlite { path }).await.unwrap();
        let memory = World::new(Store::memory(), tempfile::tempdir().unwrap()).await;
        [memory, World::new(file, folder).await]
    }

    async fn new(store: Store, folder: tempfile::TempDir) -> World {
        let backend = Upstream::start("one").await;
        let passwords = Passwords::start(cheap(), NonZeroUsize::MIN, 64).unwrap();
        let accounts = Accounts::open(store.clone(), passwords);
        let clock = Clock::manual(START);
        let (metrics, lines) = (Metrics::new(), Lines::default());
        let log_plan = AccessLogPlan {
            file: None,
            query: true,
            redact: Vec::new(),
            queue: 1_000,
        };
        let log = AccessLog::to_writer(&log_plan, Box::new(lines.clone()), &metrics).unwrap();
        let recorder = Recorder::new(clock.clone(), metrics, Some(log.clone()));
        let old = Live::default().with_accounts(accounts);
        let plan = plan(&config(&backend, "memory"));
        let (view, live) = View::compile(&plan, &old, 1, &recorder).unwrap();
        live.warm(Duration::ZERO).await;
        let ids = Arc::new(Ids::new());
        let mut world = World {
            store,
            shard: Shard::new(0, clock.clone(), ids, Arc::new(view)),
            backend,
            alice: UserId::from_bytes([0; 16]),
            clock,
            log,
            lines,
            _live: live,
            _folder: folder,
        };
        world.fill().await;
        world
    }

    fn by(&self) -> By {
        By::system(self.clock.unix())
    }

    fn user_access(&self) -> UserAccess {
        UserAccess {
            customer: Some(id("msp")),
            roles: vec![id("admin")],
            tenants: Vec::new(),
            default_tenant: None,
            reach: Reach::Granted,
        }
    }

    async fn fill(&mut self) {
        let user = User {
            realm: id("central"),
            id: UserId::random(),
            name: id::<AccountName>("Alice@example.com"),
            key: id::<AccountKey>("alice@example.com"),
            state: UserState::Active,
            password: Some(Secret::new(hash("right").into_bytes())),
            access: self.user_access(),
            created_at: START,
            changed_at: START,
        };
        self.alice = user.id;
        self.store.create_user(user, self.by()).await.unwrap();
        let application = Application {
            realm: id("central"),
            client_id: id("app"),
            name: "app".to_owned(),
            secret: None,
            redirect_uris: Vec::new(),
            owner: None,
            customer: None,
            tenant: None,
            scopes: vec![id("all"), id("read")],
            grants: vec![GrantType::AuthorizationCode],
            state: ApplicationState::Active,
            created_at: START,
            created_by: Actor::System,
        };
        self.store
            .create_application(application, self.by())
            .await
            .unwrap();
        let session = Session {
            digest: Digest::of("my-session"),
            realm: id("central"),
            user: self.alice,
            client_id: None,
            csrf: Digest::of("my-csrf"),
            created_at: START,
            last_seen: START,
            expires_at: UnixTime(START.0 + 43_200),
            idle: Duration::from_secs(1_800),
        };
        let new = NewSession {
            session,
            replaces: None,
            at_most: None,
        };
        self.store.open_session(new, self.by()).await.unwrap();
        self.issue("my-token", "all").await;
        self.issue("my-reader", "read").await;
    }

    async fn issue(&self, token: &str, scope: &str) -> FamilyId {
        let family = NewFamily {
            id: FamilyId::random(),
            realm: id("central"),
            client_id: id("app"),
            user: Some(self.alice),
            customer: None,
            tenant: None,
            scopes: vec![id(scope)],
            roles: vec![id("admin")],
            origin: Origin::Code,
            ends_at: None,
        };
        let id = family.id;
        let tokens = NewTokens {
            access: NewAccess {
                key: AccessKey::Opaque(Digest::of(token)),
                expires_at: UnixTime(START.0 + 7_200),
                scopes: None,
            },
            refresh: None,
        };
        self.store.issue(family, tokens, self.by()).await.unwrap();
        id
    }

    /// A request over TLS from a stranger.
    async fn send(&self, method: Method, path: &str, fields: &[(&str, &str)]) -> Got {
        let stranger = "192.0.2.1:50000".parse().unwrap();
        let mut peer = Peer::new(stranger, stranger, 0, false);
        peer.tls = Some(TlsFacts::default());
        self.send_from(&peer, method, path, fields).await
    }

    async fn send_from(&self, peer: &Peer, method: Method, path: &str, fields: &[(&str, &str)]) -> Got {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap();
        let headers = request.headers_mut();
        headers.insert("host", HeaderValue::from_static("api.test"));
        for (name, value) in fields {
            let name: http::HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        let answer = pipeline::handle(&self.shard, peer, request).await;
        let (parts, body) = answer.into_parts();
        let collected = body.collect().await.unwrap();
        Got {
            status: parts.status,
            headers: parts.headers,
            body: collected.to_bytes(),
            trailers: None,
        }
    }

    async fn get(&self, path: &str, fields: &[(&str, &str)]) -> Got {
        self.send(Method::GET, path, fields).await
    }

    /// Status, and the code of a refusal.
    async fn status(&self, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let got = self.get(path, fields).await;
        let code = match got.status.as_u16() {
            200 => String::new(),
            _ => got.json()["code"].as_str().unwrap_or_default().to_owned(),
        };
        (got.status.as_u16(), code)
    }

    /// The last line of the access log.
    fn logged(&self) -> serde_json::Value {
        assert!(self.log.flush(Duration::from_secs(20)));
        let text = String::from_utf8(self.lines.0.lock().unwrap().clone()).unwrap();
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    }
}

const BEARER: (&str, &str) = ("authorization", "Bearer my-token");
const SESSION: (&str, &str) = ("cookie", "sessionid=my-session");

fn basic(name: &str, password: &str) -> String {
    use base64::Engine as _;
    let joined = format!("{name}:{password}");
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(joined)
    )
}

/// ARUBA-52.
#[tokio::test]
async fn the_backend_learns_who_calls_and_never_by_which_secret() {
    for world in World::both().await {
        let basic = basic("alice@example.com", "right");
        let secrets = [
            "my-session",
            "my-csrf",
            "my-token",
            basic.trim_start_matches("Basic "),
        ];
        for fields in [
            &[BEARER][..],
            &[("x-api-key", "my-token")],
            &[("x_api_key", "my-token"), BEARER],
            &[("authorization", &basic)],
            &[SESSION],
            &[(
                "cookie",
                "csrftoken=my-csrf; a=1; sessionid=my-session; avi-sessionid=my-session",
            )],
        ] {
            let got = world.get("/things?limit=5", fields).await;
            assert_eq!(got.status, 200, "{fields:?}: {}", got.text());
            let seen = world.backend.seen().pop().unwrap();
            assert_eq!(seen.only("x-subject"), world.alice.to_string());
            assert_eq!(seen.only("x-customer-id"), "msp");
            assert_eq!(seen.only("x-tenant-id"), "msp");
            assert_eq!(seen.only("x-roles"), "admin");
            let text = format!("{:?}", seen.headers);
            for secret in secrets {
                assert!(!text.contains(secret), "{fields:?}: {text}");
            }
            if fields.iter().any(|(_, value)| value.contains("a=1")) {
                assert_eq!(seen.only("cookie"), "a=1");
            }
        }
    }
}

#[tokio::test]
async fn actor_and_tenant_of_a_providers_call_go_upstream_and_into_the_log_and_the_provider_pays() {
    for world in World::both().await {
        for (tenant, role) in [("t-1", "operator"), ("t-2", "viewer"), ("t-1", "operator")] {
            let got = world.get("/limited/x", &[BEARER, ("tenantid", tenant)]).await;
            assert_eq!(got.status, 200, "{}", got.text());
            let seen = world.backend.seen().pop().unwrap();
            assert_eq!(seen.only("x-tenant-id"), tenant);
            assert_eq!(seen.only("x-customer-id"), "msp");
            assert_eq!(seen.only("x-subject"), world.alice.to_string());
            assert_eq!(seen.only("x-roles"), role);
            let line = world.logged();
            assert_eq!(line["tollgate.credential"], "token");
            assert_eq!(line["tollgate.issuer"], "central");
            assert_eq!(line["tollgate.user"], "Alice@example.com");
            assert_eq!(line["tollgate.subject"], world.alice.to_string());
            assert_eq!(line["tollgate.client"], "app");
            assert_eq!(line["tollgate.customer"], "msp");
            assert_eq!(line["tollgate.tenant"], tenant);
        }
        // Three a day for the provider, whatever tenants it acted on, and by which credential.
        let limited = (429, "rate_limited".to_owned());
        assert_eq!(world.status("/limited/x", &[BEARER]).await, limited);
        assert_eq!(world.status("/limited/x", &[SESSION]).await, limited);
        let refused = world.status("/admin/x", &[SESSION, ("tenantid", "t-2")]).await;
        assert_eq!(refused, (403, "role_missing".to_owned()));
        let line = world.logged();
        assert_eq!(line["tollgate.credential"], "session");
        assert_eq!(
            line["tollgate.user"], "Alice@example.com",
            "also of whom is refused"
        );
        let foreign = world.status("/x", &[SESSION, ("tenantid", "stranger")]).await;
        assert_eq!(foreign, (403, "tenant_forbidden".to_owned()));
    }
}

#[tokio::test]
async fn a_user_of_the_file_has_the_rights_that_the_file_says() {
    for world in World::both().await {
        let root = basic("root@example.com", "root-password");
        let fields = [("authorization", root.as_str())];
        assert_eq!(world.get("/admin/x", &fields).await.status, 200);
        let got = world
            .get("/x", &[fields[0], ("tenantid", "whatever-comes-later")])
            .await;
        assert_eq!(got.status, 200);
        let seen = world.backend.seen().pop().unwrap();
        assert_eq!(seen.only("x-roles"), "auditor");
        assert_eq!(seen.only("x-tenant-id"), "whatever-comes-later");
        assert_eq!(world.logged()["tollgate.user"], "root@example.com");
    }
}

#[tokio::test]
async fn changes_in_the_store_are_felt_by_the_next_request() {
    for world in World::both().await {
        for fields in [BEARER, SESSION] {
            assert_eq!(world.get("/x", &[fields]).await.status, 200);
        }
        let family = world.issue("other-token", "all").await;
        let other = [("authorization", "Bearer other-token")];
        assert_eq!(world.get("/x", &other).await.status, 200);
        let realm: RealmName = id("central");
        let revoked = world.store.revoke_family(realm.clone(), family, world.by());
        revoked.await.unwrap();
        let invalid = (401, "credentials_invalid".to_owned());
        assert_eq!(world.status("/x", &other).await, invalid);
        let mut access = world.user_access();
        access.roles.clear();
        let edit = world
            .store
            .change_user_access(realm.clone(), world.alice, access, world.by());
        edit.await.unwrap();
        for fields in [BEARER, SESSION] {
            let refused = world.status("/admin/x", &[fields]).await;
            assert_eq!(refused, (403, "role_missing".to_owned()));
        }
        let disabled =
            world
                .store
                .change_user_state(realm.clone(), world.alice, UserState::Disabled, world.by());
        disabled.await.unwrap();
        assert_eq!(world.status("/x", &[BEARER]).await, invalid);
        let ended = (401, "session_ended".to_owned());
        assert_eq!(world.status("/x", &[SESSION]).await, ended);
    }
}

#[tokio::test]
async fn failed_sign_ins_suspend_tokens_and_sessions_for_a_minute() {
    for world in World::both().await {
        assert_eq!(world.get("/x", &[BEARER]).await.status, 200);
        for n in 0..3 {
            let wrong = basic("ALICE@example.com", &format!("wrong-{n}"));
            let refused = world.status("/x", &[("authorization", &wrong)]).await;
            assert_eq!(refused, (401, "sign_in_failed".to_owned()));
        }
        let right = basic("alice@example.com", "right");
        let refused = world.status("/x", &[("authorization", &right)]).await;
        assert_eq!(
            refused,
            (401, "sign_in_failed".to_owned()),
            "a right password is not told from a wrong one"
        );
        assert_eq!(world.logged()["tollgate.refusal.code"], "locked_out");
        for fields in [BEARER, SESSION] {
            let got = world.get("/x", &[fields]).await;
            assert_eq!(got.status, 401);
            assert_eq!(got.json()["code"], "account_suspended");
            assert_eq!(got.header("retry-after"), Some("60"));
        }
        world.clock.advance(Duration::from_secs(60));
        for fields in [("authorization", right.as_str()), BEARER, SESSION] {
            assert_eq!(world.get("/x", &[fields]).await.status, 200);
        }
    }
}

#[tokio::test]
async fn calls_by_session_that_may_change_something_carry_value_and_referer() {
    for world in World::both().await {
        let csrf = ("x-csrftoken", "my-csrf");
        let referer = ("referer", "https://api.test/console");
        let foreign = ("referer", "https://evil.test/");
        let post = |fields: &'static [(&str, &str)]| world.send(Method::POST, "/x", fields);
        assert_eq!(
            world
                .send(Method::POST, "/x", &[SESSION, csrf, referer])
                .await
                .status,
            200
        );
        for fields in [
            &[SESSION][..],
            &[SESSION, csrf],
            &[SESSION, referer],
            &[SESSION, csrf, foreign],
        ] {
            let got = world.send(Method::POST, "/x", fields).await;
            assert_eq!(got.status, 403, "{fields:?}");
            assert_eq!(got.json()["code"], "csrf_failed");
        }
        let put = world.send(Method::PUT, "/x", &[SESSION, csrf]).await;
        assert_eq!(put.status, 200, "on POST alone the Referer has to be there");
        assert_eq!(post(&[BEARER]).await.status, 200);
        assert_eq!(post(&[("x-api-key", "my-token"), SESSION]).await.status, 200);
        let reader = post(&[("authorization", "Bearer my-reader")]).await;
        assert_eq!(reader.status, 403);
        assert_eq!(reader.json()["code"], "scope_missing");
        assert!(
            reader
                .header("www-authenticate")
                .unwrap()
                .contains("scope=\"all\"")
        );
        assert_eq!(
            world
                .get("/x", &[("authorization", "Bearer my-reader")])
                .await
                .status,
            200
        );
    }
}

#[tokio::test]
async fn a_password_over_http_is_taken_only_by_word_of_a_trusted_proxy() {
    let [world, _] = World::both().await;
    let right = basic("alice@example.com", "right");
    let peer = |address: &str, trusted| {
        let address = address.parse().unwrap();
        Peer::new(address, address, 0, trusted)
    };
    let (stranger, proxy) = (peer("192.0.2.1:9", false), peer("10.0.0.1:9", true));
    let authorization = ("authorization", right.as_str());
    let https = ("x-forwarded-proto", "https");
    for (peer, fields, wanted) in [
        (&stranger, &[authorization][..], 401),
        (&stranger, &[authorization, https], 401),
        (&proxy, &[authorization], 401),
        (&proxy, &[authorization, ("x-forwarded-proto", "http")], 401),
        (&proxy, &[authorization, https], 200),
    ] {
        let got = world.send_from(peer, Method::GET, "/x", fields).await;
        assert_eq!(got.status, wanted, "{fields:?}");
    }
}

#[tokio::test]
async fn a_customer_of_the_store_has_the_quota_and_the_grants_of_the_moment() {
    for world in World::both().await {
        let quota = |tokens: u32| Quota {
            tokens: tokens.try_into().unwrap(),
            per: Duration::from_secs(86_400),
            burst: tokens.try_into().unwrap(),
        };
        let put = async |tokens: u32, tenants: &[&str]| {
            let record = CustomerRecord {
                uuid: None,
                id: id("prov"),
                name: "Provider".to_owned(),
                region: None,
                quotas: vec![(id("per-customer"), quota(tokens))],
                tenants: tenants
                    .iter()
                    .map(|tenant| TenantGrant {
                        tenant: id(tenant),
                        region: None,
                        roles: Some(vec![id("operator")]),
                    })
                    .collect(),
                created_at: START,
            };
            world.store.put_customer(record, world.by()).await.unwrap();
        };
        put(1, &["t-9"]).await;
        let mut access = world.user_access();
        access.customer = Some(id("prov"));
        let edit = world
            .store
            .change_user_access(id("central"), world.alice, access, world.by());
        edit.await.unwrap();
        let there = [BEARER, ("tenantid", "t-9")];
        assert_eq!(world.get("/limited/x", &there).await.status, 200);
        assert_eq!(world.get("/limited/x", &there).await.status, 429, "one a day");
        // Another quota changes what comes back, and gives nothing at once (docs/limits.md).
        put(4, &["t-9"]).await;
        assert_eq!(world.get("/limited/x", &there).await.status, 429, "four a day");
        put(4, &[]).await;
        let refused = world.status("/x", &there).await;
        assert_eq!(refused, (403, "tenant_forbidden".to_owned()));
    }
}

#[tokio::test]
async fn the_gateway_opens_its_store_keeps_it_over_a_reload_and_closes_it_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Upstream::start("one").await;
    let path = folder.path().join("accounts.db");
    let text = config(&backend, &format!("{{ sqlite: {} }}", path.display()));
    let root = basic("root@example.com", "root-password");
    let ask = async |gateway: &Gateway| {
        let proxy = "10.0.0.1:9".parse().unwrap();
        let mut request = Request::new(http_body_util::Empty::<bytes::Bytes>::new());
        *request.uri_mut() = "/x".parse().unwrap();
        let headers = request.headers_mut();
        headers.insert("host", HeaderValue::from_static("api.test"));
        headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        headers.insert("authorization", root.parse().unwrap());
        request
            .extensions_mut()
            .insert(Arc::new(Peer::new(proxy, proxy, 0, true)));
        gateway.service().call(request).await.unwrap().status()
    };
    for _ in 0..2 {
        let gateway = Gateway::start(plan(&text), Options::default()).await.unwrap();
        assert!(path.exists());
        assert_eq!(ask(&gateway).await, 200);
        gateway.reload(plan(&text)).await.unwrap();
        assert_eq!(ask(&gateway).await, 200);
        let hashes = gateway.metrics();
        assert!(
            hashes.contains("tollgate_password_hashes_total 1\n"),
            "what is remembered is kept over a reload: {hashes}"
        );
        let changed = text.replace("roles: [admin]", "roles: [auditor]");
        gateway.reload(plan(&changed)).await.unwrap();
        assert_eq!(ask(&gateway).await, 200);
        let elsewhere = text.replace("accounts.db", "other.db");
        let refused = gateway.reload(plan(&elsewhere)).await.unwrap_err();
        assert!(refused.to_string().contains("`store` changes"), "{refused}");
        gateway.drain().await;
    }
}

//! The endpoints as their clients see them, without sockets: each test stands in a small world of users, applications and
//! customers, on a store in memory. Names begin with the section that binds.

mod authorization;
mod client_authentication;
mod code;
mod exchange;
mod introspection;
mod metadata;
mod outages;
mod own_credentials;
mod parameters;
mod refresh;
mod revocation;

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use serde_json::{Value, json};

use super::{AnsweredBy, Call, Consent, TokenService};
use crate::accounts::{Accounts, Cost, Directory, Passwords, Realm};
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::base::json_template::JsonTemplate;
use crate::config::plan::{
    AccessFormat, AccessTokenPlan, AnswerPlan, ApplicationPlan, CustomerPlan, LockoutKey, LockoutPlan,
    NameForm, ParameterPlaces, PkceRule, RealmPlan, RealmRef, RefreshTokenPlan, ServiceRef, SessionsPlan,
    SigningAlgorithm, TokenEndpointPlan, TokenField, TokenServicePlan, WhileLocked,
};
use crate::http::body::Body;
use crate::http::form;
use crate::http::origin::Scheme;
use crate::identity::scopes::{Methods, ScopeMethods};
use crate::identity::{
    AccountKey, ClientId, GrantType, IssuerName, RealmName, Role, TenantGrant, UserId, scopes,
};
use crate::jose::KeyStore;
use crate::rejection::Rejection;
use crate::store::Store;
use crate::store::model::{
    AccessKey, Actor, Application, ApplicationState, By, LockPolicy, Reach, User, UserAccess, UserState,
};
use crate::store::outcome::{Access, Creation};
use crate::telemetry::metrics::Metrics;

const NOW: UnixTime = UnixTime(1_700_000_000);
const ISSUER: &str = "https://login.test";
const SECRET: &str = "s3cr%et+of the/web=app";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "https://app.test/cb";

/// What a test may want otherwise than usual.
struct Wish {
    format: Format,
    pkce: PkceRule,
    refresh: Option<RefreshTokenPlan>,
    while_locked: WhileLocked,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Opaque,
    Jwt,
}

const BOTH: [Format; 2] = [Format::Opaque, Format::Jwt];

impl Default for Wish {
    fn default() -> Wish {
        Wish {
            format: Format::Opaque,
            pkce: PkceRule::Public,
            refresh: Some(RefreshTokenPlan {
                lifetime: Duration::from_secs(14 * 86_400),
                grace: Duration::from_secs(10),
            }),
            while_locked: WhileLocked::Suspended,
        }
    }
}

struct World {
    service: Arc<TokenService>,
    store: Store,
    realm: Arc<Realm>,
    alice: UserId,
    keys: Option<(tempfile::TempDir, Arc<KeyStore>)>,
}

fn id<I: for<'t> TryFrom<&'t str>>(text: &str) -> I {
    I::try_from(text).unwrap_or_else(|_| panic!("{text:?}"))
}

fn roles(text: &str) -> Vec<Role> {
    text.split_whitespace().map(id).collect()
}

fn grant(tenant: &str, of: &str) -> TenantGrant {
    TenantGrant {
        tenant: id(tenant),
        region: None,
        roles: Some(roles(of)),
    }
}

fn application(name: &str, secret: Option<&str>) -> ApplicationPlan {
    ApplicationPlan {
        client_id: id(name),
        name: name.to_owned(),
        secret: secret.map(Digest::of),
        redirect_uris: vec![CALLBACK.to_owned(), "http://127.0.0.1/cb".to_owned()],
        owner: None,
        customer: Some(id("msp")),
        tenant: None,
        grants: GrantType::ALL.to_vec(),
        scopes: scopes::parse("all read").unwrap(),
        roles: roles("reader"),
    }
}

fn applications() -> Vec<ApplicationPlan> {
    vec![
        application("web", Some(SECRET)),
        application("other", Some("secret-of-other")),
        application("spa", None),
        ApplicationPlan {
            grants: vec![GrantType::ClientCredentials],
            ..application("machine", Some("secret-of-machine"))
        },
        ApplicationPlan {
            grants: vec![GrantType::AuthorizationCode],
            scopes: Vec::new(),
            redirect_uris: vec![CALLBACK.to_owned()],
            ..application("plain", Some("secret-of-plain"))
        },
        ApplicationPlan {
            tenant: Some(id("t1")),
            ..application("bound", Some("secret-of-bound"))
        },
    ]
}

fn realm_plan(while_locked: WhileLocked) -> RealmPlan {
    RealmPlan {
        name: id("central"),
        names: NameForm::Any,
        lockout: LockoutPlan {
            attempts: NonZeroU32::new(2).unwrap(),
            window: Duration::from_secs(900),
            duration: Duration::from_secs(60),
            key: LockoutKey::User,
            tokens: while_locked,
        },
        sessions: SessionsPlan {
            lifetime: Duration::from_secs(3_600),
            idle: Duration::from_secs(3_600),
            per_user: NonZeroU32::new(10).unwrap(),
        },
        users: Vec::new(),
        applications: applications(),
    }
}

fn user(name: &str) -> User {
    User {
        realm: id("central"),
        id: UserId::random(),
        name: id(name),
        key: id(name),
        state: UserState::Active,
        password: None,
        access: UserAccess {
            customer: Some(id("msp")),
            roles: roles("admin operator"),
            tenants: Vec::new(),
            default_tenant: None,
            reach: Reach::Granted,
        },
        created_at: NOW,
        changed_at: NOW,
    }
}

impl World {
    async fn new() -> World {
        World::with(Wish::default()).await
    }

    async fn of(format: Format) -> World {
        World::with(Wish {
            format,
            ..Wish::default()
        })
        .await
    }

    async fn with(wish: Wish) -> World {
        let store = Store::memory();
        let passwords = Passwords::start(Cost::new(32, 1, 1).unwrap(), NonZeroUsize::MIN, 4).unwrap();
        let accounts = Accounts::open(store.clone(), passwords);
        let plan = realm_plan(wish.while_locked);
        let realm = Realm::new(&plan, accounts, Metrics::new().sign_ins("central"));
        let msp = CustomerPlan {
            uuid: None,
            id: id("msp"),
            region: None,
            quotas: Vec::new(),
            tenants: vec![grant("t1", "viewer"), grant("t2", "viewer editor")],
        };
        let directory = Arc::new(Directory::new(&[msp], &[]));
        let alice = user("alice@msp.test");
        let alice_id = alice.id;
        let created = store.create_user(alice, By::system(NOW)).await.unwrap();
        assert_eq!(created, Creation::Created);
        let keys = (wish.format == Format::Jwt).then(|| {
            let folder = tempfile::tempdir().unwrap();
            let algorithm = SigningAlgorithm::ES256.into();
            let keys = KeyStore::open(folder.path(), algorithm, NOW).unwrap();
            (folder, keys)
        });
        let plan = TokenServicePlan {
            name: id::<IssuerName>("central"),
            realm: RealmRef::new(0),
            issuer: ISSUER.to_owned(),
            audience: vec!["central".to_owned(), "https://reports.test".to_owned()],
            access: AccessTokenPlan {
                format: match &keys {
                    None => AccessFormat::Opaque,
                    Some((folder, _)) => AccessFormat::Jwt {
                        algorithm: SigningAlgorithm::ES256,
                        keys: folder.path().to_owned(),
                    },
                },
                lifetime: Duration::from_secs(7_200),
            },
            refresh: wish.refresh,
            code_lifetime: Duration::from_secs(300),
            scopes: ScopeMethods::new(vec![
                (id("all"), Methods::Every),
                (id("read"), Methods::These(vec![Method::GET])),
            ]),
            pkce: wish.pkce,
            cache: 0,
        };
        let own = keys.as_ref().map(|(_, keys)| Arc::clone(keys));
        World {
            service: TokenService::new(&plan, Arc::clone(&realm), directory, own).unwrap(),
            store,
            realm,
            alice: alice_id,
            keys,
        }
    }

    fn realm_name(&self) -> RealmName {
        self.realm.name().clone()
    }

    /// A token request with these parameters in a form.
    async fn token(&self, client: Client<'_>, parameters: &[(&str, &str)]) -> Answer {
        self.token_at(NOW, client, parameters).await
    }

    async fn token_at(&self, now: UnixTime, client: Client<'_>, parameters: &[(&str, &str)]) -> Answer {
        let request = Request::form(client, parameters).at(now);
        self.send(ParameterPlaces::Form, request).await
    }

    async fn send(&self, places: ParameterPlaces, request: Request) -> Answer {
        let endpoint = endpoint(places);
        Answer::of(self.service.token(&endpoint, request.call()).await)
    }

    /// A code for alice, as the scripted step gives it to this client: by this authorization request.
    async fn code(&self, query: &str) -> String {
        self.code_at(NOW, query).await
    }

    async fn code_at(&self, now: UnixTime, query: &str) -> String {
        let request = self
            .service
            .authorization_request(query, AnsweredBy::Body)
            .await
            .unwrap();
        let consent = Consent {
            user: self.alice,
            customer: Some(id("msp")),
            tenant: None,
            roles: roles("admin operator"),
        };
        let code = self.service.grant_code(&request, consent, now).await.unwrap();
        code.reveal().to_owned()
    }

    /// Tokens of alice at the application `web`.
    async fn tokens(&self) -> Value {
        let code = self
            .code("client_id=web&response_type=code&scope=all%20read")
            .await;
        let answer = self
            .token(WEB, &[("grant_type", "authorization_code"), ("code", &code)])
            .await;
        answer.good()
    }

    async fn refreshed(&self, now: UnixTime, token: &str) -> Answer {
        let parameters = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.token_at(now, WEB, &parameters).await
    }

    async fn introspected(&self, now: UnixTime, client: Client<'_>, token: &str) -> Answer {
        let request = Request::form(client, &[("token", token)]).at(now);
        Answer::of(self.service.introspect(request.call()).await)
    }

    async fn is_active(&self, now: UnixTime, token: &Value) -> bool {
        let answer = self.introspected(now, WEB, text(token)).await.good();
        answer["active"].as_bool().unwrap()
    }

    /// What the store knows of an access token.
    async fn access(&self, token: &Value) -> Access {
        let (key, _) = self.service.key_of(text(token), NOW).unwrap();
        self.store.access(self.realm_name(), key, NOW).await.unwrap()
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// The token endpoint as the configuration makes it where it says nothing.
fn endpoint(parameters: ParameterPlaces) -> TokenEndpointPlan {
    let json = json!({
        "access_token": "{access_token}", "token_type": "{token_type}", "expires_in": "{expires_in}",
        "refresh_token": "{refresh_token}", "scope": "{scope}", "issued_token_type": "{issued_token_type}",
    });
    TokenEndpointPlan {
        service: ServiceRef::new(0),
        parameters,
        answer: answer_plan(&json),
    }
}

fn answer_plan(json: &Value) -> AnswerPlan<TokenField> {
    let known = [
        ("access_token", TokenField::AccessToken),
        ("token_type", TokenField::TokenType),
        ("expires_in", TokenField::ExpiresIn),
        ("expires_at", TokenField::ExpiresAt),
        ("refresh_token", TokenField::RefreshToken),
        ("scope", TokenField::Scope),
        ("issued_token_type", TokenField::IssuedTokenType),
    ];
    AnswerPlan {
        status: StatusCode::OK,
        headers: Vec::new(),
        json: JsonTemplate::compile(json, &known).unwrap(),
    }
}

/// How a client says who it is.
#[derive(Clone, Copy, Debug)]
enum Client<'c> {
    Basic(&'c str, &'c str),
    Post(&'c str, &'c str),
    Public(&'c str),
    Nobody,
}

const WEB: Client<'_> = Client::Basic("web", SECRET);
const OTHER: Client<'_> = Client::Basic("other", "secret-of-other");
const SPA: Client<'_> = Client::Public("spa");
const MACHINE: Client<'_> = Client::Basic("machine", "secret-of-machine");

struct Request {
    method: Method,
    headers: HeaderMap,
    query: Option<String>,
    tenant: Option<String>,
    body: Bytes,
    now: UnixTime,
}

impl Request {
    fn new() -> Request {
        Request {
            method: Method::POST,
            headers: HeaderMap::new(),
            query: None,
            tenant: None,
            body: Bytes::new(),
            now: NOW,
        }
    }

    fn form(client: Client<'_>, parameters: &[(&str, &str)]) -> Request {
        let mut parameters = parameters.to_vec();
        let mut request = Request::new();
        match client {
            Client::Basic(id, secret) => request = request.basic(id, secret),
            Client::Post(id, secret) => parameters.extend([("client_id", id), ("client_secret", secret)]),
            Client::Public(id) => parameters.push(("client_id", id)),
            Client::Nobody => {}
        }
        request.with_form(&encoded(&parameters))
    }

    fn with_form(mut self, text: &str) -> Request {
        self.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static(form::MEDIA_TYPE));
        self.body = Bytes::from(text.to_owned());
        self
    }

    fn basic(mut self, id: &str, secret: &str) -> Request {
        let value = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
        self.headers
            .append(AUTHORIZATION, HeaderValue::try_from(value).unwrap());
        self
    }

    fn header(mut self, name: &'static str, value: &str) -> Request {
        self.headers.append(name, HeaderValue::try_from(value).unwrap());
        self
    }

    fn query(mut self, query: &str) -> Request {
        self.query = Some(query.to_owned());
        self
    }

    fn tenant(mut self, tenant: &str) -> Request {
        self.tenant = Some(tenant.to_owned());
        self
    }

    fn at(mut self, now: UnixTime) -> Request {
        self.now = now;
        self
    }

    fn call(&self) -> Call<'_> {
        Call {
            method: &self.method,
            headers: &self.headers,
            query: self.query.as_deref(),
            scheme: Scheme::Https,
            authority: "login.test",
            tenant: self.tenant.as_deref(),
            body: Body::full(self.body.clone()),
            now: self.now,
        }
    }
}

fn encoded(parameters: &[(&str, &str)]) -> String {
    let pairs = parameters
        .iter()
        .map(|(name, value)| format!("{}={}", form::encoded(name), form::encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// What an endpoint answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
    error: Option<super::OAuthError>,
}

impl Answer {
    #[track_caller]
    fn of(outcome: Result<Response<Bytes>, Rejection>) -> Answer {
        let (parts, body) = outcome.unwrap().into_parts();
        Answer {
            status: parts.status.as_u16(),
            error: parts.extensions.get::<super::OAuthError>().copied(),
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    #[track_caller]
    fn good(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        assert_eq!(self.error, None);
        self.json()
    }

    /// Is it this error, in the form of RFC 6749 section 5.2?
    #[track_caller]
    fn is(&self, error: &str, status: u16) {
        let body = self.json();
        assert_eq!(
            (body["error"].as_str(), self.status),
            (Some(error), status),
            "{body}"
        );
        assert_eq!(self.error.unwrap().as_str(), error);
        assert!(body["error_description"].is_string());
        assert_eq!(self.headers[CONTENT_TYPE], "application/json");
        assert_eq!(self.headers["cache-control"], "no-store");
        assert_eq!(self.headers["pragma"], "no-cache");
        assert_eq!(self.headers.contains_key("www-authenticate"), status == 401);
    }
}

//! The plan: the configuration, checked. No value here can be nonsense, no name can dangle.
//!
//! Raw types mirror the file and stay private to their section; these are what the rest of the program sees. References
//! between sections are indices that only the resolver makes.

mod accounts;
mod endpoints;
mod services;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use ipnet::IpNet;

use super::diagnostic::Diagnostic;
use crate::base::digest::Digest;
use crate::base::secret::Secret;
use crate::base::units::Quota;
use crate::base::version::Version;
use crate::identity::{
    ApiName, CustomerId, IssuerName, LimitName, RegionName, Role, RouteName, Scope, TenantGrant, TenantUuid,
};
use crate::rejection::Code;

pub use accounts::{
    ApplicationPlan, LockoutKey, LockoutPlan, NameForm, RealmPlan, SessionsPlan, StorePlan, UserPlan,
    WhileLocked,
};
pub use endpoints::{
    AnswerPlan, Authority, AuthorizeStepPlan, ClientSource, CodeField, CredentialPlan, CsrfPlan,
    CsrfRotation, DeleteTokenPlan, EnrolField, EnrolPlan, EnrolmentField, EnrolmentTokensPlan, MetadataPlan,
    MintClientPlan, MintField, NoField, NodeField, NodeWords, NodesPlan, OwnPlan, ParameterPlaces,
    RefererRule, RemoteSignInPlan, SessionCookie, SessionPlan, SignInField, SignInFields, SignInGives,
    SignInPlan, SignUrlField, SignUrlPlan, SignedUrlPlan, StatusPlan, StatusService, StepCookies,
    TokenEndpointPlan, TokenField,
};
pub use services::{
    AccessFormat, AccessTokenPlan, ClientProof, IntrospectionPlan, PkceRule, ProviderPlan, RefreshTokenPlan,
    SigningAlgorithm, TokenServicePlan,
};

macro_rules! reference {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u16);

        impl $name {
            /// Only the resolver that found the name makes one.
            pub(crate) fn new(index: usize) -> $name {
                $name(u16::try_from(index).unwrap_or(u16::MAX))
            }

            /// Index into the plan's list.
            pub fn index(self) -> usize {
                usize::from(self.0)
            }
        }
    };
}

reference!(/// A region of [`Plan::regions`].
    RegionRef);
reference!(/// An issuer of [`Plan::issuers`].
    IssuerRef);
reference!(/// A realm of [`Plan::realms`].
    RealmRef);
reference!(/// A token service of [`Plan::services`].
    ServiceRef);
reference!(/// An introspection of [`Plan::introspections`].
    IntrospectionRef);
reference!(/// A provider of [`Plan::providers`].
    ProviderRef);
reference!(/// A sign-in of [`ApiPlan::sign_ins`].
    SignInRef);
reference!(/// Keys of [`Plan::signed_urls`].
    SignedUrlRef);
reference!(/// A limit of [`Plan::limits`].
    LimitRef);
reference!(/// A backend of [`Plan::backends`].
    BackendRef);
reference!(/// A dialect of [`Plan::dialects`]; 0 is the standard one.
    DialectRef);

/// The whole configuration, checked.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What holds for all listeners.
    pub server: ServerPlan,
    /// Where clients connect; at least one.
    pub listeners: Vec<ListenerPlan>,
    /// The admin listener.
    pub admin: Option<AdminPlan>,
    /// Regions, in the order of the file.
    pub regions: Vec<RegionPlan>,
    /// Token issuers.
    pub issuers: Vec<IssuerPlan>,
    /// Where accounts, sessions and tokens are kept. Opened only if there are realms.
    pub store: StorePlan,
    /// Worlds of accounts.
    pub realms: Vec<RealmPlan>,
    /// Token services of our own.
    pub services: Vec<TokenServicePlan>,
    /// Introspection endpoints of others.
    pub introspections: Vec<IntrospectionPlan>,
    /// At whom users sign in elsewhere.
    pub providers: Vec<ProviderPlan>,
    /// Keys of signed URLs.
    pub signed_urls: Vec<SignedUrlPlan>,
    /// Named limits.
    pub limits: Vec<LimitPlan>,
    /// Customers known from the file.
    pub customers: Vec<CustomerPlan>,
    /// Backends.
    pub backends: Vec<BackendPlan>,
    /// Dialects; the first is the standard one.
    pub dialects: Vec<DialectPlan>,
    /// Apis.
    pub apis: Vec<ApiPlan>,
    /// Logs and traces.
    pub telemetry: TelemetryPlan,
    /// Every file that was read or is named (includes, certificates, keys): what a reload watches.
    pub files: Vec<PathBuf>,
    /// Diagnostics that are no errors, such as `danger_` settings that are on.
    pub warnings: Vec<Diagnostic>,
}

impl Plan {
    /// Is there anything to keep: accounts, or sessions of those who signed in elsewhere?
    pub fn needs_store(&self) -> bool {
        !self.realms.is_empty() || self.apis.iter().any(|api| !api.sign_ins.is_empty())
    }
}

/// What holds for all listeners.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerPlan {
    /// Worker threads and how work is dealt to them. A change needs a restart.
    pub workers: Workers,
    /// Addresses whose `Forwarded`/`X-Forwarded-*` fields are believed and which are exempt from the per-address cap.
    pub trusted_proxies: Vec<IpNet>,
    /// Client connections in all.
    pub max_connections: usize,
    /// Client connections from one address (IPv6: one /64).
    pub max_connections_per_address: usize,
    /// Deadlines on the client's side.
    pub timeouts: ServerTimeouts,
    /// Bounds of a request's head.
    pub head: HeadLimits,
    /// HTTP/2 bounds.
    pub http2: Http2Plan,
    /// How a drain runs.
    pub drain: DrainPlan,
    /// `danger_guard_off`: requests are not refused for being ambiguous. For tests that prove that the guard bites.
    pub danger_guard_off: bool,
}

/// Worker threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One current-thread runtime a worker; connections are dealt to the one with the fewest. 0 = one a core.
    Sharded(usize),
    /// One stealing runtime with so many threads. 0 = one a core.
    Stealing(usize),
}

/// Deadlines on the client's side, each 100 ms to 1 h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerTimeouts {
    /// TLS handshake, from accept.
    pub handshake: Duration,
    /// First byte of the first request on a plain connection, from accept.
    pub first_byte: Duration,
    /// Whole head of a request, from its first byte.
    pub headers: Duration,
    /// Between two requests on a connection.
    pub idle: Duration,
    /// Between two reads of a request body.
    pub body: Duration,
    /// A write that makes no progress.
    pub write: Duration,
}

/// Bounds of a request's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of the whole head, 8 KiB to 1 MiB.
    pub bytes: usize,
    /// Number of field lines, 16 to 1,000.
    pub fields: usize,
    /// Bytes of the request target.
    pub target: usize,
}

/// HTTP/2 bounds (RFC 9113 section 6.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http2Plan {
    /// Concurrent streams of one connection.
    pub streams: u32,
    /// Initial window of a stream, bytes.
    pub stream_window: u32,
    /// Window of a connection, bytes.
    pub connection_window: u32,
}

/// How a drain runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainPlan {
    /// For so long after SIGTERM new connections are still accepted, with `Connection: close`.
    pub min: Duration,
    /// After so long what is left is cut.
    pub max: Duration,
}

/// A socket address on which clients are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerPlan {
    /// The address.
    pub address: SocketAddr,
    /// What is spoken there.
    pub mode: ListenerMode,
}

/// What a listener speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenerMode {
    /// HTTP/1.1 and HTTP/2 with prior knowledge, without TLS.
    Plain,
    /// TLS 1.2 and 1.3; HTTP/2 and HTTP/1.1 by ALPN.
    Tls(TlsPlan),
    /// Every request is answered with a redirect to HTTPS.
    RedirectToHttps {
        /// The port to name in the redirect; `None` leaves it out (443).
        port: Option<u16>,
    },
}

/// TLS on a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsPlan {
    /// At least one; the first is used when no server name matches.
    pub certificates: Vec<CertificatePlan>,
    /// Client certificates.
    pub clients: ClientCertificates,
}

/// A certificate chain and its key, both PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificatePlan {
    /// The chain, leaf first.
    pub chain: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Whether clients show certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Not asked for.
    No,
    /// Asked for, and verified if shown.
    Optional {
        /// PEM file of the authorities.
        ca: PathBuf,
    },
    /// Required.
    Required {
        /// PEM file of the authorities.
        ca: PathBuf,
    },
}

/// The admin listener. Plain HTTP; loopback by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdminPlan {
    /// Its address.
    pub address: SocketAddr,
    /// The digest of the operator's token; `None`: nothing can be changed there, and no account be seen.
    pub token: Option<Digest>,
}

/// A named place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionPlan {
    /// Its name.
    pub name: RegionName,
    /// The host names of its door, lower case. The first is named in a redirect.
    pub hosts: Vec<String>,
}

/// Who signs tokens, and what of their claims means what.
#[derive(Debug, Clone)]
pub struct IssuerPlan {
    /// Its name in the configuration.
    pub name: IssuerName,
    /// The `iss` claim, compared exactly.
    pub issuer: String,
    /// The `aud` claim must have one of these.
    pub audience: Vec<String>,
    /// Accepted algorithms (RFC 7518 section 3.1, RFC 8037). A key is used only with the algorithms of its type.
    pub algorithms: Vec<Algorithm>,
    /// Where keys come from; at least one.
    pub keys: Vec<KeySource>,
    /// Claims that mean something here.
    pub claims: ClaimsPlan,
    /// Allowed difference of clocks, 0 to 60 s.
    pub leeway: Duration,
    /// Accepted `typ` header values, compared without case; empty accepts `JWT`, `at+jwt` and none.
    pub types: Vec<String>,
    /// Verified tokens that are remembered. 0 verifies each time.
    pub cache: usize,
}

/// A signature algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(
    missing_docs,
    reason = "the names of RFC 7518 section 3.1 and RFC 8037 section 3.1"
)]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
    HS256,
}

/// Where verification keys come from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A PEM file with a public key or a certificate.
    Pem(PathBuf),
    /// A file with a JWK or a JWK set (RFC 7517).
    JwkFile(PathBuf),
    /// A JWK set fetched over HTTP.
    Url(KeyUrl),
    /// A shared secret, for HS256 only; at least 32 bytes.
    Secret(Secret),
}

/// A JWK set that is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUrl {
    /// `https`, or `http` to a loopback address or where `danger_plain_http` says so.
    pub url: http::Uri,
    /// Authorities instead of the system's, a PEM file.
    pub ca: Option<PathBuf>,
    /// Refresh interval when the answer has no `max-age`.
    pub refresh: Duration,
    /// An unknown `kid` fetches at most this often.
    pub floor: Duration,
    /// Keys are used at most so long after the last good fetch.
    pub stale: Duration,
}

/// Which claim means what. A plain name is a top-level claim; with a leading `/` it is a JSON Pointer (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimsPlan {
    /// Who is calling; `sub` by default.
    pub subject: String,
    /// Whose quota is charged.
    pub customer: Option<String>,
    /// Whose data is touched.
    pub tenant: Option<String>,
    /// An array of further tenants that the token grants.
    pub tenants: Option<String>,
    /// The home region.
    pub region: Option<String>,
    /// Scopes: a string separated by spaces, or an array.
    pub scope: Option<String>,
    /// Roles: an array, or a string separated by spaces.
    pub roles: Option<String>,
}

/// A named token bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitPlan {
    /// Its name.
    pub name: LimitName,
    /// The quota for whoever has none of their own.
    pub quota: Quota,
    /// What a bucket is for; not empty. Only address and route: spent before authentication.
    pub per: Vec<LimitKey>,
    /// Legacy header names for limit, remaining and reset.
    pub legacy: LegacyLimitHeaders,
    /// When to send the fields.
    pub fields: LimitFields,
}

/// A part of a bucket's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LimitKey {
    /// The payer.
    Customer,
    /// The tenant acted on.
    Tenant,
    /// The subject of the credential.
    Subject,
    /// The OAuth client of the credential.
    Client,
    /// The client's address: IPv4 whole, IPv6 /64.
    Address,
    /// The route.
    Route,
}

/// Names of rate-limit header fields from before the standard ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LegacyLimitHeaders {
    /// Quota.
    pub limit: Option<HeaderName>,
    /// Tokens left.
    pub remaining: Option<HeaderName>,
    /// Seconds until the next token.
    pub reset: Option<HeaderName>,
}

/// When rate-limit fields are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitFields {
    /// With 429 only.
    Refused,
    /// With every answer.
    Always,
}

/// A customer known from the file. Customers that are not listed get every limit's own quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerPlan {
    /// Who.
    pub id: CustomerId,
    /// By what else clients may select it as a tenant. No two customers have the same.
    pub uuid: Option<TenantUuid>,
    /// Home region.
    pub region: Option<RegionRef>,
    /// Quotas that differ from the limit's own (from the customer's plan and its own entries).
    pub quotas: Vec<(LimitRef, Quota)>,
    /// Tenants this customer may act on (it is a provider then).
    pub tenants: Vec<TenantGrant>,
}

/// A named service.
#[derive(Debug, Clone, PartialEq)]
pub struct BackendPlan {
    /// Its name.
    pub name: String,
    /// The newest version of the api that it speaks.
    pub version: Option<Version>,
    /// Endpoints, each in a region or in none (then it serves every region that has none of its own).
    pub endpoints: Vec<EndpointPlan>,
    /// What is spoken to it.
    pub protocol: UpstreamProtocol,
    /// TLS for `https` endpoints.
    pub tls: UpstreamTls,
    /// How an endpoint is chosen.
    pub balance: Balance,
    /// Deadlines.
    pub timeouts: UpstreamTimeouts,
    /// Connections kept.
    pub pool: PoolPlan,
    /// How often names are resolved again.
    pub resolve: Duration,
    /// How long an endpoint that could not be connected to is passed over.
    pub set_aside: Duration,
    /// How its endpoints are asked whether they can work.
    pub ready: Option<ReadyPlan>,
    /// Answers from configuration instead of a network.
    pub fixed: Option<FixedAnswer>,
}

/// How endpoints are asked whether they can work: by GET, and an answer of the class 2xx says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyPlan {
    /// Path, and query if there is one.
    pub path: String,
    /// The `Host` of the question; the endpoint's own by default.
    pub host: Option<String>,
    /// From one question to the next.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How many checks fail one after the other before a ready endpoint is not ready any more, at least 1.
    pub failures: u32,
}

/// One address or name of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointPlan {
    /// Its region.
    pub region: Option<RegionRef>,
    /// TLS?
    pub tls: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// What is spoken to a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: by ALPN over TLS, with prior knowledge (h2c) without.
    Http2,
}

/// TLS towards a backend.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpstreamTls {
    /// Authorities instead of the system's, a PEM file.
    pub ca: Option<PathBuf>,
    /// A client certificate.
    pub certificate: Option<CertificatePlan>,
    /// The name to ask for and to verify; the endpoint's host by default.
    pub server_name: Option<String>,
}

/// How an endpoint is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    /// One after the other.
    RoundRobin,
    /// The less busy of two chosen at random.
    TwoChoices,
}

/// Deadlines towards a backend; connect ≤ first byte ≤ whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// TCP and TLS.
    pub connect: Duration,
    /// From sending the request to the head of the answer.
    pub first_byte: Duration,
    /// Between two reads of the answer's body.
    pub idle: Duration,
    /// The whole exchange; before it, so long for a body that is counted.
    pub whole: Duration,
}

/// Connections kept to each endpoint, by each worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolPlan {
    /// Idle ones at most.
    pub idle: usize,
    /// An idle one is closed after so long.
    pub idle_timeout: Duration,
    /// Any is retired after so long.
    pub lifetime: Duration,
}

/// An answer from configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedAnswer {
    /// Status.
    pub status: StatusCode,
    /// Fields.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Body.
    pub body: bytes::Bytes,
}

/// How refusals look for one api.
#[derive(Debug, Clone, PartialEq)]
pub struct DialectPlan {
    /// Its name.
    pub name: String,
    /// Rows that differ from the standard look (RFC 9457 problem JSON).
    pub rows: Vec<(Code, DialectRow)>,
}

/// How one refusal looks. Templates may name `{code}`, `{title}`, `{detail}`, `{status}`, `{request_id}`,
/// `{retry_after}`, `{limit}`, `{host}`, `{scope}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialectRow {
    /// Status.
    pub status: StatusCode,
    /// Fields; the value is a template.
    pub headers: Vec<(HeaderName, String)>,
    /// Content type; `None` with an empty body.
    pub content_type: Option<HeaderValue>,
    /// Body template; values are escaped for JSON where the content type is JSON.
    pub body: String,
}

/// What one product offers under its host names.
#[derive(Debug, Clone)]
pub struct ApiPlan {
    /// Its name.
    pub name: ApiName,
    /// Its hosts; not empty.
    pub hosts: Vec<HostPattern>,
    /// How its refusals look.
    pub dialect: DialectRef,
    /// Header names towards the backend.
    pub headers: IdentityHeaders,
    /// The headers by which a client names a tenant.
    pub tenant_selector: TenantSelector,
    /// The header by which a client says for which version of the api its call is.
    pub version: Option<VersionRule>,
    /// How the region of a call is found.
    pub region: RegionRule,
    /// Sessions, where it has any.
    pub session: Option<SessionPlan>,
    /// How users sign in elsewhere.
    pub sign_ins: Vec<RemoteSignInPlan>,
    /// Does a token of a token service need a scope that lets the method through
    /// ([`TokenServicePlan::scopes`])?
    pub scope_methods: bool,
    /// Routes; not empty.
    pub routes: Vec<RoutePlan>,
}

/// The headers by which a client names the tenant that it acts on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TenantSelector {
    /// By its name.
    pub name: Option<HeaderName>,
    /// By its UUID.
    pub uuid: Option<HeaderName>,
}

impl TenantSelector {
    /// By its name alone.
    pub fn by_name(name: HeaderName) -> TenantSelector {
        TenantSelector {
            name: Some(name),
            uuid: None,
        }
    }

    /// All of them.
    pub fn headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.name.iter().chain(&self.uuid)
    }
}

/// How a call says for which version of the api it is. Compared with the version of the backend that it goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRule {
    /// In which header. It goes on to the backend.
    pub header: HeaderName,
    /// Must it be there?
    pub presence: Presence,
}

/// Must something be there?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It must.
    Required,
    /// It may be missing.
    Optional,
}

/// A host an api answers to. Ports are ignored, letter case too.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This name or address, lower case, without brackets.
    Exact(String),
    /// Any name that ends with this, `.example.com` for `*.example.com`.
    Suffix(String),
    /// Any host.
    Any,
}

/// Under which names verified identity goes to the backend. Every spelling of each is removed from what clients send,
/// those of [`IdentityHeaders::identity`] through whichever api they send it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdentityHeaders {
    /// The tenant.
    pub tenant: Option<HeaderName>,
    /// The tenant's UUID, where it has one.
    pub tenant_uuid: Option<HeaderName>,
    /// The payer.
    pub customer: Option<HeaderName>,
    /// The subject.
    pub subject: Option<HeaderName>,
    /// The region chosen.
    pub region: Option<HeaderName>,
    /// The token's scopes, separated by spaces.
    pub scopes: Option<HeaderName>,
    /// The roles, separated by spaces.
    pub roles: Option<HeaderName>,
    /// The request id; `x-request-id` by default.
    pub request_id: Option<HeaderName>,
    /// Further names to remove.
    pub remove: Vec<HeaderName>,
    /// Keep the `Authorization` header towards the backend.
    pub keep_authorization: bool,
}

impl IdentityHeaders {
    /// The names that carry who is calling, for whom, and where: what a backend decides by.
    pub fn identity(&self) -> impl Iterator<Item = &HeaderName> {
        let IdentityHeaders {
            tenant,
            tenant_uuid,
            customer,
            subject,
            region,
            scopes,
            roles,
            request_id: _,
            remove: _,
            keep_authorization: _,
        } = self;
        [tenant, tenant_uuid, customer, subject, region, scopes, roles]
            .into_iter()
            .flatten()
    }
}

/// How the region of a call is found, and what happens at the wrong door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionRule {
    /// In this order; the first that says something decides.
    pub from: Vec<RegionSource>,
    /// If none does.
    pub default: Option<RegionRef>,
    /// A call whose region is not that of the host it came to.
    pub wrong_door: WrongDoor,
}

/// What can say where a call belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RegionSource {
    /// The token's claim.
    Claim,
    /// The customers and tenants in the file.
    Directory,
    /// The host name.
    Host,
}

/// What happens to a call at another region's door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongDoor {
    /// 421, naming the right host.
    Refuse,
    /// It is forwarded to its own region.
    Forward,
    /// 308 to the right host.
    Redirect,
}

/// A path pattern and methods of an api, with its stages.
#[derive(Debug, Clone)]
pub struct RoutePlan {
    /// Its name: given, or `METHODS path`.
    pub name: RouteName,
    /// The pattern: `/literal/{capture}/{*rest}`.
    pub path: String,
    /// Methods; empty for any.
    pub methods: Vec<Method>,
    /// Who may call.
    pub access: AccessPlan,
    /// Limits, in the order in which they are spent.
    pub limits: Vec<LimitRef>,
    /// A cap on the items of one call.
    pub items: Option<ItemCapPlan>,
    /// Media types that a body may have, in lower case; empty: any.
    pub media_types: Vec<String>,
    /// Query parameters that are whole numbers within a range.
    pub ranges: Vec<RangePlan>,
    /// Largest request body in bytes.
    pub body_limit: u64,
    /// Fields added to the answer.
    pub deprecated: Option<HeaderValue>,
    /// Where the call goes.
    pub target: TargetPlan,
    /// Where in the file the route stands, for explanations: `file:line`.
    pub place: String,
}

/// Who may call a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessPlan {
    /// Anybody.
    Public,
    /// Callers with one of these credentials.
    Required {
        /// What is looked for, in this order; not empty.
        credentials: Vec<CredentialPlan>,
        /// At least one of these scopes (empty: none needed).
        scopes_any: Vec<Scope>,
        /// All of these scopes.
        scopes_all: Vec<Scope>,
        /// At least one of these roles (empty: none needed).
        roles_any: Vec<Role>,
        /// All of these roles.
        roles_all: Vec<Role>,
    },
}

/// At most `max` items in one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemCapPlan {
    /// The cap, at least 1.
    pub max: u64,
    /// What is counted.
    pub count: ItemCount,
}

/// A query parameter that is a whole number within a range, however often it occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangePlan {
    /// Its name.
    pub name: String,
    /// The least.
    pub min: u64,
    /// The most; not less than the least.
    pub max: u64,
}

/// What an item cap counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemCount {
    /// The value of every occurrence of this query parameter.
    Query(String),
    /// The elements of the JSON array at this JSON Pointer (RFC 6901; decoded segments; empty: the body itself).
    Body(Vec<String>),
}

/// Where a call goes.
#[derive(Debug, Clone)]
pub enum TargetPlan {
    /// To a backend.
    Backend {
        /// Which.
        backend: BackendRef,
        /// What becomes of the path.
        rewrite: Rewrite,
    },
    /// An answer from configuration.
    Respond(FixedAnswer),
    /// The route existed once: 410.
    Gone,
    /// To an endpoint of the gateway itself.
    Own(OwnPlan),
}

impl TargetPlan {
    /// The backend that calls go to, if they go to one.
    pub fn backend(&self) -> Option<BackendRef> {
        match self {
            TargetPlan::Backend { backend, rewrite: _ } => Some(*backend),
            TargetPlan::Respond(_) | TargetPlan::Gone | TargetPlan::Own(_) => None,
        }
    }

    /// Where a request to this target names its application, for limits `per: client` that are spent before anybody is known
    /// or that are about the application named. `None`: only the credential says.
    pub fn client_source(&self) -> Option<ClientSource> {
        match self {
            TargetPlan::Own(endpoint) => endpoint.client_source(),
            TargetPlan::Backend { .. } | TargetPlan::Respond(_) | TargetPlan::Gone => None,
        }
    }
}

/// What becomes of the path towards the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewrite {
    /// As it came (in its normal form).
    Keep,
    /// Without this prefix (whole segments).
    StripPrefix(String),
    /// A new path made of literals and captures, `/v2/{customer_id}/{rest}`.
    Template(String),
}

/// Logs and traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetryPlan {
    /// The access log.
    pub access_log: Option<AccessLogPlan>,
    /// The program log's filter, such as `info` or `tollgate=debug`.
    pub log_level: String,
    /// The program log as JSON.
    pub log_json: bool,
}

/// The access log: one JSON object a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLogPlan {
    /// Where it goes; `None` is standard output.
    pub file: Option<PathBuf>,
    /// Log the query, with these parameters redacted.
    pub query: bool,
    /// Query parameters whose values are replaced by `***`.
    pub redact: Vec<String>,
    /// Lines that may wait; what comes on top is dropped and counted.
    pub queue: usize,
}

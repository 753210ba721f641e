//! The file as it is written. Every type mirrors a part of it; the comments are the manual's text.
//!
//! Nothing outside `config` sees these types: the resolvers make plans of them.

mod accounts;
mod endpoints;
mod remote;
mod services;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rejection::Code;

use super::read::{At, Json, Named, OneOrMany};
use super::text::{
    Address, Claim, Day, Endpoint, FetchUrl, Field, FilePath, HostName, Length, LogFilter, MediaType,
    Network, NonEmpty, Numbers, PathPattern, PathTemplate, Pointer, Prefix, Rate, RequestPath, RoleName,
    RouteTitle, ScopeName, Signature, Size, UuidName, Variable, Verb,
};

pub(super) use accounts::{
    RawApplication, RawClientSecret, RawGrantType, RawLockout, RawLockoutKey, RawNameForm, RawPassword,
    RawRealm, RawSessions, RawStore, RawUser,
};
pub(super) use endpoints::{
    RawApiKey, RawAuthorizeStep, RawClientSource, RawCredential, RawCsrf, RawDeleteToken, RawEnrol,
    RawEnrolmentTokens, RawGives, RawMintClient, RawNodes, RawOwnAnswer, RawParameterPlace, RawReferer,
    RawRotate, RawSameSite, RawSecure, RawSession, RawSignIn, RawSignOut, RawSignUrl, RawSignedUrl,
    RawStatus, RawStatusService, RawTokenEndpoint,
};
pub(super) use remote::{RawClientProof, RawProvider, RawRemoteSignIn};
pub(super) use services::{RawIntrospection, RawPkce, RawSigningAlgorithm, RawTokenFormat, RawTokenService};

/// A Tollgate configuration: where clients connect, who they are, what they may do, and where their calls go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Configuration")]
pub(super) struct RawRoot {
    /// Further files of the same shape, relative to this one. Maps and lists are joined; a name that stands in two
    /// files is an error.
    #[serde(rename = "include")]
    pub _include: Option<OneOrMany<At<FilePath>>>,
    /// What holds for all listeners.
    #[schemars(extend("default" = {}))]
    pub server: RawServer,
    /// Where clients connect; at least one.
    #[schemars(extend("default" = []))]
    pub listeners: Vec<At<RawListener>>,
    /// The admin listener: `/live`, `/ready`, `/metrics`. Without it there is none.
    pub admin: Option<RawAdmin>,
    /// Named places: their host names. Backends say which of them they serve.
    #[schemars(extend("default" = {}))]
    pub regions: Named<RawRegion>,
    /// Who signs tokens, by name.
    #[schemars(extend("default" = {}))]
    pub issuers: Named<At<RawIssuer>>,
    /// Where users, applications, sessions and tokens are kept. Opened only if there are `realms`, or `sign-ins` of an api. A change needs a restart.
    #[schemars(extend("default" = {"sqlite": "tollgate.db"}))]
    pub store: RawStore,
    /// Worlds of accounts, by name.
    #[schemars(extend("default" = {}))]
    pub realms: Named<At<RawRealm>>,
    /// Authorization servers of this gateway's own, by name. Issuers, token services and introspections have their names in
    /// common.
    #[schemars(extend("default" = {}))]
    pub token_services: Named<At<RawTokenService>>,
    /// Others who are asked about their opaque tokens, by name.
    #[schemars(extend("default" = {}))]
    pub introspections: Named<At<RawIntrospection>>,
    /// Identity providers at whom users sign in, by name: the gateway is their client.
    #[schemars(extend("default" = {}))]
    pub providers: Named<At<RawProvider>>,
    /// Keys of signed URLs, by name.
    #[schemars(extend("default" = {}))]
    pub signed_urls: Named<At<RawSignedUrl>>,
    /// Named token buckets.
    #[schemars(extend("default" = {}))]
    pub limits: Named<RawLimit>,
    /// Named sets of quotas that customers are given: for each limit, what differs from its own quota.
    #[schemars(extend("default" = {}))]
    pub plans: Named<Named<RawQuota>>,
    /// Customers that differ from the rest, by the id that tokens carry. Others get every limit's own quota.
    #[schemars(extend("default" = {}))]
    pub customers: Named<RawCustomer>,
    /// Named services that calls are forwarded to.
    #[schemars(extend("default" = {}))]
    pub backends: Named<At<RawBackend>>,
    /// How refusals look, by name; `standard` (RFC 9457 problem JSON) is always there.
    #[schemars(extend("default" = {}))]
    pub dialects: Named<RawDialect>,
    /// What is offered, by name.
    #[schemars(extend("default" = {}))]
    pub apis: Named<At<RawApi>>,
    /// Logs.
    #[schemars(extend("default" = {}))]
    pub telemetry: RawTelemetry,
}

/// What holds for all listeners.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Server")]
pub(super) struct RawServer {
    /// Worker threads; 0 is one a core. A change needs a restart.
    #[schemars(extend("default" = 0, "maximum" = 1024))]
    pub workers: u32,
    /// How work is dealt to the workers. A change needs a restart.
    #[schemars(extend("default" = "sharded"))]
    pub scheduler: RawScheduler,
    /// Networks or addresses whose `Forwarded` and `X-Forwarded-*` fields are believed, and which are exempt from the cap
    /// on connections per address: the load balancers in front.
    #[schemars(extend("default" = []))]
    pub trusted_proxies: Vec<Network>,
    /// Caps on client connections.
    #[schemars(extend("default" = {}))]
    pub connections: RawConnections,
    /// Deadlines on the client's side.
    #[schemars(extend("default" = {}))]
    pub timeouts: RawServerTimeouts,
    /// Bounds of a request's head.
    #[schemars(extend("default" = {}))]
    pub head: RawHead,
    /// HTTP/2 bounds (RFC 9113 section 6.5.2).
    #[schemars(extend("default" = {}))]
    pub http2: RawHttp2,
    /// What happens between SIGTERM and the end.
    #[schemars(extend("default" = {}))]
    pub drain: RawDrain,
    /// Lets requests through that can be read in two ways. Only for tests that prove that the guard bites.
    #[serde(rename = "danger_guard_off")]
    #[schemars(extend("default" = false))]
    pub danger_guard_off: At<bool>,
}

/// How work is dealt to the workers.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(super) enum RawScheduler {
    /// One runtime a worker; a connection stays where it was accepted.
    Sharded,
    /// One runtime whose threads take work from each other.
    Stealing,
}

/// Caps on client connections.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Connections")]
pub(super) struct RawConnections {
    /// In all. Beyond it the next connection waits in the kernel's queue. Keep it under the limit on open files: each
    /// forwarded call needs a second one.
    #[schemars(extend("default" = 10_000, "minimum" = 1, "maximum" = 1_000_000))]
    pub max: u32,
    /// From one address (of IPv6 one /64).
    #[schemars(extend("default" = 256, "minimum" = 1, "maximum" = 1_000_000))]
    pub per_address: At<u32>,
}

/// Deadlines on the client's side.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "ServerTimeouts")]
pub(super) struct RawServerTimeouts {
    /// TLS handshake, from accept.
    #[schemars(extend("default" = "10s", "x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub handshake: Length,
    /// First byte of the first request on a plain connection, from accept.
    #[schemars(extend("default" = "10s", "x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub first_byte: Length,
    /// Whole head of a request, from its first byte.
    #[schemars(extend("default" = "10s", "x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub headers: Length,
    /// Between two requests on a connection. Longer than the load balancer's own, else the two race.
    #[schemars(extend("default" = "75s", "x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub idle: Length,
    /// Between two reads of a request body.
    #[schemars(extend("default" = "30s", "x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub body: Length,
    /// A write of the answer that makes no progress.
    #[schemars(extend("default" = "30s", "x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub write: Length,
}

/// Bounds of a request's head.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Head")]
pub(super) struct RawHead {
    /// The whole head.
    #[schemars(extend("default" = "64KiB", "x-minimum" = "8KiB", "x-maximum" = "1MiB"))]
    pub bytes: Size,
    /// Field lines.
    #[schemars(extend("default" = 100, "minimum" = 16, "maximum" = 1_000))]
    pub fields: u32,
    /// The request target.
    #[schemars(extend("default" = "8KiB", "x-minimum" = "256B", "x-maximum" = "64KiB"))]
    pub target: At<Size>,
}

/// HTTP/2 bounds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Http2")]
pub(super) struct RawHttp2 {
    /// Concurrent streams of one connection.
    #[schemars(extend("default" = 100, "minimum" = 1, "maximum" = 10_000))]
    pub streams: u32,
    /// Initial window of a stream.
    #[schemars(extend("default" = "64KiB", "x-minimum" = "16KiB", "x-maximum" = "16MiB"))]
    pub stream_window: Size,
    /// Window of a connection.
    #[schemars(extend("default" = "1MiB", "x-minimum" = "64KiB", "x-maximum" = "64MiB"))]
    pub connection_window: Size,
}

/// What happens between SIGTERM and the end.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Drain")]
pub(super) struct RawDrain {
    /// For so long new connections are still accepted, with `Connection: close`: the time that a load balancer or a
    /// Kubernetes service needs to notice.
    #[schemars(extend("default" = "0ms", "x-maximum" = "1h"))]
    pub min: At<Length>,
    /// After so long what is left is cut. Shorter than the grace period of whoever sends the signal.
    #[schemars(extend("default" = "25s", "x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub max: At<Length>,
}

/// A socket address on which clients are served: plain, with TLS, or only to be sent to HTTPS.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Listener")]
pub(super) struct RawListener {
    /// Address and port, `0.0.0.0:8443`. A change needs a restart.
    pub address: At<Address>,
    /// TLS 1.2 and 1.3, with HTTP/2 and HTTP/1.1 by ALPN.
    pub tls: Option<At<RawTls>>,
    /// Answers every request with a redirect to HTTPS (308, with method and query).
    pub redirect: Option<At<RawRedirect>>,
    /// The port that the redirect names, if it is not 443.
    #[schemars(extend("minimum" = 1, "maximum" = 65_535))]
    pub redirect_port: Option<At<u16>>,
}

/// Where a redirecting listener sends clients.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(super) enum RawRedirect {
    /// To `https`.
    Https,
}

/// TLS on a listener. Either `certificate` with `key`, or `certificates`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Tls")]
pub(super) struct RawTls {
    /// The chain, leaf first: a PEM file. Its replacement is noticed.
    pub certificate: Option<At<FilePath>>,
    /// The private key: a PEM file.
    pub key: Option<At<FilePath>>,
    /// Several, chosen by the server name that the client asks for; the first is used when none matches.
    #[schemars(extend("default" = []))]
    pub certificates: Vec<RawCertificate>,
    /// Client certificates.
    pub clients: Option<RawClients>,
}

/// A certificate chain and its key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Certificate")]
pub(super) struct RawCertificate {
    /// The chain, leaf first: a PEM file.
    pub certificate: At<FilePath>,
    /// The private key: a PEM file.
    pub key: At<FilePath>,
}

/// Client certificates: the PEM file of the authorities that vouch for them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ClientCertificates")]
pub(super) enum RawClients {
    /// Asked for, and verified if shown.
    Optional(At<FilePath>),
    /// Required.
    Required(At<FilePath>),
}

/// The admin listener: plain HTTP.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Admin")]
pub(super) struct RawAdmin {
    /// Its address. Loopback, or a network that only operators reach: probes and metrics ask for no password. A change needs a
    /// restart.
    #[schemars(extend("default" = "127.0.0.1:9901"))]
    pub address: At<Address>,
    /// The operator's token, at least 16 characters. With it, accounts, applications and tokens are seen and changed under
    /// `/v1/`; without it there is no such thing. A change needs a restart.
    pub token: Option<At<RawClientSecret>>,
}

/// A named place.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Region")]
pub(super) struct RawRegion {
    /// The host names of its door; the first is named when a client is sent there.
    #[schemars(extend("default" = []))]
    pub hosts: Vec<At<HostName>>,
}

/// Who signs tokens (JWT, RFC 7519), and what of their claims means what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Issuer")]
pub(super) struct RawIssuer {
    /// The `iss` claim, compared character by character.
    pub issuer: NonEmpty,
    /// The `aud` claim must have one of these.
    pub audience: At<OneOrMany<NonEmpty>>,
    /// Accepted algorithms (RFC 7518 section 3.1, RFC 8037). A key is used only with those of its own type.
    pub algorithms: At<OneOrMany<At<Signature>>>,
    /// Where keys come from; several are joined.
    pub keys: At<OneOrMany<At<RawKeys>>>,
    /// Which claim means what.
    #[schemars(extend("default" = {}))]
    pub claims: RawClaims,
    /// Allowed difference of clocks.
    #[schemars(extend("default" = "30s", "x-minimum" = "0ms", "x-maximum" = "60s"))]
    pub leeway: Length,
    /// Accepted `typ` values of the token's header, without regard to case. Without it: `JWT`, `at+jwt` and none.
    #[schemars(extend("default" = []))]
    pub types: OneOrMany<NonEmpty>,
    /// Verified tokens that are remembered until they expire; 0 verifies every time.
    #[schemars(extend("default" = 10_000, "maximum" = 10_000_000))]
    pub cache: u32,
}

/// Where keys come from: exactly one of `file`, `url` and `secret`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Keys")]
pub(super) struct RawKeys {
    /// A file: a public key or a certificate in PEM, or a JWK or a JWK set (RFC 7517). Its replacement is noticed.
    pub file: Option<At<FilePath>>,
    /// The address of a JWK set. `https`, or `http` to a loopback address.
    pub url: Option<At<FetchUrl>>,
    /// A shared secret of at least 32 bytes, for HS256 only.
    pub secret: Option<At<RawSecret>>,
    /// With `url`: authorities instead of the system's, a PEM file.
    pub ca: Option<At<FilePath>>,
    /// With `url`: how often keys are fetched when the answer has no `max-age`.
    #[schemars(extend("default" = "5m", "x-minimum" = "1s", "x-maximum" = "1d"))]
    pub refresh: At<Length>,
    /// With `url`: a token with an unknown `kid` causes a fetch at most this often.
    #[schemars(extend("default" = "30s", "x-minimum" = "1s", "x-maximum" = "1h"))]
    pub floor: Length,
    /// With `url`: keys are used at most so long after the last good fetch.
    #[schemars(extend("default" = "1h", "x-minimum" = "1s", "x-maximum" = "7d"))]
    pub stale: At<Length>,
    /// With `url`: allows `http` to an address that is not loopback. Whoever is on the way can then forge every token.
    #[serde(rename = "danger_plain_http")]
    #[schemars(extend("default" = false))]
    pub danger_plain_http: At<bool>,
}

/// A secret, which never stands in this file itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Secret")]
pub(super) enum RawSecret {
    /// The file that holds it; line ends at its end do not count.
    File(At<FilePath>),
    /// The environment variable that holds it.
    Environment(At<Variable>),
}

/// Which claim means what. A plain name is a top-level claim; with a leading `/` it is a JSON Pointer (RFC 6901).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Claims")]
pub(super) struct RawClaims {
    /// Who is calling.
    #[schemars(extend("default" = "sub"))]
    pub subject: Claim,
    /// Whose quota is charged.
    pub customer: Option<Claim>,
    /// Whose data is touched; without it the customer's own.
    pub tenant: Option<Claim>,
    /// An array of further tenants that the token grants.
    pub tenants: Option<Claim>,
    /// The home region.
    pub region: Option<At<Claim>>,
    /// Scopes: a string separated by spaces, or an array.
    #[schemars(extend("default" = "scope"))]
    pub scope: Claim,
    /// Roles: an array, or a string separated by spaces.
    pub roles: Option<Claim>,
}

/// A named token bucket. `rate: 7/s, burst: 7` lets 7 calls through at once and one more every 1/7 s: up to 14 in the
/// first second, 7 in every later one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Limit")]
pub(super) struct RawLimit {
    /// Calls that come back in a period: `7/s`, `100/m`.
    #[schemars(extend("default" = "7/s"))]
    pub rate: Rate,
    /// Calls at once. Without it the number in `rate`.
    #[schemars(extend("minimum" = 1, "maximum" = 1_000_000_000))]
    pub burst: Option<u32>,
    /// What a bucket is for; several make one bucket for each combination. With only `address` and `route` it is spent
    /// before authentication.
    pub per: At<OneOrMany<At<RawLimitKey>>>,
    /// When the `RateLimit` and `RateLimit-Policy` fields are sent: with 429 only, or always.
    #[schemars(extend("default" = "refused"))]
    pub fields: RawLimitFields,
    /// Names of rate-limit fields from before the standard ones, sent beside them.
    #[schemars(extend("default" = {}))]
    pub legacy: RawLegacy,
}

/// A part of a bucket's key.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "LimitKey")]
pub(super) enum RawLimitKey {
    /// The customer that pays; for a provider acting on a tenant it is the provider.
    Customer,
    /// The tenant acted on.
    Tenant,
    /// The subject of the token.
    Subject,
    /// The OAuth client of the token (`client_id` or `azp`).
    Client,
    /// The client's address: IPv4 whole, IPv6 its /64.
    Address,
    /// The route.
    Route,
}

/// When rate-limit fields are sent.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(super) enum RawLimitFields {
    /// With 429 only.
    Refused,
    /// With every answer.
    Always,
}

/// Names of rate-limit fields from before the standard ones.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "LegacyFields")]
pub(super) struct RawLegacy {
    /// Quota, such as `X-RateLimit-Limit`.
    pub limit: Option<Field>,
    /// Calls left, such as `X-RateLimit-Remaining`.
    pub remaining: Option<Field>,
    /// Seconds until the next call, such as `X-RateLimit-Reset`.
    pub reset: Option<Field>,
}

/// A quota that differs from a limit's own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Quota")]
pub(super) struct RawQuota {
    /// Calls that come back in a period.
    pub rate: Rate,
    /// Calls at once. Without it the number in `rate`.
    #[schemars(extend("minimum" = 1, "maximum" = 1_000_000_000))]
    pub burst: Option<u32>,
}

/// A customer that differs from the rest.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Customer")]
pub(super) struct RawCustomer {
    /// Another identifier, by which clients may select it as a tenant: see `tenant-uuid-selector`.
    pub uuid: Option<At<UuidName>>,
    /// Its plan.
    pub plan: Option<At<String>>,
    /// Its home region.
    pub region: Option<At<String>>,
    /// Quotas of its own, which win over the plan's.
    #[schemars(extend("default" = {}))]
    pub limits: Named<RawQuota>,
    /// Tenants that it may act on: it is a provider then.
    #[schemars(extend("default" = {}))]
    pub tenants: Named<RawTenant>,
}

/// A tenant that a provider may act on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Tenant")]
pub(super) struct RawTenant {
    /// Where its data lives.
    pub region: Option<At<String>>,
    /// The caller's roles there, instead of those of the token.
    pub roles: Option<OneOrMany<RoleName>>,
}

/// A named service: `regions` and/or `endpoints`, or an answer from here.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Backend")]
pub(super) struct RawBackend {
    /// The newest version of the api that it speaks, `30.2.1`: what an api's `version` is compared with.
    pub version: Option<Numbers>,
    /// Endpoints by region.
    #[schemars(extend("default" = {}))]
    pub regions: Named<OneOrMany<At<Endpoint>>>,
    /// Endpoints that serve every region that has none of its own: scheme, host (all its addresses are used) and port.
    #[schemars(extend("default" = []))]
    pub endpoints: OneOrMany<At<Endpoint>>,
    /// What is spoken. `http2` without TLS is h2c with prior knowledge.
    #[schemars(extend("default" = "http1"))]
    pub protocol: RawProtocol,
    /// TLS for `https` endpoints.
    pub tls: Option<At<RawUpstreamTls>>,
    /// How an endpoint is chosen.
    #[schemars(extend("default" = "two-choices"))]
    pub balance: RawBalance,
    /// Deadlines; connect ≤ first-byte ≤ whole.
    #[schemars(extend("default" = {}))]
    pub timeouts: RawUpstreamTimeouts,
    /// Connections kept to each endpoint, by each worker.
    #[schemars(extend("default" = {}))]
    pub pool: RawPool,
    /// How often names are resolved again.
    #[schemars(extend("default" = "30s", "x-minimum" = "1s", "x-maximum" = "1h"))]
    pub resolve: Length,
    /// How long an endpoint that could not be connected to is passed over.
    #[schemars(extend("default" = "2s", "x-minimum" = "0ms", "x-maximum" = "10m"))]
    pub set_aside: Length,
    /// How its endpoints are asked whether they can work. While none of a region says so, calls for it are refused with 503; one
    /// that does not say so is passed over. Without it calls alone find out.
    pub ready: Option<At<RawReady>>,
    /// The same answer for every call, instead of endpoints.
    pub respond: Option<At<RawAnswer>>,
}

/// How endpoints are asked whether they can work: by `GET`, in the way that calls go to them. An answer of the class 2xx says so.
/// One that was not asked yet counts as not ready.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Ready")]
pub(super) struct RawReady {
    /// Path, and query if there is one: `/health`.
    pub path: At<RequestPath>,
    /// The `Host` of the question, if it is not that of the endpoint.
    pub host: Option<HostName>,
    /// From one question to the next.
    #[schemars(extend("default" = "5s", "x-minimum" = "10ms", "x-maximum" = "1h"))]
    pub interval: Length,
    /// How long an answer may take.
    #[schemars(extend("default" = "2s", "x-minimum" = "10ms", "x-maximum" = "1m"))]
    pub timeout: Length,
    /// So many checks fail one after the other before a ready endpoint counts as not ready.
    #[schemars(extend("default" = 2, "minimum" = 1, "maximum" = 100))]
    pub failures: u32,
}

/// What is spoken to a backend.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(super) enum RawProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// How an endpoint is chosen.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(super) enum RawBalance {
    /// One after the other.
    RoundRobin,
    /// The less busy of two chosen at random.
    TwoChoices,
}

/// TLS towards a backend; certificates are always verified.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "UpstreamTls")]
pub(super) struct RawUpstreamTls {
    /// Authorities instead of the system's, a PEM file.
    pub ca: Option<At<FilePath>>,
    /// A client certificate.
    pub certificate: Option<RawCertificate>,
    /// The name to ask for and to verify, if it is not the endpoint's host.
    pub server_name: Option<HostName>,
}

/// Deadlines towards a backend.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "UpstreamTimeouts")]
pub(super) struct RawUpstreamTimeouts {
    /// TCP and TLS.
    #[schemars(extend("default" = "2s", "x-minimum" = "1ms", "x-maximum" = "1h"))]
    pub connect: At<Length>,
    /// From sending the request to the head of the answer.
    #[schemars(extend("default" = "30s", "x-minimum" = "1ms", "x-maximum" = "1h"))]
    pub first_byte: At<Length>,
    /// Between two reads of the answer's body.
    #[schemars(extend("default" = "30s", "x-minimum" = "1ms", "x-maximum" = "1h"))]
    pub idle: Length,
    /// The whole exchange, with the bodies. A body whose items are counted has to be there within the same time, before the
    /// exchange begins.
    #[schemars(extend("default" = "5m", "x-minimum" = "1ms", "x-maximum" = "1d"))]
    pub whole: At<Length>,
}

/// Connections kept to each endpoint, by each worker.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Pool")]
pub(super) struct RawPool {
    /// Idle ones at most.
    #[schemars(extend("default" = 64, "maximum" = 10_000))]
    pub idle: u32,
    /// An idle one is closed after so long. Shorter than the backend's own keep-alive, else the two race.
    #[schemars(extend("default" = "30s", "x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub idle_timeout: Length,
    /// Any is retired after so long.
    #[schemars(extend("default" = "10m", "x-minimum" = "1s", "x-maximum" = "7d"))]
    pub lifetime: Length,
}

/// An answer from configuration. At most one of `body` and `json`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Answer")]
pub(super) struct RawAnswer {
    /// Status.
    #[schemars(extend("default" = 200, "minimum" = 200, "maximum" = 599))]
    pub status: u16,
    /// Fields.
    #[schemars(extend("default" = {}))]
    pub headers: Named<At<String>>,
    /// Body as text.
    pub body: Option<String>,
    /// Body as JSON; sets the content type.
    pub json: Option<At<Json>>,
}

/// How refusals look: for each code what differs from the standard look, or `file:` with the same.
#[derive(Debug)]
pub(super) struct RawDialect(pub Named<At<RawRow>>);

/// How one refusal looks. At most one of `body` and `json`; in both, and in field values, these are replaced: `{code}`,
/// `{title}`, `{detail}`, `{status}`, `{request_id}`, `{retry_after}`, `{limit}`, `{host}`, `{scope}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "DialectRow")]
pub(super) struct RawRow {
    /// Status, if it is not the code's own.
    #[schemars(extend("minimum" = 200, "maximum" = 599))]
    pub status: Option<u16>,
    /// Fields.
    #[schemars(extend("default" = {}))]
    pub headers: Named<At<String>>,
    /// Content type, if it is not `application/json` (for `json`) or `text/plain` (for `body`).
    pub content_type: Option<At<String>>,
    /// Body as text.
    pub body: Option<At<String>>,
    /// Body as JSON.
    pub json: Option<At<Json>>,
}

/// What one product offers under its host names.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Api")]
pub(super) struct RawApi {
    /// Its host names (`api.example.com`, `*.example.com`, `*`), or `regions` for the hosts of all regions. Ports and
    /// letter case do not count.
    pub hosts: At<OneOrMany<At<String>>>,
    /// How its refusals look.
    #[schemars(extend("default" = "standard"))]
    pub dialect: At<String>,
    /// How callers may say who they are; routes inherit it. The first kind that a call brings decides.
    #[schemars(extend("default" = []))]
    pub credentials: Vec<At<RawCredential>>,
    /// What callers need; routes inherit it. `{}` asks for a credential and nothing more.
    pub access: Option<At<RawAccess>>,
    /// Limits, in the order in which they are spent; routes inherit them.
    #[schemars(extend("default" = []))]
    pub limits: OneOrMany<At<String>>,
    /// Largest request body; routes inherit it.
    #[schemars(extend("default" = "10MiB", "x-minimum" = "0B", "x-maximum" = "1024GiB"))]
    pub body_limit: Size,
    /// Under which names verified identity goes to the backend. Every spelling of them is removed from what clients send.
    #[schemars(extend("default" = {}))]
    pub headers: RawHeaders,
    /// The header by which a client names the tenant that it acts on. Read once, then removed.
    pub tenant_selector: Option<At<Field>>,
    /// The header by which a client names that tenant by its UUID (see `customers`). If both are there and do not agree, the call is
    /// refused.
    pub tenant_uuid_selector: Option<At<Field>>,
    /// The header by which a client says for which version of the api its call is. One that is newer than the backend is refused.
    pub version: Option<At<RawVersionRule>>,
    /// Media types that bodies of calls to backends may have; without it any. Routes inherit it. A call with a body of another
    /// type, or without `Content-Type`, is 415.
    #[schemars(extend("default" = []))]
    pub media_types: OneOrMany<MediaType>,
    /// How the region of a call is found.
    #[schemars(extend("default" = {}))]
    pub region: RawRegionRule,
    /// The cookies of those who signed in, for the credential `session`, for sign-ins that give one, and for the authorization
    /// endpoint.
    pub session: Option<At<RawSession>>,
    /// How users sign in at a provider, by name, for the credential `signed-in` and the targets around it.
    #[schemars(extend("default" = {}))]
    pub sign_ins: Named<At<RawRemoteSignIn>>,
    /// Tokens of a token service need a scope that lets the method through: see its `scopes`.
    #[schemars(extend("default" = false))]
    pub scope_methods: At<bool>,
    /// Routes; at least one. A literal segment wins over a capture, a capture over `{*rest}`, whatever the order.
    pub routes: At<Vec<At<RawRoute>>>,
}

/// How a call says for which version of the api it is. The field goes on to the backend.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "VersionRule")]
pub(super) struct RawVersionRule {
    /// The header: one version in numbers, `18.2.6`. They are compared number by number with the `version` of the backend.
    pub header: At<Field>,
    /// Must it be there?
    #[schemars(extend("default" = false))]
    pub required: bool,
}

/// What callers need beside a credential.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Access")]
pub(super) struct RawAccess {
    /// All of these scopes.
    #[schemars(extend("default" = []))]
    pub scopes: OneOrMany<ScopeName>,
    /// At least one of these scopes.
    #[schemars(extend("default" = []))]
    pub any_scope: OneOrMany<ScopeName>,
    /// All of these roles.
    #[schemars(extend("default" = []))]
    pub roles: OneOrMany<RoleName>,
    /// At least one of these roles.
    #[schemars(extend("default" = []))]
    pub any_role: OneOrMany<RoleName>,
}

/// Header names towards the backend.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "IdentityHeaders")]
pub(super) struct RawHeaders {
    /// The tenant.
    pub tenant: Option<At<Field>>,
    /// The tenant's UUID, where it has one (see `customers`).
    pub tenant_uuid: Option<At<Field>>,
    /// The customer that pays.
    pub customer: Option<At<Field>>,
    /// The subject.
    pub subject: Option<At<Field>>,
    /// The region chosen.
    pub region: Option<At<Field>>,
    /// The token's scopes, separated by spaces.
    pub scopes: Option<At<Field>>,
    /// The roles, separated by spaces.
    pub roles: Option<At<Field>>,
    /// The request id.
    #[schemars(extend("default" = "X-Request-ID"))]
    pub request_id: At<Field>,
    /// Further names to remove from what clients send.
    #[schemars(extend("default" = []))]
    pub remove: Vec<Field>,
    /// Lets the `Authorization` header through to the backend.
    #[schemars(extend("default" = false))]
    pub keep_authorization: bool,
}

/// How the region of a call is found, and what happens at the wrong door.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "RegionRule")]
pub(super) struct RawRegionRule {
    /// Asked in this order; the first that says something decides. Without it: the token's claim where an issuer maps
    /// one, the customers of this file, the host.
    pub from: Option<At<OneOrMany<At<RawRegionSource>>>>,
    /// If none says something.
    pub default: Option<At<String>>,
    /// What happens to a call whose region is not that of the host it came to.
    #[schemars(extend("default" = "refuse"))]
    pub wrong_door: At<RawWrongDoor>,
}

/// What can say where a call belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "RegionSource")]
pub(super) enum RawRegionSource {
    /// The token's claim.
    Claim,
    /// The customers and tenants of this file.
    Directory,
    /// The host name.
    Host,
}

/// What happens to a call at another region's door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(super) enum RawWrongDoor {
    /// 421, naming the right host.
    Refuse,
    /// It is forwarded to its own region.
    Forward,
    /// 308 to the right host.
    Redirect,
}

/// A path pattern and methods of an api, with its stages. Needs `public: true` or `access`, here or at the api.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Route")]
pub(super) struct RawRoute {
    /// A name for logs and metrics; without it methods and path.
    pub name: Option<At<RouteTitle>>,
    /// `/literal/{capture}/{*rest}`; a slash at the end counts, and `{*rest}` may be empty.
    pub path: At<PathPattern>,
    /// Methods; without it any.
    #[schemars(extend("default" = []))]
    pub methods: OneOrMany<At<Verb>>,
    /// Anybody may call. Instead of `access`.
    #[schemars(extend("default" = false))]
    pub public: At<bool>,
    /// What callers need, instead of the api's.
    pub access: Option<At<RawAccess>>,
    /// How callers may say who they are, instead of the api's.
    pub credentials: Option<At<Vec<At<RawCredential>>>>,
    /// Limits, instead of the api's; `[]` for none.
    pub limits: Option<OneOrMany<At<String>>>,
    /// A cap on the items of one call. A call beyond it is refused, never cut down.
    pub items: Option<At<RawItems>>,
    /// Query parameters that are whole numbers within a range, by name. Every occurrence counts; one that is missing passes.
    #[schemars(extend("default" = {}))]
    pub ranges: Named<At<RawRange>>,
    /// Media types that a body may have, instead of the api's; `[]` for any.
    pub media_types: Option<OneOrMany<MediaType>>,
    /// Largest request body, instead of the api's.
    #[schemars(extend("x-minimum" = "0B", "x-maximum" = "1024GiB"))]
    pub body_limit: Option<Size>,
    /// The day since when the route is deprecated; answers then carry `Deprecation` (RFC 9745).
    pub deprecated: Option<Day>,
    /// What becomes of the path towards the backend; without it nothing.
    pub rewrite: Option<At<RawRewrite>>,
    /// Where the call goes.
    pub to: At<RawTarget>,
}

/// A range of whole numbers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Range")]
pub(super) struct RawRange {
    /// The least.
    #[schemars(extend("default" = 0, "maximum" = 1_000_000_000_000u64))]
    pub min: u64,
    /// The most.
    #[schemars(extend("maximum" = 1_000_000_000_000u64))]
    pub max: u64,
}

/// A cap on the items of one call: exactly one of `query` and `body`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Items")]
pub(super) struct RawItems {
    /// The query parameter whose value is the number of items; every occurrence counts.
    pub query: Option<NonEmpty>,
    /// JSON Pointer (RFC 6901) of the array in the body whose elements are counted; `""` is the body itself.
    pub body: Option<Pointer>,
    /// The cap.
    #[schemars(extend("default" = 50, "minimum" = 1, "maximum" = 1_000_000_000))]
    pub max: u32,
}

/// What becomes of the path towards the backend.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Rewrite")]
pub(super) enum RawRewrite {
    /// The path without this prefix (whole segments).
    StripPrefix(At<Prefix>),
    /// A new path made of literals and captures of the route, `/v2/{customer_id}/{rest}`, in normal form. A call whose captures
    /// spoil that is 400: a tail that is empty or ends with a slash, before another segment.
    Template(At<PathTemplate>),
}

/// Where a call goes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Target")]
#[expect(
    clippy::large_enum_variant,
    reason = "as it is written in the file; read once, at load"
)]
pub(super) enum RawTarget {
    /// To this backend.
    Backend(At<String>),
    /// An answer from here.
    Respond(At<RawAnswer>),
    /// The route existed once: 410.
    Gone,
    /// A sign-in with name and password.
    SignIn(At<RawSignIn>),
    /// Ends the caller's session or token.
    SignOut(At<RawSignOut>),
    /// The authorization endpoint (RFC 6749 section 3.1) of this token service, for browsers: pages to sign in and to consent.
    Authorize(At<String>),
    /// The authorization endpoint for programs that have a session.
    AuthorizeStep(At<RawAuthorizeStep>),
    /// Makes an application for a tenant.
    MintClient(At<RawMintClient>),
    /// The token endpoint.
    Token(At<RawTokenEndpoint>),
    /// The revocation endpoint (RFC 7009) of this token service.
    Revoke(At<String>),
    /// Deletes a token that a JSON body names.
    DeleteToken(At<RawDeleteToken>),
    /// The introspection endpoint (RFC 7662) of this token service.
    Introspect(At<String>),
    /// The metadata (RFC 8414) of this token service: the endpoints that this api has routes for.
    Metadata(At<String>),
    /// The public keys of this token service, as a JWK set (RFC 7517).
    Keys(At<String>),
    /// Says which services can work.
    Status(At<RawStatus>),
    /// Makes a signed URL.
    SignUrl(At<RawSignUrl>),
    /// Tokens by which nodes join: makes, lists, shows and deletes them.
    EnrolmentTokens(At<RawEnrolmentTokens>),
    /// Lets a node join.
    Enrol(At<RawEnrol>),
    /// Nodes that have joined: lists, shows and removes them.
    Nodes(At<RawNodes>),
    /// Begins this sign-in of the api: sends the browser to the provider. A query parameter `return_to`, a path of this host, says
    /// where the browser goes afterwards.
    BeginSignIn(At<String>),
    /// Finishes this sign-in of the api: where the provider sends the browser back to.
    FinishSignIn(At<String>),
    /// Ends the session of this sign-in of the api, revokes its tokens at the provider, and sends a browser there to sign out. Public: it
    /// looks for the session, and its CSRF value, itself.
    EndSignIn(At<String>),
}

/// Logs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Telemetry")]
pub(super) struct RawTelemetry {
    /// The access log: one JSON object for each answered request. Without it there is none; `{}` writes to standard
    /// output.
    pub access_log: Option<RawAccessLog>,
    /// The program log, on standard error.
    #[schemars(extend("default" = {}))]
    pub log: RawLog,
}

/// The access log.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "AccessLog")]
pub(super) struct RawAccessLog {
    /// The file to append to, instead of standard output.
    pub file: Option<At<FilePath>>,
    /// Log the query.
    #[schemars(extend("default" = true))]
    pub query: bool,
    /// Query parameters whose values are replaced by `***`, beside those that always are (see operations).
    #[schemars(extend("default" = ["access_token", "refresh_token", "id_token", "token", "code", "client_secret", "password", "api_key"]))]
    pub redact: Vec<NonEmpty>,
    /// Lines that may wait; what comes on top is dropped and counted.
    #[schemars(extend("default" = 8_192, "minimum" = 16, "maximum" = 1_000_000))]
    pub queue: u32,
}

/// The program log.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Log")]
pub(super) struct RawLog {
    /// What is written: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,tollgate=debug`.
    #[schemars(extend("default" = "info"))]
    pub level: LogFilter,
    /// As JSON.
    #[schemars(extend("default" = false))]
    pub json: bool,
}

impl<'de> Deserialize<'de> for RawDialect {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<RawDialect, D::Error> {
        Named::deserialize(deserializer).map(RawDialect)
    }
}

impl JsonSchema for RawDialect {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Dialect".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let row = generator.subschema_for::<RawRow>();
        let mut properties = serde_json::Map::new();
        let file = generator.subschema_for::<FilePath>();
        let mut file = file.to_value();
        if let Some(file) = file.as_object_mut() {
            let text = "A file that holds the rows, relative to this one; instead of them.";
            file.insert("description".to_owned(), text.into());
        }
        properties.insert("file".to_owned(), file);
        for code in Code::ALL {
            let mut row = row.clone().to_value();
            if let Some(row) = row.as_object_mut() {
                let text = format!(
                    "{} ({} unless `status` says otherwise).",
                    code.title(),
                    code.status().as_u16()
                );
                row.insert("description".to_owned(), text.into());
            }
            properties.insert(code.as_str().to_owned(), row);
        }
        schemars::json_schema!({
            "description": "How refusals look: for each code what differs from the standard look, or `file:` with the same.",
            "type": "object",
            "properties": properties,
            "additionalProperties": false
        })
    }
}

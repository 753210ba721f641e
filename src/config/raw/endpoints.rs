//! What an api has for those who sign in, as it is written: credentials, sessions, and the targets that answer themselves.

use schemars::JsonSchema;
use serde::Deserialize;

use super::RawSecret;
use crate::config::read::{At, Json, Named, OneOrMany};
use crate::config::text::{Field, Length, NonEmpty, PathPattern, Pointer, RoleName, ScopeName, Verb};

/// One way to say who is calling. Of a list the first kind that a call brings decides: who brings a wrong token beside a
/// right cookie is refused.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Credential")]
pub(in crate::config) enum RawCredential {
    /// A bearer token (RFC 6750) of this issuer, token service or introspection.
    Bearer(At<String>),
    /// The session that a sign-in opened: see the api's `session`.
    Session,
    /// Name and password of a user of this realm (HTTP Basic). Taken over TLS only, or where a trusted proxy says `https`.
    Basic(At<String>),
    /// An access token in a header of its own.
    ApiKey(At<RawApiKey>),
    /// A signed URL, by these keys: see `signed-urls`.
    SignedUrl(At<String>),
    /// The session of somebody who signed in at a provider: see the api's `sign-ins`.
    SignedIn(At<String>),
}

/// An access token in a header of its own.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "ApiKey")]
pub(in crate::config) struct RawApiKey {
    /// The token service that it is of.
    pub service: At<String>,
    /// The header. It does not go on to the backend.
    #[schemars(extend("default" = "X-API-Key"))]
    pub header: At<Field>,
}

/// Sessions of an api: the cookies that a sign-in sets and that calls bring.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Session")]
pub(in crate::config) struct RawSession {
    /// Whose users.
    pub realm: At<String>,
    /// The cookie that a sign-in sets. Scripts cannot read it.
    #[schemars(extend("default" = "session"))]
    pub cookie: At<String>,
    /// Cookies that are looked for; without it the one that is set. A name may stand in a call several times, and any value
    /// that is a live session will do.
    pub read: Option<At<OneOrMany<At<String>>>>,
    /// The `Path` of the cookies.
    #[schemars(extend("default" = "/"))]
    pub path: At<String>,
    /// When browsers send the cookies along with calls from other sites (`SameSite`).
    #[schemars(extend("default" = "lax"))]
    pub same_site: At<RawSameSite>,
    /// Whether the cookies are for HTTPS only (`Secure`).
    #[schemars(extend("default" = "auto"))]
    pub secure: At<RawSecure>,
    /// How a call by session shows that it was meant. Without it another site can make a browser call in its user's name, as
    /// far as `same-site` lets it.
    pub csrf: Option<At<RawCsrf>>,
}

/// When browsers send a cookie along with calls from other sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(in crate::config) enum RawSameSite {
    /// Never.
    Strict,
    /// When a link is followed.
    Lax,
    /// Always; needs `secure: always`.
    None,
}

/// Whether cookies are for HTTPS only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(in crate::config) enum RawSecure {
    /// Those that are set over HTTPS are.
    Auto,
    /// All are.
    Always,
}

/// How a call by session shows that it was meant. Asked of every method but GET, HEAD, OPTIONS and TRACE, and never of calls by
/// token or password. The value belongs to the session; it is not compared with a cookie.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Csrf")]
pub(in crate::config) struct RawCsrf {
    /// The cookie by which a sign-in tells the value; scripts can read it.
    #[schemars(extend("default" = "csrftoken"))]
    pub cookie: At<String>,
    /// In which of these headers the value comes back.
    #[schemars(extend("default" = ["X-CSRF-Token"]))]
    pub headers: At<OneOrMany<At<Field>>>,
    /// What the `Referer` must say beside it.
    #[schemars(extend("default" = "none"))]
    pub referer: RawReferer,
    /// When the value changes within a session.
    #[schemars(extend("default" = "never"))]
    pub rotate: RawRotate,
}

/// What the `Referer` of a call by session must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(in crate::config) enum RawReferer {
    /// It is not looked at.
    None,
    /// It names the host that the call came to, and POST has to have one.
    SameHost,
}

/// When the CSRF value changes within a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(in crate::config) enum RawRotate {
    /// Never.
    Never,
    /// With the answer to each call that needed it. Clients that make two calls at once, or that keep the value of their
    /// sign-in, do not work then.
    EachUse,
}

/// A sign-in with name and password. The route is public.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "SignIn")]
pub(in crate::config) struct RawSignIn {
    /// Whose users.
    pub realm: At<String>,
    /// Where the call names the application that it is for. It must be one of the realm then; limits `per: client` count by
    /// it.
    pub client: Option<RawClientSource>,
    /// Where name and password stand.
    pub body: At<RawSignInBody>,
    /// At least one of these roles is needed.
    #[schemars(extend("default" = []))]
    pub roles: OneOrMany<RoleName>,
    /// What a success gives.
    pub gives: At<RawGives>,
    /// The answer to a success: `{token}`, `{token_type}`, `{expires_in}` (seconds), `{expires_at}` (RFC 3339), `{user}` and
    /// `{csrf}` are replaced. Without it `{"user": "{user}"}`, with a token as RFC 6749 section 5.1 has it.
    pub answer: Option<At<RawOwnAnswer>>,
}

/// Where a call names the application that it is for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ClientSource")]
pub(in crate::config) enum RawClientSource {
    /// In this query parameter.
    Query(NonEmpty),
}

/// Where name and password stand: in a JSON body, in a form, or in whichever the content type says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "SignInBody")]
pub(in crate::config) struct RawSignInBody {
    /// In a JSON body: JSON Pointers (RFC 6901).
    pub json: Option<RawSignInPointers>,
    /// In a form: names of fields.
    pub form: Option<RawSignInFields>,
}

/// Where a JSON body has what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "SignInPointers")]
pub(in crate::config) struct RawSignInPointers {
    /// The user's name.
    #[schemars(extend("default" = "/username"))]
    pub username: At<Pointer>,
    /// The password.
    #[schemars(extend("default" = "/password"))]
    pub password: At<Pointer>,
    /// A domain beside the name: see the realm's `lockout.key`.
    pub domain: Option<At<Pointer>>,
    /// A token of the user instead of the password.
    pub token: Option<At<Pointer>>,
}

/// Where a form has what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "SignInFields")]
pub(in crate::config) struct RawSignInFields {
    /// The user's name.
    #[schemars(extend("default" = "username"))]
    pub username: At<NonEmpty>,
    /// The password.
    #[schemars(extend("default" = "password"))]
    pub password: At<NonEmpty>,
    /// A domain beside the name: see the realm's `lockout.key`.
    pub domain: Option<At<NonEmpty>>,
    /// A token of the user instead of the password.
    pub token: Option<At<NonEmpty>>,
}

/// What a sign-in gives.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Gives")]
pub(in crate::config) enum RawGives {
    /// A session, in the cookies of the api's `session`.
    Session,
    /// An access token of this token service.
    Token(At<String>),
}

/// An answer of the gateway's own. `{words}` in the JSON's texts are replaced; a text that is one of them and nothing else
/// becomes a number where the value is one, and is left out where there is no value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "OwnAnswer")]
pub(in crate::config) struct RawOwnAnswer {
    /// Status.
    #[schemars(extend("default" = 200, "minimum" = 200, "maximum" = 299))]
    pub status: At<u16>,
    /// Fields.
    #[schemars(extend("default" = {}))]
    pub headers: Named<At<String>>,
    /// The body; without it the standard one.
    pub json: Option<At<Json>>,
}

/// Ends the caller's session, or revokes the caller's token and whatever came of the same consent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "SignOut")]
pub(in crate::config) struct RawSignOut {
    /// The answer; without it 200 and `{}`.
    pub answer: Option<At<RawOwnAnswer>>,
}

/// The authorization endpoint for programs that have a session: parameters of RFC 6749 section 4.1.1 in the query, the code in
/// a JSON answer instead of a redirect.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "AuthorizeStep")]
pub(in crate::config) struct RawAuthorizeStep {
    /// The token service.
    pub service: At<String>,
    /// Where the JSON body names the customer or tenant that the tokens are for; without it the user's own.
    pub customer: Option<At<Pointer>>,
    /// Sets the cookies of the caller's session again, with the values that they have: for clients that take them from each
    /// answer.
    #[schemars(extend("default" = false))]
    pub repeats_cookies: Option<At<bool>>,
    /// The answer: `{code}`, `{expires_in}`, `{state}` and `{iss}` are replaced.
    pub answer: Option<At<RawOwnAnswer>>,
}

/// Makes an application for a tenant, on behalf of its provider.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "MintClient")]
pub(in crate::config) struct RawMintClient {
    /// The token service: the application is made in its realm.
    pub service: At<String>,
    /// Where the JSON body names the tenant. The caller's customer needs a grant for it.
    pub customer: At<Pointer>,
    /// The answer: `{client_id}`, `{client_secret}` and `{customer}` are replaced.
    pub answer: Option<At<RawOwnAnswer>>,
}

/// The token endpoint (RFC 6749 section 3.2). A capture `{tenant}` of the path is the tenant that a token exchange is for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "TokenEndpoint")]
pub(in crate::config) struct RawTokenEndpoint {
    /// The token service.
    pub service: At<String>,
    /// Where the parameters stand: `form`, as the RFC has it, or `query`, which every log and cache on the way reads.
    #[schemars(extend("default" = ["form"]))]
    pub parameters: At<OneOrMany<At<RawParameterPlace>>>,
    /// The answer: `{access_token}`, `{token_type}`, `{expires_in}`, `{expires_at}`, `{refresh_token}`, `{scope}` and
    /// `{issued_token_type}` are replaced. Without it as RFC 6749 section 5.1 has it.
    pub answer: Option<At<RawOwnAnswer>>,
}

/// Where the parameters of a token request stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ParameterPlace")]
pub(in crate::config) enum RawParameterPlace {
    /// In the form.
    Form,
    /// In the query.
    Query,
}

/// Keys of signed URLs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "SignedUrls")]
pub(in crate::config) struct RawSignedUrl {
    /// Secrets of at least 32 bytes, by an id that stands in the URL. The first signs, each verifies: to change it, put a new one
    /// first, and take the old one out when the last URL of it has ended.
    pub keys: Named<At<RawSecret>>,
}

/// Makes a signed URL: a link to a path of this api that lets whoever has it make one call, for a while, in the caller's name. The
/// JSON body has `path` (with the query), and may have `method` (`GET`) and `expires_in` (seconds).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "SignUrl")]
pub(in crate::config) struct RawSignUrl {
    /// By which keys.
    pub keys: At<String>,
    /// To which paths, as patterns of routes: `/files/{*rest}`.
    pub paths: At<OneOrMany<At<PathPattern>>>,
    /// By which methods.
    #[schemars(extend("default" = ["GET"]))]
    pub methods: OneOrMany<At<Verb>>,
    /// How long a link is good where the call does not say.
    #[schemars(extend("default" = "1h", "x-minimum" = "1s", "x-maximum" = "31d"))]
    pub lifetime: At<Length>,
    /// And at most; without it `lifetime`.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "31d"))]
    pub longest: Option<At<Length>>,
    /// The answer: `{url}`, `{path}` (the same without scheme and host), `{method}`, `{expires_in}` (seconds) and `{expires_at}`
    /// (RFC 3339) are replaced.
    pub answer: Option<At<RawOwnAnswer>>,
}

/// Tokens by which nodes join, each once. `POST` makes one, `GET` lists those of the tenant that the call is for, and with a capture
/// `{id}` of the path `GET` shows one and `DELETE` deletes it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "EnrolmentTokens")]
pub(in crate::config) struct RawEnrolmentTokens {
    /// The token service whose tokens nodes get.
    pub service: At<String>,
    /// Scopes of the nodes' tokens.
    #[schemars(extend("default" = []))]
    pub scopes: OneOrMany<At<ScopeName>>,
    /// How long a token is good where the call does not say.
    #[schemars(extend("default" = "1h", "x-minimum" = "1s", "x-maximum" = "366d"))]
    pub lifetime: At<Length>,
    /// And at most; without it `lifetime`.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "366d"))]
    pub longest: Option<At<Length>>,
    /// Members of the JSON body.
    #[schemars(extend("default" = {}))]
    pub body: RawEnrolmentBody,
    /// How one is shown: `{id}`, `{token}` (whole in the answer that makes it, its first characters later), `{in_use}`, `{metadata}`,
    /// `{expiry_time}` (seconds since 1970), `{expires_at}` (RFC 3339), `{last_modified}` (microseconds since 1970, as text), `{node}`
    /// and `{url}` are replaced. The status is that of the answer to `POST`.
    pub answer: Option<At<RawOwnAnswer>>,
}

/// Members of the body that makes an enrolment token. All of them may be missing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "EnrolmentBody")]
pub(in crate::config) struct RawEnrolmentBody {
    /// The token, where the caller chooses it: 20 to 512 visible characters. Without it one is drawn.
    #[schemars(extend("default" = "token"))]
    pub token: NonEmpty,
    /// Its end, in seconds since 1970.
    #[schemars(extend("default" = "expires_at"))]
    pub expires: NonEmpty,
    /// An array of notes, which is shown again.
    #[schemars(extend("default" = "metadata"))]
    pub metadata: NonEmpty,
}

/// Lets a node join: it becomes a client of the token service, bound to one tenant, and gets its first access token. On a public
/// route by an enrolment token in the body, else by whoever calls, for the tenant that the call is for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Enrol")]
pub(in crate::config) struct RawEnrol {
    /// The token service whose tokens nodes get.
    pub service: At<String>,
    /// On a public route: where the JSON body has the enrolment token.
    pub token: Option<At<Pointer>>,
    /// Where the JSON body has the node's own identifier: up to 120 letters, digits and `-_.:@/|+=~`.
    #[schemars(extend("default" = "/uuid"))]
    pub uuid: At<Pointer>,
    /// Where the caller lets the node in: scopes of the node's tokens.
    pub scopes: Option<At<OneOrMany<At<ScopeName>>>>,
    /// The answer: `{uuid}`, `{asset_id}`, `{client_id}`, `{client_secret}`, `{access_token}`, `{token_type}` and `{expires_in}` are
    /// replaced.
    pub answer: Option<At<RawOwnAnswer>>,
}

/// Nodes that have joined. `GET` lists those of the tenant that the call is for; with a capture `{uuid}` of the path it shows one, also
/// one that is not there, and `DELETE` removes one with all its tokens.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Nodes")]
pub(in crate::config) struct RawNodes {
    /// The token service whose tokens they have.
    pub service: At<String>,
    /// A node whose last call is not longer ago is connected.
    #[schemars(extend("default" = "10m", "x-minimum" = "1m", "x-maximum" = "31d"))]
    pub connected_within: At<Length>,
    /// What the states are called.
    #[schemars(extend("default" = {}))]
    pub words: RawNodeWords,
    /// How one is shown: `{uuid}`, `{asset_id}`, `{status}`, `{metadata}`, `{joined_at}` and `{last_seen}` (RFC 3339) are replaced.
    pub answer: Option<At<RawOwnAnswer>>,
}

/// What the states of a node are called.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "NodeWords")]
pub(in crate::config) struct RawNodeWords {
    /// It has called lately.
    #[schemars(extend("default" = "Connected"))]
    pub connected: NonEmpty,
    /// It has joined, and not called lately.
    #[schemars(extend("default" = "Silent"))]
    pub silent: NonEmpty,
    /// It has not joined, or was removed.
    #[schemars(extend("default" = "Not Registered"))]
    pub unknown: NonEmpty,
}

/// Says which services can work: `{"services": […]}`, or one of them, where the query names it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Status")]
pub(in crate::config) struct RawStatus {
    /// The query parameter that names a service.
    #[schemars(extend("default" = "service"))]
    pub parameter: At<NonEmpty>,
    /// The services, by name.
    #[schemars(extend("default" = {}))]
    pub services: Named<RawStatusService>,
}

/// A service that a status is about.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "StatusService")]
pub(in crate::config) struct RawStatusService {
    /// The backend that offers it: its `ready` says whether it can work, its `version` is shown.
    pub backend: At<String>,
    /// What else is to be said of it, as JSON.
    pub metadata: Option<At<Json>>,
}

/// Deletes a token that a JSON body names, by whoever holds or owns it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "DeleteToken")]
pub(in crate::config) struct RawDeleteToken {
    /// The token service.
    pub service: At<String>,
    /// Where the JSON body has the token.
    #[schemars(extend("default" = "/access_token"))]
    pub token: At<Pointer>,
    /// The answer, also for a token that is not there; without it 200 and `{}`.
    pub answer: Option<At<RawOwnAnswer>>,
}

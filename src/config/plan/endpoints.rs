//! Plans of what an api has for people and programs that sign in: credentials, sessions, and the targets that answer
//! themselves.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::{
    BackendRef, IntrospectionRef, IssuerRef, ProviderRef, RealmRef, ServiceRef, SignInRef, SignedUrlRef,
};
use crate::base::json_template::JsonTemplate;
use crate::base::secret::Secret;
use crate::http::cookie::CookieTemplate;
use crate::http::origin::Scheme;
use crate::http::pattern::Pattern;
use crate::identity::{IssuerName, Role, Scope};

/// One way to say who is calling. Of a route's list the first *kind* that a request brings decides; a wrong one is refused,
/// whatever else is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialPlan {
    /// A bearer token (RFC 6750). All bearer entries of a list are one kind: the token says who is asked.
    Bearer(Authority),
    /// A session of the api ([`super::ApiPlan::session`], which is there then).
    Session,
    /// Name and password of a user (RFC 7617). Only over TLS, or where a trusted proxy says `https`.
    Basic(RealmRef),
    /// An access token of a token service in a header of its own.
    ApiKey {
        /// Whose.
        service: ServiceRef,
        /// In which header. It does not go on to the backend.
        header: HeaderName,
    },
    /// A signed URL. Its signature does not go on to the backend.
    SignedUrl(SignedUrlRef),
    /// A session of somebody who signed in elsewhere.
    SignedIn(SignInRef),
}

/// Who vouches for bearer tokens. A list has at most one introspection: it gets the tokens that nobody else of the list
/// knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Authority {
    /// Signed tokens of somebody else.
    Issuer(IssuerRef),
    /// Our own.
    Service(ServiceRef),
    /// Opaque tokens of somebody else.
    Introspection(IntrospectionRef),
}

/// How users sign in elsewhere, and in which cookies their sessions are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteSignInPlan {
    /// Its name in the api.
    pub name: String,
    /// At whom.
    pub provider: ProviderRef,
    /// Who judges the provider's access tokens.
    pub judge: Authority,
    /// Where the provider sends browsers back to: an absolute URL.
    pub redirect_uri: String,
    /// Where a browser goes that did not come from anywhere.
    pub after: String,
    /// Where the provider sends browsers after they have signed out there; an absolute URL.
    pub after_sign_out: Option<String>,
    /// The path at which a sign-in begins, where the api has a route for it.
    pub begin: Option<String>,
    /// The cookie of the session.
    pub cookie: SessionCookie,
    /// How a call by session shows that it was meant.
    pub csrf: Option<CsrfPlan>,
    /// Its end, whatever happens.
    pub lifetime: Duration,
    /// Its end without use.
    pub idle: Duration,
    /// Does the access token go to the backend?
    pub forwards_token: bool,
}

/// Sessions of an api: in which cookies they are kept.
#[derive(Debug, Clone)]
pub struct SessionPlan {
    /// Whose.
    pub realm: RealmRef,
    /// The cookie that a sign-in sets.
    pub cookie: SessionCookie,
    /// Names that are looked for, in this order; not empty. A name may occur several times in a request: any value that is a
    /// live session will do.
    pub read: Vec<String>,
    /// How a call by session shows that it was meant. `None`: it does not have to. Danger, unless every unsafe method is
    /// refused elsewhere.
    pub csrf: Option<CsrfPlan>,
}

/// A cookie as it is set over either scheme. They differ in `Secure` at most, where `secure: auto` says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionCookie {
    /// For calls that came by `https`, here or by word of a trusted proxy.
    pub https: CookieTemplate,
    /// For calls that came by `http`.
    pub http: CookieTemplate,
}

impl SessionCookie {
    /// As it is set for a call that came by `scheme`.
    pub fn by(&self, scheme: Scheme) -> &CookieTemplate {
        match scheme {
            Scheme::Https => &self.https,
            Scheme::Http => &self.http,
        }
    }
}

/// How a call by session shows that it was meant: the value that belongs to the session comes back in a header. Asked of
/// every method but GET, HEAD, OPTIONS and TRACE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsrfPlan {
    /// The cookie, readable by scripts, by which a sign-in tells the value. It is never read.
    pub cookie: SessionCookie,
    /// In which of these headers the value comes back; not empty.
    pub headers: Vec<HeaderName>,
    /// What `Referer` (or `Origin`) must say beside it.
    pub referer: RefererRule,
    /// When the value changes within a session.
    pub rotation: CsrfRotation,
}

/// What `Referer` must say of an unsafe call by session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefererRule {
    /// It is not looked at.
    None,
    /// It names the host that the call came to, and is there on POST.
    SameHost,
}

/// When the CSRF value changes within a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CsrfRotation {
    /// Never: clients keep the value of their sign-in.
    Never,
    /// With the answer to each call that needed it. Two calls at once are then a call too many.
    EachUse,
}

/// Keys of signed URLs.
#[derive(Debug, Clone)]
pub struct SignedUrlPlan {
    /// Their name.
    pub name: IssuerName,
    /// Ids, which stand in the URL, and secrets of at least 32 bytes; not empty. The first signs.
    pub keys: Vec<(String, Secret)>,
}

/// Makes signed URLs.
#[derive(Debug, Clone)]
pub struct SignUrlPlan {
    /// By which keys.
    pub keys: SignedUrlRef,
    /// To which paths; not empty.
    pub paths: Vec<Pattern>,
    /// By which methods; not empty.
    pub methods: Vec<Method>,
    /// For how long, where the call does not say.
    pub lifetime: Duration,
    /// And at most.
    pub longest: Duration,
    /// The answer.
    pub answer: AnswerPlan<SignUrlField>,
}

/// What the answer of a [`SignUrlPlan`] may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignUrlField {
    /// The whole URL.
    Url,
    /// The same without scheme and host.
    Path,
    /// The method.
    Method,
    /// How long it is good, in seconds.
    ExpiresIn,
    /// When it ends.
    ExpiresAt,
}

/// Tokens by which nodes join.
#[derive(Debug, Clone)]
pub struct EnrolmentTokensPlan {
    /// Whose tokens nodes get, and in whose realm they are.
    pub service: ServiceRef,
    /// What the nodes' tokens allow.
    pub scopes: Vec<Scope>,
    /// How long a token is good where the call does not say.
    pub lifetime: Duration,
    /// And at most.
    pub longest: Duration,
    /// The member of the body that has the token, where the caller chooses it.
    pub token: String,
    /// The member that has its end, in seconds since 1970.
    pub expires: String,
    /// The member that has an array of notes.
    pub metadata: String,
    /// How one is shown.
    pub answer: AnswerPlan<EnrolmentField>,
}

/// What an [`EnrolmentTokensPlan`] may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrolmentField {
    /// Its id.
    Id,
    /// The token: whole when it is made, its first characters later.
    Token,
    /// Whether a node has joined by it.
    InUse,
    /// The notes.
    Metadata,
    /// Its end in seconds since 1970.
    ExpiryTime,
    /// The same as RFC 3339 has it.
    ExpiresAt,
    /// When it was made or used, in microseconds since 1970, as text.
    LastModified,
    /// The node.
    Node,
    /// Where it is shown.
    Url,
}

/// How nodes join.
#[derive(Debug, Clone)]
pub struct EnrolPlan {
    /// Whose tokens nodes get, and in whose realm they are.
    pub service: ServiceRef,
    /// Where the body has the token (JSON Pointer, decoded); `None`: the caller lets the node in.
    pub token: Option<Vec<String>>,
    /// Where it has the node's own identifier.
    pub uuid: Vec<String>,
    /// What the nodes' tokens allow, where the caller lets the node in.
    pub scopes: Vec<Scope>,
    /// The answer.
    pub answer: AnswerPlan<EnrolField>,
}

/// What the answer of an [`EnrolPlan`] may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrolField {
    /// The node's own identifier.
    Uuid,
    /// The one that it was given.
    Asset,
    /// Its name at the token endpoint.
    ClientId,
    /// Its secret there.
    ClientSecret,
    /// Its first access token.
    AccessToken,
    /// The token's type.
    TokenType,
    /// How long that is good, in seconds.
    ExpiresIn,
}

/// Nodes that have joined.
#[derive(Debug, Clone)]
pub struct NodesPlan {
    /// In whose realm they are.
    pub service: ServiceRef,
    /// A node whose last call is not longer ago is connected.
    pub connected_within: Duration,
    /// What the states are called.
    pub words: NodeWords,
    /// How one is shown.
    pub answer: AnswerPlan<NodeField>,
}

/// What the states of a node are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeWords {
    /// It has called lately.
    pub connected: String,
    /// It has joined, and not called lately.
    pub silent: String,
    /// It has not joined, or was removed.
    pub unknown: String,
}

/// What a [`NodesPlan`] may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeField {
    /// The node's own identifier.
    Uuid,
    /// The one that it was given.
    Asset,
    /// Its state.
    Status,
    /// Notes of the token by which it joined.
    Metadata,
    /// When it joined.
    JoinedAt,
    /// When it last called.
    LastSeen,
}

/// Which services a status is about.
#[derive(Debug, Clone)]
pub struct StatusPlan {
    /// The query parameter that names one of them.
    pub parameter: String,
    /// The services.
    pub services: Vec<StatusService>,
}

/// A service that a status is about.
#[derive(Debug, Clone)]
pub struct StatusService {
    /// Its name.
    pub name: String,
    /// The backend that offers it. It is asked whether it can work, or answers from configuration.
    pub backend: BackendRef,
    /// What else is said of it: JSON.
    pub metadata: Option<String>,
}

/// Where a request says which application it is for, before anybody is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientSource {
    /// This query parameter.
    Query(String),
    /// `client_id` of the query, or the name of HTTP Basic (RFC 6749 section 2.3.1).
    QueryOrBasic,
}

/// A sign-in with a password (or a token in its place).
#[derive(Debug, Clone)]
pub struct SignInPlan {
    /// Whose users.
    pub realm: RealmRef,
    /// Where the request names the application. It must be one of the realm then, and it is noted in what the sign-in gives.
    pub client: Option<ClientSource>,
    /// Where a JSON body has what: JSON Pointers (RFC 6901), decoded. At least one of the two is there.
    pub json: Option<SignInFields<Vec<String>>>,
    /// Where a form has what: names of fields.
    pub form: Option<SignInFields<String>>,
    /// At least one of these roles is needed (empty: none).
    pub roles: Vec<Role>,
    /// What a success gives.
    pub gives: SignInGives,
    /// The answer to a success.
    pub answer: AnswerPlan<SignInField>,
}

/// Where a sign-in has what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInFields<P> {
    /// The user's name.
    pub username: P,
    /// The password.
    pub password: P,
    /// A domain beside the name. Where it is there it belongs to the name: see [`super::LockoutKey`].
    pub domain: Option<P>,
    /// A token of the user instead of the password.
    pub token: Option<P>,
}

/// What a sign-in gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInGives {
    /// A session, in the cookies of the api ([`super::ApiPlan::session`], which is there then and of the same realm).
    Session,
    /// An access token of this service, which is of the same realm.
    Token(ServiceRef),
}

/// An answer whose body is JSON with placeholders. `Cache-Control: no-store` is added to each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerPlan<F> {
    /// Status, 200 to 299, not 204 and 205.
    pub status: StatusCode,
    /// Fields beside `Content-Type`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub json: JsonTemplate<F>,
}

/// What the answer to a sign-in may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignInField {
    /// `{token}`: the access token; absent with a session.
    Token,
    /// `{token_type}`: `Bearer`; absent with a session.
    TokenType,
    /// `{expires_in}`: seconds, a number.
    ExpiresIn,
    /// `{expires_at}`: RFC 3339 in UTC.
    ExpiresAt,
    /// `{user}`: the name of the account.
    User,
    /// `{csrf}`: the value that belongs to the session; absent with a token or without CSRF.
    Csrf,
}

/// The authorization endpoint as JSON, for programs that have a session: query `client_id`, `response_type=code`, `scope`,
/// `redirect_uri`, `state`, PKCE as in RFC 6749 section 4.1.1, answered with the code instead of a redirect.
#[derive(Debug, Clone)]
pub struct AuthorizeStepPlan {
    /// Which service.
    pub service: ServiceRef,
    /// Where the JSON body names the customer or tenant that the tokens are for (JSON Pointer, decoded). Not needed: without
    /// it, the user's own.
    pub customer: Option<Vec<String>>,
    /// Does the answer set the cookies of the session again?
    pub cookies: StepCookies,
    /// The answer.
    pub answer: AnswerPlan<CodeField>,
}

/// What the answer of a step says of the session that it came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepCookies {
    /// Nothing: the client has them.
    Left,
    /// They are set again, with the values that they have.
    Repeated,
}

/// What the answer with a code may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CodeField {
    /// `{code}`.
    Code,
    /// `{expires_in}`: seconds, a number.
    ExpiresIn,
    /// `{state}`: as it came; absent without one.
    State,
    /// `{iss}`: the service's issuer (RFC 9207).
    Iss,
}

/// Credentials of an application for one tenant, made by its provider.
#[derive(Debug, Clone)]
pub struct MintClientPlan {
    /// Which service: the application is made in its realm.
    pub service: ServiceRef,
    /// Where the JSON body names the tenant (JSON Pointer, decoded). The caller needs a grant for it.
    pub customer: Vec<String>,
    /// The answer.
    pub answer: AnswerPlan<MintField>,
}

/// What the answer with new credentials may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MintField {
    /// `{client_id}`.
    ClientId,
    /// `{client_secret}`: told this once.
    ClientSecret,
    /// `{customer}`: the tenant that they are for.
    Customer,
}

/// The token endpoint (RFC 6749 section 3.2).
#[derive(Debug, Clone)]
pub struct TokenEndpointPlan {
    /// Which service.
    pub service: ServiceRef,
    /// Where parameters may stand.
    pub parameters: ParameterPlaces,
    /// The answer to a success; RFC 6749 section 5.1 where the file says nothing.
    pub answer: AnswerPlan<TokenField>,
}

/// Where the parameters of a token request may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParameterPlaces {
    /// In the form, as RFC 6749 has it. A parameter in the query is refused.
    Form,
    /// In the query. A form is refused.
    Query,
    /// In either, each once.
    QueryOrForm,
}

/// What the answer of the token endpoint may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenField {
    /// `{access_token}`.
    AccessToken,
    /// `{token_type}`: `Bearer`.
    TokenType,
    /// `{expires_in}`: seconds, a number.
    ExpiresIn,
    /// `{expires_at}`: RFC 3339 in UTC.
    ExpiresAt,
    /// `{refresh_token}`: absent without one.
    RefreshToken,
    /// `{scope}`: separated by spaces; absent without any.
    Scope,
    /// `{issued_token_type}`: after a token exchange (RFC 8693 section 2.2.1); absent otherwise.
    IssuedTokenType,
}

/// Deleting a token by its holder or its owner, with a JSON body.
#[derive(Debug, Clone)]
pub struct DeleteTokenPlan {
    /// Which service.
    pub service: ServiceRef,
    /// Where the body has the token (JSON Pointer, decoded).
    pub token: Vec<String>,
    /// The answer, also for a token that is not there.
    pub answer: AnswerPlan<NoField>,
}

/// What an answer may name that names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoField {}

/// The metadata document (RFC 8414): the endpoints that the same api has routes for, as absolute URLs below the issuer's
/// origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataPlan {
    /// Which service.
    pub service: ServiceRef,
    /// `authorization_endpoint`.
    pub authorization: Option<String>,
    /// `token_endpoint`.
    pub token: Option<String>,
    /// `revocation_endpoint`.
    pub revocation: Option<String>,
    /// `introspection_endpoint`.
    pub introspection: Option<String>,
    /// `jwks_uri`.
    pub keys: Option<String>,
}

/// What the gateway answers itself.
#[derive(Debug, Clone)]
pub enum OwnPlan {
    /// A sign-in with a password. The route is public.
    SignIn(Box<SignInPlan>),
    /// Ends the caller's session, or the family of the caller's token. The route is not public.
    SignOut(AnswerPlan<NoField>),
    /// The authorization endpoint for browsers (RFC 6749 section 3.1): pages for sign-in and consent. The route is public; the
    /// api has a session of the service's realm.
    Authorize(ServiceRef),
    /// The authorization endpoint for programs that have a session. The route is not public.
    AuthorizeStep(Box<AuthorizeStepPlan>),
    /// Credentials of an application for one tenant. The route is not public.
    MintClient(Box<MintClientPlan>),
    /// The token endpoint. The route is public, as are the four that follow.
    Token(Box<TokenEndpointPlan>),
    /// The revocation endpoint (RFC 7009).
    Revoke(ServiceRef),
    /// The introspection endpoint (RFC 7662).
    Introspect(ServiceRef),
    /// The metadata document (RFC 8414).
    Metadata(Box<MetadataPlan>),
    /// The key set (RFC 7517), of a service that signs.
    Keys(ServiceRef),
    /// Deletes a token named in a JSON body. The route is not public.
    DeleteToken(Box<DeleteTokenPlan>),
    /// Says which services can work.
    Status(Box<StatusPlan>),
    /// Makes signed URLs. The route is not public.
    SignUrl(Box<SignUrlPlan>),
    /// Tokens by which nodes join. The route is not public.
    EnrolmentTokens(Box<EnrolmentTokensPlan>),
    /// How nodes join: by a token on a public route, else by whoever calls.
    Enrol(Box<EnrolPlan>),
    /// Nodes that have joined. The route is not public.
    Nodes(Box<NodesPlan>),
    /// Sends a browser to a provider. The route is public.
    BeginSignIn(SignInRef),
    /// Where the provider sends it back to. The route is public.
    FinishSignIn(SignInRef),
    /// Signs out, here and there. The route takes the sessions of this sign-in.
    EndSignIn(SignInRef),
}

impl OwnPlan {
    /// See [`super::TargetPlan::client_source`].
    pub(super) fn client_source(&self) -> Option<ClientSource> {
        match self {
            OwnPlan::SignIn(plan) => plan.client.clone(),
            OwnPlan::Authorize(_) | OwnPlan::AuthorizeStep(_) | OwnPlan::MintClient(_) => {
                Some(ClientSource::Query("client_id".to_owned()))
            }
            OwnPlan::Token(_) | OwnPlan::Revoke(_) | OwnPlan::Introspect(_) => {
                Some(ClientSource::QueryOrBasic)
            }
            OwnPlan::SignOut(_)
            | OwnPlan::Metadata(_)
            | OwnPlan::Keys(_)
            | OwnPlan::DeleteToken(_)
            | OwnPlan::Status(_)
            | OwnPlan::SignUrl(_)
            | OwnPlan::EnrolmentTokens(_)
            | OwnPlan::Enrol(_)
            | OwnPlan::Nodes(_)
            | OwnPlan::BeginSignIn(_)
            | OwnPlan::FinishSignIn(_)
            | OwnPlan::EndSignIn(_) => None,
        }
    }
}

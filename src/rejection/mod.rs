//! Every refusal the gateway can give, and what each knows of itself.
//!
//! How a refusal looks on the wire is data: a dialect, rendered at load ([`rendering`]). What happened inside goes to
//! the log as the cause, never to the client.

pub mod rendering;
mod template;

use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};

use crate::base::random;
use crate::http::body::BodyError;
use crate::http::guard::BadHead;
use crate::identity::LimitName;

/// A refusal. A new variant does not compile until it has a code, a status, a fault, a retry rule and a close rule.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// The request can be read in two ways or breaks a rule of HTTP (RFC 9112, RFC 9110).
    #[error("bad request: {0}")]
    BadRequest(BadRequest),
    /// More items than one call may carry.
    #[error("{found} items where {max} are allowed")]
    ItemCapExceeded {
        /// At least this many were found.
        found: u64,
        /// So many are allowed.
        max: u64,
    },
    /// The tenant header does not name a tenant.
    #[error("the tenant selector is not a tenant")]
    TenantInvalid,
    /// The call is for a version of the api that the backend does not speak.
    #[error("the version is not supported: {0}")]
    VersionUnsupported(BadVersion),
    /// The call's body is not of a media type that the route takes (RFC 9110 section 15.5.16).
    #[error("the media type of the body is not one that is taken")]
    MediaTypeUnsupported,
    /// A query parameter is not a whole number within the route's range.
    #[error("the parameter `{}` is not a whole number from {} to {}", .0.name, .0.min, .0.max)]
    ParameterOutOfRange(Box<OutOfRange>),
    /// No credential that this route asks for (RFC 6750 section 3: a challenge without an error).
    #[error("no credentials")]
    CredentialsMissing,
    /// A credential is there and is not valid (RFC 6750 `invalid_token`).
    #[error("invalid credentials: {0}")]
    CredentialsInvalid(&'static str),
    /// A token that was good once (RFC 6750 `invalid_token`).
    #[error("the token has expired")]
    TokenExpired,
    /// A session cookie is there, and no session that holds: it was ended, was not used for too long, or is none of ours.
    #[error("no live session: {0}")]
    SessionEnded(&'static str),
    /// A name and a password that are not those of an account. The same for a name that nobody has.
    #[error("wrong name or password")]
    SignInFailed,
    /// A name on which so many sign-ins have failed that none is tried for a while. Unless a dialect has a row for it, it
    /// looks like [`Rejection::SignInFailed`].
    #[error("the name is locked after failed attempts to sign in")]
    LockedOut {
        /// Whole seconds until the next attempt, at least 1.
        retry_after_seconds: u64,
    },
    /// A good token or session of an account that is locked, where a lock suspends them. It works again afterwards.
    #[error("the account is locked, which suspends its tokens and sessions")]
    AccountSuspended {
        /// Whole seconds until the lock ends, at least 1.
        retry_after_seconds: u64,
    },
    /// No known client has that identifier, or it did not prove itself (RFC 6749 `invalid_client`).
    #[error("unknown client: {0}")]
    ClientUnknown(&'static str),
    /// The token does not carry a scope that the route needs (RFC 6750 `insufficient_scope`).
    #[error("a scope is missing")]
    ScopeMissing {
        /// The scopes that would have done, separated by spaces, as a `scope` attribute.
        needed: HeaderValue,
    },
    /// The caller has none of the roles that the route needs.
    #[error("a role is missing")]
    RoleMissing,
    /// The caller has no grant for the tenant it names.
    #[error("no grant for that tenant")]
    TenantForbidden,
    /// Somebody whose browser has to sign in at a provider first.
    #[error("not signed in")]
    SignInNeeded {
        /// Where that begins.
        location: HeaderValue,
    },
    /// A sign-in at a provider that came to nothing.
    #[error("the provider refuses: {0}")]
    ProviderRefused(&'static str),
    /// A call by a session that may change something does not prove that a page of ours sent it.
    #[error("the request is not known to come from a page of this service: {0}")]
    CsrfFailed(&'static str),
    /// The right password of an account that may not sign in: not approved, or switched off.
    #[error("the account cannot be used: {0}")]
    AccountInactive(&'static str),
    /// No api or route for this host and path.
    #[error("no route")]
    NoRoute,
    /// The path has routes, but none for this method.
    #[error("method not allowed")]
    MethodNotAllowed {
        /// The `Allow` field (RFC 9110 section 10.2.1).
        allow: HeaderValue,
    },
    /// The route existed in an earlier version of the api.
    #[error("the route is gone")]
    RouteGone,
    /// The client's body is larger than the route allows.
    #[error("the body is larger than {limit} bytes")]
    BodyTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The request target is longer than the gateway reads.
    #[error("the request target is too long")]
    UriTooLong,
    /// The header section is larger, or has more fields, than the gateway reads (RFC 6585 section 5).
    #[error("the header section is too large")]
    HeadersTooLarge,
    /// The call came through the door of a region that does not serve it (RFC 9110 section 15.5.20).
    #[error("wrong region")]
    WrongRegion(Box<WrongRegion>),
    /// An expectation other than `100-continue` (RFC 9110 section 10.1.1).
    #[error("unknown expectation")]
    ExpectationFailed,
    /// The client stopped sending in the middle of its message.
    #[error("the client did not finish its request in time")]
    RequestTimeout,
    /// A token bucket is empty.
    #[error("rate limited")]
    RateLimited(Box<RateLimited>),
    /// A bug. The number finds the log line.
    #[error("internal error {0:08x}")]
    Internal(u32),
    /// A method or transfer coding that the gateway does not implement (RFC 9110 15.6.2, RFC 9112 section 6.1).
    #[error("not implemented: {0}")]
    NotImplemented(&'static str),
    /// No endpoint could be connected to.
    #[error("no endpoint of the backend can be reached")]
    UpstreamUnreachable,
    /// The backend answered something that is not HTTP, or closed before it answered.
    #[error("the backend broke off or sent an invalid answer")]
    UpstreamInvalid,
    /// The backend has no endpoint in the region of the call.
    #[error("no endpoint in the region")]
    RegionUnavailable,
    /// The backend's readiness check fails in the region of the call: it is starting, or says that it cannot work.
    #[error("the backend is not ready")]
    UpstreamNotReady {
        /// Whole seconds until it is looked at again, at least 1.
        retry_after_seconds: u64,
    },
    /// The gateway is full: connections, memory or a queue.
    #[error("overloaded: {0}")]
    Overloaded(&'static str),
    /// The gateway has no keys yet by which to verify a token, or the service that knows does not answer.
    #[error("nobody can say whether the token is good")]
    AuthorityUnavailable,
    /// The store of accounts and tokens does not answer.
    #[error("the store is not available")]
    StoreUnavailable,
    /// No first byte of the backend's answer in time.
    #[error("the backend did not answer within {after:?}")]
    UpstreamTimeout {
        /// The deadline that passed.
        after: Duration,
    },
}

/// Why a request cannot be read in only one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// RFC 9112 section 3.2: exactly one valid Host.
    #[error("the Host field is missing, repeated or invalid")]
    Host,
    /// A request target of a form that the method does not allow (RFC 9112 section 3.2).
    #[error("the request target has a form that is not accepted")]
    Target,
    /// RFC 9112 section 6: framing that two recipients may read in two ways.
    #[error("the message framing is ambiguous")]
    Framing,
    /// A path that does not mean the same to every recipient.
    #[error("the path is ambiguous")]
    Path,
    /// A field that may occur once occurs more often, or its value breaks its grammar.
    #[error("a header field is invalid")]
    Field,
    /// A method that is not a known token.
    #[error("the method is not accepted")]
    Method,
    /// A query parameter that the route counts is not a whole number.
    #[error("a counted query parameter is not a whole number")]
    ItemsQuery,
    /// A body that the route counts is not the JSON that it should be.
    #[error("the body is not JSON of the expected shape")]
    ItemsBody,
    /// The client's message broke off or was malformed.
    #[error("the body is malformed or ended early")]
    Body,
    /// A parameter or member that an endpoint of our own needs is missing, repeated or malformed.
    #[error("a parameter is missing, repeated or malformed")]
    Parameters,
}

/// What is wrong with the version that a call is for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadVersion {
    /// The call says none, and the api asks for one.
    #[error("the call says none")]
    Missing,
    /// It is said twice, in another spelling of the field's name, or is not numbers with dots between them.
    #[error("it is not one version in numbers")]
    Malformed,
    /// It is newer than the backend.
    #[error("it is newer than {newest}")]
    TooNew {
        /// What the backend speaks.
        newest: Box<str>,
    },
}

/// Which range a parameter is not in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutOfRange {
    /// The parameter's name.
    pub name: String,
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
}

/// Where a call that came to the wrong door belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongRegion {
    /// The host name of the right door.
    pub host: String,
    /// If set, the client is sent there: the full URL.
    pub redirect: Option<HeaderValue>,
}

/// Which bucket refused, and when to come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimited {
    /// The limit's name.
    pub limit: LimitName,
    /// Its quota: tokens per period.
    pub tokens: u32,
    /// Its period, in whole seconds, at least 1.
    pub period_seconds: u64,
    /// Until the next token, rounded up to whole seconds, at least 1.
    pub retry_after_seconds: u64,
    /// Fields to add: `RateLimit`, `RateLimit-Policy` and the legacy names of the limit.
    pub fields: Vec<(HeaderName, HeaderValue)>,
}

/// Whose fault a refusal is: decides the log level and what alerts look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The client's.
    Client,
    /// Ours.
    Gateway,
    /// A backend's.
    Upstream,
}

/// May the client send the same request again?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Not as it is.
    Never,
    /// Yes, at once.
    Safe,
    /// Yes, after so many seconds (`Retry-After`).
    After(u64),
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $status:ident, $title:literal;)+) => {
        /// The name of a refusal: metric label, log field, row of `docs/errors.md`, key of a dialect.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $variant),+ }

        impl Code {
            /// All codes, in order.
            pub const ALL: &'static [Code] = &[$(Code::$variant),+];

            /// The code's text.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text),+ }
            }

            /// The standard status; a dialect may say another.
            pub fn status(self) -> StatusCode {
                match self { $(Code::$variant => StatusCode::$status),+ }
            }

            /// A short sentence for people (RFC 9457 `title`).
            pub fn title(self) -> &'static str {
                match self { $(Code::$variant => $title),+ }
            }

            /// The code of that text.
            pub fn from_text(text: &str) -> Option<Code> {
                match text { $($text => Some(Code::$variant),)+ _ => None }
            }
        }
    };
}

codes! {
    /// [`Rejection::BadRequest`]
    BadRequest = "bad_request", BAD_REQUEST, "The request is malformed";
    /// [`Rejection::ItemCapExceeded`]
    ItemCapExceeded = "item_cap_exceeded", BAD_REQUEST, "Too many items in one call";
    /// [`Rejection::TenantInvalid`]
    TenantInvalid = "tenant_invalid", BAD_REQUEST, "The tenant is not valid";
    /// [`Rejection::VersionUnsupported`]
    VersionUnsupported = "version_unsupported", BAD_REQUEST, "That version of the API is not there";
    /// [`Rejection::ParameterOutOfRange`]
    ParameterOutOfRange = "parameter_out_of_range", BAD_REQUEST, "A parameter is out of its range";
    /// [`Rejection::MediaTypeUnsupported`]
    MediaTypeUnsupported = "media_type_unsupported", UNSUPPORTED_MEDIA_TYPE, "The body is of another media type";
    /// [`Rejection::CredentialsMissing`]
    CredentialsMissing = "credentials_missing", UNAUTHORIZED, "Credentials are required";
    /// [`Rejection::CredentialsInvalid`]
    CredentialsInvalid = "credentials_invalid", UNAUTHORIZED, "The credentials are not valid";
    /// [`Rejection::TokenExpired`]
    TokenExpired = "token_expired", UNAUTHORIZED, "The token has expired";
    /// [`Rejection::SessionEnded`]
    SessionEnded = "session_ended", UNAUTHORIZED, "The session has ended";
    /// [`Rejection::SignInFailed`]
    SignInFailed = "sign_in_failed", UNAUTHORIZED, "The name or the password is wrong";
    /// [`Rejection::LockedOut`]
    LockedOut = "locked_out", UNAUTHORIZED, "Too many attempts to sign in have failed";
    /// [`Rejection::AccountSuspended`]
    AccountSuspended = "account_suspended", UNAUTHORIZED, "The account is locked for a while";
    /// [`Rejection::ClientUnknown`]
    ClientUnknown = "client_unknown", UNAUTHORIZED, "The client is not known";
    /// [`Rejection::ScopeMissing`]
    ScopeMissing = "scope_missing", FORBIDDEN, "The token lacks a scope";
    /// [`Rejection::RoleMissing`]
    RoleMissing = "role_missing", FORBIDDEN, "The caller lacks a role";
    /// [`Rejection::TenantForbidden`]
    TenantForbidden = "tenant_forbidden", FORBIDDEN, "No access to that tenant";
    /// [`Rejection::SignInNeeded`]
    SignInNeeded = "sign_in_needed", FOUND, "Sign in first";
    /// [`Rejection::ProviderRefused`]
    ProviderRefused = "provider_refused", FORBIDDEN, "The sign-in was refused";
    /// [`Rejection::CsrfFailed`]
    CsrfFailed = "csrf_failed", FORBIDDEN, "The request cannot be told from a forged one";
    /// [`Rejection::AccountInactive`]
    AccountInactive = "account_inactive", FORBIDDEN, "The account cannot be used";
    /// [`Rejection::NoRoute`]
    NoRoute = "no_route", NOT_FOUND, "Nothing is served here";
    /// [`Rejection::MethodNotAllowed`]
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "The method is not allowed here";
    /// [`Rejection::RouteGone`]
    RouteGone = "route_gone", GONE, "This was removed from the API";
    /// [`Rejection::BodyTooLarge`]
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    /// [`Rejection::UriTooLong`]
    UriTooLong = "uri_too_long", URI_TOO_LONG, "The request target is too long";
    /// [`Rejection::HeadersTooLarge`]
    HeadersTooLarge = "headers_too_large", REQUEST_HEADER_FIELDS_TOO_LARGE, "The header section is too large";
    /// [`Rejection::WrongRegion`]
    WrongRegion = "wrong_region", MISDIRECTED_REQUEST, "Another region serves this";
    /// [`Rejection::ExpectationFailed`]
    ExpectationFailed = "expectation_failed", EXPECTATION_FAILED, "The expectation cannot be met";
    /// [`Rejection::RequestTimeout`]
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT, "The request did not arrive in time";
    /// [`Rejection::RateLimited`]
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "API rate limit exceeded";
    /// [`Rejection::Internal`]
    Internal = "internal", INTERNAL_SERVER_ERROR, "Internal error";
    /// [`Rejection::NotImplemented`]
    NotImplemented = "not_implemented", NOT_IMPLEMENTED, "Not implemented";
    /// [`Rejection::UpstreamUnreachable`]
    UpstreamUnreachable = "upstream_unreachable", BAD_GATEWAY, "The service behind cannot be reached";
    /// [`Rejection::UpstreamInvalid`]
    UpstreamInvalid = "upstream_invalid", BAD_GATEWAY, "The service behind gave no valid answer";
    /// [`Rejection::RegionUnavailable`]
    RegionUnavailable = "region_unavailable", SERVICE_UNAVAILABLE, "The region does not serve this";
    /// [`Rejection::UpstreamNotReady`]
    UpstreamNotReady = "upstream_not_ready", SERVICE_UNAVAILABLE, "The service behind is not ready";
    /// [`Rejection::Overloaded`]
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "The gateway is overloaded";
    /// [`Rejection::AuthorityUnavailable`]
    AuthorityUnavailable = "authority_unavailable", SERVICE_UNAVAILABLE, "Tokens cannot be verified now";
    /// [`Rejection::StoreUnavailable`]
    StoreUnavailable = "store_unavailable", SERVICE_UNAVAILABLE, "Accounts cannot be looked up now";
    /// [`Rejection::UpstreamTimeout`]
    UpstreamTimeout = "upstream_timeout", GATEWAY_TIMEOUT, "The service behind did not answer in time";
}

impl Rejection {
    /// The refusal's name.
    pub fn code(&self) -> Code {
        match self {
            Rejection::BadRequest(_) => Code::BadRequest,
            Rejection::ItemCapExceeded { .. } => Code::ItemCapExceeded,
            Rejection::TenantInvalid => Code::TenantInvalid,
            Rejection::VersionUnsupported(_) => Code::VersionUnsupported,
            Rejection::MediaTypeUnsupported => Code::MediaTypeUnsupported,
            Rejection::ParameterOutOfRange(_) => Code::ParameterOutOfRange,
            Rejection::CredentialsMissing => Code::CredentialsMissing,
            Rejection::CredentialsInvalid(_) => Code::CredentialsInvalid,
            Rejection::TokenExpired => Code::TokenExpired,
            Rejection::SessionEnded(_) => Code::SessionEnded,
            Rejection::SignInFailed => Code::SignInFailed,
            Rejection::LockedOut { .. } => Code::LockedOut,
            Rejection::AccountSuspended { .. } => Code::AccountSuspended,
            Rejection::ClientUnknown(_) => Code::ClientUnknown,
            Rejection::ScopeMissing { .. } => Code::ScopeMissing,
            Rejection::RoleMissing => Code::RoleMissing,
            Rejection::TenantForbidden => Code::TenantForbidden,
            Rejection::SignInNeeded { .. } => Code::SignInNeeded,
            Rejection::ProviderRefused(_) => Code::ProviderRefused,
            Rejection::CsrfFailed(_) => Code::CsrfFailed,
            Rejection::AccountInactive(_) => Code::AccountInactive,
            Rejection::NoRoute => Code::NoRoute,
            Rejection::MethodNotAllowed { .. } => Code::MethodNotAllowed,
            Rejection::RouteGone => Code::RouteGone,
            Rejection::BodyTooLarge { .. } => Code::BodyTooLarge,
            Rejection::UriTooLong => Code::UriTooLong,
            Rejection::HeadersTooLarge => Code::HeadersTooLarge,
            Rejection::WrongRegion(_) => Code::WrongRegion,
            Rejection::ExpectationFailed => Code::ExpectationFailed,
            Rejection::RequestTimeout => Code::RequestTimeout,
            Rejection::RateLimited(_) => Code::RateLimited,
            Rejection::Internal(_) => Code::Internal,
            Rejection::NotImplemented(_) => Code::NotImplemented,
            Rejection::UpstreamUnreachable => Code::UpstreamUnreachable,
            Rejection::UpstreamInvalid => Code::UpstreamInvalid,
            Rejection::RegionUnavailable => Code::RegionUnavailable,
            Rejection::UpstreamNotReady { .. } => Code::UpstreamNotReady,
            Rejection::Overloaded(_) => Code::Overloaded,
            Rejection::AuthorityUnavailable => Code::AuthorityUnavailable,
            Rejection::StoreUnavailable => Code::StoreUnavailable,
            Rejection::UpstreamTimeout { .. } => Code::UpstreamTimeout,
        }
    }

    /// May the client try again?
    pub fn retry(&self) -> Retry {
        match self {
            Rejection::RateLimited(limited) => Retry::After(limited.retry_after_seconds),
            Rejection::LockedOut { retry_after_seconds }
            | Rejection::UpstreamNotReady { retry_after_seconds }
            | Rejection::AccountSuspended { retry_after_seconds } => Retry::After(*retry_after_seconds),
            Rejection::Overloaded(_)
            | Rejection::AuthorityUnavailable
            | Rejection::StoreUnavailable
            | Rejection::RegionUnavailable => Retry::After(1),
            Rejection::UpstreamUnreachable => Retry::Safe,
            Rejection::BadRequest(_)
            | Rejection::ItemCapExceeded { .. }
            | Rejection::TenantInvalid
            | Rejection::VersionUnsupported(_)
            | Rejection::MediaTypeUnsupported
            | Rejection::ParameterOutOfRange(_)
            | Rejection::CredentialsMissing
            | Rejection::CredentialsInvalid(_)
            | Rejection::TokenExpired
            | Rejection::SessionEnded(_)
            | Rejection::SignInFailed
            | Rejection::ClientUnknown(_)
            | Rejection::ScopeMissing { .. }
            | Rejection::RoleMissing
            | Rejection::TenantForbidden
            | Rejection::SignInNeeded { .. }
            | Rejection::ProviderRefused(_)
            | Rejection::CsrfFailed(_)
            | Rejection::AccountInactive(_)
            | Rejection::NoRoute
            | Rejection::MethodNotAllowed { .. }
            | Rejection::RouteGone
            | Rejection::BodyTooLarge { .. }
            | Rejection::UriTooLong
            | Rejection::HeadersTooLarge
            | Rejection::WrongRegion(_)
            | Rejection::ExpectationFailed
            | Rejection::RequestTimeout
            | Rejection::Internal(_)
            | Rejection::NotImplemented(_)
            | Rejection::UpstreamInvalid
            | Rejection::UpstreamTimeout { .. } => Retry::Never,
        }
    }

    /// Must an HTTP/1 connection end after this answer? True where the rest of what the client sends cannot be
    /// trusted to begin at a message border (RFC 9112 section 9.3).
    pub fn close(&self) -> bool {
        match self {
            Rejection::BadRequest(_)
            | Rejection::BodyTooLarge { .. }
            | Rejection::UriTooLong
            | Rejection::HeadersTooLarge
            | Rejection::RequestTimeout
            | Rejection::NotImplemented(_)
            | Rejection::ExpectationFailed
            | Rejection::Internal(_) => true,
            Rejection::ItemCapExceeded { .. }
            | Rejection::TenantInvalid
            | Rejection::VersionUnsupported(_)
            | Rejection::MediaTypeUnsupported
            | Rejection::ParameterOutOfRange(_)
            | Rejection::CredentialsMissing
            | Rejection::CredentialsInvalid(_)
            | Rejection::TokenExpired
            | Rejection::SessionEnded(_)
            | Rejection::SignInFailed
            | Rejection::LockedOut { .. }
            | Rejection::AccountSuspended { .. }
            | Rejection::ClientUnknown(_)
            | Rejection::ScopeMissing { .. }
            | Rejection::RoleMissing
            | Rejection::TenantForbidden
            | Rejection::SignInNeeded { .. }
            | Rejection::ProviderRefused(_)
            | Rejection::CsrfFailed(_)
            | Rejection::AccountInactive(_)
            | Rejection::NoRoute
            | Rejection::MethodNotAllowed { .. }
            | Rejection::RouteGone
            | Rejection::WrongRegion(_)
            | Rejection::RateLimited(_)
            | Rejection::UpstreamUnreachable
            | Rejection::UpstreamInvalid
            | Rejection::RegionUnavailable
            | Rejection::UpstreamNotReady { .. }
            | Rejection::Overloaded(_)
            | Rejection::AuthorityUnavailable
            | Rejection::StoreUnavailable
            | Rejection::UpstreamTimeout { .. } => false,
        }
    }
}

/// A defect: the number finds the line in the log.
pub fn bug(what: &dyn std::fmt::Display) -> Rejection {
    let mut number = [0; 4];
    random::fill(&mut number);
    let number = u32::from_ne_bytes(number);
    tracing::error!(number = format_args!("{number:08x}"), "{what}");
    Rejection::Internal(number)
}

impl From<BodyError> for Rejection {
    fn from(error: BodyError) -> Rejection {
        match error {
            BodyError::TooLarge { limit } => Rejection::BodyTooLarge { limit },
            BodyError::Idle | BodyError::Late => Rejection::RequestTimeout,
            BodyError::Broken => Rejection::BadRequest(BadRequest::Body),
        }
    }
}

impl From<BadHead> for Rejection {
    fn from(bad: BadHead) -> Rejection {
        match bad {
            BadHead::Host => Rejection::BadRequest(BadRequest::Host),
            BadHead::Target => Rejection::BadRequest(BadRequest::Target),
            BadHead::Framing => Rejection::BadRequest(BadRequest::Framing),
            BadHead::Field => Rejection::BadRequest(BadRequest::Field),
            BadHead::Path(_) => Rejection::BadRequest(BadRequest::Path),
            BadHead::Method => Rejection::NotImplemented("method"),
            BadHead::Version => Rejection::NotImplemented("version"),
            BadHead::Upgrade => Rejection::NotImplemented("upgrade"),
            BadHead::Expectation => Rejection::ExpectationFailed,
            BadHead::TargetTooLong => Rejection::UriTooLong,
            BadHead::TooLarge => Rejection::HeadersTooLarge,
        }
    }
}

impl Code {
    /// Whose fault it is.
    pub fn fault(self) -> Fault {
        match self {
            Code::BadRequest
            | Code::ItemCapExceeded
            | Code::TenantInvalid
            | Code::VersionUnsupported
            | Code::ParameterOutOfRange
            | Code::MediaTypeUnsupported
            | Code::CredentialsMissing
            | Code::CredentialsInvalid
            | Code::TokenExpired
            | Code::SessionEnded
            | Code::SignInFailed
            | Code::LockedOut
            | Code::AccountSuspended
            | Code::ClientUnknown
            | Code::ScopeMissing
            | Code::RoleMissing
            | Code::TenantForbidden
            | Code::SignInNeeded
            | Code::ProviderRefused
            | Code::CsrfFailed
            | Code::AccountInactive
            | Code::NoRoute
            | Code::MethodNotAllowed
            | Code::RouteGone
            | Code::BodyTooLarge
            | Code::UriTooLong
            | Code::HeadersTooLarge
            | Code::WrongRegion
            | Code::ExpectationFailed
            | Code::RequestTimeout
            | Code::NotImplemented
            | Code::RateLimited => Fault::Client,
            Code::Internal | Code::Overloaded | Code::AuthorityUnavailable | Code::StoreUnavailable => {
                Fault::Gateway
            }
            Code::UpstreamUnreachable
            | Code::UpstreamInvalid
            | Code::RegionUnavailable
            | Code::UpstreamNotReady
            | Code::UpstreamTimeout => Fault::Upstream,
        }
    }
}

/// A `Rejection` travels up the whole pipeline by value; rare payloads are boxed to keep it small.
const _: () = assert!(size_of::<Rejection>() <= 64);

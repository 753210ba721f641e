//! Plans of who vouches for opaque tokens: our own token services, and the introspection endpoints of others.

use std::path::PathBuf;
use std::time::Duration;

use super::{Algorithm, ClaimsPlan, RealmRef};
use crate::base::secret::Secret;
use crate::identity::IssuerName;
use crate::identity::scopes::ScopeMethods;

/// An authorization server (RFC 6749) of this gateway's own.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenServicePlan {
    /// Its name, unique among issuers, token services and introspections.
    pub name: IssuerName,
    /// Whose users and applications.
    pub realm: RealmRef,
    /// Its identifier (RFC 8414 section 2): `iss` of tokens and answers. An `https` URL without query and fragment, or `http`
    /// with a loopback host.
    pub issuer: String,
    /// `aud` of its tokens, and what token exchange may ask for; not empty.
    pub audience: Vec<String>,
    /// Access tokens.
    pub access: AccessTokenPlan,
    /// Refresh tokens; `None`: there are none.
    pub refresh: Option<RefreshTokenPlan>,
    /// How long an authorization code holds, 10 s to 10 min.
    pub code_lifetime: Duration,
    /// The scopes there are, and which methods each lets through where an api asks for that
    /// ([`super::ApiPlan::scope_methods`]).
    pub scopes: ScopeMethods,
    /// Who must use PKCE (RFC 7636).
    pub pkce: PkceRule,
    /// Tokens that are remembered. 0 looks each up in the store every time.
    pub cache: usize,
}

/// Access tokens of a token service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessTokenPlan {
    /// What they look like.
    pub format: AccessFormat,
    /// How long one holds, 1 min to 1 d.
    pub lifetime: Duration,
}

/// What access tokens look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessFormat {
    /// Random text; what it stands for is in the store.
    Opaque,
    /// A signed JWT (RFC 9068).
    Jwt {
        /// By which algorithm.
        algorithm: SigningAlgorithm,
        /// The folder of the signing keys. Made at the first start, if it is not there.
        keys: PathBuf,
    },
}

/// By which algorithm tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(
    missing_docs,
    reason = "the names of RFC 7518 section 3.1 and RFC 8037 section 3.1"
)]
pub enum SigningAlgorithm {
    ES256,
    ES384,
    RS256,
    EdDSA,
}

impl From<SigningAlgorithm> for Algorithm {
    fn from(algorithm: SigningAlgorithm) -> Algorithm {
        match algorithm {
            SigningAlgorithm::ES256 => Algorithm::ES256,
            SigningAlgorithm::ES384 => Algorithm::ES384,
            SigningAlgorithm::RS256 => Algorithm::RS256,
            SigningAlgorithm::EdDSA => Algorithm::EdDSA,
        }
    }
}

/// Refresh tokens of a token service. Each is used once and replaced; a second use revokes the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshTokenPlan {
    /// How long the newest one holds from its issue on, 1 h to 400 d.
    pub lifetime: Duration,
    /// For so long after its use the same token gives the same answer again (an answer that was lost is asked for anew), 0 to
    /// 60 s.
    pub grace: Duration,
}

/// Who must use PKCE (RFC 7636, S256).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PkceRule {
    /// Public clients; others may.
    Public,
    /// All clients.
    Always,
}

/// Somebody else's opaque tokens, asked about at their introspection endpoint (RFC 7662).
#[derive(Debug, Clone)]
pub struct IntrospectionPlan {
    /// Its name, unique among issuers, token services and introspections.
    pub name: IssuerName,
    /// The endpoint: `https`, or `http` to a loopback address or where `danger_plain_http` says so.
    pub url: http::Uri,
    /// Authorities instead of the system's, a PEM file.
    pub ca: Option<PathBuf>,
    /// How the gateway makes itself known there: HTTP Basic (RFC 6749 section 2.3.1).
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// An answer must name one of these in `aud`. Empty: it is not looked at.
    pub audience: Vec<String>,
    /// Members of the answer that mean something here.
    pub claims: ClaimsPlan,
    /// Answers that are remembered. 0 asks each time.
    pub cache: usize,
    /// How long one is remembered at most, and never beyond the token's `exp`: 0 to 1 h. A revocation there is noticed so
    /// late.
    pub remember: Duration,
    /// How long a call waits for the answer, 10 ms to 1 min. What comes later is no answer, and without one nobody is let in.
    pub deadline: Duration,
}

/// An identity provider at whom users sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderPlan {
    /// Its name in the configuration.
    pub name: IssuerName,
    /// Its `iss` (RFC 9207, OpenID Connect Core section 2), compared exactly.
    pub issuer: Option<String>,
    /// Must its answers to the browser say `iss`?
    pub issuer_in_answers: bool,
    /// Where browsers are sent.
    pub authorization: http::Uri,
    /// Where codes and refresh tokens are posted.
    pub token: http::Uri,
    /// Where tokens are revoked (RFC 7009).
    pub revocation: Option<http::Uri>,
    /// Where browsers are sent to sign out there.
    pub end_session: Option<http::Uri>,
    /// The gateway's name there.
    pub client_id: String,
    /// Its secret there; `None` is a public client.
    pub client_secret: Option<Secret>,
    /// How it shows the secret.
    pub proof: ClientProof,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// Who judges its access tokens.
    pub judge: super::Authority,
    /// Authorities instead of the system's, a PEM file.
    pub ca: Option<PathBuf>,
    /// How long an answer may take.
    pub deadline: Duration,
}

/// How the gateway shows its secret to a provider (RFC 6749 section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientProof {
    /// HTTP Basic.
    Basic,
    /// In the form.
    Post,
}

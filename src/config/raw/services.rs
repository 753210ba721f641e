//! `token-services:` and `introspections:` as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{RawClaims, RawSecret};
use crate::config::read::{At, Named, OneOrMany};
use crate::config::text::{FetchUrl, FilePath, Length, NonEmpty, VerbOrEvery};

/// An authorization server (OAuth 2.0, RFC 6749) of this gateway's own, for the users and applications of one realm. Its
/// endpoints are targets of routes: `to: { token: { service: NAME } }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "TokenService")]
pub(in crate::config) struct RawTokenService {
    /// Whose users and applications.
    pub realm: At<String>,
    /// Its identifier: the `iss` of tokens and answers, and what its metadata stands below (RFC 8414). An `https` URL without
    /// query, or `http` with a loopback address.
    pub issuer: At<NonEmpty>,
    /// The `aud` of its tokens; a token exchange may ask for one of them.
    pub audience: At<OneOrMany<NonEmpty>>,
    /// Access tokens.
    #[schemars(extend("default" = {}))]
    pub access: RawAccessTokens,
    /// Refresh tokens. Without it there are none.
    pub refresh: Option<RawRefreshTokens>,
    /// Authorization codes.
    #[schemars(extend("default" = {}))]
    pub code: RawCodes,
    /// The scopes there are, and which methods each lets through where an api says `scope-methods: true`: a list of methods,
    /// or `every`.
    #[schemars(extend("default" = {}))]
    pub scopes: Named<OneOrMany<At<VerbOrEvery>>>,
    /// Where the signing keys are kept. With `format: jwt` only.
    pub keys: Option<At<RawSigningKeys>>,
    /// Who must use PKCE (RFC 7636, S256).
    #[schemars(extend("default" = "public"))]
    pub pkce: RawPkce,
    /// Tokens that are remembered until they expire or are revoked; 0 looks each up every time.
    #[schemars(extend("default" = 10_000, "maximum" = 10_000_000))]
    pub cache: u32,
}

/// Access tokens of a token service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "AccessTokens")]
pub(in crate::config) struct RawAccessTokens {
    /// What they look like.
    #[schemars(extend("default" = "opaque"))]
    pub format: RawTokenFormat,
    /// By which algorithm they are signed, with `format: jwt`; ES256 if it is left out.
    pub algorithm: Option<At<RawSigningAlgorithm>>,
    /// How long one holds.
    #[schemars(extend("default" = "2h", "x-minimum" = "1s", "x-maximum" = "1d"))]
    pub lifetime: At<Length>,
}

/// What access tokens look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(in crate::config) enum RawTokenFormat {
    /// Random text.
    Opaque,
    /// A signed JWT (RFC 9068).
    Jwt,
}

/// By which algorithm tokens are signed (RFC 7518 section 3.1, RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(in crate::config) enum RawSigningAlgorithm {
    /// ECDSA with P-256 and SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA with P-384 and SHA-384.
    #[serde(rename = "ES384")]
    Es384,
    /// RSA with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// Refresh tokens of a token service. Each is used once and replaced by the answer; a second use revokes whatever came of the
/// same consent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "RefreshTokens")]
pub(in crate::config) struct RawRefreshTokens {
    /// How long one holds.
    #[schemars(extend("default" = "14d", "x-minimum" = "1s", "x-maximum" = "400d"))]
    pub lifetime: At<Length>,
    /// For so long after its use a token may be used again, for clients whose answer was lost.
    #[schemars(extend("default" = "10s", "x-minimum" = "0ms", "x-maximum" = "60s"))]
    pub grace: At<Length>,
}

/// Authorization codes of a token service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Codes")]
pub(in crate::config) struct RawCodes {
    /// How long one holds. It is used once.
    #[schemars(extend("default" = "5m", "x-minimum" = "1s", "x-maximum" = "10m"))]
    pub lifetime: At<Length>,
}

/// Where the signing keys of a token service are kept.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "SigningKeys")]
pub(in crate::config) struct RawSigningKeys {
    /// The folder. It is made at the first start, and so are the keys; only the gateway's user may read it.
    pub directory: At<FilePath>,
}

/// Who must use PKCE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(in crate::config) enum RawPkce {
    /// Applications without a secret; others may.
    Public,
    /// All applications.
    Always,
}

/// Opaque tokens of somebody else, asked about at their introspection endpoint (RFC 7662). Without an answer nobody is let in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Introspection")]
pub(in crate::config) struct RawIntrospection {
    /// The endpoint. `https`, or `http` to a loopback address.
    pub url: At<FetchUrl>,
    /// Authorities instead of the system's, a PEM file.
    pub ca: Option<At<FilePath>>,
    /// How the gateway makes itself known there (HTTP Basic).
    pub client: RawIntrospectionClient,
    /// The answer's `aud` must have one of these. Without it `aud` is not looked at.
    #[schemars(extend("default" = []))]
    pub audience: OneOrMany<NonEmpty>,
    /// Which member of the answer means what.
    #[schemars(extend("default" = {}))]
    pub claims: RawClaims,
    /// Answers that are remembered; 0 asks every time.
    #[schemars(extend("default" = 10_000, "maximum" = 10_000_000))]
    pub cache: u32,
    /// How long one is remembered at most, and never beyond the token's `exp`. So late a revocation there is noticed here.
    #[schemars(extend("default" = "30s", "x-minimum" = "0ms", "x-maximum" = "1h"))]
    pub remember: Length,
    /// How long a call waits for the answer.
    #[schemars(extend("default" = "2s", "x-minimum" = "10ms", "x-maximum" = "1m"))]
    pub deadline: Length,
    /// Allows `http` to an address that is not loopback. Whoever is on the way can then let anybody in.
    #[serde(rename = "danger_plain_http")]
    #[schemars(extend("default" = false))]
    pub danger_plain_http: At<bool>,
}

/// How the gateway makes itself known to an introspection endpoint.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "IntrospectionClient")]
pub(in crate::config) struct RawIntrospectionClient {
    /// Its client id there.
    pub id: NonEmpty,
    /// Its secret there.
    pub secret: At<RawSecret>,
}

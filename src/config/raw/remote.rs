//! Signing in elsewhere, as it is written: providers, and the sign-ins of an api.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{RawCsrf, RawSameSite, RawSecret, RawSecure};
use crate::config::read::{At, OneOrMany};
use crate::config::text::{FetchUrl, FilePath, Length, NonEmpty};

/// An identity provider at whom users sign in, by authorization code with PKCE (RFC 6749 section 4.1, RFC 7636). With the scope
/// `openid` its ID token is looked at (OpenID Connect).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Provider")]
pub(in crate::config) struct RawProvider {
    /// Its `iss`. What its answers and its ID tokens say of themselves must be the same.
    pub issuer: Option<NonEmpty>,
    /// Its answers to the browser must say `iss` (RFC 9207). Without it one that says none passes.
    #[schemars(extend("default" = false))]
    pub issuer_in_answers: At<bool>,
    /// The authorization endpoint, to which browsers are sent. `https`, or `http` to a loopback address, as are those that follow.
    pub authorization: At<FetchUrl>,
    /// The token endpoint.
    pub token: At<FetchUrl>,
    /// The revocation endpoint (RFC 7009): without it tokens of those who sign out live on there.
    pub revocation: Option<At<FetchUrl>>,
    /// The page by which browsers sign out there (OpenID Connect RP-Initiated Logout 1.0).
    pub end_session: Option<At<FetchUrl>>,
    /// How the gateway makes itself known there.
    pub client: RawProviderClient,
    /// Scopes that are asked for.
    #[schemars(extend("default" = []))]
    pub scopes: OneOrMany<NonEmpty>,
    /// Who judges the provider's access tokens, at each call: an issuer, a token service or an introspection.
    pub judge: At<String>,
    /// Authorities instead of the system's, a PEM file.
    pub ca: Option<At<FilePath>>,
    /// How long an answer may take.
    #[schemars(extend("default" = "5s", "x-minimum" = "10ms", "x-maximum" = "1m"))]
    pub deadline: Length,
    /// Allows `http` to an address that is not loopback. Whoever is on the way can then sign in as anybody.
    #[serde(rename = "danger_plain_http")]
    #[schemars(extend("default" = false))]
    pub danger_plain_http: At<bool>,
}

/// How the gateway makes itself known to a provider.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "ProviderClient")]
pub(in crate::config) struct RawProviderClient {
    /// Its client id there.
    pub id: NonEmpty,
    /// Its secret there; without one it is a public client, which PKCE alone protects.
    pub secret: Option<At<RawSecret>>,
    /// How it shows the secret.
    #[schemars(extend("default" = "basic"))]
    pub proof: RawClientProof,
}

/// How a client shows its secret.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(in crate::config) enum RawClientProof {
    /// HTTP Basic.
    Basic,
    /// In the form.
    Post,
}

/// How users sign in at a provider. The session's cookie holds no token: that stays on the server.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "RemoteSignIn")]
pub(in crate::config) struct RawRemoteSignIn {
    /// At whom.
    pub provider: At<String>,
    /// Where the provider sends browsers back to: the absolute URL that is registered there, of a route `finish-sign-in`.
    pub redirect_uri: At<NonEmpty>,
    /// The session's cookie. Scripts cannot read it.
    pub cookie: At<String>,
    /// The `Path` of the cookies.
    #[schemars(extend("default" = "/"))]
    pub path: At<String>,
    /// When browsers send the cookies along with calls from other sites (`SameSite`).
    #[schemars(extend("default" = "lax"))]
    pub same_site: At<RawSameSite>,
    /// Whether the cookies are for HTTPS only (`Secure`).
    #[schemars(extend("default" = "auto"))]
    pub secure: At<RawSecure>,
    /// How a call by session shows that it was meant.
    pub csrf: Option<At<RawCsrf>>,
    /// When a session ends, whatever happens.
    #[schemars(extend("default" = "12h", "x-minimum" = "1s", "x-maximum" = "400d"))]
    pub lifetime: At<Length>,
    /// When it ends without use.
    #[schemars(extend("default" = "30m", "x-minimum" = "1s", "x-maximum" = "400d"))]
    pub idle: At<Length>,
    /// The path to which a browser goes that did not come from anywhere.
    #[schemars(extend("default" = "/"))]
    pub after: At<NonEmpty>,
    /// Where the provider sends browsers after they have signed out there: an absolute URL that is registered there.
    pub after_sign_out: Option<At<NonEmpty>>,
    /// Sends the access token to the backend, as `Authorization: Bearer`.
    #[schemars(extend("default" = false))]
    pub forwards_token: bool,
}

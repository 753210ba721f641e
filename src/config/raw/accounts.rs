//! `store:` and `realms:` as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::RawTenant;
use crate::config::read::{At, Named, OneOrMany};
use crate::config::text::{
    CustomerName, FilePath, Length, NonEmpty, RoleName, ScopeName, TenantName, Variable,
};

/// Where users, applications, sessions and tokens are kept.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Store")]
pub(in crate::config) enum RawStore {
    /// In memory: everything is gone when the program ends. For tests, and where nothing is kept but sessions.
    Memory,
    /// In this SQLite file. It is made if it is not there, its folder is not.
    Sqlite(At<FilePath>),
}

/// A world of accounts. Users, applications, sessions and tokens of one realm mean nothing in another; one or more apis and
/// token services share it. Users and applications that do not stand here live in the store.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Realm")]
pub(in crate::config) struct RawRealm {
    /// What names of users look like.
    #[schemars(extend("default" = "any"))]
    pub names: At<RawNameForm>,
    /// When a name is locked after wrong passwords.
    #[schemars(extend("default" = {}))]
    pub lockout: RawLockout,
    /// Sessions of its users.
    #[schemars(extend("default" = {}))]
    pub sessions: RawSessions,
    /// Users, by the name that they sign in with. Letter case, width and blanks around it do not count. For small set-ups:
    /// they are active, and change with this file only.
    #[schemars(extend("default" = {}))]
    pub users: Named<At<RawUser>>,
    /// Applications (OAuth clients), by their client id.
    #[schemars(extend("default" = {}))]
    pub applications: Named<At<RawApplication>>,
}

/// What names of users look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(in crate::config) enum RawNameForm {
    /// E-mail addresses.
    Email,
    /// Any text without white space.
    Any,
}

/// When a name is locked after wrong passwords. An attempt is counted before its password is looked at, whether or not there
/// is such a user; a lock ends by itself, and attempts while it lasts do not prolong it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Lockout")]
pub(in crate::config) struct RawLockout {
    /// Wrong passwords that lock the name.
    #[schemars(extend("default" = 5, "minimum" = 1, "maximum" = 1_000))]
    pub attempts: u32,
    /// How long they are remembered, from the first of them on.
    #[schemars(extend("default" = "15m", "x-minimum" = "1s", "x-maximum" = "30d"))]
    pub window: At<Length>,
    /// How long a lock lasts.
    #[schemars(extend("default" = "1m", "x-minimum" = "1s", "x-maximum" = "1d"))]
    pub duration: At<Length>,
    /// What is counted together: `[name]`, or `[domain, name]` where a sign-in names a domain too. Such a user is called
    /// `domain\name`.
    #[schemars(extend("default" = ["name"]))]
    pub key: At<OneOrMany<At<RawLockoutKey>>>,
    /// Tokens and sessions of the user do not work while the lock lasts, and work again afterwards. Strangers who know a
    /// name can then suspend its user.
    #[schemars(extend("default" = false))]
    pub suspends_tokens: bool,
}

/// A part of what attempts are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "LockoutKey")]
pub(in crate::config) enum RawLockoutKey {
    /// The domain that the sign-in names.
    Domain,
    /// The name of the user.
    Name,
}

/// Sessions of a realm's users.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Sessions")]
pub(in crate::config) struct RawSessions {
    /// When a session ends, whatever happens.
    #[schemars(extend("default" = "12h", "x-minimum" = "1s", "x-maximum" = "400d"))]
    pub lifetime: At<Length>,
    /// When it ends without use.
    #[schemars(extend("default" = "30m", "x-minimum" = "1s", "x-maximum" = "400d"))]
    pub idle: At<Length>,
    /// Sessions of one user at a time; one more ends the one that was used longest ago.
    #[schemars(extend("default" = 100, "minimum" = 1, "maximum" = 10_000))]
    pub per_user: u32,
}

/// A user.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "User")]
pub(in crate::config) struct RawUser {
    /// The hash of the password, as `tollgate hash-password` prints it. The password itself stands nowhere.
    pub password: At<RawPassword>,
    /// The customer that the user's calls are charged to, and whose tenants it may act on.
    pub customer: Option<CustomerName>,
    /// Roles outside of any tenant's.
    #[schemars(extend("default" = []))]
    pub roles: OneOrMany<RoleName>,
    /// Tenants beyond those of the customer, with the user's roles there.
    #[schemars(extend("default" = {}))]
    pub tenants: Named<RawTenant>,
    /// The tenant of calls that name none.
    pub default_tenant: Option<At<TenantName>>,
    /// Roles in every tenant there is, also in those to come: a superuser.
    pub every_tenant: Option<OneOrMany<RoleName>>,
}

/// The hash of a password, in one of three places.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(
    rename = "Password",
    extend("x-hint" = "write `password: { hash: … }` with what `tollgate hash-password` prints; a password itself is never written down")
)]
pub(in crate::config) enum RawPassword {
    /// The hash itself: a PHC string `$argon2id$…`.
    Hash(At<String>),
    /// The file that holds it.
    File(At<FilePath>),
    /// The environment variable that holds it.
    Environment(At<Variable>),
}

/// An application (OAuth client, RFC 6749 section 2).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Application")]
pub(in crate::config) struct RawApplication {
    /// A name for people, on the consent page; without it the client id.
    pub name: Option<NonEmpty>,
    /// The client secret. Without it the application is a public client (RFC 6749 section 2.1).
    pub secret: Option<At<RawClientSecret>>,
    /// Where codes may be sent: whole URIs, compared character by character (of a loopback address the port may differ).
    #[schemars(extend("default" = []))]
    pub redirect_uris: OneOrMany<At<String>>,
    /// Allows redirection URIs with a scheme that an app registered on its device, such as `com.example.app:/callback`. Any
    /// other app may register the same one.
    #[schemars(extend("default" = false))]
    pub private_use_schemes: bool,
    /// The user that it belongs to.
    pub owner: Option<At<NonEmpty>>,
    /// The customer that calls by its own credentials are charged to.
    pub customer: Option<CustomerName>,
    /// The tenant that it acts on, and no other.
    pub tenant: Option<TenantName>,
    /// How it may come by tokens.
    #[schemars(extend("default" = ["authorization-code", "refresh-token"]))]
    pub grants: At<OneOrMany<At<RawGrantType>>>,
    /// Scopes that it may ask for; it gets all of them where it asks for none.
    #[schemars(extend("default" = []))]
    pub scopes: OneOrMany<At<ScopeName>>,
    /// Roles of the tokens that it gets by its own credentials.
    #[schemars(extend("default" = []))]
    pub roles: OneOrMany<RoleName>,
}

/// A client secret, which never stands in this file itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(
    rename = "ClientSecret",
    extend("x-hint" = "write `secret: { file: … }`, `{ environment: … }`, or `{ sha256: … }` with the SHA-256 of the secret")
)]
pub(in crate::config) enum RawClientSecret {
    /// The file that holds it; line ends at its end do not count. 16 bytes at least.
    File(At<FilePath>),
    /// The environment variable that holds it.
    Environment(At<Variable>),
    /// Its SHA-256 as 64 hexadecimal digits. For a secret of random bits only: others can be guessed from it.
    Sha256(At<String>),
}

/// How an application may come by tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "GrantType")]
pub(in crate::config) enum RawGrantType {
    /// By a code that a user's consent gave (RFC 6749 section 4.1).
    AuthorizationCode,
    /// By a refresh token (RFC 6749 section 6).
    RefreshToken,
    /// By its own secret, for itself (RFC 6749 section 4.4).
    ClientCredentials,
    /// For another token (RFC 8693).
    TokenExchange,
}

//! `store:` and `realms:`: where accounts are kept, and what the file itself knows of them.

use std::collections::HashMap;
use std::num::NonZeroU32;

use super::customers;
use super::material::{self, Source};
use super::scope::Scope;
use crate::base::digest::Digest;
use crate::config::node::Mark;
use crate::config::plan::{
    ApplicationPlan, CustomerPlan, LockoutKey, LockoutPlan, NameForm, RealmPlan, SessionsPlan, StorePlan,
    UserPlan, WhileLocked,
};
use crate::config::raw::{
    RawApplication, RawClientSecret, RawGrantType, RawLockout, RawLockoutKey, RawNameForm, RawPassword,
    RawRealm, RawSessions, RawStore, RawUser,
};
use crate::config::read::{At, Named};
use crate::config::suggest;
use crate::http::redirect_uri::{self, BadRedirectUri, PrivateUseSchemes};
use crate::identity::{AccountName, ClientId, GrantType, RealmName, StoredPassword, UserName};

/// What sign-ins that name no application are noted under; no application may be called so.
const RESERVED_CLIENT: &str = "sign-in";
/// Shortest client secret in bytes: 128 random bits in hexadecimal digits are 32, in Base64 22.
const SHORTEST_CLIENT_SECRET: usize = 16;

/// The store. Its file is looked at only if somebody will open it.
pub(super) fn store(raw: &RawStore, realms: &Named<At<RawRealm>>, scope: &mut Scope<'_>) -> StorePlan {
    match raw {
        RawStore::Memory => StorePlan::Memory,
        RawStore::Sqlite(file) if realms.0.is_empty() => StorePlan::Sqlite {
            path: scope.unwatched_path(file),
        },
        RawStore::Sqlite(file) => StorePlan::Sqlite {
            path: material::written(file, scope),
        },
    }
}

/// What realms are looked at with.
struct Around<'w> {
    store: &'w StorePlan,
    customers: &'w [CustomerPlan],
}

pub(super) fn resolve(
    raw: &Named<At<RawRealm>>,
    store: &StorePlan,
    customers: &[CustomerPlan],
    scope: &mut Scope<'_>,
) -> Vec<RealmPlan> {
    let around = Around { store, customers };
    raw.0
        .iter()
        .filter_map(|(name, realm)| one(name, &realm.value, &around, scope))
        .collect()
}

fn one(name: &At<String>, raw: &RawRealm, around: &Around<'_>, scope: &mut Scope<'_>) -> Option<RealmPlan> {
    let realm: Option<RealmName> = material::name(name, "realm", scope);
    let names = match raw.names.value {
        RawNameForm::Any => NameForm::Any,
        RawNameForm::Email => NameForm::Email,
    };
    let lockout = lockout(&raw.lockout, scope);
    if names == NameForm::Email && lockout.key == LockoutKey::DomainAndUser {
        scope.error(
            "contradiction",
            raw.lockout.key.mark,
            "with a `domain` in the key, names are `domain\\name`, and with `names: email` they are addresses",
            "write `names: any`, or `key: [name]`",
        );
    }
    let sessions = sessions(&raw.sessions, scope);
    // Whatever else is wrong with the realm's name, its users are looked at too.
    let known_as = realm.clone().or_else(|| RealmName::try_from("realm").ok())?;
    let users = users(&raw.users, &known_as, names, around, scope);
    let applications = raw
        .applications
        .0
        .iter()
        .filter_map(|(id, application)| application_plan(id, application, &users, around, scope))
        .collect();
    Some(RealmPlan {
        name: realm?,
        names,
        lockout,
        sessions,
        users,
        applications,
    })
}

fn lockout(raw: &RawLockout, scope: &mut Scope<'_>) -> LockoutPlan {
    let mut parts: Vec<RawLockoutKey> = Vec::new();
    for part in &raw.key.value.0 {
        if parts.contains(&part.value) {
            scope.error(
                "duplicate",
                part.mark,
                "this stands in `key` twice",
                "remove one of them",
            );
        } else {
            parts.push(part.value);
        }
    }
    if !parts.contains(&RawLockoutKey::Name) {
        scope.error(
            "contradiction",
            raw.key.mark,
            "attempts have to be counted by `name`, else one user locks out all others",
            "write `key: [name]`, or `key: [domain, name]`",
        );
    }
    LockoutPlan {
        attempts: NonZeroU32::new(raw.attempts).unwrap_or(NonZeroU32::MIN),
        window: material::whole_seconds("window", &raw.window, scope),
        duration: material::whole_seconds("duration", &raw.duration, scope),
        key: if parts.contains(&RawLockoutKey::Domain) {
            LockoutKey::DomainAndUser
        } else {
            LockoutKey::User
        },
        tokens: if raw.suspends_tokens {
            WhileLocked::Suspended
        } else {
            WhileLocked::Work
        },
    }
}

fn sessions(raw: &RawSessions, scope: &mut Scope<'_>) -> SessionsPlan {
    if raw.idle.value.0 > raw.lifetime.value.0 {
        scope.error(
            "contradiction",
            raw.idle.mark,
            "`idle` is longer than `lifetime`: no session lasts so long",
            "make `idle` shorter, or `lifetime` longer",
        );
    }
    SessionsPlan {
        lifetime: material::whole_seconds("lifetime", &raw.lifetime, scope),
        idle: material::whole_seconds("idle", &raw.idle, scope),
        per_user: NonZeroU32::new(raw.per_user).unwrap_or(NonZeroU32::MIN),
    }
}

fn users(
    raw: &Named<At<RawUser>>,
    realm: &RealmName,
    names: NameForm,
    around: &Around<'_>,
    scope: &mut Scope<'_>,
) -> Vec<UserPlan> {
    let mut taken: HashMap<UserName, (String, Mark)> = HashMap::new();
    raw.0
        .iter()
        .filter_map(|(name, user)| {
            let key = user_name(name, &name.value, scope)?;
            if let Some((other, first)) = taken.get(&key) {
                let hint = format!("the first is at {}", scope.other_place(name.mark, *first));
                let message = format!("`{}` and `{other}` are one name", name.value);
                scope.error("duplicate", name.mark, message, hint);
            } else {
                taken.insert(key.clone(), (name.value.clone(), name.mark));
            }
            if names == NameForm::Email
                && let Err(why) = key.check_email()
            {
                scope.error(
                    "bad-name",
                    name.mark,
                    format!("`{}` is no e-mail address: {why}", name.value),
                    "`names: email` asks for one",
                );
            }
            user_plan(name, key, &user.value, realm, around, scope)
        })
        .collect()
}

fn user_name<T>(at: &At<T>, text: &str, scope: &mut Scope<'_>) -> Option<UserName> {
    match UserName::parse(text) {
        Ok(name) => Some(name),
        Err(why) => {
            scope.error(
                "bad-name",
                at.mark,
                format!("this is no name of a user: {why}"),
                "write the name that the user signs in with, such as an e-mail address",
            );
            None
        }
    }
}

fn user_plan(
    name: &At<String>,
    key: UserName,
    raw: &RawUser,
    realm: &RealmName,
    around: &Around<'_>,
    scope: &mut Scope<'_>,
) -> Option<UserPlan> {
    let password = password(&raw.password, scope);
    let tenants: Vec<_> = raw
        .tenants
        .0
        .iter()
        .filter_map(|(id, tenant)| customers::grant(id, tenant, scope))
        .collect();
    let customer = raw.customer.as_ref().map(|id| id.0.clone());
    if let Some(default) = &raw.default_tenant {
        let id = &default.value.0;
        let of_the_customer = match &customer {
            None => false,
            Some(customer) if customer.as_str() == id.as_str() => true,
            Some(customer) => match around.customers.iter().find(|plan| plan.id == *customer) {
                Some(plan) => plan.tenants.iter().any(|grant| grant.tenant == *id),
                // The store may know the customer and its tenants.
                None => true,
            },
        };
        let reaches = raw.every_tenant.is_some()
            || tenants.iter().any(|grant| grant.tenant == *id)
            || raw.tenants.0.len() != tenants.len()
            || of_the_customer;
        if !reaches {
            scope.error(
                "contradiction",
                default.mark,
                format!("`{}` may not act on its own `default-tenant`", name.value),
                "grant it: in the user's `tenants`, or in those of its customer",
            );
        }
    }
    let account = AccountName::try_from(name.value.as_str());
    if let Err(bad) = &account {
        scope.error(
            "bad-name",
            name.mark,
            format!("the name of this user {bad}"),
            "write the name that the user signs in with, such as an e-mail address",
        );
    }
    Some(UserPlan {
        id: UserPlan::id_of(realm, &key),
        name: account.ok()?,
        key,
        password: password?,
        customer,
        roles: raw.roles.0.iter().map(|role| role.0.clone()).collect(),
        tenants,
        default_tenant: raw.default_tenant.as_ref().map(|id| id.value.0.clone()),
        every_tenant: raw
            .every_tenant
            .as_ref()
            .map(|roles| roles.0.iter().map(|role| role.0.clone()).collect()),
    })
}

/// The hash itself is in no message, and neither is a text that may be the password.
fn password(raw: &At<RawPassword>, scope: &mut Scope<'_>) -> Option<StoredPassword> {
    let (text, mark, from) = match &raw.value {
        RawPassword::Hash(text) => (
            text.value.clone(),
            text.mark,
            "what stands under `hash`".to_owned(),
        ),
        RawPassword::File(file) => material::text_of(Source::File(file), HASH_HINT, scope)?,
        RawPassword::Environment(variable) => {
            material::text_of(Source::Environment(variable), HASH_HINT, scope)?
        }
    };
    match StoredPassword::parse(&text) {
        Ok(password) => Some(password),
        Err(why) => {
            scope.error("bad-hash", mark, format!("{from} {why}"), HASH_HINT);
            None
        }
    }
}

const HASH_HINT: &str =
    "`tollgate hash-password` makes the hash of a password; the password itself is never written down";

fn application_plan(
    id: &At<String>,
    at: &At<RawApplication>,
    users: &[UserPlan],
    around: &Around<'_>,
    scope: &mut Scope<'_>,
) -> Option<ApplicationPlan> {
    let raw = &at.value;
    let client_id: Option<ClientId> = material::name(id, "application", scope);
    if id.value.starts_with(ClientId::NODE) {
        scope.error(
            "bad-name",
            id.mark,
            format!("names that begin with `{}` are those of nodes", ClientId::NODE),
            "make an id with `openssl rand -hex 16`",
        );
    }
    if id.value == RESERVED_CLIENT {
        scope.error(
            "bad-name",
            id.mark,
            "no application is called `sign-in`: sign-ins that name no application are noted so",
            "make an id with `openssl rand -hex 16`",
        );
    }
    let secret = raw.secret.as_ref().map(|secret| client_secret(secret, scope));
    let mut grants: Vec<GrantType> = Vec::new();
    for grant in &raw.grants.value.0 {
        let plan = match grant.value {
            RawGrantType::AuthorizationCode => GrantType::AuthorizationCode,
            RawGrantType::RefreshToken => GrantType::RefreshToken,
            RawGrantType::ClientCredentials => GrantType::ClientCredentials,
            RawGrantType::TokenExchange => GrantType::TokenExchange,
        };
        if grants.contains(&plan) {
            scope.error(
                "duplicate",
                grant.mark,
                "this stands in `grants` twice",
                "remove one of them",
            );
            continue;
        }
        // RFC 6749 section 4.4: "MUST only be used by confidential clients".
        if plan == GrantType::ClientCredentials && raw.secret.is_none() && !scope.findings.is_damaged(at.mark)
        {
            scope.error(
                "contradiction",
                grant.mark,
                format!(
                    "the application `{}` has no secret, so its credentials are nobody's",
                    id.value
                ),
                "add `secret: { file: FILE }`, or remove `client-credentials`",
            );
        }
        grants.push(plan);
    }
    if grants.is_empty() {
        scope.error(
            "empty-list",
            raw.grants.mark,
            format!("the application `{}` can come by no token", id.value),
            "name its grants, such as `[authorization-code, refresh-token]`",
        );
    }
    let redirect_uris = redirect_uris(raw, scope);
    let owner = raw
        .owner
        .as_ref()
        .and_then(|owner| self::owner(owner, &owner.value.0, users, around, scope));
    Some(ApplicationPlan {
        client_id: client_id?,
        name: raw
            .name
            .as_ref()
            .map_or_else(|| id.value.clone(), |name| name.0.clone()),
        secret: match secret {
            Some(digest) => Some(digest?),
            None => None,
        },
        redirect_uris,
        owner,
        customer: raw.customer.as_ref().map(|id| id.0.clone()),
        tenant: raw.tenant.as_ref().map(|id| id.0.clone()),
        grants,
        scopes: raw.scopes.0.iter().map(|scope| scope.value.0.clone()).collect(),
        roles: raw.roles.0.iter().map(|role| role.0.clone()).collect(),
    })
}

/// The digest of a secret that programs present.
pub(super) fn client_secret(raw: &At<RawClientSecret>, scope: &mut Scope<'_>) -> Option<Digest> {
    const HINT: &str = "make one with `openssl rand -hex 32`";
    let (text, mark, from) = match &raw.value {
        RawClientSecret::Sha256(text) => {
            let digest = from_hex(&text.value);
            if digest.is_none() {
                scope.error(
                    "bad-value",
                    text.mark,
                    "what stands under `sha256` is not 64 hexadecimal digits",
                    "`printf %s SECRET | sha256sum` prints them",
                );
            }
            return digest;
        }
        RawClientSecret::File(file) => material::text_of(Source::File(file), HINT, scope)?,
        RawClientSecret::Environment(variable) => {
            material::text_of(Source::Environment(variable), HINT, scope)?
        }
    };
    if text.len() < SHORTEST_CLIENT_SECRET {
        let message = format!(
            "the secret in {from} has {} bytes; a client secret has at least {SHORTEST_CLIENT_SECRET}",
            text.len()
        );
        scope.error("secret-too-short", mark, message, HINT);
        return None;
    }
    // RFC 6749 appendix A.2: *VSCHAR.
    if !text.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
        let message = format!("the secret in {from} has characters that no client secret has");
        scope.error("bad-value", mark, message, HINT);
        return None;
    }
    Some(Digest::of(&text))
}

fn from_hex(text: &str) -> Option<Digest> {
    let mut bytes = [0; 32];
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(Digest::from_bytes(bytes))
}

fn redirect_uris(raw: &RawApplication, scope: &mut Scope<'_>) -> Vec<String> {
    let schemes = if raw.private_use_schemes {
        PrivateUseSchemes::Allowed
    } else {
        PrivateUseSchemes::Refused
    };
    let mut found: Vec<String> = Vec::new();
    for uri in &raw.redirect_uris.0 {
        if found.contains(&uri.value) {
            scope.error(
                "duplicate",
                uri.mark,
                "this stands in `redirect-uris` twice",
                "remove one of them",
            );
            continue;
        }
        if let Err(why) = redirect_uri::check(&uri.value, schemes) {
            // The user information would be a password.
            let shown = match why {
                BadRedirectUri::UserInformation => "this redirection URI".to_owned(),
                BadRedirectUri::Characters
                | BadRedirectUri::Fragment
                | BadRedirectUri::Form
                | BadRedirectUri::Plain
                | BadRedirectUri::Scheme => format!("the redirection URI `{}`", uri.shown(&uri.value)),
            };
            scope.error(
                "bad-value",
                uri.mark,
                format!("{shown} {why}"),
                "it is compared character by character: write the whole URI as the application sends it",
            );
            continue;
        }
        found.push(uri.value.clone());
    }
    found
}

/// Who an application belongs to: a user of this file, or one of a store that outlives the program.
fn owner<T>(
    at: &At<T>,
    text: &str,
    users: &[UserPlan],
    around: &Around<'_>,
    scope: &mut Scope<'_>,
) -> Option<UserName> {
    let name = user_name(at, text, scope)?;
    if !users.iter().any(|user| user.key == name) {
        let near = suggest::did_you_mean(name.as_str(), users.iter().map(|user| user.key.as_str()));
        let message = format!("there is no user `{}` in this realm{near}", at.shown(text));
        match around.store {
            StorePlan::Memory => scope.error(
                "unknown-name",
                at.mark,
                message,
                "with `store: memory` there are the users of this file and no others",
            ),
            StorePlan::Sqlite { .. } if !near.is_empty() => scope.findings.warning(
                "unknown-name",
                at.mark,
                message,
                "unless the store has such a user, the application does not work for itself",
            ),
            StorePlan::Sqlite { .. } => {}
        }
    }
    Some(name)
}

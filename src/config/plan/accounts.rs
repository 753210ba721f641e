//! Plans of where accounts are kept, of realms, and of what the file itself knows of users and applications.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use crate::base::digest::Digest;
use crate::identity::{
    AccountName, ClientId, CustomerId, GrantType, RealmName, Role, Scope, StoredPassword, TenantGrant,
    TenantId, UserId, UserName,
};

/// Which store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorePlan {
    /// In memory: gone when the program ends.
    Memory,
    /// One file of SQLite, written by this process; others on the same machine may read and write it too.
    Sqlite {
        /// The file. Made if it is not there; its folder must be.
        path: PathBuf,
    },
}

/// A world of accounts. Users, applications, sessions and tokens of one realm mean nothing in another.
#[derive(Debug, Clone)]
pub struct RealmPlan {
    /// Its name.
    pub name: RealmName,
    /// Which names accounts may be given, those of this file too.
    pub names: NameForm,
    /// When a name is locked after failed attempts to sign in, and what follows.
    pub lockout: LockoutPlan,
    /// Sessions of its users.
    pub sessions: SessionsPlan,
    /// Users of the file, all of them active. No two have the same [`UserPlan::key`].
    pub users: Vec<UserPlan>,
    /// Applications of the file. No two have the same [`ApplicationPlan::client_id`].
    pub applications: Vec<ApplicationPlan>,
}

/// Which names accounts may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameForm {
    /// Whatever [`UserName::parse`] takes.
    Any,
    /// E-mail addresses ([`UserName::check_email`]).
    Email,
}

/// The lockout of a realm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockoutPlan {
    /// Attempts within `window`; when all of them have failed, the name is locked. 1 to 1,000.
    pub attempts: NonZeroU32,
    /// How long attempts are remembered, from the first of them on: whole seconds, 1 s to 30 d.
    pub window: Duration,
    /// How long a lock lasts: whole seconds, 1 s to 1 d.
    pub duration: Duration,
    /// What is counted together.
    pub key: LockoutKey,
    /// What becomes of tokens and sessions that the account has already.
    pub tokens: WhileLocked,
}

/// What attempts are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LockoutKey {
    /// The user's name, whatever domain is named beside it.
    User,
    /// Domain and name: the same name in another domain is somebody else.
    DomainAndUser,
}

/// What a lock does to tokens and sessions that were there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WhileLocked {
    /// They work on: a stranger who locks a name disturbs nobody who is signed in.
    Work,
    /// They do not work while it lasts, and work again afterwards until their own end. Strangers can suspend an account so.
    Suspended,
}

/// Sessions of a realm's users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionsPlan {
    /// The longest, whatever happens: 1 min to 400 d.
    pub lifetime: Duration,
    /// Its end without use: 1 min to `lifetime`.
    pub idle: Duration,
    /// Sessions of one user at a time, 1 to 10,000; one more ends the one that was used longest ago.
    pub per_user: NonZeroU32,
}

/// A user of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPlan {
    /// Derived from realm and [`Self::key`], so that it is the same after a restart and on another instance: see
    /// [`UserPlan::id_of`].
    pub id: UserId,
    /// The name as it stands in the file.
    pub name: AccountName,
    /// Its normal form, by which the account is found.
    pub key: UserName,
    /// The password's hash.
    pub password: StoredPassword,
    /// Who pays for the user's calls.
    pub customer: Option<CustomerId>,
    /// Roles outside of any tenant's.
    pub roles: Vec<Role>,
    /// Tenants beyond the customer's own grants, each with the roles there.
    pub tenants: Vec<TenantGrant>,
    /// Whose data a call touches that names no tenant.
    pub default_tenant: Option<TenantId>,
    /// Roles in every tenant there is, also in those to come: a superuser. `None`: only where something is granted.
    pub every_tenant: Option<Vec<Role>>,
}

impl UserPlan {
    /// The identifier of a user of the file: the first 16 bytes of a SHA-256 of realm and normal name. A user of the store
    /// has 128 random bits, so the two never meet.
    pub fn id_of(realm: &RealmName, key: &UserName) -> UserId {
        // No name has a line end, so the two cannot run into one another.
        let digest = Digest::of(&format!("user of the file\n{realm}\n{key}"));
        let mut bytes = [0; 16];
        for (byte, own) in bytes.iter_mut().zip(digest.as_bytes()) {
            *byte = *own;
        }
        UserId::from_bytes(bytes)
    }
}

/// An application (OAuth client, RFC 6749 section 2) of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationPlan {
    /// Its identifier.
    pub client_id: ClientId,
    /// For people; the identifier where the file gives none.
    pub name: String,
    /// Digest of the client secret; `None` is a public client (RFC 6749 section 2.1).
    pub secret: Option<Digest>,
    /// Exact redirection URIs, checked by [`crate::http::redirect_uri::check`].
    pub redirect_uris: Vec<String>,
    /// The user of the same realm that it belongs to. A name of the file or of the store, in its normal form.
    pub owner: Option<UserName>,
    /// Who pays for calls by its own credentials.
    pub customer: Option<CustomerId>,
    /// The tenant that it acts on, and no other.
    pub tenant: Option<TenantId>,
    /// Grants it may use; not empty.
    pub grants: Vec<GrantType>,
    /// Scopes it may ask for; all of them where it asks for none.
    pub scopes: Vec<Scope>,
    /// Roles of tokens that it gets by its own credentials.
    pub roles: Vec<Role>,
}

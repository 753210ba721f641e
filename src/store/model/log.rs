//! Who did what, and what that changed.

use super::AccessKey;
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::identity::{AccountKey, ClientId, CustomerId, FamilyId, RealmName, UserId};

/// Who does something to the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Actor {
    /// The gateway itself.
    System,
    /// A user of the realm.
    User(UserId),
    /// An application of the realm.
    Application(ClientId),
    /// Whoever has the operator's credentials: a name of the admin API's configuration, or the command line.
    Operator(Box<str>),
}

impl Actor {
    /// The one that `Display` writes so.
    pub fn parse(text: &str) -> Option<Actor> {
        match text.split_once(':') {
            None => (text == "system").then_some(Actor::System),
            Some(("user", id)) => UserId::try_from(id).ok().map(Actor::User),
            Some(("application", id)) => ClientId::try_from(id).ok().map(Actor::Application),
            Some(("operator", name)) => Some(Actor::Operator(Box::from(name))),
            Some(_) => None,
        }
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Actor::System => f.write_str("system"),
            Actor::User(id) => write!(f, "user:{id}"),
            Actor::Application(id) => write!(f, "application:{id}"),
            Actor::Operator(name) => write!(f, "operator:{name}"),
        }
    }
}

/// Who does it, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// Who.
    pub actor: Actor,
    /// When.
    pub at: UnixTime,
}

impl By {
    /// `actor`, at `at`.
    pub fn new(actor: Actor, at: UnixTime) -> By {
        By { actor, at }
    }

    /// The gateway itself.
    pub fn system(at: UnixTime) -> By {
        By::new(Actor::System, at)
    }
}

/// Something worth an entry in the audit log that is not an operation of the store itself. No secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditNote {
    /// The realm, where there is one.
    pub realm: Option<RealmName>,
    /// What was done, as `noun.verb`: `user.disable`.
    pub action: Box<str>,
    /// To whom or what.
    pub subject: Box<str>,
    /// Anything else, for people.
    pub detail: Box<str>,
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number. Grows by one or more with each entry.
    pub seq: u64,
    /// Who, and when.
    pub by: By,
    /// What.
    pub note: AuditNote,
}

/// Something in the store is not as it was. What is remembered of it must be read anew before it is believed again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Change {
    /// A user was created, changed or deleted.
    UserChanged {
        /// The realm.
        realm: RealmName,
        /// The user.
        user: UserId,
    },
    /// An application was created, changed or deleted.
    ApplicationChanged {
        /// The realm.
        realm: RealmName,
        /// The application.
        client_id: ClientId,
    },
    /// A customer was created, changed or deleted.
    CustomerChanged(CustomerId),
    /// None of the family's tokens is good any more.
    FamilyRevoked(FamilyId),
    /// One access token is not good any more.
    AccessRevoked(AccessKey),
    /// A session has ended before its time.
    SessionEnded(Digest),
    /// A session has another CSRF value.
    SessionChanged(Digest),
    /// An account was locked, or is no longer.
    AttemptsChanged {
        /// The realm.
        realm: RealmName,
        /// The account's name in its normal form.
        key: AccountKey,
        /// The end of the lock; `None` when there is none any more.
        locked_until: Option<UnixTime>,
    },
}

//! When a name is locked after failed attempts to sign in, and what a lock does. The counting itself is
//! [`crate::identity::attempts`]; the store does it atomically.

use std::sync::Arc;

use super::name::UserName;
use crate::identity::attempts::AttemptPolicy;

/// The lockout of one api or realm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockoutPolicy {
    /// How many attempts, in which window, and for how long the lock lasts.
    pub attempts: AttemptPolicy,
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

/// By which the attempts on one name are counted, be it anybody's or nobody's. As text it has one form; its parts have a blank
/// between them and cannot run into one another, because no name has one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptKey(Arc<str>);

impl LockoutKey {
    /// The key of an attempt. `domain` is what the client named, in its normal form.
    pub fn of(self, domain: Option<&UserName>, user: &UserName) -> AttemptKey {
        let domain = match self {
            LockoutKey::User => None,
            LockoutKey::DomainAndUser => domain,
        };
        AttemptKey(match domain {
            Some(domain) => Arc::from(format!("{domain} {user}")),
            None => Arc::from(user.as_str()),
        })
    }
}

impl AttemptKey {
    /// The text: at most 509 bytes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(by: LockoutKey, domain: Option<&str>, user: &str) -> AttemptKey {
        let name = |text| UserName::parse(text).unwrap();
        by.of(domain.map(name).as_ref(), &name(user))
    }

    #[test]
    fn variants_of_a_name_are_counted_together_and_other_names_apart() {
        use LockoutKey::{DomainAndUser, User};
        assert_eq!(key(User, None, " Admin"), key(User, Some("Corp"), "ADMIN "));
        assert_eq!(
            key(DomainAndUser, Some("Corp"), "Admin"),
            key(DomainAndUser, Some("CORP "), "admin")
        );
        assert_ne!(
            key(DomainAndUser, Some("a"), "admin"),
            key(DomainAndUser, Some("b"), "admin")
        );
        assert_ne!(
            key(DomainAndUser, Some("a"), "bc"),
            key(DomainAndUser, Some("ab"), "c")
        );
        assert_ne!(
            key(DomainAndUser, None, "admin"),
            key(DomainAndUser, Some("a"), "admin")
        );
    }
}

//! Records as they are kept. They are plain data: who may change what, and what may follow what, is decided in
//! [`super::rules`] and by the callers.
//!
//! Of everything that opens a door (tokens, codes, session ids, CSRF values, client secrets) only the SHA-256 digest is here;
//! of passwords only the Argon2 hash.

mod account;
mod application;
mod attempt;
mod grant;
mod log;
mod node;
mod remote;
mod session;

pub use crate::identity::GrantType;
pub use account::{CustomerRecord, Reach, User, UserAccess, UserState};
pub use application::{Application, ApplicationEdit, ApplicationState};
pub use attempt::{Attempts, LockPolicy};
pub use grant::{
    AccessKey, AuthorizationCode, Family, FirstTokens, LiveAccess, NewAccess, NewFamily, NewRefresh,
    NewTokens, NextTokens, Origin, RefreshFacts, RefreshState,
};
pub use log::{Actor, AuditEntry, AuditNote, By, Change};
pub use node::{Enrolment, Joining, NewNode, Node, Used};
pub use remote::RemoteSession;
pub use session::{NewSession, Session};

/// Words of an enum that is kept as text: `as_str`, and `parse` as its inverse.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$note:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$note])* $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The word by which it is kept, and shown to people.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)+
                }
            }

            /// The one that [`Self::as_str`] writes so.
            pub fn parse(word: &str) -> Option<$name> {
                match word {
                    $($word => Some($name::$variant),)+
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
use words;

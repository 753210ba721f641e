//! What became of an operation. That something is taken, used up or unknown is an outcome and not an error: callers have to
//! meet each of them.

use super::model::{
    Application, ApplicationState, AuditEntry, Change, Enrolment, Family, LiveAccess, Node, User, UserState,
};
use crate::base::clock::UnixTime;
use crate::identity::FamilyId;

/// Something was to be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// It is there now.
    Created,
    /// Another one has that name or identifier; nothing was changed.
    Exists,
}

/// Something was to be changed or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    /// Done.
    Done,
    /// There is no such thing.
    Unknown,
}

/// A user's password was to be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordSet {
    /// It is set, and the user is in this state now.
    Set(UserState),
    /// There is no such user.
    Unknown,
}

/// A password's hash was to be replaced by one of the same password with newer parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rehash {
    /// Replaced.
    Replaced,
    /// The hash is not the one it was, or the user is gone: nothing was changed.
    Outdated,
}

/// A user's state was to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateChange {
    /// It was this, and is changed.
    Changed(UserState),
    /// It was so already.
    Same,
    /// It is this, and cannot become the other one ([`super::rules::may_become`]).
    NotAllowed(UserState),
    /// There is no such user.
    Unknown,
}

/// A node was to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Joined {
    /// It has.
    In(Box<Node>),
    /// The token was used before.
    Used,
    /// The token's time is over.
    Expired,
    /// There is no such token.
    Unknown,
    /// Another tenant has a node of that identifier, or an application that is none has the name. The token stays good.
    Taken,
}

/// A customer was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is new.
    Created,
    /// It replaced another one.
    Replaced,
    /// Another customer has that UUID; nothing was changed.
    Taken,
}

/// An attempt to sign in was to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It may; it is this one of the policy's attempts, from 1.
    Allowed {
        /// Its number.
        ordinal: u32,
    },
    /// It may not, and nothing must be computed for it: the account is locked, or all its attempts are under way.
    Locked {
        /// When the next attempt may begin, at the latest.
        until: UnixTime,
    },
}

/// An attempt has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It is counted; so many may still fail.
    Counted {
        /// Attempts left.
        left: u32,
    },
    /// It was the last one: the account is locked.
    Locked {
        /// The end of the lock.
        until: UnixTime,
    },
}

/// Tokens were issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The family they belong to.
    pub family: Family,
    /// The access token's end: what was asked for, or the family's.
    pub access_expires_at: UnixTime,
    /// The refresh token's end, if there is one.
    pub refresh_expires_at: Option<UnixTime>,
}

/// A code was presented.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "made once for each redemption, and most of them are the large one"
)]
pub enum Redemption {
    /// It was good, and is used up; family and tokens are stored.
    Redeemed(Issued),
    /// It was redeemed before. The family that came of it is revoked by now (RFC 6749 section 4.1.2).
    AlreadyUsed {
        /// The revoked family.
        family: FamilyId,
    },
    /// Its time is over.
    Expired,
    /// It was given to another client. It stays good for its own.
    WrongClient,
    /// `redirect_uri` is not that of the authorization request. The code stays good.
    WrongRedirect,
    /// The verifier does not fit the challenge, or only one of the two is there (RFC 7636 section 4.6, RFC 9700 section
    /// 2.1.1). The code stays good.
    WrongVerifier,
    /// There is no such code, or no longer.
    Unknown,
}

/// A refresh token was presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// It was good, and is used up; the next ones are stored.
    Rotated(Issued),
    /// It was used a moment ago, and what came of that was not used yet: the answer may have been lost. The next ones
    /// replace those of the first answer.
    RotatedAgain(Issued),
    /// It was used or replaced before. The family is revoked by now (RFC 9700 section 4.14).
    Reused {
        /// The revoked family.
        family: FamilyId,
    },
    /// Its time is over.
    Expired,
    /// Its family was revoked before.
    Revoked,
    /// It was given to another client.
    WrongClient,
    /// There is no such token, or no longer.
    Unknown,
}

/// An access token was presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// It is good.
    Live(Box<LiveAccess>),
    /// Its time is over; the grant that it came of may go on. After a while it is unknown instead.
    Expired(Box<Family>),
    /// It was revoked, alone or with its family.
    Revoked,
    /// It is not one of the store's.
    Unknown,
}

/// Something was to be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// It is revoked now.
    Revoked,
    /// It was revoked before.
    Already,
    /// It was given to another client, which alone may revoke it (RFC 7009 section 2.1).
    WrongClient,
    /// There is no such thing.
    Unknown,
}

/// What is true now of the user, application and family behind a credential.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The user asked for; `None` when there is none or none was asked for.
    pub user: Option<UserStanding>,
    /// The application asked for.
    pub application: Option<ApplicationState>,
    /// The family asked for.
    pub family: Option<FamilyStanding>,
}

/// What is true of a user now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserStanding {
    /// Where the account stands.
    pub state: UserState,
    /// The end of the lock on its name, if it is locked.
    pub locked_until: Option<UnixTime>,
}

/// What is true of a family now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FamilyStanding {
    /// When it was revoked.
    pub revoked_at: Option<UnixTime>,
    /// When the last of its tokens ends.
    pub expires_at: UnixTime,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, Place> {
    /// The records.
    pub items: Vec<T>,
    /// Where the next part begins; `None` at the end.
    pub next: Option<Place>,
}

/// Users by key.
pub type UserPage = Page<User, crate::identity::AccountKey>;
/// Applications by client id.
pub type ApplicationPage = Page<Application, crate::identity::ClientId>;
/// Customers by id.
pub type CustomerPage = Page<super::model::CustomerRecord, crate::identity::CustomerId>;
/// Enrolment tokens by id.
pub type EnrolmentPage = Page<Enrolment, crate::identity::EnrolmentId>;
/// Nodes by their own identifier.
pub type NodePage = Page<Node, crate::identity::NodeUuid>;
/// Families, newest first.
pub type FamilyPage = Page<Family, FamilyPlace>;
/// Audit entries, newest first.
pub type AuditPage = Page<AuditEntry, u64>;

/// A place in the list of families: those after it are older.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FamilyPlace {
    /// When the family was created.
    pub created_at: UnixTime,
    /// Its id.
    pub id: FamilyId,
}

/// Changes after a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// All of them, or the first so many.
    Since {
        /// The changes, in the order in which they were committed.
        changes: Vec<Change>,
        /// The cursor after the last of them.
        cursor: u64,
    },
    /// The cursor is so old that changes after it are forgotten: read everything anew, then go on from this one.
    Reload {
        /// The cursor of now.
        cursor: u64,
    },
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Records removed.
    pub removed: u64,
    /// Whether anything is left that could go.
    pub rest: Rest,
}

/// Is there more to sweep?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// No.
    Nothing,
    /// Yes: the limit was reached.
    More,
}

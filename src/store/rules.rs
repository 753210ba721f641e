//! What follows from a record and a request: pure decisions, the same for every backend. A backend reads the record, asks
//! here, and writes the answer down, all in one transaction.

use std::time::Duration;

use super::backend::{PresentedCode, PresentedRefresh, RedirectRule};
use super::model::{
    Attempts, AuthorizationCode, Enrolment, Family, FirstTokens, Joining, LockPolicy, NewFamily, NewNode,
    NewTokens, NextTokens, Node, Origin, RefreshState, UserState,
};
use super::outcome::{Attempt, Failure, Issued, Joined};
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::identity::{ClientId, FamilyId};

/// The longest time in which a refresh token may be used once more for the sake of a lost answer. A longer one would help
/// whoever has stolen it.
pub const LONGEST_GRACE: Duration = Duration::from_secs(60);

/// How long an ended token or code is kept before it is swept: so long its holder hears that it has expired, later that it is
/// unknown.
pub const KEEP_ENDED: Duration = Duration::from_secs(3_600);

/// How much longer than others an enrolment token is kept that a node has used: somebody looks which one it was.
pub const KEEP_USED: Duration = Duration::from_secs(30 * 86_400);

/// Changes that are kept for other processes, the newest so many. Whoever is further behind reads everything anew.
pub const KEEP_CHANGES: u64 = 10_000;

// ---- users

/// Whether a user has chosen a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Password {
    /// Yes.
    Chosen,
    /// Not yet.
    Missing,
}

/// May a user in state `from` become `to` by an administrator's word? Activated is reached by choosing a password alone; active
/// needs one; rejected is the answer to one who waits; disabled and pending (choose a new password) follow from everything.
pub fn may_become(from: UserState, to: UserState, password: Password) -> bool {
    match to {
        UserState::Pending | UserState::Disabled => true,
        UserState::Activated => false,
        UserState::Active => password == Password::Chosen,
        UserState::Rejected => match from {
            UserState::Pending | UserState::Activated => true,
            UserState::Active | UserState::Rejected | UserState::Disabled => false,
        },
    }
}

/// The state after a password was chosen.
pub fn after_password(state: UserState) -> UserState {
    match state {
        UserState::Pending => UserState::Activated,
        UserState::Activated | UserState::Active | UserState::Rejected | UserState::Disabled => state,
    }
}

/// Do sessions and tokens of a user end when the user gets into this state?
pub fn ends_everything(state: UserState) -> bool {
    match state {
        UserState::Pending | UserState::Activated | UserState::Rejected | UserState::Disabled => true,
        UserState::Active => false,
    }
}

// ---- lockout

/// An attempt begins: what to answer, and what to write down (`None`: as it is).
pub fn begin(attempts: Option<Attempts>, policy: LockPolicy, now: UnixTime) -> (Attempt, Option<Attempts>) {
    let mut held = match attempts.and_then(|attempts| current(attempts, policy, now)) {
        Some(held) => held,
        None => fresh(policy, now),
    };
    if let Some(until) = held.locked_until {
        // Written down only where a clock that was set back made the lock shorter.
        return (
            Attempt::Locked { until },
            (attempts != Some(held)).then_some(held),
        );
    }
    if held.count >= policy.attempts.get() {
        // All under way, none of them decided: the hash is not computed once more. Should they come to no end (a crash), the
        // next attempt may begin this long after the last.
        let until = held.last.plus(policy.duration);
        return (
            Attempt::Locked { until },
            (attempts != Some(held)).then_some(held),
        );
    }
    held.count += 1;
    held.last = now;
    held.forget_at = end_of(&held, policy);
    (Attempt::Allowed { ordinal: held.count }, Some(held))
}

/// An attempt has failed: what to answer, and what to write down.
pub fn fail(attempts: Option<Attempts>, policy: LockPolicy, now: UnixTime) -> (Failure, Attempts) {
    let mut held = match attempts.and_then(|attempts| current(attempts, policy, now)) {
        Some(held) => held,
        None => fresh(policy, now),
    };
    held.failed = held.failed.saturating_add(1);
    held.count = held.count.max(held.failed);
    if let Some(until) = held.locked_until {
        // Begun before the lock, decided after it: the lock does not grow by it.
        return (Failure::Locked { until }, held);
    }
    if held.failed < policy.attempts.get() {
        held.forget_at = end_of(&held, policy);
        let left = policy.attempts.get() - held.failed;
        return (Failure::Counted { left }, held);
    }
    let until = now.plus(policy.duration);
    held.locked_until = Some(until);
    held.forget_at = until;
    (Failure::Locked { until }, held)
}

/// An attempt came to no end: what to write down; `None` when nothing is left to remember.
pub fn withdraw(attempts: Attempts) -> Option<Attempts> {
    let count = attempts.count.saturating_sub(1).max(attempts.failed);
    (count > 0 || attempts.locked_until.is_some()).then_some(Attempts { count, ..attempts })
}

/// The end of the lock, if there is one at `now`.
pub fn locked(attempts: &Attempts, now: UnixTime) -> Option<UnixTime> {
    attempts.locked_until.filter(|until| now < *until)
}

fn fresh(policy: LockPolicy, now: UnixTime) -> Attempts {
    let mut attempts = Attempts {
        count: 0,
        failed: 0,
        since: now,
        last: now,
        locked_until: None,
        forget_at: now,
    };
    attempts.forget_at = end_of(&attempts, policy);
    attempts
}

fn end_of(attempts: &Attempts, policy: LockPolicy) -> UnixTime {
    attempts
        .since
        .plus(policy.window)
        .max(attempts.last.plus(policy.duration))
}

/// The record as it counts at `now`; `None` when nothing of it does any more. A wall clock that was set back must not make a
/// lock longer than one duration, nor a window longer than one window.
fn current(mut attempts: Attempts, policy: LockPolicy, now: UnixTime) -> Option<Attempts> {
    attempts.since = attempts.since.min(now);
    attempts.last = attempts.last.min(now);
    if let Some(until) = attempts.locked_until {
        let until = until.min(now.plus(policy.duration));
        attempts.locked_until = Some(until);
        attempts.forget_at = until;
        return (now < until).then_some(attempts);
    }
    let undecided = attempts.count >= policy.attempts.get();
    let over = now.since(attempts.since) >= policy.window
        || (undecided && now.since(attempts.last) >= policy.duration);
    (!over).then_some(attempts)
}

// ---- codes

/// What is to be done with a presented code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeVerdict {
    /// Redeem it.
    Good,
    /// It was redeemed: revoke this family.
    AlreadyUsed(FamilyId),
    /// Its time is over.
    Expired,
    /// It belongs to another client.
    WrongClient,
    /// `redirect_uri` differs.
    WrongRedirect,
    /// The verifier does not fit.
    WrongVerifier,
}

/// Judges a code that was found; `used` is the family that came of it before. The client is looked at first: who is not the
/// holder learns nothing and ends nothing. Use comes before expiry: a code that is replayed late was stolen all the same.
pub fn judge_code(
    code: &AuthorizationCode,
    used: Option<FamilyId>,
    presented: &PresentedCode,
    now: UnixTime,
) -> CodeVerdict {
    if code.client_id != presented.client_id {
        return CodeVerdict::WrongClient;
    }
    if let Some(family) = used {
        return CodeVerdict::AlreadyUsed(family);
    }
    if now >= code.expires_at {
        return CodeVerdict::Expired;
    }
    let fits = match (&code.challenge, &presented.verifier) {
        (None, None) => true,
        (Some(challenge), Some(verifier)) => challenge.matches(verifier),
        (Some(_), None) | (None, Some(_)) => false,
    };
    if !fits {
        return CodeVerdict::WrongVerifier;
    }
    let same = match (&code.redirect_uri, &presented.redirect_uri) {
        (Some(asked), Some(repeated)) => asked == repeated,
        (Some(_), None) => presented.redirect_rule == RedirectRule::IfGiven,
        (None, Some(_) | None) => true,
    };
    if same {
        CodeVerdict::Good
    } else {
        CodeVerdict::WrongRedirect
    }
}

/// The family that the redemption of a code creates.
pub fn family_of_code(code: AuthorizationCode, first: &FirstTokens) -> NewFamily {
    NewFamily {
        id: first.family,
        realm: code.realm,
        client_id: code.client_id,
        user: Some(code.user),
        customer: code.customer,
        tenant: code.tenant,
        scopes: code.scopes,
        roles: code.roles,
        origin: Origin::Code,
        ends_at: first.ends_at,
    }
}

// ---- families

/// A family with its first tokens, their ends cut to the family's.
pub fn first_of_family(new: NewFamily, tokens: &NewTokens, now: UnixTime) -> Issued {
    let cut = |expires_at: UnixTime| new.ends_at.map_or(expires_at, |ends_at| expires_at.min(ends_at));
    let access_expires_at = cut(tokens.access.expires_at);
    let refresh_expires_at = tokens.refresh.map(|refresh| cut(refresh.expires_at));
    Issued {
        family: Family {
            id: new.id,
            realm: new.realm,
            client_id: new.client_id,
            user: new.user,
            customer: new.customer,
            tenant: new.tenant,
            scopes: new.scopes,
            roles: new.roles,
            origin: new.origin,
            created_at: now,
            expires_at: refresh_expires_at.map_or(access_expires_at, |end| end.max(access_expires_at)),
            ends_at: new.ends_at,
            revoked_at: None,
        },
        access_expires_at,
        refresh_expires_at,
    }
}

/// The same family with the next tokens of a refresh.
pub fn next_of_family(family: Family, next: &NextTokens) -> Issued {
    let cut = |expires_at: UnixTime| {
        family
            .ends_at
            .map_or(expires_at, |ends_at| expires_at.min(ends_at))
    };
    let access_expires_at = cut(next.access.expires_at);
    let refresh_expires_at = cut(next.refresh.expires_at);
    Issued {
        access_expires_at,
        refresh_expires_at: Some(refresh_expires_at),
        family: Family {
            expires_at: family.expires_at.max(access_expires_at).max(refresh_expires_at),
            ..family
        },
    }
}

/// A refresh token as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldRefresh {
    /// Its digest.
    pub digest: Digest,
    /// Its family.
    pub family: FamilyId,
    /// 0 for the first of the family.
    pub generation: u32,
    /// When it was issued.
    pub issued_at: UnixTime,
    /// From when on it is no good.
    pub expires_at: UnixTime,
    /// When it was first used.
    pub used_at: Option<UnixTime>,
    /// Whether it may be used.
    pub state: RefreshState,
}

/// What is to be done with a presented refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshVerdict {
    /// Use it up and issue the next ones.
    Rotate,
    /// Replace the current one.
    RotateAgain,
    /// Revoke the family.
    Reused,
    /// Its time is over.
    Expired,
    /// The family is revoked.
    Revoked,
    /// It belongs to another client.
    WrongClient,
}

/// Judges a refresh token that was found; `current` is the one of its family that may be used, if there is one.
pub fn judge_refresh(
    held: &HeldRefresh,
    family: &Family,
    current: Option<&HeldRefresh>,
    presented: &PresentedRefresh,
    now: UnixTime,
) -> RefreshVerdict {
    if family.client_id != presented.client_id {
        return RefreshVerdict::WrongClient;
    }
    if family.revoked_at.is_some() {
        return RefreshVerdict::Revoked;
    }
    if now >= family.expires_at {
        return RefreshVerdict::Expired;
    }
    match held.state {
        RefreshState::Current if now >= held.expires_at => RefreshVerdict::Expired,
        RefreshState::Current => RefreshVerdict::Rotate,
        // Two hold the chain: the one who got the replaced token, and the one who had it replaced.
        RefreshState::Replaced => RefreshVerdict::Reused,
        RefreshState::Used => {
            let grace = presented.grace.min(LONGEST_GRACE);
            let recent = held.used_at.is_some_and(|used| now.since(used) < grace);
            let before =
                current.is_some_and(|current| held.generation.checked_add(1) == Some(current.generation));
            if recent && before {
                RefreshVerdict::RotateAgain
            } else {
                RefreshVerdict::Reused
            }
        }
    }
}

/// Was the family given to `client_id`?
pub fn is_of(family: &Family, client_id: &ClientId) -> bool {
    family.client_id == *client_id
}
/// The enrolment token, if a node may join by it at `now`.
///
/// # Errors
/// What becomes of the attempt instead.
pub fn enrolment_at(found: Option<Enrolment>, now: UnixTime) -> Result<Enrolment, Joined> {
    match found {
        None => Err(Joined::Unknown),
        Some(held) if held.used.is_some() => Err(Joined::Used),
        Some(held) if now >= held.expires_at => Err(Joined::Expired),
        Some(held) => Ok(held),
    }
}

/// The node that joins by a token: it has what the token says.
pub fn joining_node(joining: &Joining, enrolment: &Enrolment, now: UnixTime) -> NewNode {
    NewNode {
        node: Node {
            realm: enrolment.realm.clone(),
            uuid: joining.uuid.clone(),
            id: joining.id,
            customer: enrolment.customer.clone(),
            tenant: enrolment.tenant.clone(),
            metadata: enrolment.metadata.clone(),
            joined_at: now,
            let_in_by: enrolment.created_by.clone(),
            last_seen: Some(now),
        },
        secret: joining.secret,
        scopes: enrolment.scopes.clone(),
    }
}

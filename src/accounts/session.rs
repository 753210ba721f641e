//! Opening sessions.

use super::account::Account;
use super::realm::Realm;
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::base::token_value::{Shape, TokenValue};
use crate::identity::ClientId;
use crate::store::StoreError;
use crate::store::model::{Actor, By, NewSession, Session};

/// For whom a session is opened.
#[derive(Debug)]
pub struct Opening<'a> {
    /// Who has signed in.
    pub account: &'a Account,
    /// The application on whose behalf, where signing in is the first step of a grant.
    pub client_id: Option<ClientId>,
    /// The session that the sign-in came with, if any: it ends, so that an id that somebody else has planted is worth
    /// nothing.
    pub replaces: Option<Digest>,
}

/// A session that is open, with what its holder is told once.
#[derive(Debug)]
pub struct Opened {
    /// The session's id: the value of the session cookie.
    pub id: TokenValue,
    /// The value that comes back with calls that may change something.
    pub csrf: TokenValue,
    /// Its end, whatever happens.
    pub expires_at: UnixTime,
}

impl Realm {
    /// Opens a session for an account that has signed in.
    ///
    /// # Errors
    /// [`StoreError`]; then there is none.
    pub async fn open_session(&self, opening: Opening<'_>, now: UnixTime) -> Result<Opened, StoreError> {
        let Opening {
            account,
            client_id,
            replaces,
        } = opening;
        let plan = self.sessions();
        let opened = Opened {
            id: TokenValue::random(Shape::Base64Url),
            csrf: TokenValue::random(Shape::Base64Url),
            expires_at: now.plus(plan.lifetime),
        };
        let session = Session {
            digest: Digest::of(opened.id.reveal()),
            realm: self.name().clone(),
            user: account.id,
            client_id,
            csrf: Digest::of(opened.csrf.reveal()),
            created_at: now,
            last_seen: now,
            expires_at: opened.expires_at,
            idle: plan.idle,
        };
        let new = NewSession {
            session,
            replaces,
            at_most: Some(plan.per_user),
        };
        let by = By::new(Actor::User(account.id), now);
        let ended = self.accounts().store().open_session(new, by).await?;
        if ended > 0 {
            tracing::debug!(realm = %self.name(), user = %account.id, ended, "a sign-in has ended other sessions");
        }
        Ok(opened)
    }
}

//! The sign-out endpoint: ends what the caller came with, for the very next request.

use bytes::Bytes;
use http::Response;
use http::header::SET_COOKIE;

use super::answers::{planned, unavailable};
use super::asked::Asked;
use crate::config::plan::{AnswerPlan, NoField, SessionCookie, SessionPlan};
use crate::rejection::Rejection;
use crate::store::Store;
use crate::store::model::{Actor, By};

/// A sign-out endpoint.
#[derive(Debug)]
pub struct SignOut {
    answer: AnswerPlan<NoField>,
    /// The cookies to take back.
    session: Option<SessionPlan>,
    store: Store,
}

impl SignOut {
    /// The endpoint of an api with this session.
    pub fn new(answer: AnswerPlan<NoField>, session: Option<SessionPlan>, store: Store) -> SignOut {
        SignOut {
            answer,
            session,
            store,
        }
    }

    /// Ends the caller's session, or the family of the caller's token. Name and password have nothing that could be ended,
    /// and neither has a token of somebody else.
    ///
    /// # Errors
    /// [`Rejection::StoreUnavailable`]; then nothing has ended.
    pub async fn answer(&self, asked: &Asked<'_>) -> Result<Response<Bytes>, Rejection> {
        let own = asked.permit.known().and_then(|known| known.own());
        if let Some(own) = own {
            let actor = match (own.account(), own.client_id()) {
                (Some(account), _) => Actor::User(account.id),
                (None, Some(client)) => Actor::Application(client.clone()),
                (None, None) => Actor::System,
            };
            let by = By::new(actor, asked.now);
            if let Some(session) = own.session() {
                let ended = self.store.end_session(own.realm().clone(), session, by.clone());
                ended.await.map_err(|cause| unavailable(&cause))?;
            }
            if let Some(family) = own.family() {
                let revoked = self.store.revoke_family(own.realm().clone(), family, by);
                revoked.await.map_err(|cause| unavailable(&cause))?;
            }
        }
        let mut answer = planned(&self.answer, |never| match never {});
        for cookie in self.session.iter().flat_map(cookies_of) {
            answer
                .headers_mut()
                .append(SET_COOKIE, cookie.by(asked.scheme).clear());
        }
        Ok(answer)
    }
}

fn cookies_of(session: &SessionPlan) -> impl Iterator<Item = &SessionCookie> {
    std::iter::once(&session.cookie).chain(session.csrf.as_ref().map(|csrf| &csrf.cookie))
}

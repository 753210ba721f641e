//! Deleting a token as an interactive user: a JSON body names it, a session says whose it must be.

use bytes::Bytes;
use http::Response;
use serde_json::Value;

use super::answers::{Stop, planned, settled};
use super::call::{Call, is_plain, whole};
use super::service::TokenService;
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::config::plan::DeleteTokenPlan;
use crate::identity::UserId;
use crate::rejection::{BadRequest, Rejection};
use crate::store::model::{Actor, By, Family};

impl TokenService {
    /// Ends the grant of a token, be it an access or a refresh token, if `caller` has given it, or owns the application that
    /// acts for itself by it. `caller` is who the route's credentials found; the CSRF value was looked at there.
    ///
    /// Nobody learns whether somebody else's token is good: the answer is the same for one that is not the caller's, and for
    /// one that is not there.
    ///
    /// # Errors
    /// [`Rejection::BadRequest`] for a body that is no JSON or has no text where the token should be;
    /// [`Rejection::StoreUnavailable`].
    pub async fn delete_token(
        &self,
        plan: &DeleteTokenPlan,
        caller: UserId,
        call: Call<'_>,
    ) -> Result<Response<Bytes>, Rejection> {
        settled(self.try_delete(plan, caller, call).await, self.challenge())
    }

    async fn try_delete(
        &self,
        plan: &DeleteTokenPlan,
        caller: UserId,
        call: Call<'_>,
    ) -> Result<Response<Bytes>, Stop> {
        let body = whole(call.body).await?;
        let bad = || Stop::Rejected(Rejection::BadRequest(BadRequest::Body));
        if !is_plain(call.headers) {
            return Err(bad());
        }
        let body: Value = serde_json::from_slice(&body).map_err(|_| bad())?;
        let token = at(&body, &plan.token)
            .and_then(Value::as_str)
            .filter(|token| !token.is_empty())
            .ok_or_else(bad)?;
        if let Some(family) = self.family_of(token, call.now).await?
            && self.belongs_to(&family, caller).await?
        {
            let by = By::new(Actor::User(caller), call.now);
            // Whoever was faster: it is revoked.
            let _ = self.store().revoke_family(family.realm, family.id, by).await?;
        }
        Ok(planned(&plan.answer, |field| match field {}))
    }

    async fn family_of(&self, token: &str, now: UnixTime) -> Result<Option<Family>, Stop> {
        if let Some(family) = self.family_of_access(token, now).await? {
            return Ok(Some(family));
        }
        let realm = self.realm().name().clone();
        let facts = self.store().refresh_facts(realm, Digest::of(token)).await?;
        Ok(facts.map(|facts| facts.family))
    }

    async fn belongs_to(&self, family: &Family, caller: UserId) -> Result<bool, Stop> {
        if family.user.is_some() {
            return Ok(family.user == Some(caller));
        }
        let Some(client) = self.realm().application(&family.client_id).await? else {
            return Ok(false);
        };
        let owner = self.realm().owner_of(&client).await?;
        Ok(owner.is_some_and(|owner| owner.id == caller))
    }
}

/// What a JSON Pointer (RFC 6901), taken apart and decoded, points to.
fn at<'v>(value: &'v Value, pointer: &[String]) -> Option<&'v Value> {
    pointer.iter().try_fold(value, |value, step| match value {
        Value::Object(members) => members.get(step),
        Value::Array(elements) if step == "0" || !step.starts_with(['0', '+', '-']) => {
            elements.get(step.parse::<usize>().ok()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
    })
}

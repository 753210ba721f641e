//! The introspection endpoint (RFC 7662): a service behind us asks what a token of ours is worth.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Map, Value};

use super::answers::{Stop, json, settled};
use super::call::{Call, post_only, whole};
use super::client_auth::{Authenticated, Proof, authenticate};
use super::errors::OAuthError;
use super::issue::subject;
use super::own_token::{Holder, OwnAccess};
use super::parameters::Parameters;
use super::service::TokenService;
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::config::plan::ParameterPlaces;
use crate::identity::{Role, Scope, scopes};
use crate::rejection::Rejection;
use crate::store::model::{Family, RefreshFacts};

impl TokenService {
    /// Says what a token stands for, to a client that has proved who it is:
    ///
    /// > To prevent token scanning attacks, the endpoint MUST also require some form of authorization (section 2.1)
    ///
    /// A token that does not hold, for whatever reason, is not active, and nothing else is said of it (section 2.2). A refresh
    /// token is active for the client alone that it was given to.
    ///
    /// # Errors
    /// [`Rejection::MethodNotAllowed`] for anything but POST; [`Rejection::StoreUnavailable`].
    pub async fn introspect(&self, call: Call<'_>) -> Result<Response<Bytes>, Rejection> {
        post_only(call.method)?;
        settled(self.try_introspect(call).await, self.challenge())
    }

    async fn try_introspect(&self, call: Call<'_>) -> Result<Response<Bytes>, Stop> {
        let body = whole(call.body).await?;
        let places = ParameterPlaces::Form;
        let parameters = Parameters::read(places, call.query, call.headers, &body)?;
        let client = authenticate(self, places, call.headers, &parameters).await?;
        match client.proof {
            Proof::Secret => {}
            Proof::None => {
                return Err(OAuthError::InvalidClient
                    .because("A client without a secret may not ask")
                    .into());
            }
        }
        let token = parameters.required("token", "The parameter token is missing")?;
        let members = match self.own_access(token, call.now).await? {
            Some(access) => self.of_access(&access, call.now).await?,
            None => self.of_refresh(&client, token, call.now).await?,
        };
        let members = members.unwrap_or_else(|| Map::from_iter([("active".to_owned(), Value::Bool(false))]));
        Ok(json(StatusCode::OK, Value::Object(members).to_string()))
    }

    async fn of_access(&self, access: &OwnAccess, now: UnixTime) -> Result<Option<Map<String, Value>>, Stop> {
        let family = &access.live.family;
        let Some(holder) = self.standing(family, now).await? else {
            return Ok(None);
        };
        let mut members = self.members(family, &holder, &access.live.scopes)?;
        let mut put = |name: &str, value: Value| drop(members.insert(name.to_owned(), value));
        put("token_type", Value::from("Bearer"));
        put("exp", Value::from(access.live.expires_at.0));
        put("iat", Value::from(access.live.issued_at.0));
        let audience = match &access.claims {
            Some(claims) => {
                put("jti", Value::from(claims.id.as_str()));
                &claims.audience
            }
            None => &self.plan().audience,
        };
        put(
            "aud",
            match audience.as_slice() {
                [only] => Value::from(only.as_str()),
                several => Value::from(several),
            },
        );
        Ok(Some(members))
    }

    async fn of_refresh(
        &self,
        client: &Authenticated,
        token: &str,
        now: UnixTime,
    ) -> Result<Option<Map<String, Value>>, Stop> {
        let realm = self.realm().name().clone();
        let facts = self.store().refresh_facts(realm, Digest::of(token)).await?;
        let is_good = |facts: &RefreshFacts| facts.is_live(now) && facts.family.client_id == *client.id();
        let Some(facts) = facts.filter(is_good) else {
            return Ok(None);
        };
        let Some(holder) = self.standing(&facts.family, now).await? else {
            return Ok(None);
        };
        let mut members = self.members(&facts.family, &holder, &facts.family.scopes)?;
        members.insert("exp".to_owned(), Value::from(facts.expires_at.0));
        members.insert("iat".to_owned(), Value::from(facts.issued_at.0));
        Ok(Some(members))
    }

    /// Who stands behind a family, if all of it holds and no lock suspends it.
    async fn standing(&self, family: &Family, now: UnixTime) -> Result<Option<Holder>, Stop> {
        match self.holder(family).await? {
            Some(holder) if !self.is_suspended(&holder, now).await? => Ok(Some(holder)),
            Some(_) | None => Ok(None),
        }
    }

    /// What is said of every token (section 2.2).
    fn members(
        &self,
        family: &Family,
        holder: &Holder,
        of_token: &[Scope],
    ) -> Result<Map<String, Value>, Rejection> {
        let mut members = Map::new();
        let mut put = |name: &str, value: Value| drop(members.insert(name.to_owned(), value));
        put("active", Value::Bool(true));
        put("iss", Value::from(self.issuer()));
        put("sub", Value::from(subject(family)?.as_str()));
        put("client_id", Value::from(family.client_id.as_str()));
        if !of_token.is_empty() {
            put("scope", Value::from(scopes::joined(of_token)));
        }
        if let Some(account) = &holder.account {
            put("username", Value::from(account.name.as_str()));
        }
        if !holder.roles.is_empty() {
            put("roles", holder.roles.iter().map(Role::as_str).collect());
        }
        if let Some(customer) = &holder.customer {
            put("customer", Value::from(customer.as_str()));
        }
        if let Some(tenant) = &holder.tenant {
            put("tenant", Value::from(tenant.as_str()));
        }
        Ok(members)
    }
}

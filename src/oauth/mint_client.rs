//! Credentials of an application for one tenant, made by its provider. They have what the application has by which they are
//! made, and act on that tenant alone.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;

use super::answers::{bug, planned};
use super::asked::Asked;
use super::authorize_step::{named_tenant, scope, user_of};
use super::client;
use super::sign_in::not_stored;
use crate::accounts::{Directory, Realm};
use crate::base::digest::Digest;
use crate::base::json_template::Filling;
use crate::base::token_value::{Shape, TokenValue};
use crate::config::plan::{ClientSource, MintClientPlan, MintField};
use crate::http::body::Body;
use crate::identity::ClientId;
use crate::rejection::Rejection;
use crate::store::model::{Actor, Application, ApplicationState, By};
use crate::store::outcome::Creation;

/// The endpoint.
#[derive(Debug)]
pub struct MintClient {
    plan: MintClientPlan,
    realm: Arc<Realm>,
    directory: Arc<Directory>,
}

impl MintClient {
    /// The endpoint of `plan`.
    pub fn new(plan: MintClientPlan, realm: Arc<Realm>, directory: Arc<Directory>) -> MintClient {
        MintClient {
            plan,
            realm,
            directory,
        }
    }

    /// Answers a request. The secret is in the answer and nowhere else; its digest is stored first.
    ///
    /// # Errors
    /// [`Rejection::RoleMissing`] for a caller that is no user of the realm, [`Rejection::ClientUnknown`] without a known
    /// application in the query, [`Rejection::TenantInvalid`] and [`Rejection::TenantForbidden`] for the tenant,
    /// [`Rejection::StoreUnavailable`].
    pub async fn answer(&self, asked: &Asked<'_>, body: Body) -> Result<Response<Bytes>, Rejection> {
        let account = user_of(asked, &self.realm)?;
        let provider = self.provider(asked).await?;
        let named = named_tenant(asked, body, &self.plan.customer).await?;
        let tenant = named.ok_or(Rejection::TenantInvalid)?;
        // A user's own account is no tenant of it: ordinary applications are made for that.
        let scope = scope(
            account,
            Some(tenant.clone()),
            provider.tenant.as_ref(),
            &self.directory,
        )?;
        if scope.tenant.is_none() {
            return Err(Rejection::TenantForbidden);
        }
        let secret = TokenValue::random(Shape::Hex);
        let client_id = ClientId::random();
        let application = Application {
            realm: self.realm.name().clone(),
            client_id: client_id.clone(),
            name: format!("{} for {tenant}", provider.name),
            secret: Some(Digest::of(secret.reveal())),
            redirect_uris: provider.redirect_uris,
            owner: Some(account.id),
            customer: account.customer.clone(),
            tenant: Some(tenant.clone()),
            scopes: provider.scopes,
            grants: provider.grants,
            state: ApplicationState::Active,
            created_at: asked.now,
            created_by: Actor::User(account.id),
        };
        let by = By::new(Actor::User(account.id), asked.now);
        let store = self.realm.accounts().store();
        match store
            .create_application(application, by)
            .await
            .map_err(not_stored)?
        {
            Creation::Created => {}
            Creation::Exists => return Err(bug(&"128 random bits were drawn twice")),
        }
        Ok(planned(&self.plan.answer, |field| {
            Filling::Text(Cow::Borrowed(match field {
                MintField::ClientId => client_id.as_str(),
                MintField::ClientSecret => secret.reveal(),
                MintField::Customer => tenant.as_str(),
            }))
        }))
    }

    /// The application by which credentials are made.
    async fn provider(&self, asked: &Asked<'_>) -> Result<Application, Rejection> {
        let source = ClientSource::Query("client_id".to_owned());
        let named = client::named(&source, asked.query, asked.headers)?;
        let id = named.ok_or(Rejection::ClientUnknown("the request names none"))?;
        let known = self.realm.application(&id).await.map_err(not_stored)?;
        let known = known.ok_or(Rejection::ClientUnknown("there is none of that name"))?;
        match known.application.state {
            ApplicationState::Active => Ok(known.application.clone()),
            ApplicationState::Disabled => Err(Rejection::ClientUnknown("it is switched off")),
        }
    }
}

//! What answers itself: token services of the plan at work, and the endpoints that routes lead to.

use std::collections::HashMap;
use std::sync::Arc;

use super::callers::Callers;
use super::compile::{CompileError, refused};
use super::live::Live;
use crate::accounts::{Directory, Realm};
use crate::config::plan::{
    ApiPlan, OwnPlan, Plan, RealmRef, ServiceRef, SessionPlan, SignInGives, SignInRef, StatusPlan,
    StepCookies, TokenServicePlan,
};
use crate::endpoints::{Endpoint, Enrol, EnrolmentTokens, Nodes, RemoteSignIn, SignUrl, Status, Watched};
use crate::identity::{IssuerName, RouteName};
use crate::oauth::authorize::Authorize;
use crate::oauth::authorize_step::AuthorizeStep;
use crate::oauth::mint_client::MintClient;
use crate::oauth::service::TokenService;
use crate::oauth::sign_in::{Gives, SignIn};
use crate::oauth::sign_out::SignOut;

/// Token services by name.
pub(super) type TokenServices = HashMap<IssuerName, Arc<TokenService>>;

/// The token services of `plan`. They hold nothing themselves, so a reload makes them anew.
pub(super) fn token_services(
    plan: &Plan,
    callers: &Callers,
    directory: &Arc<Directory>,
) -> Result<TokenServices, CompileError> {
    let service = |service: &TokenServicePlan| {
        let realm = callers.realm(plan, service.realm);
        let realm = realm.ok_or_else(|| refused("token service", &service.name, "its realm is not there"))?;
        let keys = callers.keys.get(&service.name).cloned();
        let (realm, directory) = (Arc::clone(&realm.realm), Arc::clone(directory));
        let made = TokenService::new(service, realm, directory, keys)
            .map_err(|cause| refused("token service", &service.name, cause))?;
        Ok((service.name.clone(), made))
    };
    plan.services.iter().map(service).collect()
}

/// What endpoints are made of.
pub(super) struct Makings<'p> {
    pub(super) plan: &'p Plan,
    pub(super) live: &'p Live,
    pub(super) directory: &'p Arc<Directory>,
}

impl Makings<'_> {
    /// The endpoint of a route.
    pub(super) fn endpoint(
        &self,
        api: &ApiPlan,
        route: &RouteName,
        endpoint: &OwnPlan,
    ) -> Result<Endpoint, CompileError> {
        Ok(match endpoint {
            OwnPlan::BeginSignIn(sign_in) => Endpoint::BeginSignIn(self.sign_in(api, route, *sign_in)?),
            OwnPlan::FinishSignIn(sign_in) => Endpoint::FinishSignIn(self.sign_in(api, route, *sign_in)?),
            OwnPlan::EndSignIn(sign_in) => Endpoint::EndSignIn(self.sign_in(api, route, *sign_in)?),
            OwnPlan::EnrolmentTokens(plan) => {
                let service = self.service(route, plan.service)?.0;
                Endpoint::EnrolmentTokens(Box::new(EnrolmentTokens::new((**plan).clone(), service)))
            }
            OwnPlan::Enrol(plan) => {
                let service = self.service(route, plan.service)?.0;
                Endpoint::Enrol(Box::new(Enrol::new((**plan).clone(), service)))
            }
            OwnPlan::Nodes(plan) => {
                let service = self.service(route, plan.service)?.0;
                Endpoint::Nodes(Box::new(Nodes::new((**plan).clone(), service)))
            }
            OwnPlan::SignUrl(plan) => {
                let keys = self.live.callers.url_keys(self.plan, plan.keys);
                let keys = keys.ok_or_else(|| refused("route", route, "its keys are not there"))?;
                Endpoint::SignUrl(Box::new(SignUrl::new((**plan).clone(), api.name.clone(), keys)))
            }
            OwnPlan::Status(plan) => Endpoint::Status(Box::new(self.status(plan))),
            OwnPlan::SignIn(plan) => {
                let gives = match plan.gives {
                    SignInGives::Session => Gives::Session(Box::new(session_of(api, route)?)),
                    SignInGives::Token(service) => Gives::Token(self.service(route, service)?.0),
                };
                let realm = self.realm(route, plan.realm)?;
                Endpoint::SignIn(Box::new(SignIn::new((**plan).clone(), realm, gives)))
            }
            OwnPlan::SignOut(plan) => {
                let accounts = self.live.accounts();
                let accounts = accounts.ok_or_else(|| refused("route", route, "the store is not open"))?;
                let store = accounts.store().clone();
                Endpoint::SignOut(Box::new(SignOut::new(plan.clone(), api.session.clone(), store)))
            }
            OwnPlan::Authorize(service) => {
                let (service, realm) = self.service(route, *service)?;
                let (session, directory) = (session_of(api, route)?, Arc::clone(self.directory));
                Endpoint::Authorize(Box::new(Authorize::new(service, realm, session, directory)))
            }
            OwnPlan::AuthorizeStep(plan) => {
                let (service, realm) = self.service(route, plan.service)?;
                let directory = Arc::clone(self.directory);
                let repeats = match plan.cookies {
                    StepCookies::Repeated => Some(session_of(api, route)?),
                    StepCookies::Left => None,
                };
                let step = AuthorizeStep::new((**plan).clone(), service, realm, directory, repeats);
                Endpoint::AuthorizeStep(Box::new(step))
            }
            OwnPlan::MintClient(plan) => {
                let (_, realm) = self.service(route, plan.service)?;
                let directory = Arc::clone(self.directory);
                Endpoint::MintClient(Box::new(MintClient::new((**plan).clone(), realm, directory)))
            }
            OwnPlan::Token(plan) => Endpoint::Token(self.service(route, plan.service)?.0, (**plan).clone()),
            OwnPlan::Revoke(service) => Endpoint::Revoke(self.service(route, *service)?.0),
            OwnPlan::Introspect(service) => Endpoint::Introspect(self.service(route, *service)?.0),
            OwnPlan::Metadata(plan) => {
                Endpoint::Metadata(self.service(route, plan.service)?.0, (**plan).clone())
            }
            OwnPlan::Keys(service) => Endpoint::Keys(self.service(route, *service)?.0),
            OwnPlan::DeleteToken(plan) => {
                Endpoint::DeleteToken(self.service(route, plan.service)?.0, (**plan).clone())
            }
        })
    }

    fn sign_in(
        &self,
        api: &ApiPlan,
        route: &RouteName,
        sign_in: SignInRef,
    ) -> Result<RemoteSignIn, CompileError> {
        let found = self.live.callers.remote_sign_in(api, sign_in);
        let (sessions, key) = found.ok_or_else(|| refused("route", route, "its sign-in is not there"))?;
        Ok(RemoteSignIn::new(sessions, key))
    }

    fn status(&self, plan: &StatusPlan) -> Status {
        let regions: Arc<[String]> = self.live.regions.as_slice().into();
        let services = plan.services.iter().filter_map(|service| {
            let backend = self.plan.backends.get(service.backend.index())?;
            Some(Watched {
                name: service.name.clone(),
                version: backend
                    .version
                    .as_ref()
                    .map(|version| version.as_str().to_owned()),
                readiness: self.live.readiness.get(&backend.name).cloned(),
                regions: Arc::clone(&regions),
                metadata: (service.metadata.as_ref()).and_then(|json| serde_json::from_str(json).ok()),
            })
        });
        Status::new(plan.parameter.clone(), services.collect())
    }

    fn realm(&self, route: &RouteName, realm: RealmRef) -> Result<Arc<Realm>, CompileError> {
        (self.live.callers.realm(self.plan, realm))
            .map(|live| Arc::clone(&live.realm))
            .ok_or_else(|| refused("route", route, "its realm is not there"))
    }

    /// A token service, and its realm.
    fn service(
        &self,
        route: &RouteName,
        service: ServiceRef,
    ) -> Result<(Arc<TokenService>, Arc<Realm>), CompileError> {
        let missing = || refused("route", route, "its token service is not there");
        let plan = self.plan.services.get(service.index()).ok_or_else(missing)?;
        let service = self
            .live
            .token_services
            .get(&plan.name)
            .cloned()
            .ok_or_else(missing)?;
        Ok((service, self.realm(route, plan.realm)?))
    }
}

fn session_of(api: &ApiPlan, route: &RouteName) -> Result<SessionPlan, CompileError> {
    api.session
        .clone()
        .ok_or_else(|| refused("route", route, "its api has no session"))
}

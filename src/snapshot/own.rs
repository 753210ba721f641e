//! What answers itself: realms and token services of the plan at work, and the endpoints that routes lead to.

use std::collections::HashMap;
use std::sync::Arc;

use super::compile::{CompileError, refused};
use super::live::Live;
use crate::accounts::{Accounts, Directory, Realm};
use crate::config::plan::{
    AccessFormat, ApiPlan, Plan, RealmPlan, RealmRef, ServiceRef, SessionPlan, SignInGives, TargetPlan,
    TokenServicePlan,
};
use crate::identity::{IssuerName, RealmName, RouteName};
use crate::jose::key_store::KeyStore;
use crate::oauth::authorize::Authorize;
use crate::oauth::authorize_step::AuthorizeStep;
use crate::oauth::mint_client::MintClient;
use crate::oauth::service::TokenService;
use crate::oauth::sign_in::{Gives, SignIn};
use crate::oauth::sign_out::SignOut;
use crate::oauth::Endpoint;
use crate::telemetry::record::Recorder;

/// Realms by name.
pub(super) type Realms = HashMap<RealmName, Arc<Realm>>;
/// Signing keys by the name of their service.
pub(super) type KeyStores = HashMap<IssuerName, Arc<KeyStore>>;
/// Token services by name.
pub(super) type TokenServices = HashMap<IssuerName, Arc<TokenService>>;

/// The realms of `plan`, in `accounts`.
pub(super) fn realms(
    plan: &Plan,
    old: &Live,
    accounts: Option<&Arc<Accounts>>,
    recorder: &Recorder,
) -> Result<Realms, CompileError> {
    let realm = |realm: &RealmPlan| {
        let accounts = accounts.ok_or_else(|| refused("realm", &realm.name, "no store is open"))?;
        let metrics = recorder.metrics().sign_ins(realm.name.as_str());
        let at_work = Realm::carried(realm, accounts, metrics, old.realms.get(&realm.name));
        Ok((realm.name.clone(), at_work))
    };
    plan.realms.iter().map(realm).collect()
}

/// The keys of the services of `plan` that sign. Those that are at work already go on.
pub(super) fn key_stores(plan: &Plan, old: &Live, recorder: &Recorder) -> Result<KeyStores, CompileError> {
    let mut stores = KeyStores::default();
    for service in &plan.services {
        let AccessFormat::Jwt { algorithm, keys } = &service.access.format else {
            continue;
        };
        let before = old.key_stores.get(&service.name);
        let opened = KeyStore::carried(keys, (*algorithm).into(), recorder.clock().unix(), before);
        let opened = opened.map_err(|cause| refused("token service", &service.name, cause))?;
        stores.insert(service.name.clone(), opened);
    }
    Ok(stores)
}

/// The token services of `plan`. They hold nothing themselves, so a reload makes them anew.
pub(super) fn token_services(
    plan: &Plan,
    realms: &Realms,
    keys: &KeyStores,
    directory: &Arc<Directory>,
) -> Result<TokenServices, CompileError> {
    let service = |service: &TokenServicePlan| {
        let realm = (plan.realms.get(service.realm.index())).and_then(|realm| realms.get(&realm.name));
        let realm = realm.ok_or_else(|| refused("token service", &service.name, "its realm is not there"))?;
        let keys = keys.get(&service.name).cloned();
        let made = TokenService::new(service, Arc::clone(realm), Arc::clone(directory), keys)
            .map_err(|cause| refused("token service", &service.name, cause))?;
        Ok((service.name.clone(), made))
    };
    plan.services.iter().map(service).collect()
}

/// What endpoints are made of.
pub(super) struct Makings<'p> {
    pub(super) plan: &'p Plan,
    pub(super) realms: &'p Realms,
    pub(super) services: &'p TokenServices,
    pub(super) directory: &'p Arc<Directory>,
    pub(super) accounts: Option<&'p Arc<Accounts>>,
}

impl Makings<'_> {
    /// The endpoint of a route; `None` for a target that is none.
    pub(super) fn endpoint(
        &self,
        api: &ApiPlan,
        route: &RouteName,
        target: &TargetPlan,
    ) -> Result<Option<Endpoint>, CompileError> {
        Ok(Some(match target {
            TargetPlan::Backend { .. } | TargetPlan::Respond(_) | TargetPlan::Gone => return Ok(None),
            TargetPlan::SignIn(plan) => {
                let gives = match plan.gives {
                    SignInGives::Session => Gives::Session(session_of(api, route)?),
                    SignInGives::Token(service) => Gives::Token(self.service(route, service)?.0),
                };
                let realm = self.realm(route, plan.realm)?;
                Endpoint::SignIn(Box::new(SignIn::new((**plan).clone(), realm, gives)))
            }
            TargetPlan::SignOut(plan) => {
                let accounts = self.accounts.ok_or_else(|| refused("route", route, "no store is open"))?;
                let store = accounts.store().clone();
                Endpoint::SignOut(Box::new(SignOut::new(plan.clone(), api.session.clone(), store)))
            }
            TargetPlan::Authorize(service) => {
                let (service, realm) = self.service(route, *service)?;
                let (session, directory) = (session_of(api, route)?, Arc::clone(self.directory));
                Endpoint::Authorize(Box::new(Authorize::new(service, realm, session, directory)))
            }
            TargetPlan::AuthorizeStep(plan) => {
                let (service, realm) = self.service(route, plan.service)?;
                let directory = Arc::clone(self.directory);
                let step = AuthorizeStep::new((**plan).clone(), service, realm, directory);
                Endpoint::AuthorizeStep(Box::new(step))
            }
            TargetPlan::MintClient(plan) => {
                let (_, realm) = self.service(route, plan.service)?;
                let directory = Arc::clone(self.directory);
                Endpoint::MintClient(Box::new(MintClient::new((**plan).clone(), realm, directory)))
            }
            TargetPlan::Token(plan) => {
                Endpoint::Token(self.service(route, plan.service)?.0, (**plan).clone())
            }
            TargetPlan::Revoke(service) => Endpoint::Revoke(self.service(route, *service)?.0),
            TargetPlan::Introspect(service) => Endpoint::Introspect(self.service(route, *service)?.0),
            TargetPlan::Metadata(plan) => {
                Endpoint::Metadata(self.service(route, plan.service)?.0, (**plan).clone())
            }
            TargetPlan::Keys(service) => Endpoint::Keys(self.service(route, *service)?.0),
            TargetPlan::DeleteToken(plan) => {
                Endpoint::DeleteToken(self.service(route, plan.service)?.0, (**plan).clone())
            }
        }))
    }

    fn realm(&self, route: &RouteName, realm: RealmRef) -> Result<Arc<Realm>, CompileError> {
        (self.plan.realms.get(realm.index()))
            .and_then(|plan| self.realms.get(&plan.name))
            .cloned()
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
        let service = self.services.get(&plan.name).cloned().ok_or_else(missing)?;
        Ok((service, self.realm(route, plan.realm)?))
    }
}

fn session_of(api: &ApiPlan, route: &RouteName) -> Result<SessionPlan, CompileError> {
    api.session
        .clone()
        .ok_or_else(|| refused("route", route, "its api has no session"))
}

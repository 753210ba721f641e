//! Credentials of the plan at work: what is remembered of tokens, sessions and passwords goes on over a reload wherever nothing
//! has changed that it depends on.

use std::collections::HashMap;
use std::sync::Arc;

use super::compile::{CompileError, refused};
use super::live::Live;
use super::own::{KeyStores, Realms};
use crate::accounts::Realm;
use crate::auth::api_key::ApiKey;
use crate::auth::basic::Logins;
use crate::auth::bearer::Authority as Voucher;
use crate::auth::credentials::{Accepted, Credentials};
use crate::auth::csrf::CsrfRule;
use crate::auth::introspection::Introspection;
use crate::auth::opaque::{OwnKeys, OwnTokens, ServiceTokens, Signed};
use crate::auth::session::{SessionCookies, Sessions};
use crate::config::plan::{
    AccessPlan, ApiPlan, Authority, CredentialPlan, Plan, RealmRef, RoutePlan, ServiceRef, TokenServicePlan,
};
use crate::identity::{CredentialKind, IssuerName, RealmName};
use crate::jose::access_token;
use crate::jose::key_set::KeySet;
use crate::jose::key_store::KeyStore;
use crate::telemetry::record::Recorder;

/// What recognises callers, by realm or by service.
#[derive(Default)]
pub(super) struct Recognisers {
    sessions: HashMap<RealmName, Arc<Sessions>>,
    logins: HashMap<RealmName, Arc<Logins>>,
    tokens: HashMap<IssuerName, LiveTokens>,
    introspections: HashMap<IssuerName, Arc<Introspection>>,
}

/// A service's tokens at work, with all that they depend on.
struct LiveTokens {
    plan: TokenServicePlan,
    realm: Arc<Realm>,
    keys: Option<Arc<KeyStore>>,
    bearer: Arc<OwnTokens>,
    api_key: Arc<OwnTokens>,
}

impl OwnKeys for KeyStore {
    fn keys(&self) -> Arc<KeySet> {
        self.verifying()
    }

    fn generation(&self) -> u64 {
        KeyStore::generation(self)
    }
}

impl LiveTokens {
    fn new(
        plan: &TokenServicePlan,
        realm: &Arc<Realm>,
        keys: Option<&Arc<KeyStore>>,
        recorder: &Recorder,
    ) -> LiveTokens {
        let tokens = |kind: CredentialKind| {
            let signed = keys.map(|keys| Signed {
                policy: access_token::policy(&plan.issuer, &plan.audience, keys.algorithm()),
                keys: Arc::clone(keys) as Arc<dyn OwnKeys>,
            });
            let service = ServiceTokens {
                name: plan.name.clone(),
                scopes: plan.scopes.clone(),
                signed,
                cache: plan.cache,
            };
            let metrics = recorder.metrics().credential(plan.name.as_str(), kind.as_str());
            OwnTokens::new(service, kind, Arc::clone(realm), metrics)
        };
        LiveTokens {
            bearer: tokens(CredentialKind::Token),
            api_key: tokens(CredentialKind::ApiKey),
            plan: plan.clone(),
            realm: Arc::clone(realm),
            keys: keys.cloned(),
        }
    }

    /// The same, if nothing has changed that what is remembered depends on.
    fn carried(
        &self,
        plan: &TokenServicePlan,
        realm: &Arc<Realm>,
        keys: Option<&Arc<KeyStore>>,
    ) -> Option<LiveTokens> {
        let same_keys = match (&self.keys, keys) {
            (None, None) => true,
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            (Some(_), None) | (None, Some(_)) => false,
        };
        let same = self.plan == *plan && Arc::ptr_eq(&self.realm, realm) && same_keys;
        same.then(|| LiveTokens {
            plan: self.plan.clone(),
            realm: Arc::clone(&self.realm),
            keys: self.keys.clone(),
            bearer: Arc::clone(&self.bearer),
            api_key: Arc::clone(&self.api_key),
        })
    }
}

impl Recognisers {
    /// Those of `plan`.
    pub(super) fn new(
        plan: &Plan,
        old: &Live,
        realms: &Realms,
        keys: &KeyStores,
        recorder: &Recorder,
    ) -> Result<Recognisers, CompileError> {
        let metrics = recorder.metrics();
        let before = &old.recognisers;
        let mut new = Recognisers::default();
        for (name, realm) in realms {
            let is_same = |own: &Arc<Realm>| Arc::ptr_eq(own, realm);
            // A realm that has changed is another one, and what was remembered of it is read anew.
            let unchanged = old.realms.get(name).is_some_and(is_same);
            let of = |kind: CredentialKind| metrics.credential(name.as_str(), kind.as_str());
            let sessions = before.sessions.get(name).filter(|_| unchanged).cloned();
            let sessions =
                sessions.unwrap_or_else(|| Sessions::new(Arc::clone(realm), of(CredentialKind::Session)));
            new.sessions.insert(name.clone(), sessions);
            let logins = before.logins.get(name).filter(|_| unchanged).cloned();
            let logins = logins.unwrap_or_else(|| Logins::new(Arc::clone(realm), of(CredentialKind::Basic)));
            new.logins.insert(name.clone(), logins);
        }
        for service in &plan.services {
            let name = &service.name;
            let realm = (plan.realms.get(service.realm.index())).and_then(|realm| realms.get(&realm.name));
            let realm = realm.ok_or_else(|| refused("token service", name, "its realm is not there"))?;
            let keys = keys.get(name);
            let before = before.tokens.get(name);
            let tokens = before.and_then(|before| before.carried(service, realm, keys));
            let tokens = tokens.unwrap_or_else(|| LiveTokens::new(service, realm, keys, recorder));
            new.tokens.insert(name.clone(), tokens);
        }
        for introspection in &plan.introspections {
            let name = &introspection.name;
            let credentials = metrics.credential(name.as_str(), CredentialKind::Introspected.as_str());
            let asked = metrics.introspection(name.as_str());
            let before = before.introspections.get(name);
            let made = Introspection::carried(introspection, asked, credentials, before)
                .map_err(|cause| refused("introspection", name, cause))?;
            new.introspections.insert(name.clone(), made);
        }
        Ok(new)
    }

    /// The credentials of a route.
    pub(super) fn of_route(
        &self,
        plan: &Plan,
        live: &Live,
        api: &ApiPlan,
        route: &RoutePlan,
    ) -> Result<Credentials, CompileError> {
        let AccessPlan::Required { credentials, .. } = &route.access else {
            return Ok(Credentials::public());
        };
        let missing = |what: &str| refused("route", &route.name, format!("its {what} is not there"));
        let tokens = |service: ServiceRef| {
            let plan = plan.services.get(service.index());
            let tokens = plan.and_then(|plan| self.tokens.get(&plan.name));
            tokens.ok_or_else(|| missing("token service"))
        };
        let realm_name = |realm: RealmRef| plan.realms.get(realm.index()).map(|realm| &realm.name);
        let accepted = |credential: &CredentialPlan| {
            Ok(match credential {
                CredentialPlan::Bearer(Authority::Issuer(issuer)) => {
                    let issuer = (plan.issuers.get(issuer.index()))
                        .and_then(|plan| live.issuers.get(&plan.name))
                        .ok_or_else(|| missing("issuer"))?;
                    Accepted::Bearer(Voucher::Issuer(Arc::clone(&issuer.issuer)))
                }
                CredentialPlan::Bearer(Authority::Service(service)) => {
                    Accepted::Bearer(Voucher::Own(Arc::clone(&tokens(*service)?.bearer)))
                }
                CredentialPlan::Bearer(Authority::Introspection(introspection)) => {
                    let introspection = (plan.introspections.get(introspection.index()))
                        .and_then(|plan| self.introspections.get(&plan.name))
                        .ok_or_else(|| missing("introspection"))?;
                    Accepted::Bearer(Voucher::Introspection(Arc::clone(introspection)))
                }
                CredentialPlan::Session => {
                    let session = api.session.as_ref().ok_or_else(|| missing("session"))?;
                    let sessions = realm_name(session.realm)
                        .and_then(|name| self.sessions.get(name))
                        .ok_or_else(|| missing("realm"))?;
                    let csrf = session.csrf.as_ref().map(CsrfRule::new);
                    let (sessions, read) = (Arc::clone(sessions), session.read.clone());
                    Accepted::Session(SessionCookies::new(sessions, read, csrf))
                }
                CredentialPlan::Basic(realm) => {
                    let logins = realm_name(*realm).and_then(|name| self.logins.get(name));
                    Accepted::Basic(Arc::clone(logins.ok_or_else(|| missing("realm"))?))
                }
                CredentialPlan::ApiKey { service, header } => {
                    let tokens = Arc::clone(&tokens(*service)?.api_key);
                    Accepted::ApiKey(ApiKey::new(header.clone(), tokens))
                }
            })
        };
        Ok(Credentials::of(credentials.iter().map(accepted).collect::<Result<_, _>>()?))
    }
}

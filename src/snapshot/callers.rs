//! From the plan to those who recognise callers: issuers, realms with their sessions and passwords, token services,
//! introspections. What has not changed is taken over with all it remembers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::compile::{CompileError, refused};
use super::live::{Live, LiveIssuer, LiveRealm};
use crate::accounts::{Accounts, Realm};
use crate::auth::api_key::ApiKey;
use crate::auth::basic::Logins;
use crate::auth::csrf::CsrfRule;
use crate::auth::introspection::Introspection;
use crate::auth::jwt::Issuer;
use crate::auth::opaque::{OwnTokens, ServiceTokens, Signed};
use crate::auth::remote::RemoteSessions;
use crate::auth::session::{SessionCookies, Sessions};
use crate::auth::signed_url::{SignedUrls, UrlKeys};
use crate::auth::{Accepted, Authority};
use crate::base::random;
use crate::base::sealed::SealingKey;
use crate::config::plan::{
    self, AccessFormat, AccessPlan, ApiPlan, CredentialPlan, IntrospectionRef, IssuerPlan, IssuerRef, Plan,
    RealmPlan, RealmRef, RoutePlan, ServiceRef, SignInRef, SignedUrlRef, TokenServicePlan,
};
use crate::identity::{CredentialKind, IssuerName, RealmName};
use crate::jose::access_token;
use crate::jose::key_ring::KeyRing;
use crate::jose::key_store::KeyStore;
use crate::telemetry::record::Recorder;

/// The sign-ins of all apis, with the keys that seal what goes with a browser.
type Remotes = HashMap<String, (Arc<RemoteSessions>, Arc<SealingKey>)>;

/// Whoever recognises callers under one view.
#[derive(Default, Clone)]
pub(super) struct Callers {
    pub(super) issuers: HashMap<IssuerName, LiveIssuer>,
    pub(super) realms: HashMap<RealmName, LiveRealm>,
    pub(super) keys: HashMap<IssuerName, Arc<KeyStore>>,
    pub(super) tokens: HashMap<(IssuerName, CredentialKind), Arc<OwnTokens>>,
    pub(super) introspections: HashMap<IssuerName, Arc<Introspection>>,
    pub(super) url_keys: HashMap<IssuerName, Arc<UrlKeys>>,
    /// By `API/NAME`.
    pub(super) remotes: Remotes,
}

impl Callers {
    pub(super) fn compile(
        plan: &Plan,
        old: &Live,
        recorder: &Arc<Recorder>,
    ) -> Result<Callers, CompileError> {
        let mut callers = Callers::default();
        for issuer in &plan.issuers {
            let live = live_issuer(issuer, old, recorder)?;
            callers.issuers.insert(issuer.name.clone(), live);
        }
        for realm in &plan.realms {
            let accounts = old
                .accounts
                .as_ref()
                .ok_or_else(|| refused("realm", &realm.name, "the store is not open"))?;
            let live = live_realm(realm, accounts, old, recorder);
            callers.realms.insert(realm.name.clone(), live);
        }
        let used = used_kinds(plan);
        for (index, service) in plan.services.iter().enumerate() {
            if let Some(keys) = signing_keys(service, old, recorder)? {
                callers.keys.insert(service.name.clone(), keys);
            }
            for kind in [CredentialKind::Token, CredentialKind::ApiKey] {
                if used.contains(&(index, kind)) {
                    let tokens = callers.own_tokens(plan, service, kind, old, recorder)?;
                    callers.tokens.insert((service.name.clone(), kind), tokens);
                }
            }
        }
        for keys in &plan.signed_urls {
            let made = Arc::new(UrlKeys::new(keys));
            callers.url_keys.insert(keys.name.clone(), made);
        }
        for introspection in &plan.introspections {
            let name = introspection.name.as_str();
            let metrics = recorder.metrics();
            let carried = Introspection::carried(
                introspection,
                metrics.introspection(name),
                metrics.credential(name, CredentialKind::Introspected.as_str()),
                old.callers.introspections.get(&introspection.name),
            )
            .map_err(|cause| refused("introspection", name, cause))?;
            callers.introspections.insert(introspection.name.clone(), carried);
        }
        callers.remotes = callers.sign_ins(plan, old, recorder)?;
        Ok(callers)
    }

    /// The sign-ins of all apis, with the keys that seal what goes with a browser.
    fn sign_ins(&self, plan: &Plan, old: &Live, recorder: &Recorder) -> Result<Remotes, CompileError> {
        let mut made = HashMap::new();
        for api in &plan.apis {
            for sign_in in &api.sign_ins {
                let name = remote_name(api, &sign_in.name);
                let failed = |cause: &str| refused("sign-in", &name, cause);
                let accounts = old
                    .accounts
                    .as_ref()
                    .ok_or_else(|| failed("the store is not open"))?;
                let provider = plan.providers.get(sign_in.provider.index());
                let provider = provider.ok_or_else(|| failed("its provider is not there"))?;
                let judge = self.authority(plan, sign_in.judge);
                let judge = judge.ok_or_else(|| failed("nobody judges its tokens"))?;
                let secret = match &provider.client_secret {
                    // The same in every process that has the configuration.
                    Some(secret) => secret.reveal().to_vec(),
                    None => process_secret().to_vec(),
                };
                let key = SealingKey::derived(&secret, "sign-in under way");
                let key = key.ok_or_else(|| failed("there are no keys"))?;
                let metrics = recorder.metrics().credential(&name, "signed-in");
                let before = old.callers.remotes.get(&name).map(|(sessions, _)| sessions);
                let sessions = RemoteSessions::carried(
                    name.clone(),
                    sign_in.clone(),
                    Arc::clone(accounts),
                    provider,
                    judge,
                    metrics,
                    recorder.clock().clone(),
                    before,
                )
                .map_err(|cause| failed(&cause.to_string()))?;
                made.insert(name, (sessions, Arc::new(key)));
            }
        }
        Ok(made)
    }

    fn remote(&self, api: &ApiPlan, sign_in: SignInRef) -> Option<Arc<RemoteSessions>> {
        self.remote_sign_in(api, sign_in).map(|(sessions, _)| sessions)
    }

    pub(super) fn remote_sign_in(
        &self,
        api: &ApiPlan,
        sign_in: SignInRef,
    ) -> Option<(Arc<RemoteSessions>, Arc<SealingKey>)> {
        let plan = api.sign_ins.get(sign_in.index())?;
        self.remotes.get(&remote_name(api, &plan.name)).cloned()
    }

    fn own_tokens(
        &self,
        plan: &Plan,
        service: &TokenServicePlan,
        kind: CredentialKind,
        old: &Live,
        recorder: &Recorder,
    ) -> Result<Arc<OwnTokens>, CompileError> {
        let realm = plan
            .realms
            .get(service.realm.index())
            .and_then(|plan| self.realms.get(&plan.name))
            .ok_or_else(|| refused("token service", &service.name, "its realm is not there"))?;
        let signed = self.keys.get(&service.name).map(|keys| Signed {
            policy: access_token::policy(&service.issuer, &service.audience, keys.algorithm()),
            keys: Arc::clone(keys),
        });
        let tokens = ServiceTokens {
            name: service.name.clone(),
            scopes: service.scopes.clone(),
            signed,
            cache: service.cache,
        };
        let metrics = recorder
            .metrics()
            .credential(service.name.as_str(), kind.as_str());
        let before = old.callers.tokens.get(&(service.name.clone(), kind));
        Ok(OwnTokens::carried(
            tokens,
            kind,
            Arc::clone(&realm.realm),
            metrics,
            before,
        ))
    }

    /// What a route's entry stands for.
    pub(super) fn accepted(
        &self,
        plan: &Plan,
        api: &ApiPlan,
        route: &RoutePlan,
        credential: &CredentialPlan,
    ) -> Result<Accepted, CompileError> {
        let found = match credential {
            CredentialPlan::SignedIn(sign_in) => self.remote(api, *sign_in).map(Accepted::SignedIn),
            CredentialPlan::SignedUrl(keys) => self
                .url_keys(plan, *keys)
                .map(|keys| Accepted::SignedUrl(SignedUrls::new(api.name.clone(), keys))),
            CredentialPlan::Bearer(authority) => self.authority(plan, *authority).map(Accepted::Bearer),
            CredentialPlan::Session => self.session(plan, api).map(Accepted::Session),
            CredentialPlan::Basic(realm) => self
                .realm(plan, *realm)
                .map(|realm| Accepted::Basic(Arc::clone(&realm.logins))),
            CredentialPlan::ApiKey { service, header } => self
                .tokens_of(plan, *service, CredentialKind::ApiKey)
                .map(|tokens| Accepted::ApiKey(ApiKey::new(header.clone(), tokens))),
        };
        found.ok_or_else(|| refused("route", &route.name, "one of its credentials is not there"))
    }

    fn authority(&self, plan: &Plan, authority: plan::Authority) -> Option<Authority> {
        Some(match authority {
            plan::Authority::Issuer(issuer) => Authority::Issuer(self.issuer(plan, issuer)?),
            plan::Authority::Service(service) => {
                Authority::Own(self.tokens_of(plan, service, CredentialKind::Token)?)
            }
            plan::Authority::Introspection(introspection) => {
                Authority::Introspection(self.introspection(plan, introspection)?)
            }
        })
    }

    fn issuer(&self, plan: &Plan, issuer: IssuerRef) -> Option<Arc<Issuer>> {
        let name = &plan.issuers.get(issuer.index())?.name;
        Some(Arc::clone(&self.issuers.get(name)?.issuer))
    }

    pub(super) fn realm(&self, plan: &Plan, realm: RealmRef) -> Option<&LiveRealm> {
        self.realms.get(&plan.realms.get(realm.index())?.name)
    }

    fn tokens_of(&self, plan: &Plan, service: ServiceRef, kind: CredentialKind) -> Option<Arc<OwnTokens>> {
        let name = &plan.services.get(service.index())?.name;
        self.tokens.get(&(name.clone(), kind)).cloned()
    }

    pub(super) fn url_keys(&self, plan: &Plan, keys: SignedUrlRef) -> Option<Arc<UrlKeys>> {
        let name = &plan.signed_urls.get(keys.index())?.name;
        self.url_keys.get(name).cloned()
    }

    fn introspection(&self, plan: &Plan, introspection: IntrospectionRef) -> Option<Arc<Introspection>> {
        let name = &plan.introspections.get(introspection.index())?.name;
        self.introspections.get(name).cloned()
    }

    fn session(&self, plan: &Plan, api: &ApiPlan) -> Option<SessionCookies> {
        let session = api.session.as_ref()?;
        let realm = self.realm(plan, session.realm)?;
        let csrf = session.csrf.as_ref().map(CsrfRule::new);
        Some(SessionCookies::new(
            Arc::clone(&realm.sessions),
            session.read.clone(),
            csrf,
        ))
    }
}

fn remote_name(api: &ApiPlan, sign_in: &str) -> String {
    format!("{}/{sign_in}", api.name)
}

/// A secret of this process alone, where a provider has given none.
fn process_secret() -> [u8; 32] {
    static SECRET: std::sync::OnceLock<[u8; 32]> = std::sync::OnceLock::new();
    *SECRET.get_or_init(|| {
        let mut bytes = [0; 32];
        random::fill(&mut bytes);
        bytes
    })
}

/// Which kinds of a service's tokens some route takes, by the service's index.
fn used_kinds(plan: &Plan) -> HashSet<(usize, CredentialKind)> {
    // Who judges the tokens of those who signed in elsewhere.
    let sign_ins = plan.apis.iter().flat_map(|api| &api.sign_ins);
    let judges = sign_ins.filter_map(|sign_in| match sign_in.judge {
        plan::Authority::Service(service) => Some((service.index(), CredentialKind::Token)),
        plan::Authority::Issuer(_) | plan::Authority::Introspection(_) => None,
    });
    let routes = plan.apis.iter().flat_map(|api| &api.routes);
    let credentials = routes.flat_map(|route| match &route.access {
        AccessPlan::Public => &[][..],
        AccessPlan::Required { credentials, .. } => credentials.as_slice(),
    });
    credentials
        .filter_map(|credential| match credential {
            CredentialPlan::Bearer(plan::Authority::Service(service)) => {
                Some((service.index(), CredentialKind::Token))
            }
            CredentialPlan::ApiKey { service, header: _ } => Some((service.index(), CredentialKind::ApiKey)),
            CredentialPlan::Bearer(plan::Authority::Issuer(_) | plan::Authority::Introspection(_))
            | CredentialPlan::Session
            | CredentialPlan::Basic(_)
            | CredentialPlan::SignedUrl(_)
            | CredentialPlan::SignedIn(_) => None,
        })
        .chain(judges)
        .collect()
}

fn live_issuer(plan: &IssuerPlan, old: &Live, recorder: &Arc<Recorder>) -> Result<LiveIssuer, CompileError> {
    let before = old.callers.issuers.get(&plan.name);
    let metrics = recorder.metrics().issuer(plan.name.as_str());
    let ring = KeyRing::open(
        plan,
        recorder.clock(),
        Arc::clone(&metrics),
        before.map(|live| &live.ring),
    )
    .map_err(|cause| refused("issuer", &plan.name, cause))?;
    let issuer = Issuer::carried(plan, Arc::clone(&ring), metrics, before.map(|live| &live.issuer));
    Ok(LiveIssuer { ring, issuer })
}

fn live_realm(plan: &RealmPlan, accounts: &Arc<Accounts>, old: &Live, recorder: &Recorder) -> LiveRealm {
    let before = old.callers.realms.get(&plan.name);
    let name = plan.name.as_str();
    let metrics = recorder.metrics();
    let realm = Realm::carried(
        plan,
        accounts,
        metrics.sign_ins(name),
        before.map(|live| &live.realm),
    );
    match before {
        Some(live) if Arc::ptr_eq(&live.realm, &realm) => live.clone(),
        Some(_) | None => LiveRealm {
            sessions: Sessions::new(
                Arc::clone(&realm),
                metrics.credential(name, CredentialKind::Session.as_str()),
            ),
            logins: Logins::new(
                Arc::clone(&realm),
                metrics.credential(name, CredentialKind::Basic.as_str()),
            ),
            realm,
        },
    }
}

fn signing_keys(
    plan: &TokenServicePlan,
    old: &Live,
    recorder: &Recorder,
) -> Result<Option<Arc<KeyStore>>, CompileError> {
    match &plan.access.format {
        AccessFormat::Opaque => Ok(None),
        AccessFormat::Jwt { algorithm, keys } => {
            let before = old.callers.keys.get(&plan.name);
            KeyStore::carried(keys, (*algorithm).into(), recorder.clock().unix(), before)
                .map(Some)
                .map_err(|cause| refused("token service", &plan.name, cause))
        }
    }
}

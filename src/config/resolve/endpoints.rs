//! Targets that the gateway answers itself: signing out, and the endpoints of token services. Signing in is [`super::sign_in`].

use http::Method;

use super::answers;
use super::apis::World;
use super::routes::Inherited;
use super::scope::Scope;
use crate::config::node::Mark;
use crate::config::plan::{
    AccessFormat, AccessPlan, AuthorizeStepPlan, CodeField, CredentialPlan, DeleteTokenPlan, MetadataPlan,
    MintClientPlan, MintField, OwnPlan, ParameterPlaces, RealmRef, RoutePlan, ServiceRef, StepCookies,
    TargetPlan, TokenEndpointPlan, TokenField, TokenServicePlan,
};
use crate::config::raw::{
    RawAuthorizeStep, RawDeleteToken, RawMintClient, RawParameterPlace, RawRoute, RawTokenEndpoint,
};
use crate::config::read::At;
use crate::config::text::Pointer;

/// The route that an endpoint is the target of, as far as it is known.
#[derive(Clone, Copy)]
pub(super) struct Here<'h> {
    pub route: &'h At<RawRoute>,
    pub access: &'h AccessPlan,
    pub inherited: &'h Inherited<'h>,
    pub world: &'h World<'h>,
}

/// Who may call an endpoint.
pub(super) enum Callers {
    /// Anybody: nobody is known yet, or the endpoint asks for itself.
    Public,
    /// Users of this realm who are known.
    OfRealm(Option<RealmRef>),
    /// Whoever the route lets in.
    Any,
    /// Whoever is known.
    Known,
    /// Whoever has something that can be ended.
    WithSomethingToEnd,
}

impl<'h> Here<'h> {
    /// A name for messages, what callers, and which methods an endpoint has.
    pub(super) fn check(self, name: &str, callers: &Callers, methods: &[Method], scope: &mut Scope<'_>) {
        let to = self.route.value.to.mark;
        for method in &self.route.value.methods.0 {
            if !methods.contains(&method.value.0) {
                let known: Vec<&str> = methods.iter().map(Method::as_str).collect();
                scope.error(
                    "contradiction",
                    method.mark,
                    format!("{name} is not called by {}", method.value.0),
                    format!("write `methods: [{}]`", known.join(", ")),
                );
            }
        }
        match (callers, self.access) {
            (Callers::Public, AccessPlan::Public)
            | (Callers::Any, _)
            | (Callers::Known, AccessPlan::Required { .. }) => {}
            (Callers::Public, AccessPlan::Required { .. }) => scope.error(
                "contradiction",
                to,
                format!("{name} is for callers whom nobody knows yet"),
                "write `public: true` instead of `access`; it asks for what it needs itself",
            ),
            (Callers::OfRealm(_) | Callers::Known | Callers::WithSomethingToEnd, AccessPlan::Public) => scope
                .error(
                    "contradiction",
                    to,
                    format!("{name} is for callers who are known, and on a public route nobody is"),
                    "write `access: {}` instead of `public: true`, with `credentials`",
                ),
            (Callers::OfRealm(None), AccessPlan::Required { .. }) => {}
            (Callers::OfRealm(Some(realm)), AccessPlan::Required { credentials, .. }) => {
                let foreign = credentials.iter().find(|credential| {
                    // A session that the api does not have has been reported.
                    !(matches!(credential, CredentialPlan::Session) && self.inherited.session.is_none())
                        && self.world.realm_of(credential, self.inherited.session) != Some(*realm)
                });
                if let Some(credential) = foreign {
                    scope.error(
                        "contradiction",
                        to,
                        format!(
                            "{name} is for users of the realm `{}`, and {} is taken here",
                            self.realm_name(*realm),
                            self.shown(credential)
                        ),
                        "give the route `credentials` of that realm",
                    );
                }
            }
            (Callers::WithSomethingToEnd, AccessPlan::Required { credentials, .. }) => {
                let endless = credentials.iter().find(|credential| match credential {
                    CredentialPlan::Session => false,
                    CredentialPlan::Basic(_) | CredentialPlan::SignedUrl(_) | CredentialPlan::SignedIn(_) => {
                        true
                    }
                    CredentialPlan::Bearer(_) | CredentialPlan::ApiKey { .. } => {
                        self.world.realm_of(credential, self.inherited.session).is_none()
                    }
                });
                if let Some(credential) = endless {
                    scope.error(
                        "contradiction",
                        to,
                        format!(
                            "{name} ends what the caller came with, and {} cannot be ended here",
                            self.shown(credential)
                        ),
                        "give the route `credentials: [session]`, or a token service's tokens",
                    );
                }
            }
        }
    }

    pub(super) fn realm_name(self, realm: RealmRef) -> String {
        let plan = self.world.realms.get(realm.index());
        plan.map(|plan| plan.name.to_string()).unwrap_or_default()
    }

    fn shown(self, credential: &CredentialPlan) -> String {
        match credential {
            CredentialPlan::Bearer(authority) => format!("a token of `{}`", self.world.name_of(*authority)),
            CredentialPlan::Session => "a session".to_owned(),
            CredentialPlan::Basic(_) => "a password".to_owned(),
            CredentialPlan::ApiKey { header, .. } => format!("a key in `{header}`"),
            CredentialPlan::SignedUrl(_) => "a signed URL".to_owned(),
            CredentialPlan::SignedIn(_) => "a session of somebody who signed in elsewhere".to_owned(),
        }
    }

    /// The service that an endpoint names.
    pub(super) fn service(
        self,
        name: &At<String>,
        scope: &mut Scope<'_>,
    ) -> Option<(ServiceRef, Option<&'h TokenServicePlan>)> {
        let index = scope.services.find(name, scope.findings)?;
        Some((ServiceRef::new(index), self.world.services.get(index)))
    }

    /// The api's sessions are there, and of this realm.
    pub(super) fn needs_session(self, mark: Mark, realm: Option<RealmRef>, why: &str, scope: &mut Scope<'_>) {
        let api = self.inherited.api;
        match (&api.value.session, self.inherited.session) {
            (None, _) if scope.findings.is_damaged(api.mark) => {}
            (None, _) => scope.error(
                "no-session",
                mark,
                format!("{why}, and the api has no `session`"),
                "add `session: { realm: NAME }` to the api: which cookies, and whose users",
            ),
            // Reported where it stands.
            (Some(_), None) => {}
            (Some(_), Some(session)) => {
                if let Some(realm) = realm
                    && realm != session
                {
                    scope.error(
                        "contradiction",
                        mark,
                        format!(
                            "{why}, of the realm `{}`, and the api's are of `{}`",
                            self.realm_name(realm),
                            self.realm_name(session)
                        ),
                        "use one realm for both",
                    );
                }
            }
        }
    }
}

/// An endpoint that takes nothing but the name of its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plain {
    Authorize,
    Revoke,
    Introspect,
    Metadata,
    Keys,
}

pub(super) fn plain(
    kind: Plain,
    name: &At<String>,
    here: Here<'_>,
    scope: &mut Scope<'_>,
) -> Option<OwnPlan> {
    let (get, post) = (Method::GET, Method::POST);
    let (title, methods) = match kind {
        Plain::Authorize => ("the authorization endpoint", vec![get, Method::HEAD, post]),
        Plain::Revoke => ("the revocation endpoint", vec![post]),
        Plain::Introspect => ("the introspection endpoint", vec![post]),
        Plain::Metadata => ("the metadata", vec![get, Method::HEAD]),
        Plain::Keys => ("the key set", vec![get, Method::HEAD]),
    };
    here.check(title, &Callers::Public, &methods, scope);
    let (service, plan) = here.service(name, scope)?;
    match kind {
        Plain::Authorize => {
            let realm = plan.map(|plan| plan.realm);
            let why = "the pages of the authorization endpoint keep who signed in in a session";
            here.needs_session(name.mark, realm, why, scope);
            Some(OwnPlan::Authorize(service))
        }
        Plain::Revoke => Some(OwnPlan::Revoke(service)),
        Plain::Introspect => Some(OwnPlan::Introspect(service)),
        Plain::Metadata => {
            if let Some(plan) = plan {
                metadata_path(&here.route.value.path, plan, scope);
            }
            // Its endpoints are filled in when all routes of the api are known.
            Some(OwnPlan::Metadata(Box::new(MetadataPlan {
                service,
                authorization: None,
                token: None,
                revocation: None,
                introspection: None,
                keys: None,
            })))
        }
        Plain::Keys => {
            if plan.is_some_and(|plan| plan.access.format == AccessFormat::Opaque) {
                scope.error(
                    "contradiction",
                    name.mark,
                    format!(
                        "the tokens of `{}` are opaque, so it has no keys to show",
                        name.value
                    ),
                    "write `access: { format: jwt }` at the token service, or remove the route",
                );
            }
            Some(OwnPlan::Keys(service))
        }
    }
}

/// RFC 8414 section 3.1: the well-known path, followed by the path of the issuer.
fn metadata_path(
    path: &At<crate::config::text::PathPattern>,
    plan: &TokenServicePlan,
    scope: &mut Scope<'_>,
) {
    let below = plan
        .issuer
        .parse::<http::Uri>()
        .map(|uri| uri.path().trim_end_matches('/').to_owned())
        .unwrap_or_default();
    let wanted = format!("/.well-known/oauth-authorization-server{below}");
    if path.value.0 != wanted {
        scope.findings.warning(
            "metadata-path",
            path.mark,
            format!(
                "clients of the issuer `{}` look for its metadata at another path",
                plan.issuer
            ),
            format!("RFC 8414 section 3.1 has it at `{wanted}`"),
        );
    }
}

/// Fills in where the endpoints of each metadata document are, now that all routes of the api are known.
pub(super) fn fill_metadata(routes: &mut [RoutePlan], services: &[TokenServicePlan]) {
    let mut found: Vec<(ServiceRef, Endpoint, String)> = Vec::new();
    for route in routes.iter() {
        let endpoint = match &route.target {
            TargetPlan::Own(OwnPlan::Authorize(service)) => Some((*service, Endpoint::Authorization)),
            TargetPlan::Own(OwnPlan::Token(plan)) => Some((plan.service, Endpoint::Token)),
            TargetPlan::Own(OwnPlan::Revoke(service)) => Some((*service, Endpoint::Revocation)),
            TargetPlan::Own(OwnPlan::Introspect(service)) => Some((*service, Endpoint::Introspection)),
            TargetPlan::Own(OwnPlan::Keys(service)) => Some((*service, Endpoint::Keys)),
            TargetPlan::Own(_) | TargetPlan::Backend { .. } | TargetPlan::Respond(_) | TargetPlan::Gone => {
                None
            }
        };
        // A path with a capture is many.
        if let Some((service, kind)) = endpoint
            && !route.path.contains('{')
            && let Some(origin) = services
                .get(service.index())
                .and_then(|plan| origin(&plan.issuer))
        {
            found.push((service, kind, format!("{origin}{}", route.path)));
        }
    }
    for route in routes {
        let TargetPlan::Own(OwnPlan::Metadata(plan)) = &mut route.target else {
            continue;
        };
        let of = |kind: Endpoint| {
            let first = found
                .iter()
                .find(|(service, other, _)| *service == plan.service && *other == kind);
            first.map(|(_, _, url)| url.clone())
        };
        let (authorization, token) = (of(Endpoint::Authorization), of(Endpoint::Token));
        let (revocation, introspection) = (of(Endpoint::Revocation), of(Endpoint::Introspection));
        let keys = of(Endpoint::Keys);
        **plan = MetadataPlan {
            service: plan.service,
            authorization,
            token,
            revocation,
            introspection,
            keys,
        };
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Authorization,
    Token,
    Revocation,
    Introspection,
    Keys,
}

/// Scheme and authority.
fn origin(issuer: &str) -> Option<String> {
    let uri: http::Uri = issuer.parse().ok()?;
    Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?))
}

/// A JSON Pointer to something in the body.
pub(super) fn inside(at: &At<Pointer>, scope: &mut Scope<'_>) -> Vec<String> {
    if at.value.0.is_empty() {
        scope.error(
            "bad-value",
            at.mark,
            "this points to the whole body",
            "write `/` and the name of a member, such as `/username`",
        );
    }
    at.value.0.clone()
}

pub(super) fn sign_out(
    at: &At<crate::config::raw::RawSignOut>,
    here: Here<'_>,
    scope: &mut Scope<'_>,
) -> Option<OwnPlan> {
    let methods = [Method::POST, Method::DELETE, Method::PUT];
    here.check("a sign-out", &Callers::WithSomethingToEnd, &methods, scope);
    answers::resolve(at.value.answer.as_ref(), &[], scope).map(OwnPlan::SignOut)
}

pub(super) fn authorize_step(
    at: &At<RawAuthorizeStep>,
    here: Here<'_>,
    scope: &mut Scope<'_>,
) -> Option<OwnPlan> {
    let raw = &at.value;
    let found = here.service(&raw.service, scope);
    let realm = found.and_then(|(_, plan)| plan.map(|plan| plan.realm));
    here.check(
        "this step of an authorization",
        &Callers::OfRealm(realm),
        &[Method::POST],
        scope,
    );
    let customer = raw.customer.as_ref().map(|at| inside(at, scope));
    let cookies = match &raw.repeats_cookies {
        Some(at) if at.value => {
            here.needs_session(at.mark, realm, "this step sets the cookies of a session", scope);
            StepCookies::Repeated
        }
        Some(_) | None => StepCookies::Left,
    };
    let answer = answers::resolve(raw.answer.as_ref(), &[CodeField::Code], scope);
    Some(OwnPlan::AuthorizeStep(Box::new(AuthorizeStepPlan {
        service: found?.0,
        customer,
        cookies,
        answer: answer?,
    })))
}

pub(super) fn mint_client(at: &At<RawMintClient>, here: Here<'_>, scope: &mut Scope<'_>) -> Option<OwnPlan> {
    let raw = &at.value;
    let found = here.service(&raw.service, scope);
    let realm = found.and_then(|(_, plan)| plan.map(|plan| plan.realm));
    here.check(
        "the making of an application",
        &Callers::OfRealm(realm),
        &[Method::POST],
        scope,
    );
    let customer = inside(&raw.customer, scope);
    let needed = [MintField::ClientId, MintField::ClientSecret];
    let answer = answers::resolve(raw.answer.as_ref(), &needed, scope);
    if found.is_some()
        && here
            .world
            .customers
            .iter()
            .all(|customer| customer.tenants.is_empty())
    {
        scope.findings.warning(
            "no-provider",
            at.mark,
            "applications are made for the tenants of a provider, and no customer of this file has any",
            "unless the store has such customers, every call is refused; add `tenants` to a customer",
        );
    }
    Some(OwnPlan::MintClient(Box::new(MintClientPlan {
        service: found?.0,
        customer,
        answer: answer?,
    })))
}

pub(super) fn token(at: &At<RawTokenEndpoint>, here: Here<'_>, scope: &mut Scope<'_>) -> Option<OwnPlan> {
    let raw = &at.value;
    here.check("the token endpoint", &Callers::Public, &[Method::POST], scope);
    let found = here.service(&raw.service, scope);
    let parameters = places(raw, scope);
    let refresh = found.is_some_and(|(_, plan)| plan.is_some_and(|plan| plan.refresh.is_some()));
    let needed: &[TokenField] = if refresh {
        &[TokenField::AccessToken, TokenField::RefreshToken]
    } else {
        &[TokenField::AccessToken]
    };
    let answer = answers::resolve(raw.answer.as_ref(), needed, scope);
    Some(OwnPlan::Token(Box::new(TokenEndpointPlan {
        service: found?.0,
        parameters: parameters?,
        answer: answer?,
    })))
}

fn places(raw: &RawTokenEndpoint, scope: &mut Scope<'_>) -> Option<ParameterPlaces> {
    let (mut form, mut query) = (false, false);
    for place in &raw.parameters.value.0 {
        let seen = match place.value {
            RawParameterPlace::Form => &mut form,
            RawParameterPlace::Query => &mut query,
        };
        if *seen {
            scope.error(
                "duplicate",
                place.mark,
                "this stands in `parameters` twice",
                "remove one of them",
            );
        }
        *seen = true;
        if place.value == RawParameterPlace::Query {
            scope.findings.warning(
                "secrets-in-query",
                place.mark,
                "client secrets, codes and refresh tokens stand in the query here, where proxies and their logs keep them",
                "the access log writes `***` for `client_secret`, `code`, `refresh_token` and the like; see that every log on the way does",
            );
        }
    }
    match (form, query) {
        (true, false) => Some(ParameterPlaces::Form),
        (false, true) => Some(ParameterPlaces::Query),
        (true, true) => Some(ParameterPlaces::QueryOrForm),
        (false, false) => {
            scope.error(
                "empty-list",
                raw.parameters.mark,
                "the parameters stand nowhere",
                "write `parameters: [form]`",
            );
            None
        }
    }
}

pub(super) fn delete_token(
    at: &At<RawDeleteToken>,
    here: Here<'_>,
    scope: &mut Scope<'_>,
) -> Option<OwnPlan> {
    let raw = &at.value;
    let found = here.service(&raw.service, scope);
    let realm = found.and_then(|(_, plan)| plan.map(|plan| plan.realm));
    let methods = [Method::DELETE, Method::POST];
    here.check(
        "the deletion of a token",
        &Callers::OfRealm(realm),
        &methods,
        scope,
    );
    let token = inside(&raw.token, scope);
    let answer = answers::resolve(raw.answer.as_ref(), &[], scope);
    Some(OwnPlan::DeleteToken(Box::new(DeleteTokenPlan {
        service: found?.0,
        token,
        answer: answer?,
    })))
}

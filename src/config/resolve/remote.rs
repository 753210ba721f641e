//! `providers:`, the `sign-ins:` of an api, and the targets around them.

use http::Method;

use super::apis::World;
use super::endpoints::{Callers, Here};
use super::issuers;
use super::material;
use super::scope::Scope;
use super::services::their_secret;
use super::sessions::{self, Around};
use crate::config::plan::{
    Authority, ClientProof, OwnPlan, ProviderPlan, ProviderRef, RemoteSignInPlan, RoutePlan, SignInRef,
    TargetPlan,
};
use crate::config::raw::{
    RawApi, RawClientProof, RawProvider, RawRemoteSignIn, RawRotate, RawSameSite, RawSecure,
};
use crate::config::read::{At, Named};
use crate::config::text::{FetchUrl, NonEmpty};
use crate::http::path;

/// Providers. `authority` tells who is at an index of the authorities.
pub(super) fn providers(
    raw: &Named<At<RawProvider>>,
    authority: &dyn Fn(usize) -> Authority,
    scope: &mut Scope<'_>,
) -> Vec<ProviderPlan> {
    raw.0
        .iter()
        .filter_map(|(name, at)| provider(name, &at.value, authority, scope))
        .collect()
}

fn provider(
    name: &At<String>,
    raw: &RawProvider,
    authority: &dyn Fn(usize) -> Authority,
    scope: &mut Scope<'_>,
) -> Option<ProviderPlan> {
    let is_danger = raw.danger_plain_http.value;
    let urls = [
        Some(&raw.authorization),
        Some(&raw.token),
        raw.revocation.as_ref(),
        raw.end_session.as_ref(),
    ];
    let plain: Vec<&At<FetchUrl>> = (urls.into_iter().flatten())
        .filter(|url| url.value.0.scheme_str() == Some("http") && !issuers::is_loopback(&url.value.0))
        .collect();
    for url in &plain {
        if !is_danger {
            scope.error(
                "plain-http",
                url.mark,
                "a provider is spoken to by `https`, or by `http` at a loopback address",
                "whoever is on the way could sign in as anybody; `danger_plain_http: true` accepts that",
            );
        }
    }
    if is_danger && !plain.is_empty() {
        scope.findings.warning(
            "danger",
            raw.danger_plain_http.mark,
            "`danger_plain_http` is on: whoever is on the way to the provider reads tokens and can sign in as anybody",
            "ask by `https`",
        );
    }
    if raw.issuer_in_answers.value && raw.issuer.is_none() {
        scope.error(
            "contradiction",
            raw.issuer_in_answers.mark,
            "answers are to say who they are of, and nothing says who that should be",
            "add `issuer`",
        );
    }
    let judge = scope.authorities.find(&raw.judge, scope.findings).map(authority);
    let secret = match &raw.client.secret {
        Some(secret) => Some(their_secret(secret, scope)?),
        None => None,
    };
    Some(ProviderPlan {
        name: material::name(name, "provider", scope)?,
        issuer: raw.issuer.as_ref().map(|issuer| issuer.0.clone()),
        issuer_in_answers: raw.issuer_in_answers.value,
        authorization: raw.authorization.value.0.clone(),
        token: raw.token.value.0.clone(),
        revocation: raw.revocation.as_ref().map(|url| url.value.0.clone()),
        end_session: raw.end_session.as_ref().map(|url| url.value.0.clone()),
        client_id: raw.client.id.0.clone(),
        client_secret: secret,
        proof: match raw.client.proof {
            RawClientProof::Basic => ClientProof::Basic,
            RawClientProof::Post => ClientProof::Post,
        },
        scopes: raw.scopes.0.iter().map(|scope| scope.0.clone()).collect(),
        judge: judge?,
        ca: raw.ca.as_ref().map(|file| material::certificates(file, scope)),
        deadline: raw.deadline.0,
    })
}

/// The sign-ins of an api.
pub(super) fn sign_ins(raw: &RawApi, world: &World<'_>, scope: &mut Scope<'_>) -> Vec<RemoteSignInPlan> {
    let own = raw.session.as_ref().map(|session| &session.value);
    let mut taken: Vec<&str> = Vec::new();
    if let Some(session) = own {
        taken.push(&session.cookie.value);
        taken.extend(session.csrf.iter().map(|csrf| csrf.value.cookie.value.as_str()));
        let read = session.read.iter().flat_map(|list| &list.value.0);
        taken.extend(read.map(|name| name.value.as_str()));
    }
    for (_, at) in &raw.sign_ins.0 {
        let csrf = at.value.csrf.iter().map(|csrf| &csrf.value.cookie);
        for cookie in std::iter::once(&at.value.cookie).chain(csrf) {
            if taken.contains(&cookie.value.as_str()) {
                scope.error(
                    "duplicate",
                    cookie.mark,
                    format!(
                        "the cookie `{}` is another session's",
                        cookie.shown(&cookie.value)
                    ),
                    "give each a cookie of its own",
                );
            }
            taken.push(&cookie.value);
        }
    }
    raw.sign_ins
        .0
        .iter()
        .filter_map(|(name, at)| sign_in(name, at, world, scope))
        .collect()
}

fn sign_in(
    name: &At<String>,
    at: &At<RawRemoteSignIn>,
    world: &World<'_>,
    scope: &mut Scope<'_>,
) -> Option<RemoteSignInPlan> {
    let raw = &at.value;
    let provider = scope.providers.find(&raw.provider, scope.findings);
    absolute(&raw.redirect_uri, scope);
    if let Some(after) = &raw.after_sign_out {
        absolute(after, scope);
    }
    let after = &raw.after.value.0;
    if !after.starts_with('/')
        || after.starts_with("//")
        || !path::is_normal(after.split('?').next().unwrap_or_default())
    {
        scope.error(
            "bad-value",
            raw.after.mark,
            "this is not a path of this host",
            "write for example `/portal/`",
        );
    }
    if raw.same_site.value == RawSameSite::Strict {
        scope.error(
            "contradiction",
            raw.same_site.mark,
            "the browser comes back from another site, and would not bring the cookies of the sign-in",
            "write `same-site: lax`",
        );
    }
    if let Some(csrf) = &raw.csrf
        && csrf.value.rotate == RawRotate::EachUse
    {
        scope.error(
            "contradiction",
            csrf.mark,
            "the CSRF value of these sessions does not change",
            "remove `rotate`",
        );
    }
    if raw.secure.value == RawSecure::Always && !world.https {
        scope.findings.warning(
            "no-https",
            raw.secure.mark,
            "no listener has TLS and no proxy is trusted to say `https`, so no client sends these cookies back",
            "add a listener with `tls`, or name the load balancer in `server.trusted-proxies`",
        );
    }
    let around = Around {
        path: &raw.path,
        same_site: &raw.same_site,
        secure: &raw.secure,
        cookie: &raw.cookie,
    };
    let (cookie, csrf) = sessions::cookies(around, raw.csrf.as_ref().map(|csrf| &csrf.value), scope)?;
    let lifetime = material::whole_seconds("lifetime", &raw.lifetime, scope);
    let idle = material::whole_seconds("idle", &raw.idle, scope);
    if idle > lifetime {
        scope.error(
            "contradiction",
            raw.idle.mark,
            "`idle` is longer than `lifetime`",
            "idle ≤ lifetime",
        );
    }
    let provider = provider?;
    Some(RemoteSignInPlan {
        name: name.value.clone(),
        judge: world.providers.get(provider)?.judge,
        provider: ProviderRef::new(provider),
        redirect_uri: raw.redirect_uri.value.0.clone(),
        after: after.clone(),
        after_sign_out: raw.after_sign_out.as_ref().map(|url| url.value.0.clone()),
        begin: None,
        cookie,
        csrf,
        lifetime,
        idle,
        forwards_token: raw.forwards_token,
    })
}

fn absolute(at: &At<NonEmpty>, scope: &mut Scope<'_>) {
    let uri: Option<http::Uri> = at.value.0.parse().ok();
    let is_good = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("https" | "http"))
            && uri.authority().is_some()
            && !at.value.0.contains('#')
    });
    if !is_good {
        scope.error(
            "bad-value",
            at.mark,
            format!(
                "`{}` is not an absolute URL without a fragment",
                at.shown(&at.value.0)
            ),
            "write for example `https://portal.example.com/portal/callback`",
        );
    }
}

/// The sign-in that a credential or a target names.
pub(super) fn find(name: &At<String>, api: &RawApi, scope: &mut Scope<'_>) -> Option<SignInRef> {
    let index = api.sign_ins.0.iter().position(|(own, _)| own.value == name.value);
    if index.is_none() {
        let known: Vec<&str> = api.sign_ins.0.iter().map(|(own, _)| own.value.as_str()).collect();
        let hint = if known.is_empty() {
            "add `sign-ins: { NAME: { provider: …, redirect-uri: …, cookie: … } }` to the api".to_owned()
        } else {
            format!("there are {}", crate::config::suggest::list(known))
        };
        scope.error(
            "unknown-name",
            name.mark,
            format!("the api has no sign-in `{}`", name.shown(&name.value)),
            hint,
        );
    }
    index.map(SignInRef::new)
}

/// What is done about a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Begin,
    Finish,
    End,
}

pub(super) fn step(step: Step, name: &At<String>, here: Here<'_>, scope: &mut Scope<'_>) -> Option<OwnPlan> {
    let (get, post) = (Method::GET, Method::POST);
    let (title, callers, methods) = match step {
        Step::Begin => ("the beginning of a sign-in", Callers::Public, vec![get]),
        Step::Finish => ("the end of a sign-in", Callers::Public, vec![get]),
        // Whoever wants to leave may, also while nobody can say whether the session's token is good.
        Step::End => ("a sign-out", Callers::Public, vec![post]),
    };
    here.check(title, &callers, &methods, scope);
    let sign_in = find(name, &here.inherited.api.value, scope)?;
    Some(match step {
        Step::Begin => OwnPlan::BeginSignIn(sign_in),
        Step::Finish => OwnPlan::FinishSignIn(sign_in),
        Step::End => OwnPlan::EndSignIn(sign_in),
    })
}

/// Fills in where each sign-in begins, and looks whether it can come to its end.
pub(super) fn complete(
    raw: &RawApi,
    sign_ins: &mut [RemoteSignInPlan],
    routes: &[RoutePlan],
    scope: &mut Scope<'_>,
) {
    for (index, sign_in) in sign_ins.iter_mut().enumerate() {
        let own = SignInRef::new(index);
        let begins = routes
            .iter()
            .find(|route| matches!(route.target, TargetPlan::Own(OwnPlan::BeginSignIn(at)) if at == own));
        sign_in.begin = begins
            .filter(|route| !route.path.contains('{'))
            .map(|route| route.path.clone());
        let finish = routes
            .iter()
            .find(|route| matches!(route.target, TargetPlan::Own(OwnPlan::FinishSignIn(at)) if at == own));
        let Some((_, at)) = raw.sign_ins.0.iter().find(|(name, _)| name.value == sign_in.name) else {
            continue;
        };
        let back = sign_in
            .redirect_uri
            .parse::<http::Uri>()
            .map(|uri| uri.path().to_owned())
            .unwrap_or_default();
        match finish {
            None if scope.findings.errors() == 0 => scope.error(
                "contradiction",
                at.value.redirect_uri.mark,
                "the provider sends browsers back to this, and no route of the api takes them",
                format!(
                    "add `{{ path: {back}, methods: [GET], public: true, to: {{ finish-sign-in: {} }} }}`",
                    sign_in.name
                ),
            ),
            Some(route) if route.path != back => scope.error(
                "contradiction",
                at.value.redirect_uri.mark,
                format!(
                    "the provider sends browsers back to `{back}`, and they are taken at `{}`",
                    route.path
                ),
                "write the path of the route in the URL",
            ),
            Some(_) | None => {}
        }
    }
}

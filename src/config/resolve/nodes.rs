//! Targets about nodes: enrolment tokens, joining, and those that have joined.

use http::Method;

use super::answers;
use super::endpoints::{Callers, Here, inside};
use super::material;
use super::scope::Scope;
use crate::config::plan::{
    AccessPlan, EnrolField, EnrolPlan, EnrolmentField, EnrolmentTokensPlan, NodeField, NodeWords, NodesPlan,
    OwnPlan, TokenServicePlan,
};
use crate::config::raw::{RawEnrol, RawEnrolmentTokens, RawNodes};
use crate::config::read::At;
use crate::config::suggest;
use crate::config::text::ScopeName;
use crate::identity;

pub(super) fn tokens(at: &At<RawEnrolmentTokens>, here: Here<'_>, scope: &mut Scope<'_>) -> Option<OwnPlan> {
    let raw = &at.value;
    let has_id = here.route.value.path.value.0.contains("{id}");
    let methods: &[Method] = if has_id {
        &[Method::GET, Method::HEAD, Method::DELETE]
    } else {
        &[Method::GET, Method::HEAD, Method::POST]
    };
    here.check("the list of enrolment tokens", &Callers::Known, methods, scope);
    let found = here.service(&raw.service, scope);
    let scopes = scopes(&raw.scopes.0, found.and_then(|(_, plan)| plan), scope);
    let lifetime = material::whole_seconds("lifetime", &raw.lifetime, scope);
    let longest = match &raw.longest {
        Some(longest) => material::whole_seconds("longest", longest, scope),
        None => lifetime,
    };
    if longest < lifetime {
        scope.error(
            "contradiction",
            raw.lifetime.mark,
            "`lifetime` is longer than `longest`",
            "lifetime ≤ longest",
        );
    }
    let answer = answers::resolve(raw.answer.as_ref(), &[EnrolmentField::Token], scope);
    Some(OwnPlan::EnrolmentTokens(Box::new(EnrolmentTokensPlan {
        service: found?.0,
        scopes,
        lifetime,
        longest,
        token: raw.body.token.0.clone(),
        expires: raw.body.expires.0.clone(),
        metadata: raw.body.metadata.0.clone(),
        answer: answer?,
    })))
}

pub(super) fn enrol(at: &At<RawEnrol>, here: Here<'_>, scope: &mut Scope<'_>) -> Option<OwnPlan> {
    let raw = &at.value;
    here.check("the joining of a node", &Callers::Any, &[Method::POST], scope);
    let found = here.service(&raw.service, scope);
    match (here.access, &raw.token) {
        (AccessPlan::Public, None) if !scope.findings.is_damaged(at.mark) => scope.error(
            "contradiction",
            at.mark,
            "on a public route a node joins by an enrolment token, and nothing says where it stands",
            "write `token: /token`, or `access: {}` at the route so that the caller lets the node in",
        ),
        (AccessPlan::Required { .. }, Some(token)) => scope.error(
            "contradiction",
            token.mark,
            "the caller is known and lets the node in, so no enrolment token is read",
            "write `public: true` at the route, or remove `token`",
        ),
        (AccessPlan::Public | AccessPlan::Required { .. }, _) => {}
    }
    if let (Some(scopes), Some(_)) = (&raw.scopes, &raw.token) {
        scope.error(
            "contradiction",
            scopes.mark,
            "a node that joins by a token gets the scopes that the token was made with",
            "write `scopes` where enrolment tokens are made",
        );
    }
    let token = raw.token.as_ref().map(|at| inside(at, scope));
    let uuid = inside(&raw.uuid, scope);
    let named = raw.scopes.as_ref().map_or(&[][..], |at| at.value.0.as_slice());
    let scopes = scopes(named, found.and_then(|(_, plan)| plan), scope);
    let answer = answers::resolve(raw.answer.as_ref(), &[EnrolField::AccessToken], scope);
    Some(OwnPlan::Enrol(Box::new(EnrolPlan {
        service: found?.0,
        token,
        uuid,
        scopes,
        answer: answer?,
    })))
}

pub(super) fn nodes(at: &At<RawNodes>, here: Here<'_>, scope: &mut Scope<'_>) -> Option<OwnPlan> {
    let raw = &at.value;
    let methods: &[Method] = if here.route.value.path.value.0.contains("{uuid}") {
        &[Method::GET, Method::HEAD, Method::DELETE]
    } else {
        &[Method::GET, Method::HEAD]
    };
    here.check("the list of nodes", &Callers::Known, methods, scope);
    let found = here.service(&raw.service, scope);
    let connected_within = material::whole_seconds("connected-within", &raw.connected_within, scope);
    let answer = answers::resolve(raw.answer.as_ref(), &[NodeField::Status], scope);
    Some(OwnPlan::Nodes(Box::new(NodesPlan {
        service: found?.0,
        connected_within,
        words: NodeWords {
            connected: raw.words.connected.0.clone(),
            silent: raw.words.silent.0.clone(),
            unknown: raw.words.unknown.0.clone(),
        },
        answer: answer?,
    })))
}

/// Scopes that the service has.
fn scopes(
    named: &[At<ScopeName>],
    service: Option<&TokenServicePlan>,
    scope: &mut Scope<'_>,
) -> Vec<identity::Scope> {
    for at in named {
        if let Some(service) = service
            && !service.scopes.scopes().any(|known| *known == at.value.0)
        {
            let known: Vec<&str> = service.scopes.scopes().map(identity::Scope::as_str).collect();
            scope.error(
                "unknown-scope",
                at.mark,
                format!(
                    "the token service `{}` has no scope `{}`{}",
                    service.name,
                    at.value.0,
                    suggest::did_you_mean(at.value.0.as_str(), known.iter().copied())
                ),
                "add it to the service's `scopes`",
            );
        }
    }
    named.iter().map(|at| at.value.0.clone()).collect()
}

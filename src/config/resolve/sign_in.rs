//! The target that signs in: who may, what its body is, and what it gives.

use http::Method;

use super::answers;
use super::endpoints::{Callers, Here, inside};
use super::scope::Scope;
use crate::config::node::Mark;
use crate::config::plan::{
    ClientSource, LockoutKey, OwnPlan, RealmRef, SignInField, SignInFields, SignInGives, SignInPlan,
};
use crate::config::raw::{RawClientSource, RawGives, RawSignIn};
use crate::config::read::At;

pub(super) fn sign_in(at: &At<RawSignIn>, here: Here<'_>, scope: &mut Scope<'_>) -> Option<OwnPlan> {
    let raw = &at.value;
    here.check("a sign-in", &Callers::Public, &[Method::POST], scope);
    let realm = scope.realms.find(&raw.realm, scope.findings).map(RealmRef::new);
    let body = &raw.body.value;
    if body.json.is_none() && body.form.is_none() && !scope.findings.is_damaged(raw.body.mark) {
        scope.error(
            "one-of",
            raw.body.mark,
            "`body` says nothing of where name and password stand",
            "`json: {}` for `{\"username\": …, \"password\": …}`, `form: {}` for a form, or both",
        );
    }
    let json = body.json.as_ref().map(|fields| SignInFields {
        username: inside(&fields.username, scope),
        password: inside(&fields.password, scope),
        domain: fields.domain.as_ref().map(|at| inside(at, scope)),
        token: fields.token.as_ref().map(|at| inside(at, scope)),
    });
    let form = body.form.as_ref().map(|fields| SignInFields {
        username: fields.username.value.0.clone(),
        password: fields.password.value.0.clone(),
        domain: fields.domain.as_ref().map(|at| at.value.0.clone()),
        token: fields.token.as_ref().map(|at| at.value.0.clone()),
    });
    for (repeated, mark) in repeated(raw) {
        scope.error(
            "duplicate",
            mark,
            format!("`{repeated}` stands where something else of the sign-in does"),
            "each has a place of its own",
        );
    }
    unused_domain(raw, realm, here, scope);
    let gives = gives(&raw.gives, realm, here, scope);
    let needed: &[SignInField] = match &raw.gives.value {
        RawGives::Session => &[],
        RawGives::Token(_) => &[SignInField::Token],
    };
    let answer = answers::resolve(raw.answer.as_ref(), needed, scope);
    if let (Some(answer), Some(written)) = (&answer, &raw.answer) {
        let told = answer.json.fields();
        let csrf = here
            .inherited
            .api
            .value
            .session
            .as_ref()
            .is_some_and(|session| session.value.csrf.is_some());
        let nothing = match &raw.gives.value {
            RawGives::Session if told.contains(&SignInField::Token) => {
                Some("`{token}` is told, and this sign-in gives a session")
            }
            RawGives::Session if told.contains(&SignInField::Csrf) && !csrf => {
                Some("`{csrf}` is told, and the api's sessions have no `csrf`")
            }
            RawGives::Token(_) if told.contains(&SignInField::Csrf) => {
                Some("`{csrf}` is told, and this sign-in gives a token")
            }
            RawGives::Session | RawGives::Token(_) => None,
        };
        if let Some(message) = nothing {
            scope.error(
                "contradiction",
                written.mark,
                message,
                "it would always be left out: remove it",
            );
        }
    }
    Some(OwnPlan::SignIn(Box::new(SignInPlan {
        realm: realm?,
        client: raw
            .client
            .as_ref()
            .map(|RawClientSource::Query(name)| ClientSource::Query(name.0.clone())),
        json,
        form,
        roles: raw.roles.0.iter().map(|role| role.0.clone()).collect(),
        gives: gives?,
        answer: answer?,
    })))
}

/// Places that two things of a sign-in are said to have.
fn repeated(raw: &RawSignIn) -> Vec<(String, Mark)> {
    let mut found = Vec::new();
    if let Some(json) = &raw.body.value.json {
        let all = [
            Some(&json.username),
            Some(&json.password),
            json.domain.as_ref(),
            json.token.as_ref(),
        ];
        let places = all
            .into_iter()
            .flatten()
            .map(|at| (format!("/{}", at.value.0.join("/")), at.mark));
        twice(places, &mut found);
    }
    if let Some(form) = &raw.body.value.form {
        let all = [
            Some(&form.username),
            Some(&form.password),
            form.domain.as_ref(),
            form.token.as_ref(),
        ];
        let places = all.into_iter().flatten().map(|at| (at.value.0.clone(), at.mark));
        twice(places, &mut found);
    }
    found
}

fn twice(places: impl Iterator<Item = (String, Mark)>, found: &mut Vec<(String, Mark)>) {
    let mut seen: Vec<String> = Vec::new();
    for (place, mark) in places {
        if seen.contains(&place) {
            found.push((place, mark));
        } else {
            seen.push(place);
        }
    }
}

/// A domain that the realm does not count by means nothing.
fn unused_domain(raw: &RawSignIn, realm: Option<RealmRef>, here: Here<'_>, scope: &mut Scope<'_>) {
    let by_name = realm
        .and_then(|realm| here.world.realms.get(realm.index()))
        .is_some_and(|realm| realm.lockout.key == LockoutKey::User);
    let body = &raw.body.value;
    let marks = [
        body.json
            .as_ref()
            .and_then(|json| json.domain.as_ref().map(|at| at.mark)),
        body.form
            .as_ref()
            .and_then(|form| form.domain.as_ref().map(|at| at.mark)),
    ];
    if by_name {
        for mark in marks.into_iter().flatten() {
            scope.findings.warning(
                "no-effect",
                mark,
                format!("users of the realm `{}` are told apart by their names alone: the domain is not looked at", raw.realm.value),
                "write `lockout: { key: [domain, name] }` at the realm, or remove it",
            );
        }
    }
}

fn gives(
    at: &At<RawGives>,
    realm: Option<RealmRef>,
    here: Here<'_>,
    scope: &mut Scope<'_>,
) -> Option<SignInGives> {
    match &at.value {
        RawGives::Session => {
            here.needs_session(at.mark, realm, "this sign-in gives a session", scope);
            Some(SignInGives::Session)
        }
        RawGives::Token(name) => {
            let (service, plan) = here.service(name, scope)?;
            if let (Some(plan), Some(realm)) = (plan, realm)
                && plan.realm != realm
            {
                scope.error(
                    "contradiction",
                    name.mark,
                    format!(
                        "`{}` gives tokens to users of the realm `{}`, and these are of `{}`",
                        name.value,
                        here.realm_name(plan.realm),
                        here.realm_name(realm)
                    ),
                    "use one realm for both",
                );
            }
            Some(SignInGives::Token(service))
        }
    }
}

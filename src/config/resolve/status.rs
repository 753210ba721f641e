//! `to: { status: … }`: which services a status is about.

use http::Method;

use super::endpoints::{Callers, Here};
use super::scope::Scope;
use crate::config::plan::{BackendRef, OwnPlan, StatusPlan, StatusService};
use crate::config::raw::{RawStatus, RawStatusService};
use crate::config::read::At;

pub(super) fn resolve(at: &At<RawStatus>, here: Here<'_>, scope: &mut Scope<'_>) -> Option<OwnPlan> {
    here.check("the status", &Callers::Any, &[Method::GET, Method::HEAD], scope);
    let raw = &at.value;
    if raw.services.0.is_empty() && !scope.findings.is_damaged(at.mark) {
        scope.error(
            "empty-list",
            at.mark,
            "the status is about no service",
            "write `services: { NAME: { backend: BACKEND } }`",
        );
    }
    let services = raw.services.0.iter();
    let services = services
        .filter_map(|(name, service)| one(name, service, here, scope))
        .collect();
    Some(OwnPlan::Status(Box::new(StatusPlan {
        parameter: raw.parameter.value.0.clone(),
        services,
    })))
}

fn one(
    name: &At<String>,
    raw: &RawStatusService,
    here: Here<'_>,
    scope: &mut Scope<'_>,
) -> Option<StatusService> {
    let index = scope.backends.find(&raw.backend, scope.findings)?;
    let backend = here.world.backends.get(index)?;
    if backend.ready.is_none() && backend.fixed.is_none() {
        scope.error(
            "contradiction",
            raw.backend.mark,
            format!("nobody asks the backend `{}` whether it can work", backend.name),
            "add `ready: { path: /health }` to the backend",
        );
    }
    Some(StatusService {
        name: name.value.clone(),
        backend: BackendRef::new(index),
        metadata: raw.metadata.as_ref().map(|json| json.value.0.clone()),
    })
}

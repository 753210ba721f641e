//! `telemetry:`.

use super::material;
use super::scope::Scope;
use crate::config::plan::{AccessLogPlan, TelemetryPlan};
use crate::config::raw::RawTelemetry;

pub(super) fn resolve(raw: &RawTelemetry, scope: &mut Scope<'_>) -> TelemetryPlan {
    TelemetryPlan {
        access_log: raw.access_log.as_ref().map(|log| AccessLogPlan {
            // Not among the watched files: it changes with every request.
            file: log.file.as_ref().map(|file| material::written(file, scope)),
            query: log.query,
            redact: log.redact.iter().map(|name| name.0.clone()).collect(),
            queue: log.queue as usize,
        }),
        log_level: raw.log.level.0.clone(),
        log_json: raw.log.json,
    }
}

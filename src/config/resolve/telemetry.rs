//! `telemetry:`.

use std::path::{Path, PathBuf};

use super::scope::Scope;
use crate::config::plan::{AccessLogPlan, TelemetryPlan};
use crate::config::raw::RawTelemetry;
use crate::config::read::At;
use crate::config::text::FilePath;

pub(super) fn resolve(raw: &RawTelemetry, scope: &mut Scope<'_>) -> TelemetryPlan {
    TelemetryPlan {
        access_log: raw.access_log.as_ref().map(|log| AccessLogPlan {
            // Not among the watched files: it changes with every request.
            file: log.file.as_ref().map(|file| written(file, scope)),
            query: log.query,
            redact: log.redact.iter().map(|name| name.0.clone()).collect(),
            queue: log.queue as usize,
        }),
        log_level: raw.log.level.0.clone(),
        log_json: raw.log.json,
    }
}

/// A file that is made when it is missing; its folder is not.
fn written(file: &At<FilePath>, scope: &mut Scope<'_>) -> PathBuf {
    let path = scope.unwatched_path(file);
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    };
    if path.is_dir() {
        scope.error(
            "bad-file",
            file.mark,
            format!("`{}` is a directory", file.shown(path.display())),
            "name the file in it",
        );
    } else if !folder.is_dir() {
        scope.error(
            "folder-missing",
            file.mark,
            format!("the folder of `{}` is not there", file.shown(path.display())),
            "make it, so that the gateway's user can write to it",
        );
    }
    path
}

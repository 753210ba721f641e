//! `tollgate run`: the gateway as a process. Signals and changed files.

use std::path::Path;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::{Gateway, Options, StartError};
use crate::config;
use crate::config::diagnostic::Diagnostic;
use crate::config::plan::Plan;
use crate::config::watch::Watch;
use crate::telemetry::logging::Logging;

/// How often the configuration's files are looked at. A ConfigMap takes a minute to arrive; two seconds add little.
const LOOK: Duration = Duration::from_secs(2);

/// Runs the gateway of `file` until SIGTERM or SIGINT has drained it. SIGHUP or a changed file reloads; a second signal to
/// end ends at once. `environment` resolves `${NAME}`; `report` is told of diagnostics of a refused reload;
/// a reload sets the filter of `logging`.
///
/// # Errors
/// [`StartError`] when it does not start.
pub async fn run(
    file: &Path,
    plan: Plan,
    environment: &(dyn Fn(&str) -> Option<String> + Sync),
    report: &(dyn Fn(&[Diagnostic]) + Sync),
    logging: &Logging,
) -> Result<(), StartError> {
    let mut watch = Watch::new(plan.files.clone());
    let gateway = Gateway::start(plan, Options::default()).await?;
    logging.count_in(gateway.metrics_registry());
    announce(&gateway);
    let signals = |kind| signal(kind).map_err(|cause| StartError::Threads { cause });
    let mut reload = signals(SignalKind::hangup())?;
    let mut terminate = signals(SignalKind::terminate())?;
    let mut interrupt = signals(SignalKind::interrupt())?;
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let asked = tokio::select! {
            _ = reload.recv() => {
                // Also when the configuration is refused: whoever rotates logs sends this signal.
                gateway.reopen_log();
                true
            }
            _ = look.tick() => watch.changed(),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        };
        if asked {
            match config::load(file, environment) {
                Ok(plan) => {
                    watch.follow(plan.files.clone());
                    let level = plan.telemetry.log_level.clone();
                    if take(&gateway, plan).await
                        && let Err(error) = logging.set_level(&level)
                    {
                        tracing::error!(%error, "the log filter stays as it was");
                    }
                }
                Err(diagnostics) => {
                    gateway.note_unreadable_configuration();
                    tracing::error!(
                        errors = diagnostics.len(),
                        "configuration refused; the old one stays in force"
                    );
                    report(&diagnostics);
                }
            }
        }
    }
    tokio::select! {
        drained = gateway.drain() => {
            tracing::info!(cut_connections = drained.cut, cut_requests = drained.requests, "stopped");
        }
        _ = terminate.recv() => gateway.stop(),
        _ = interrupt.recv() => gateway.stop(),
    }
    Ok(())
}

async fn take(gateway: &Gateway, plan: Plan) -> bool {
    match gateway.reload(plan).await {
        Ok(()) => tracing::info!("configuration reloaded"),
        Err(error) => {
            tracing::error!(%error, "configuration refused; the old one stays in force");
            return false;
        }
    }
    true
}

fn announce(gateway: &Gateway) {
    if let Some(address) = gateway.admin_address() {
        tracing::info!(%address, "admin listens");
    }
    for address in gateway.addresses() {
        tracing::info!(%address, "serving");
    }
}

//! What a running gateway cannot change.

use super::plan::{AccessLogPlan, ListenerMode, ListenerPlan, Plan, StorePlan, Workers};

/// What of `new` cannot take effect before a restart, as sentences. Empty: everything can.
pub fn restart_needed(old: &Plan, new: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    if old.server.workers != new.server.workers {
        found.push(format!(
            "`server.workers` changes from {} to {}",
            workers(old.server.workers),
            workers(new.server.workers)
        ));
    }
    let listeners = |plan: &Plan| plan.listeners.iter().map(listener).collect::<Vec<_>>();
    let (before, after) = (listeners(old), listeners(new));
    if before != after {
        found.push(format!(
            "`listeners` change from {} to {}",
            list(&before),
            list(&after)
        ));
    }
    let admin = |plan: &Plan| {
        plan.admin
            .map_or_else(|| "none".to_owned(), |admin| admin.address.to_string())
    };
    if admin(old) != admin(new) {
        found.push(format!(
            "the address of `admin` changes from {} to {}",
            admin(old),
            admin(new)
        ));
    } else if old.admin != new.admin {
        found.push("`admin.token` changes".to_owned());
    }
    if old.telemetry.access_log != new.telemetry.access_log {
        found.push(format!(
            "`telemetry.access-log` changes: {}",
            access_log(
                old.telemetry.access_log.as_ref(),
                new.telemetry.access_log.as_ref()
            )
        ));
    }
    // Without realms no store is open, and any may be opened.
    if old.store != new.store && old.needs_store() && new.needs_store() {
        found.push(format!(
            "`store` changes from {} to {}",
            store(&old.store),
            store(&new.store)
        ));
    }
    found
}

fn store(store: &StorePlan) -> String {
    match store {
        StorePlan::Memory => "memory".to_owned(),
        StorePlan::Sqlite { path } => path.display().to_string(),
    }
}

/// Where it listens and what is spoken there. Certificates and authorities are not named: those change at a reload.
fn listener(listener: &ListenerPlan) -> String {
    let mode = match &listener.mode {
        ListenerMode::Plain => "plain".to_owned(),
        ListenerMode::Tls(_) => "TLS".to_owned(),
        ListenerMode::RedirectToHttps { port: None } => "redirect".to_owned(),
        ListenerMode::RedirectToHttps { port: Some(port) } => format!("redirect to port {port}"),
    };
    format!("{} ({mode})", listener.address)
}

/// What of it changes, as a list of keys. The log is opened once; what it redacts belongs to it.
fn access_log(old: Option<&AccessLogPlan>, new: Option<&AccessLogPlan>) -> String {
    let (old, new) = match (old, new) {
        (Some(old), Some(new)) => (old, new),
        (Some(_), None) => return "it is switched off".to_owned(),
        (None, _) => return "it is switched on".to_owned(),
    };
    let changes = [
        ("`file`", old.file != new.file),
        ("`query`", old.query != new.query),
        ("`redact`", old.redact != new.redact),
        ("`queue`", old.queue != new.queue),
    ];
    let keys: Vec<&str> = changes
        .into_iter()
        .filter_map(|(key, changed)| changed.then_some(key))
        .collect();
    keys.join(", ")
}

fn list(addresses: &[String]) -> String {
    if addresses.is_empty() {
        "none".to_owned()
    } else {
        addresses.join(", ")
    }
}

fn workers(workers: Workers) -> String {
    match workers {
        Workers::Sharded(0) => "sharded, one a core".to_owned(),
        Workers::Sharded(count) => format!("{count} sharded"),
        Workers::Stealing(0) => "stealing, one a core".to_owned(),
        Workers::Stealing(count) => format!("{count} stealing"),
    }
}

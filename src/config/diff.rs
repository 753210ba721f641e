//! What a running gateway cannot change.

use super::plan::{ListenerPlan, Plan, Workers};

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
    let addresses = |plan: &Plan| plan.listeners.iter().map(address).collect::<Vec<_>>();
    let (before, after) = (addresses(old), addresses(new));
    if before != after {
        found.push(format!(
            "the addresses of `listeners` change from {} to {}",
            list(&before),
            list(&after)
        ));
    }
    let admin = |plan: &Plan| {
        plan.admin
            .map_or_else(|| "none".to_owned(), |admin| admin.address.to_string())
    };
    if old.admin != new.admin {
        found.push(format!(
            "the address of `admin` changes from {} to {}",
            admin(old),
            admin(new)
        ));
    }
    found
}

fn address(listener: &ListenerPlan) -> String {
    listener.address.to_string()
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

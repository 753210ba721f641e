//! `listeners:`, `admin:` and `regions:`: where clients come in.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::material;
use super::scope::Scope;
use crate::config::node::Mark;
use crate::config::plan::{
    AdminPlan, CertificatePlan, ClientCertificates, ListenerMode, ListenerPlan, RegionPlan, TlsPlan,
};
use crate::config::raw::{RawAdmin, RawCertificate, RawClients, RawListener, RawRegion, RawTls};
use crate::config::read::{At, Named};
use crate::identity::RegionName;

pub(super) fn resolve(raw: &[At<RawListener>], scope: &mut Scope<'_>) -> Vec<ListenerPlan> {
    let mut seen: HashMap<SocketAddr, Mark> = HashMap::new();
    raw.iter()
        .map(|listener| one(listener, &mut seen, scope))
        .collect()
}

fn one(raw: &At<RawListener>, seen: &mut HashMap<SocketAddr, Mark>, scope: &mut Scope<'_>) -> ListenerPlan {
    let address = raw.value.address.value.0;
    let mark = raw.value.address.mark;
    // Port 0 is a port that the system chooses, a new one each time.
    if address.port() != 0 {
        if let Some(first) = seen.get(&address) {
            let message = format!("two listeners on `{address}`");
            let hint = format!("the first is at {}", scope.other_place(mark, *first));
            scope.error("duplicate-address", mark, message, hint);
        }
        seen.insert(address, mark);
    }
    if let Some(port) = &raw.value.redirect_port
        && raw.value.redirect.is_none()
    {
        scope.error(
            "contradiction",
            port.mark,
            "`redirect-port` without `redirect`",
            "add `redirect: https`",
        );
    }
    let mode = match (&raw.value.tls, &raw.value.redirect) {
        (None, None) => ListenerMode::Plain,
        (Some(tls), None) => ListenerMode::Tls(tls_plan(tls, scope)),
        (None, Some(_)) => ListenerMode::RedirectToHttps {
            port: raw
                .value
                .redirect_port
                .as_ref()
                .map(|port| port.value)
                .filter(|port| *port != 443),
        },
        (Some(tls), Some(redirect)) => {
            // Looked at all the same: what else is wrong with it is said in this run.
            let _ = tls_plan(tls, scope);
            scope.error(
                "contradiction",
                redirect.mark,
                "a listener with `tls` cannot redirect to HTTPS: it is HTTPS",
                "give the redirect a listener of its own, without `tls`",
            );
            ListenerMode::Plain
        }
    };
    ListenerPlan { address, mode }
}

fn tls_plan(raw: &At<RawTls>, scope: &mut Scope<'_>) -> TlsPlan {
    let mut certificates = Vec::new();
    match (&raw.value.certificate, &raw.value.key) {
        (Some(chain), Some(key)) => {
            certificates.push(certificate(
                &RawCertificate {
                    certificate: chain.clone(),
                    key: key.clone(),
                },
                scope,
            ));
        }
        (Some(_), None) | (None, Some(_)) if scope.findings.is_damaged(raw.mark) => {}
        (Some(chain), None) => {
            scope.error(
                "missing-key",
                chain.mark,
                "a `certificate` without its `key`",
                "add `key: FILE`",
            );
        }
        (None, Some(key)) => {
            scope.error(
                "missing-key",
                key.mark,
                "a `key` without its `certificate`",
                "add `certificate: FILE`",
            );
        }
        (None, None) if raw.value.certificates.is_empty() && !scope.findings.is_damaged(raw.mark) => {
            scope.error(
                "missing-key",
                raw.mark,
                "`tls` has no certificate",
                "add `certificate: FILE` and `key: FILE`; `tollgate dev-cert` makes a pair for a trial",
            );
        }
        (None, None) => {}
    }
    certificates.extend(raw.value.certificates.iter().map(|pair| certificate(pair, scope)));
    let clients = match &raw.value.clients {
        None => ClientCertificates::No,
        Some(RawClients::Optional(ca)) => ClientCertificates::Optional {
            ca: material::certificates(ca, scope),
        },
        Some(RawClients::Required(ca)) => ClientCertificates::Required {
            ca: material::certificates(ca, scope),
        },
    };
    TlsPlan {
        certificates,
        clients,
    }
}

pub(super) fn certificate(raw: &RawCertificate, scope: &mut Scope<'_>) -> CertificatePlan {
    CertificatePlan {
        chain: material::certificates(&raw.certificate, scope),
        key: material::private_key(&raw.key, scope),
    }
}

pub(super) fn admin(
    raw: Option<&RawAdmin>,
    listeners: &[ListenerPlan],
    scope: &mut Scope<'_>,
) -> Option<AdminPlan> {
    let raw = raw?;
    let address = raw.address.value.0;
    if address.port() != 0 && listeners.iter().any(|listener| listener.address == address) {
        scope.error(
            "duplicate-address",
            raw.address.mark,
            format!("the admin listener and a listener for clients share `{address}`"),
            "give the admin listener an address that clients do not reach",
        );
    }
    Some(AdminPlan {
        address,
        token: raw
            .token
            .as_ref()
            .and_then(|token| super::accounts::client_secret(token, scope)),
    })
}

pub(super) fn regions(raw: &Named<RawRegion>, scope: &mut Scope<'_>) -> Vec<RegionPlan> {
    let mut doors: HashMap<String, Mark> = HashMap::new();
    raw.0
        .iter()
        .filter_map(|(name, region)| {
            let mut hosts = Vec::new();
            for host in &region.hosts {
                if let Some(first) = doors.get(&host.value.0) {
                    let message = format!("`{}` is the door of two regions", host.value.0);
                    let hint = format!("it stands at {} too", scope.other_place(host.mark, *first));
                    scope.error("duplicate-host", host.mark, message, hint);
                } else {
                    doors.insert(host.value.0.clone(), host.mark);
                }
                hosts.push(host.value.0.clone());
            }
            let name = material::name::<RegionName>(name, "region", scope)?;
            Some(RegionPlan { name, hosts })
        })
        .collect()
}

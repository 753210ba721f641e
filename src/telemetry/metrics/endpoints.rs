//! The endpoints of backends. Their pools count for themselves, by worker; a scrape reads the counts here.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::registry::NONE;
use super::table::Families;

/// What the pools say of one address of an endpoint: sums over all workers, from when the pool was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointReading {
    /// The backend's name.
    pub backend: String,
    /// The region's name, if the endpoint belongs to one.
    pub region: Option<String>,
    /// `host:port` as configured.
    pub endpoint: String,
    /// The address.
    pub address: SocketAddr,
    /// Connections opened.
    pub connects: u64,
    /// Connections that could not be opened.
    pub connect_failures: u64,
    /// Requests sent on a connection that was open already.
    pub reuses: u64,
    /// Requests sent a second time.
    pub retries: u64,
    /// Times that it was set aside.
    pub set_asides: u64,
    /// Requests not answered whole yet.
    pub in_flight: u64,
    /// Connections kept.
    pub pooled: u64,
    /// Is it set aside now?
    pub is_aside: bool,
}

/// What the readiness check says of one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyReading {
    /// The backend's name.
    pub backend: String,
    /// The region's name, if the endpoint belongs to one.
    pub region: Option<String>,
    /// `host:port` as configured.
    pub endpoint: String,
    /// Can it work?
    pub is_ready: bool,
}

/// Writes all readings of now; what is not among them is gone.
pub(super) fn write_ready(families: &Families, readings: &[ReadyReading]) {
    families.upstream_ready.clear();
    for reading in readings {
        let region = reading.region.as_deref().unwrap_or(NONE);
        let labels = [reading.backend.as_str(), region, reading.endpoint.as_str()];
        let is_ready = if reading.is_ready { 1.0 } else { 0.0 };
        families.upstream_ready.cell(&labels).set(is_ready);
    }
}

/// Which address of which endpoint.
type Place = (String, Option<String>, String, SocketAddr);

/// The last readings. An endpoint's counters are the sum of what was *added* at each of its addresses, so they never go
/// back when a name gets other addresses.
#[derive(Default)]
pub(super) struct Endpoints {
    last: HashMap<Place, EndpointReading>,
}

impl Endpoints {
    /// Takes all readings of now; what is not among them is gone.
    pub(super) fn take(&mut self, families: &Families, readings: &[EndpointReading]) {
        families.upstream_in_flight.clear();
        families.upstream_pooled.clear();
        families.upstream_addresses.clear();
        families.upstream_aside.clear();
        let mut now = HashMap::with_capacity(readings.len());
        for reading in readings {
            let place = (
                reading.backend.clone(),
                reading.region.clone(),
                reading.endpoint.clone(),
                reading.address,
            );
            let before = self.last.get(&place);
            let added = |count: fn(&EndpointReading) -> u64| {
                let (new, old) = (count(reading), before.map_or(0, count));
                // Less than before: the pool was made anew, and all that it counted is new.
                new.checked_sub(old).unwrap_or(new)
            };
            let region = reading.region.as_deref().unwrap_or(NONE);
            let labels = [reading.backend.as_str(), region, reading.endpoint.as_str()];
            let connects = added(|reading| reading.connects);
            // Each connection was opened for a request.
            let attempts = connects + added(|reading| reading.reuses);
            families.upstream_attempts.cell(&labels).add(attempts);
            families.upstream_connects.cell(&labels).add(connects);
            families
                .upstream_connect_failures
                .cell(&labels)
                .add(added(|reading| reading.connect_failures));
            families
                .upstream_retries
                .cell(&labels)
                .add(added(|reading| reading.retries));
            families
                .upstream_set_asides
                .cell(&labels)
                .add(added(|reading| reading.set_asides));
            for (family, more) in [
                (&families.upstream_in_flight, reading.in_flight),
                (&families.upstream_pooled, reading.pooled),
                (&families.upstream_addresses, 1),
                (&families.upstream_aside, u64::from(reading.is_aside)),
            ] {
                let gauge = family.cell(&labels);
                gauge.set(gauge.value() + more as f64);
            }
            now.insert(place, reading.clone());
        }
        self.last = now;
    }
}

//! Host names to socket addresses, through the system's resolver.
//!
//! The system's resolver honours `nsswitch`, search lists and `ndots`, as clusters expect. It says nothing of lifetimes,
//! so whoever asks repeats the question in an interval of its own.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The address that `host` spells, if it is no name. An IPv6 address comes without brackets.
pub fn literal(host: &str, port: u16) -> Option<SocketAddr> {
    host.parse::<IpAddr>()
        .ok()
        .map(|address| SocketAddr::new(address, port))
}

/// All addresses of `host`, sorted and each once, so that two lookups with the same outcome compare equal.
///
/// # Errors
/// The resolver's error; `TimedOut` after `within`; `NotFound` when the name has no address. A lookup that timed out
/// goes on in the system's resolver thread; its outcome is dropped.
pub async fn addresses(host: &str, port: u16, within: Duration) -> io::Result<Vec<SocketAddr>> {
    if let Some(address) = literal(host, port) {
        return Ok(vec![address]);
    }
    let found = tokio::time::timeout(within, tokio::net::lookup_host((host, port)))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the name was not resolved in time"))??;
    let mut addresses: Vec<SocketAddr> = found.collect();
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_literal_address_needs_no_resolver() {
        let found = addresses("::1", 80, Duration::ZERO).await.unwrap();
        assert_eq!(found, ["[::1]:80".parse().unwrap()]);
        assert_eq!(literal("localhost", 80), None);
    }

    #[tokio::test]
    async fn every_address_of_a_name_is_given_once() {
        let found = addresses("localhost", 80, Duration::from_secs(5)).await.unwrap();
        let mut once = found.clone();
        once.dedup();
        assert_eq!(found, once);
        assert!(
            found
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() == 80)
        );
    }
}

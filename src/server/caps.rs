//! How many connections there may be, in all and from one address.
//!
//! Counted from accept, so that unfinished handshakes count. Trusted proxies are exempt from the cap per address, else
//! a load balancer in front would be cut off; they count in the total.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Why a connection is closed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The total is reached.
    Total,
    /// This address has its share.
    Address,
}

impl Full {
    /// Its name as a metric label.
    pub fn reason(self) -> &'static str {
        match self {
            Full::Total => "cap",
            Full::Address => "address_cap",
        }
    }
}

/// The caps and the counts.
#[derive(Debug)]
pub struct Caps {
    open: AtomicUsize,
    total: AtomicUsize,
    per_address: AtomicUsize,
    /// Bounded by the total: an entry goes with its last connection.
    addresses: Mutex<HashMap<Prefix, usize, foldhash::fast::RandomState>>,
}

/// Who shares a count: an IPv4 address, or an IPv6 /64, which is what one customer of a network gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Prefix {
    V4(u32),
    V6(u64),
}

impl Prefix {
    fn of(address: IpAddr) -> Prefix {
        match address.to_canonical() {
            IpAddr::V4(address) => Prefix::V4(address.to_bits()),
            IpAddr::V6(address) => Prefix::V6(u64::try_from(address.to_bits() >> 64).unwrap_or(0)),
        }
    }
}

impl Caps {
    /// Caps of `total` connections, and `per_address` from one address.
    pub fn new(total: usize, per_address: usize) -> Arc<Caps> {
        Arc::new(Caps {
            open: AtomicUsize::new(0),
            total: AtomicUsize::new(total),
            per_address: AtomicUsize::new(per_address),
            addresses: Mutex::default(),
        })
    }

    /// New caps. Connections above them stay.
    pub fn change(&self, total: usize, per_address: usize) {
        self.total.store(total, Relaxed);
        self.per_address.store(per_address, Relaxed);
    }

    /// Connections that hold a ticket.
    pub fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// A ticket for a connection from `address`; it gives its place back when dropped.
    ///
    /// # Errors
    /// [`Full`], when there is no place.
    pub fn enter(self: &Arc<Caps>, address: IpAddr, share: Share) -> Result<Ticket, Full> {
        if self.open.fetch_add(1, AcqRel) >= self.total.load(Relaxed) {
            self.open.fetch_sub(1, AcqRel);
            return Err(Full::Total);
        }
        let mut ticket = Ticket {
            caps: Arc::clone(self),
            prefix: None,
        };
        match share {
            Share::Exempt => {}
            Share::Counted => {
                let prefix = Prefix::of(address);
                let mut addresses = self.addresses();
                let count = addresses.entry(prefix).or_insert(0);
                if *count >= self.per_address.load(Relaxed) {
                    if *count == 0 {
                        addresses.remove(&prefix);
                    }
                    return Err(Full::Address);
                }
                *count += 1;
                ticket.prefix = Some(prefix);
            }
        }
        Ok(ticket)
    }

    /// The table stays whole if a thread panicked while it held the lock: a count is changed in one step.
    fn addresses(&self) -> MutexGuard<'_, HashMap<Prefix, usize, foldhash::fast::RandomState>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the cap per address holds for an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// It does.
    Counted,
    /// It is a trusted proxy's.
    Exempt,
}

/// A place among the connections.
#[derive(Debug)]
pub struct Ticket {
    caps: Arc<Caps>,
    prefix: Option<Prefix>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.caps.open.fetch_sub(1, AcqRel);
        if let Some(prefix) = self.prefix {
            let mut addresses = self.caps.addresses();
            if let Some(count) = addresses.get_mut(&prefix) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    addresses.remove(&prefix);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_gets_its_share_and_another_one_its_own() {
        let caps = Caps::new(100, 2);
        let first = caps.enter(address("192.0.2.1"), Share::Counted).unwrap();
        let _second = caps.enter(address("192.0.2.1"), Share::Counted).unwrap();
        assert_eq!(
            caps.enter(address("192.0.2.1"), Share::Counted).unwrap_err(),
            Full::Address
        );
        assert_eq!(
            caps.enter(address("::ffff:192.0.2.1"), Share::Counted)
                .unwrap_err(),
            Full::Address
        );
        caps.enter(address("192.0.2.2"), Share::Counted).unwrap();
        drop(first);
        caps.enter(address("192.0.2.1"), Share::Counted).unwrap();
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_address() {
        let caps = Caps::new(100, 1);
        let _one = caps.enter(address("2001:db8::1"), Share::Counted).unwrap();
        assert_eq!(
            caps.enter(address("2001:db8::2:3"), Share::Counted).unwrap_err(),
            Full::Address
        );
        caps.enter(address("2001:db8:0:1::1"), Share::Counted).unwrap();
    }

    #[test]
    fn a_trusted_proxy_counts_in_the_total_only() {
        let caps = Caps::new(3, 1);
        let tickets: Vec<_> = (0..3)
            .map(|_| caps.enter(address("10.0.0.1"), Share::Exempt).unwrap())
            .collect();
        assert_eq!(
            caps.enter(address("10.0.0.1"), Share::Exempt).unwrap_err(),
            Full::Total
        );
        drop(tickets);
        assert_eq!(caps.open(), 0);
    }

    #[test]
    fn a_refused_connection_leaves_no_trace() {
        let caps = Caps::new(1, 0);
        assert_eq!(
            caps.enter(address("192.0.2.1"), Share::Counted).unwrap_err(),
            Full::Address
        );
        assert_eq!(caps.open(), 0);
        assert!(caps.addresses().is_empty());
    }
}

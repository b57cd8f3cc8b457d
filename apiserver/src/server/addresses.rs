//! How many connections an address holds, front proxies apart.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The bits of an IPv6 address that a network has; a host chooses the others as it likes.
const IPV6_NETWORK_BITS: u32 = 64;

/// Counts connections by where they come from.
#[derive(Debug)]
pub(super) struct Addresses {
    held: Arc<Mutex<HashMap<IpAddr, usize>>>,
    each_max: usize,
}

/// A connection that counts until this is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    held: Arc<Mutex<HashMap<IpAddr, usize>>>,
    source: IpAddr,
}

impl Addresses {
    /// None holds more than `each_max`.
    pub(super) fn new(each_max: usize) -> Self {
        Self { held: Arc::default(), each_max }
    }

    /// Counts a connection; none if its address holds as many as it may.
    pub(super) fn count(&self, address: IpAddr) -> Option<Counted> {
        let source = source(address);
        let mut held = locked(&self.held);
        let count = held.entry(source).or_default();
        if *count >= self.each_max {
            return None;
        }
        *count += 1;
        drop(held);
        Some(Counted { held: Arc::clone(&self.held), source })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut held = locked(&self.held);
        if let Some(count) = held.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.source);
            }
        }
    }
}

/// What counts as one address.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> (u128::BITS - IPV6_NETWORK_BITS) << (u128::BITS - IPV6_NETWORK_BITS);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// Nothing panics while it holds the lock.
fn locked(held: &Mutex<HashMap<IpAddr, usize>>) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_so_many_connections_and_no_more() {
        let addresses = Addresses::new(2);
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        let (first, second) = (addresses.count(one), addresses.count("::ffff:192.0.2.1".parse().unwrap()));
        assert!(first.is_some() && second.is_some());
        assert!(addresses.count(one).is_none());
        assert!(addresses.count("192.0.2.2".parse().unwrap()).is_some());
        drop(second);
        assert!(addresses.count(one).is_some());
        drop(first);
        assert!(locked(&addresses.held).is_empty(), "addresses without connections are kept");
    }

    #[test]
    fn the_hosts_of_a_network_of_ipv6_are_one() {
        let addresses = Addresses::new(1);
        let _held = addresses.count("2001:db8::1".parse().unwrap()).unwrap();
        assert!(addresses.count("2001:db8::2".parse().unwrap()).is_none());
        assert!(addresses.count("2001:db8:0:1::1".parse().unwrap()).is_some());
    }
}

//! The host's own addresses: no guest may claim one.
//!
//! The kernel side reserves what the host asks for by DAD before any guest hears of it; the addresses that
//! rtnetlink tells of are the truth in the end.

use std::collections::BTreeSet;

use netmon_common::abi::{BindingKey, Holder, Reserved};
use tracing::warn;

use super::Ports;
use crate::links::HostAddress;

impl Ports {
    /// The host has this address.
    pub fn reserve(&mut self, address: HostAddress) {
        let reserved = Reserved {
            interface: address.index,
            holder: Holder::Host.number(),
            ..Reserved::default()
        };
        match self.maps.reserve(&self.reserved_key(address), reserved) {
            Ok(()) => self.unreserved = false,
            // Once, and not for each address that does not fit.
            Err(error) if !self.unreserved => {
                self.unreserved = true;
                warn!("{}%{}: not reserved: {error}", address.address, address.index);
            }
            Err(_) => {}
        }
    }

    /// The host has it no more.
    pub fn unreserve(&mut self, address: HostAddress) {
        let key = self.reserved_key(address);
        self.maps.unreserve(&key);
    }

    /// What was reserved at some time before [`reserve_all`](Self::reserve_all)'s addresses were read.
    pub fn reserved(&self) -> Vec<BindingKey> {
        self.maps.reserved().unwrap_or_else(|error| {
            warn!("{error}");
            Vec::new()
        })
    }

    /// These are all addresses of the host. What is in `before`, and not among them, the host has given up.
    pub fn reserve_all(&mut self, before: Vec<BindingKey>, addresses: &[HostAddress]) {
        let keys: BTreeSet<BindingKey> =
            addresses.iter().map(|address| self.reserved_key(*address)).collect();
        for key in before.iter().filter(|key| !keys.contains(key)) {
            self.maps.unreserve(key);
        }
        let before: BTreeSet<BindingKey> = before.into_iter().collect();
        for address in addresses {
            if !before.contains(&self.reserved_key(*address)) {
                self.reserve(*address);
            }
        }
    }

    /// The broadcast domain of a TAP in a bridge is the bridge's.
    fn reserved_key(&self, address: HostAddress) -> BindingKey {
        let link = self.taps.get(&address.index).map_or(address.index, |tap| tap.link);
        BindingKey::new(link, address.address.octets())
    }
}

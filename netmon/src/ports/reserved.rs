//! Carries out what [`crate::reservations`] decides: no guest may have an address or a MAC that is another's.
//!
//! The kernel side enters what the host asks for by DAD, and what it hears of a link's members, before any guest
//! hears of it; what rtnetlink tells of is the truth in the end.

use std::collections::BTreeMap;

use netmon_common::{
    Mac,
    abi::{Binding, BindingKey, Holder, MacHolder, MacKey, Reserved, State},
    claim,
};
use tracing::warn;

use super::Ports;
use crate::{
    kernel::maps::MapsError,
    links::HostAddress,
    reservations::{Step, Wanted, address_key, address_step, mac_step},
    time::Moment,
    topology::Topology,
};

/// What the tables had at some time.
#[derive(Debug, Default)]
pub struct Before {
    addresses: BTreeMap<BindingKey, Reserved>,
    macs: BTreeMap<MacKey, MacHolder>,
}

impl Ports {
    /// The host has this address.
    pub fn reserve(&mut self, topology: &Topology, address: HostAddress) {
        let reserved = Reserved {
            interface: address.index,
            holder: Holder::Host.number(),
            is_tentative: u8::from(address.is_tentative),
            ..Reserved::default()
        };
        let key = address_key(topology.link(address.index), address.address);
        let result = self.maps.reserve(&key, reserved);
        self.note(result);
        self.evict(&key);
    }

    /// The host has it no more.
    pub fn unreserve(&mut self, topology: &Topology, address: HostAddress) {
        let key = address_key(topology.link(address.index), address.address);
        self.maps.unreserve(&key);
    }

    /// What was entered at some time before [`reserve_all`](Self::reserve_all)'s facts were read.
    pub fn reserved(&self) -> Before {
        let (addresses, macs) = (self.maps.reservations(), self.maps.macs());
        let failed = |error: &MapsError| warn!("{error}");
        Before {
            addresses: addresses.inspect_err(failed).unwrap_or_default().into_iter().collect(),
            macs: macs.inspect_err(failed).unwrap_or_default().into_iter().collect(),
        }
    }

    /// Makes the tables what they should be. What has come since `before` stays.
    pub fn reserve_all(&mut self, before: &Before, wanted: &Wanted, now: Moment) {
        for (key, reserved) in &before.addresses {
            // What a guest has claimed, and a member then said it has.
            let is_anothers = |held: &Binding| held.state != State::Valid.number();
            if reserved.is_tentative == 0
                && self.maps.binding(key).is_some_and(|held| is_anothers(&held))
            {
                self.evict(key);
            }
        }
        for key in before.addresses.keys().filter(|key| !wanted.addresses.contains_key(key)) {
            if address_step(before.addresses.get(key), None, now) == Step::Remove {
                self.maps.unreserve(key);
            }
        }
        for (key, reserved) in &wanted.addresses {
            if address_step(before.addresses.get(key), Some(reserved), now) != Step::Write {
                continue;
            }
            let is_member = reserved.holder == Holder::Member.number();
            // A guest that was first keeps it.
            if is_member && self.maps.binding(key).is_some() {
                continue;
            }
            let result = self.maps.reserve(key, *reserved);
            self.note(result);
            if !is_member {
                self.evict(key);
            }
        }
        for key in before.macs.keys().filter(|key| !wanted.macs.contains_key(key)) {
            if self.mac_step(key, before.macs.get(key), None, now) == Step::Remove {
                self.maps.release_mac(key);
            }
        }
        for (key, holder) in &wanted.macs {
            if self.mac_step(key, before.macs.get(key), Some(*holder), now) == Step::Write {
                let seen = now.nanos();
                let entry = MacHolder { seen, holder: holder.number(), ..MacHolder::default() };
                let result = self.maps.hold_mac(key, entry);
                self.note(result);
            }
        }
    }

    fn mac_step(
        &self,
        key: &MacKey,
        there: Option<&MacHolder>,
        wanted: Option<Holder>,
        now: Moment,
    ) -> Step {
        let is_live = there.filter(|there| there.port != 0).is_some_and(|there| {
            let held = self.maps.policy(there.port).zip(self.maps.state(there.port));
            held.is_some_and(|(policy, state)| {
                (policy.link, policy.vlan) == (key.link, key.vlan)
                    && claim::has_mac(&policy, &state, Mac::from_bits(key.mac))
            })
        });
        mac_step(there, wanted, is_live, now)
    }

    /// A guest that holds what is now known to be another's loses it.
    fn evict(&mut self, key: &BindingKey) {
        if let Some(binding) = self.maps.binding(key) {
            self.remove_bindings(&[(*key, binding)]);
        }
    }

    /// Says once, and not for each entry, that a table is full.
    fn note(&mut self, result: Result<(), MapsError>) {
        match result {
            Ok(()) => self.unreserved = false,
            Err(error) if !self.unreserved => {
                self.unreserved = true;
                warn!("not all that others have is kept from the guests: {error}");
            }
            Err(_) => {}
        }
    }
}

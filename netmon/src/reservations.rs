//! Which addresses and MACs no guest may have: what the host is and knows → entries of the tables. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv6Addr,
    time::Duration,
};

use netmon_common::{
    Mac,
    abi::{BindingKey, Holder, MacHolder, MacKey, Reserved},
};

use crate::{
    links::{AllLinks, Kind, Neighbor, Station},
    time::Moment,
    topology::{Link, Topology},
};

/// How long a member keeps what it was heard by, or known as, last (DEFAULT_LT, RFC 6620 section 3.4).
pub const MEMBER_LIFETIME: Duration = Duration::from_secs(300);

/// How old an entry of a member may be before it is written anew.
const REFRESH: Duration = Duration::from_secs(60);

/// Addresses and MACs that the configuration keeps from the guests of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The link.
    pub link: Link,
    /// Addresses in fe80::/64.
    pub addresses: Vec<Ipv6Addr>,
    /// MACs.
    pub macs: Vec<Mac>,
}

/// What is to be in the tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Map `RESERVED`.
    pub addresses: BTreeMap<BindingKey, Reserved>,
    /// Map `MACS`, but for what is a port's.
    pub macs: BTreeMap<MacKey, Holder>,
}

/// The key of an address on a link.
pub const fn address_key(link: Link, address: Ipv6Addr) -> BindingKey {
    BindingKey::in_vlan(link.index, link.vlan, address.octets())
}

/// The key of a MAC on a link.
pub const fn mac_key(link: Link, mac: Mac) -> MacKey {
    MacKey::in_vlan(link.index, link.vlan, mac)
}

impl Wanted {
    /// What the host is and knows now. `is_port` tells which interfaces are ports.
    pub fn of(
        topology: &Topology,
        all: &AllLinks,
        listed: &[Listed],
        is_port: impl Fn(u32) -> bool,
        now: Moment,
    ) -> Self {
        let mut wanted = Self::default();
        for one in &all.addresses {
            let link = topology.link(one.index);
            let (interface, tentative) = (one.index, one.is_tentative);
            wanted.address(
                link,
                one.address,
                Holder::Host,
                interface,
                tentative,
                Moment::default(),
            );
        }
        for one in topology.interfaces() {
            let link = topology.link(one.index);
            // A lone TAP's own MAC is in its policy.
            if topology.is_shared(link) || one.kind != Kind::Tap {
                wanted.mac(link, one.mac, Holder::Host);
            }
        }
        for Listed { link, addresses, macs } in listed {
            for address in addresses {
                wanted.address(*link, *address, Holder::Listed, 0, false, Moment::default());
            }
            for mac in macs {
                wanted.mac(*link, *mac, Holder::Listed);
            }
        }
        for (interface, address) in &all.routers {
            let link = topology.link(*interface);
            if topology.is_shared(link) {
                wanted.address(
                    link,
                    *address,
                    Holder::Router,
                    *interface,
                    false,
                    Moment::default(),
                );
            }
        }
        wanted.members(topology, all, is_port, now);
        wanted
    }

    /// Whoever a bridge has heard on what is no port, and the addresses by which the host knows them.
    fn members(
        &mut self,
        topology: &Topology,
        all: &AllLinks,
        is_port: impl Fn(u32) -> bool,
        now: Moment,
    ) {
        let on_link =
            |station: &Station| Link { vlan: station.vlan, ..topology.link(station.index) };
        let is_elsewhere = |station: &&Station| {
            let is_member = topology.interface(station.index).is_some_and(|one| one.master != 0);
            is_member && !is_port(station.index) && topology.is_shared(on_link(station))
        };
        let members: BTreeSet<(Link, Mac)> = all
            .stations
            .iter()
            .filter(is_elsewhere)
            .map(|station| (on_link(station), station.mac))
            .collect();
        for Neighbor { index, address, mac } in &all.neighbors {
            // The table of neighbours keeps for ever whom nobody asks for: a guest of yesterday among them.
            let link = topology.link(*index);
            if members.contains(&(link, *mac)) {
                self.address(link, *address, Holder::Member, *index, false, now);
            }
        }
        for (link, mac) in members {
            self.mac(link, mac, Holder::Member);
        }
    }

    /// The first who says so is the one that is known best.
    fn address(
        &mut self,
        link: Link,
        address: Ipv6Addr,
        holder: Holder,
        interface: u32,
        is_tentative: bool,
        seen: Moment,
    ) {
        let reserved = Reserved {
            seen: seen.nanos(),
            interface,
            holder: holder.number(),
            is_tentative: u8::from(is_tentative),
            ..Reserved::default()
        };
        self.addresses.entry(address_key(link, address)).or_insert(reserved);
    }

    fn mac(&mut self, link: Link, mac: Mac, holder: Holder) {
        if !mac.is_zero() && !mac.is_multicast() {
            self.macs.entry(mac_key(link, mac)).or_insert(holder);
        }
    }
}

/// What is to be done with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is as it should be, or is kept until it is too old.
    Keep,
    /// It is to be written.
    Write,
    /// It is to be removed.
    Remove,
}

/// Compares what the table of addresses has with what it should have.
pub fn address_step(there: Option<&Reserved>, wanted: Option<&Reserved>, now: Moment) -> Step {
    match (there, wanted) {
        (None, None) => Step::Keep,
        (None, Some(_)) => Step::Write,
        (Some(there), Some(wanted)) => {
            let is_same =
                (there.holder, there.is_tentative) == (wanted.holder, wanted.is_tentative);
            let is_fresh = wanted.seen == 0 || age(there.seen, now) < REFRESH;
            // Time is the kernel side's only where it has heard of the address, and rtnetlink has not.
            let is_settled = there.seen == 0 || wanted.seen != 0;
            if is_same && is_fresh && is_settled { Step::Keep } else { Step::Write }
        }
        // What the kernel side has heard: a member, or a host's DAD that rtnetlink does not tell of (a macvlan of a
        // container).
        (Some(there), None) if there.seen != 0 && age(there.seen, now) < MEMBER_LIFETIME => {
            Step::Keep
        }
        (Some(_), None) => Step::Remove,
    }
}

/// Compares what the table of MACs has with what it should have. `is_live` says whether the port that holds it still
/// does.
pub fn mac_step(
    there: Option<&MacHolder>,
    wanted: Option<Holder>,
    is_live: bool,
    now: Moment,
) -> Step {
    match (there, wanted) {
        (None, None) => Step::Keep,
        (None, Some(_)) => Step::Write,
        // A guest that was first keeps it from members, not from whoever is known better.
        (Some(there), Some(Holder::Member)) if there.port != 0 && is_live => Step::Keep,
        (Some(there), Some(wanted)) => {
            let is_same = there.port == 0 && there.holder == wanted.number();
            let is_fresh = wanted != Holder::Member || age(there.seen, now) < REFRESH;
            if is_same && is_fresh { Step::Keep } else { Step::Write }
        }
        (Some(there), None) if there.port != 0 && is_live => Step::Keep,
        (Some(there), None)
            if there.port == 0
                && there.holder == Holder::Member.number()
                && age(there.seen, now) < MEMBER_LIFETIME =>
        {
            Step::Keep
        }
        (Some(_), None) => Step::Remove,
    }
}

const fn age(seen: u64, now: Moment) -> Duration {
    now.since(Moment::from_nanos(seen))
}

#[cfg(test)]
mod tests;

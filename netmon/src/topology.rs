//! Which interfaces share a broadcast domain, and by which of them the host reaches it: interfaces → links. Pure.
//!
//! A link is a TAP alone, a bridge, or a VLAN of a bridge that keeps VLANs apart. A master that is no bridge (a bond,
//! a VRF) makes no common domain of the interfaces below it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use netmon_common::Mac;

use crate::links::{Interface, Kind};

/// How many interfaces may stand on top of one another.
const DEPTH: u8 = 8;

/// The VLAN of a port that has none for its untagged frames: the bridge drops them.
const NO_VLAN: u16 = 0xfff;

/// A broadcast domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Link {
    /// The interface index of the TAP, or of the bridge.
    pub index: u32,
    /// The VLAN, where the bridge keeps VLANs apart; else zero.
    pub vlan: u16,
}

/// A TAP and the link that it is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tap {
    /// Interface index.
    pub index: u32,
    /// Name.
    pub name: Arc<str>,
    /// The broadcast domain.
    pub link: Link,
    /// The interface by which the host reaches it: itself, or the bridge, or the VLAN's interface on the bridge.
    pub scope: u32,
    /// The host's own MAC on the bridge; zero: it is in none.
    pub link_mac: Mac,
    /// Whether the link has members that are no ports.
    pub asks_link: bool,
    /// The host's own MAC on the TAP.
    pub mac: Mac,
    /// See [`Interface::carrier_losses`].
    pub carrier_losses: u32,
    /// See [`Interface::up`].
    pub up: bool,
}

/// A member of a link that is no port: where it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The bridge's port.
    pub index: u32,
    /// The VLAN tag that its frames need; `None`: none.
    pub tag: Option<u16>,
}

/// The interfaces, and how they stand on one another.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    interfaces: BTreeMap<u32, Interface>,
    pvids: BTreeMap<u32, u16>,
}

impl Topology {
    /// These are all.
    pub fn new(interfaces: Vec<Interface>, pvids: BTreeMap<u32, u16>) -> Self {
        let interfaces = interfaces.into_iter().map(|one| (one.index, one)).collect();
        Self { interfaces, pvids }
    }

    /// An interface is there, like this; whether that is news.
    pub fn set(&mut self, interface: Interface) -> bool {
        let new = interface.clone();
        self.interfaces.insert(interface.index, interface) != Some(new)
    }

    /// An interface is gone.
    pub fn remove(&mut self, index: u32) {
        self.interfaces.remove(&index);
        self.pvids.remove(&index);
    }

    /// An interface.
    pub fn interface(&self, index: u32) -> Option<&Interface> {
        self.interfaces.get(&index)
    }

    /// All interfaces.
    pub fn interfaces(&self) -> impl Iterator<Item = &Interface> {
        self.interfaces.values()
    }

    /// The link that an interface is on.
    pub fn link(&self, index: u32) -> Link {
        self.link_within(index, DEPTH)
    }

    fn link_within(&self, index: u32, depth: u8) -> Link {
        let alone = Link { index, vlan: 0 };
        let Some(one) = self.interfaces.get(&index) else { return alone };
        let Some(depth) = depth.checked_sub(1) else { return alone };
        if let Some(filters_vlans) = self.filters_vlans(one.master) {
            return Link { index: one.master, vlan: self.vlan(index, filters_vlans) };
        }
        match one.kind {
            Kind::Bridge { filters_vlans } => Link { index, vlan: self.vlan(index, filters_vlans) },
            Kind::Vlan(vlan) if self.filters_vlans(one.below) == Some(true) => {
                Link { index: one.below, vlan }
            }
            Kind::Macvlan if one.below != 0 => self.link_within(one.below, depth),
            // Its other end may be a port of a bridge.
            Kind::Veth => match self.interfaces.get(&one.below) {
                Some(end) if self.filters_vlans(end.master).is_some() => {
                    self.link_within(end.index, depth)
                }
                _ => alone,
            },
            Kind::Tap | Kind::Vlan(_) | Kind::Macvlan | Kind::Other => alone,
        }
    }

    /// The link that an interface of this name is on; of a bridge that keeps VLANs apart, in this VLAN, or for zero in
    /// the bridge's own.
    pub fn named(&self, name: &str, vlan: u16) -> Option<Link> {
        let one = self.interfaces.values().find(|one| *one.name == *name)?;
        let link = self.link(one.index);
        let is_kept_apart = vlan != 0 && self.filters_vlans(one.index) == Some(true);
        Some(if is_kept_apart { Link { vlan, ..link } } else { link })
    }

    /// Whether a bridge keeps VLANs apart; `None`: there is no such bridge.
    fn filters_vlans(&self, index: u32) -> Option<bool> {
        match self.interfaces.get(&index)?.kind {
            Kind::Bridge { filters_vlans } => Some(filters_vlans),
            Kind::Tap | Kind::Vlan(_) | Kind::Macvlan | Kind::Veth | Kind::Other => None,
        }
    }

    fn vlan(&self, index: u32, filters_vlans: bool) -> u16 {
        if filters_vlans { self.pvids.get(&index).copied().unwrap_or(NO_VLAN) } else { 0 }
    }

    /// Whether this link is one that several may be on.
    pub fn is_shared(&self, link: Link) -> bool {
        self.filters_vlans(link.index).is_some()
    }

    /// The interface by which the host is on a link.
    fn scope(&self, link: Link) -> u32 {
        if link.vlan == 0 || self.link(link.index) == link {
            return link.index;
        }
        let is_on = |one: &&Interface| {
            one.below == link.index && one.kind == Kind::Vlan(link.vlan) && one.master == 0
        };
        self.interfaces.values().find(is_on).map_or(link.index, |one| one.index)
    }

    /// The members of a link that are no ports, by which they are asked. `is_port` tells which interfaces are.
    pub fn members<'a>(
        &'a self,
        link: Link,
        is_port: impl Fn(&Interface) -> bool + 'a,
    ) -> impl Iterator<Item = Member> + 'a {
        let is_member = move |one: &&Interface| one.master == link.index && !is_port(one);
        self.interfaces.values().filter(is_member).map(move |one| {
            let is_untagged = link.vlan == 0 || self.link(one.index) == link;
            Member { index: one.index, tag: (!is_untagged).then_some(link.vlan) }
        })
    }

    /// The TAPs that are chosen, each with what follows from where it is. `is_port` tells which interfaces are ports.
    pub fn taps(
        &self,
        is_chosen: impl Fn(&Interface) -> bool,
        is_port: impl Fn(&Interface) -> bool,
    ) -> Vec<Tap> {
        // Found once for all TAPs: a bridge may have thousands of them.
        let others = self.interfaces.values().filter(|one| one.master != 0 && !is_port(one));
        let with_others: BTreeSet<u32> = others.map(|one| one.master).collect();
        let above = self.interfaces.values().filter(|one| one.kind == Kind::Macvlan);
        let below_others: BTreeSet<Link> = above.map(|one| self.link(one.index)).collect();
        let has_others =
            |link: Link| with_others.contains(&link.index) || below_others.contains(&link);
        let chosen = self.interfaces.values().filter(|one| one.kind == Kind::Tap && is_chosen(one));
        chosen.map(|one| self.tap(one, has_others)).collect()
    }

    fn tap(&self, one: &Interface, has_others: impl Fn(Link) -> bool) -> Tap {
        let (index, link) = (one.index, self.link(one.index));
        let asks_link = link.index != index && has_others(link);
        let bridge = self.interfaces.get(&link.index).filter(|_| link.index != index);
        Tap {
            index,
            name: Arc::clone(&one.name),
            link,
            scope: self.scope(link),
            link_mac: bridge.map_or(Mac::default(), |bridge| bridge.mac),
            asks_link,
            mac: one.mac,
            carrier_losses: one.carrier_losses,
            up: one.up,
        }
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "a test that panics has failed")]
mod tests;

//! Which TAPs are protected, and how: what was heard of links → entries in the maps, programs on hooks.
//!
//! A port fails closed: its entries and XDP go on together, XDP first of the two hooks. Nothing here waits:
//! the slow egress attach is a thread's (`kernel/attach.rs`), whose answer comes back as
//! [`Ports::egress_done`].

mod by_hand;
mod error;
mod groups;
mod identity;
mod policy;
mod repair;
mod reserved;
mod resume;
mod status;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, RwLock},
};

use glob::Pattern;
use netmon_common::abi::PortPolicy;
use tracing::{debug, info, warn};

use crate::{
    crash,
    endpoints::Input,
    kernel::{
        attach::{self, AttachError, Done, Egress, EgressAttacher, Ingress, Job},
        link::Hook,
        load::LoadedProgram,
        maps::Maps,
        pins::Pins,
    },
    policy::{Policies, Policy, PolicyChange},
    time::Moment,
    topology::Tap,
};

pub use self::error::PortError;

#[derive(Debug)]
enum EgressState {
    Pending,
    On(Egress),
    Refused {
        error: AttachError,
        /// A job is under way.
        is_asked_again: bool,
    },
}

#[derive(Debug)]
struct Port {
    /// Tells it from an earlier port with the same index.
    serial: u64,
    tap: Tap,
    asked: Policy,
    policy: PortPolicy,
    /// When it began; zero for a former daemon's.
    born: Moment,
    ingress: Ingress,
    egress: EgressState,
    /// That its XDP program was taken away and cannot be put back was said.
    is_beyond_repair: bool,
}

/// All TAPs, and those of them that are protected.
pub struct Ports {
    maps: Maps,
    pins: Arc<RwLock<Pins>>,
    xdp: LoadedProgram,
    classifier: u32,
    attacher: EgressAttacher,
    wanted: Vec<Pattern>,
    policies: Policies,
    /// What was changed by command, whatever `policies` say.
    ordered: BTreeMap<u32, PolicyChange>,
    /// Attached by command, whatever `wanted` says.
    forced: BTreeSet<u32>,
    /// Detached by command, likewise.
    released: BTreeSet<u32>,
    /// The guest whose multicast groups a port's are.
    listeners: BTreeMap<u32, u16>,
    taps: BTreeMap<u32, Tap>,
    /// A table of what is others' was full, and that was said.
    unreserved: bool,
    ports: BTreeMap<u32, Port>,
    /// Why a TAP that is wanted is no port.
    refused: BTreeMap<u32, PortError>,
    /// The next guest's number. One count for all ports, so that a re-used index has a new one.
    epoch: u16,
    /// Ports that there have been.
    serial: u64,
    /// That pins are gone and cannot be made again was said.
    is_unpinned: bool,
}

impl Ports {
    /// None is looked at yet; `wanted` are globs of TAP names, `policies` theirs.
    pub fn new(
        maps: Maps,
        pins: Arc<RwLock<Pins>>,
        xdp: LoadedProgram,
        classifier: u32,
        attacher: EgressAttacher,
        wanted: Vec<Pattern>,
        policies: Policies,
    ) -> Self {
        // Those that a former daemon has left keep their numbers.
        let left = maps.ports().unwrap_or_default();
        let epochs = left.iter().filter_map(|index| Some(maps.policy(*index)?.epoch));
        let epoch = epochs.max().unwrap_or_default();
        Self {
            maps,
            pins,
            xdp,
            classifier,
            attacher,
            wanted,
            policies,
            ordered: BTreeMap::new(),
            forced: BTreeSet::new(),
            released: BTreeSet::new(),
            listeners: BTreeMap::new(),
            taps: BTreeMap::new(),
            unreserved: false,
            ports: BTreeMap::new(),
            refused: BTreeMap::new(),
            epoch,
            serial: 0,
            is_unpinned: false,
        }
    }

    /// The tables.
    pub const fn maps(&self) -> &Maps {
        &self.maps
    }

    /// The name of the TAP with this index, if it is there.
    pub fn name(&self, index: u32) -> Option<&Arc<str>> {
        self.taps.get(&index).map(|tap| &tap.name)
    }

    /// A TAP has appeared or changed: attaches, renames, or takes note of a new guest.
    pub fn tap(&mut self, tap: Tap) -> Vec<Input> {
        let index = tap.index;
        if self.ports.get(&index).is_some_and(|port| port.is_another(&tap)) {
            // The message of its end was lost.
            let mut inputs = self.gone(index);
            inputs.extend(self.tap(tap));
            return inputs;
        }
        let old = self.taps.insert(index, tap.clone());
        if self.ports.contains_key(&index) {
            return self.changed(tap);
        }
        // A refusal is tried again when the TAP changes, and every time all of them are looked at.
        if !self.is_wanted(&tap) {
            // A former daemon was told to protect it.
            if self.released.contains(&index) || !self.is_left(index).unwrap_or_default() {
                return Vec::new();
            }
            self.forced.insert(index);
        }
        if self.released.contains(&index) {
            return Vec::new();
        }
        match self.protect(&tap) {
            Ok(input) => vec![input],
            Err(error) => {
                if matches!(&error, PortError::Refused { source: AttachError::Gone, .. }) {
                    // Normal life, and the next message says so.
                    debug!("{error}");
                    self.taps.remove(&index);
                    return Vec::new();
                }
                if old.is_none() {
                    warn!("{error}");
                }
                self.refused.insert(index, error);
                Vec::new()
            }
        }
    }

    /// An interface is gone.
    pub fn gone(&mut self, index: u32) -> Vec<Input> {
        self.taps.remove(&index);
        self.ordered.remove(&index);
        self.forced.remove(&index);
        self.released.remove(&index);
        self.refused.remove(&index);
        self.release(index)
    }

    /// These are all TAPs there are.
    pub fn all(&mut self, taps: Vec<Tap>) -> Vec<Input> {
        let there: BTreeSet<u32> = taps.iter().map(|tap| tap.index).collect();
        let gone: Vec<u32> =
            self.taps.keys().copied().filter(|index| !there.contains(index)).collect();
        let mut inputs: Vec<Input> = gone.into_iter().flat_map(|index| self.gone(index)).collect();
        inputs.extend(taps.into_iter().flat_map(|tap| self.tap(tap)));
        inputs
    }

    /// The thread has done a job. A port that is gone, or another under the same index, has no use for it:
    /// dropped, it is detached.
    pub fn egress_done(&mut self, (job, result): Done) {
        let port = self.ports.get_mut(&job.index).filter(|port| port.serial == job.port);
        let Some(port) = port else { return };
        port.egress = match result {
            Ok(egress) => {
                debug!(tap = %port.tap.name, hook = egress.hook().name(), "egress attached");
                EgressState::On(egress)
            }
            Err(error) => {
                let is_news = !matches!(port.egress, EgressState::Refused { .. });
                if matches!(error, AttachError::Gone) {
                    debug!("{}: {error}", port.tap.name);
                } else if is_news {
                    warn!("{}: host to guest is not confined: {error}", port.tap.name);
                }
                EgressState::Refused { error, is_asked_again: false }
            }
        };
    }

    /// Whether an interface of this name and index is a port, or is to be.
    pub fn is_to_be_port(&self, index: u32, name: &str) -> bool {
        !self.released.contains(&index) && (self.forced.contains(&index) || self.is_named(name))
    }

    /// The TAP of this index.
    pub fn tap_at(&self, index: u32) -> Option<&Tap> {
        self.taps.get(&index)
    }

    fn find(&self, name: &Arc<str>) -> Result<&Tap, PortError> {
        let tap = self.taps.values().find(|tap| tap.name == *name);
        tap.ok_or_else(|| match nix::net::if_::if_nametoindex(name.as_ref()) {
            Ok(_) => PortError::NotTap(Arc::clone(name)),
            Err(_) => PortError::NotFound(Arc::clone(name)),
        })
    }

    fn protect(&mut self, tap: &Tap) -> Result<Input, PortError> {
        let (index, name) = (tap.index, Arc::clone(&tap.name));
        let at = |source| PortError::Maps { tap: Arc::clone(&name), source };
        let left = self.left(tap)?;
        // What a former daemon was told goes on.
        if let Some(kept) = left.as_ref().and_then(Policy::kept) {
            self.ordered.entry(index).or_insert(kept.into());
        }
        let asked = self.asked(tap);
        let is_ordered = self.ordered.contains_key(&index);
        let mut policy = policy::entry(&asked, &left.unwrap_or_default(), is_ordered);
        let is_same_guest = left.is_some() && self.is_same_guest(&policy, &asked, tap);
        self.describe(&mut policy, tap, is_same_guest);
        let born = if left.is_some() { Moment::default() } else { Moment::now() };
        let entries = match left {
            Some(_) => self.maps.set_policy(index, &policy),
            None => self.maps.add_port(index, &policy),
        };
        crash::point("port/entries");
        let ingress = entries.map_err(at).and_then(|()| {
            let refused = |source| PortError::Refused { tap: Arc::clone(&name), source };
            attach::ingress(&self.xdp, &self.pins(), &name, index).map_err(refused)
        });
        // What a former daemon left may still hold the TAP, and goes by its entries.
        let ingress = ingress.inspect_err(|_| {
            if left.is_none() {
                self.maps.remove_port(index);
            }
        })?;
        let done = if left.is_some() { "taken over" } else { "attached" };
        info!(tap = %name, ifindex = index, hook = ingress.hook().name(), "{done}");
        self.serial += 1;
        let (serial, egress) = (self.serial, EgressState::Pending);
        let (up, port_scope, tap) = (tap.up, tap.scope, tap.clone());
        let is_beyond_repair = false;
        let port = Port { serial, tap, asked, policy, born, ingress, egress, is_beyond_repair };
        self.attacher.attach(Job { tap: Arc::clone(&name), index, port: serial });
        self.refused.remove(&index);
        self.ports.insert(index, port);
        Ok(Input::Port { index, name, scope: port_scope, epoch: policy.epoch, up })
    }

    fn changed(&mut self, tap: Tap) -> Vec<Input> {
        let Some(port) = self.ports.get(&tap.index) else { return Vec::new() };
        if port.tap == tap {
            return Vec::new();
        }
        debug!(?tap, "changed");
        // Another name may mean another policy.
        let asked = self.asked(&tap);
        let is_ordered = self.ordered.contains_key(&tap.index);
        let mut policy = policy::entry(&asked, &port.policy, is_ordered);
        let is_same_guest = self.is_same_guest(&policy, &asked, &tap);
        self.describe(&mut policy, &tap, is_same_guest);
        if let Err(error) = self.maps.set_policy(tap.index, &policy) {
            warn!("{}: {error}", tap.name);
        }
        let (index, name, epoch, up) = (tap.index, Arc::clone(&tap.name), policy.epoch, tap.up);
        let scope = tap.scope;
        if let Some(port) = self.ports.get_mut(&index) {
            (port.tap, port.asked, port.policy) = (tap, asked, policy);
        }
        vec![Input::Port { index, name, scope, epoch, up }]
    }

    /// Whether a port's guest goes on: the VMM has not closed the TAP since, the TAP has not moved to another
    /// link, where others were first, and its MAC is not one that the policy now forbids.
    fn is_same_guest(&self, policy: &PortPolicy, asked: &Policy, tap: &Tap) -> bool {
        policy.carrier_losses == tap.carrier_losses
            && (policy.link, policy.vlan) == (tap.link.index, tap.link.vlan)
            && !policy::is_another_guest(&self.maps, tap.index, policy, asked)
    }

    /// Writes into a policy what the TAP itself brings.
    fn describe(&mut self, policy: &mut PortPolicy, tap: &Tap, is_same_guest: bool) {
        if !is_same_guest {
            self.epoch = self.epoch.wrapping_add(1);
            policy.epoch = self.epoch;
        }
        (policy.link, policy.vlan) = (tap.link.index, tap.link.vlan);
        policy.asks_link = u8::from(tap.asks_link);
        policy.host_mac = tap.mac.octets();
        policy.link_mac = tap.link_mac.octets();
        policy.carrier_losses = tap.carrier_losses;
    }

    fn release(&mut self, index: u32) -> Vec<Input> {
        let Some(port) = self.ports.remove(&index) else { return Vec::new() };
        info!(tap = %port.tap.name, ifindex = index, "detached");
        // The hooks first: a frame without entries is dropped, and detaching is no time to drop.
        self.pins().unpin_links(index, &[Hook::XdpNative, Hook::XdpGeneric, Hook::TcxEgress]);
        if let EgressState::On(Egress::Clsact(_)) = port.egress {
            attach::remove_filter(&port.tap.name);
        }
        drop(port);
        crash::point("port/released");
        self.maps.remove_port(index);
        vec![Input::PortGone(index)]
    }
}

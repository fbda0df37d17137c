//! fold: the live map, as a pure state machine.
//!
//! Input comes in any order and time is an argument. The map holds what the kernel's binding table held
//! when it was last told of, never anything of its own: an endpoint that is lost here is back with the
//! next [`Input::Table`].

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv6Addr,
    sync::Arc,
    time::Duration,
};

use netmon_common::{
    Kind, Mac,
    abi::{self, Binding, BindingKey},
};

use crate::time::Moment;

/// How long an address counts as reachable after it was heard (REACHABLE_TIME, RFC 4861 section 10).
pub const REACHABLE_TIME: Duration = Duration::from_secs(30);

/// How long an address is tentative after the last DAD for it: RetransTimer, RFC 4862 section 5.4. A claim
/// that another has is dropped before it gets here, so silence means that the guest now uses it
/// (TENT_LT, RFC 6620 section 3.2.3).
pub const TENTATIVE_TIME: Duration = Duration::from_secs(1);

/// How far an endpoint has come; the names are those of RFC 4861 and RFC 4862.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// DAD was seen less than [`TENTATIVE_TIME`] ago, nothing else.
    Tentative,
    /// Heard within [`REACHABLE_TIME`].
    Reachable,
    /// Quiet since.
    Stale,
}

/// An address behind a TAP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The TAP's name.
    pub tap: Arc<str>,
    /// The TAP's interface index: the address's scope.
    pub port: u32,
    /// The address.
    pub address: Ipv6Addr,
    /// The guest's MAC.
    pub mac: Mac,
    /// How far it has come.
    pub state: State,
    /// The kind of frame that told of it first.
    pub origin: Kind,
    /// When that was.
    pub first_seen: Moment,
    /// When it was heard last, as far as the daemon has looked.
    pub last_seen: Moment,
}

impl Endpoint {
    /// Orders the addresses behind one TAP; the least is the one that `resolve` gives. One that DAD
    /// confirmed comes before one that was only seen, that before one still asked for; one that somebody
    /// chose before one that is derived from the MAC; then the older. It never changes with traffic.
    pub fn rank(&self) -> impl Ord + use<> {
        let trust = match (self.state, self.origin) {
            (State::Tentative, _) => 2,
            (_, Kind::Dad) => 0,
            _ => 1,
        };
        (trust, is_derived(self.address, self.mac), self.first_seen, self.address)
    }
}

/// Whether the address is the MAC's modified EUI-64 (RFC 4291 appendix A).
fn is_derived(address: Ipv6Addr, mac: Mac) -> bool {
    let [a, b, c, d, e, f] = mac.octets();
    address.octets().ends_with(&[a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

/// What may change the map.
#[derive(Clone, Debug)]
pub enum Input {
    /// A port is there, or its name or guest has changed.
    Port {
        /// Interface index.
        index: u32,
        /// The TAP's name now.
        name: Arc<str>,
        /// Which of its guests it has; bindings of earlier ones do not count.
        epoch: u16,
    },
    /// A port is gone.
    PortGone(u32),
    /// What the binding table holds under this key now.
    Binding(BindingKey, Binding),
    /// All that the binding table holds.
    Table(Vec<(BindingKey, Binding)>),
    /// Time has passed.
    Tick,
}

/// What became of the map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was not there before.
    Added(Endpoint),
    /// Its state, MAC, origin or TAP's name is another.
    Updated(Endpoint),
    /// It is gone; this is what it was.
    Removed(Endpoint),
}

#[derive(Clone, Debug)]
struct Port {
    name: Arc<str>,
    epoch: u16,
}

/// The live map.
#[derive(Clone, Debug, Default)]
pub struct EndpointTable {
    ports: BTreeMap<u32, Port>,
    /// By port, then address. One that DAD has not confirmed is among them.
    endpoints: BTreeMap<(u32, Ipv6Addr), Endpoint>,
}

impl EndpointTable {
    /// All endpoints, by port and address.
    pub fn iter(&self) -> impl Iterator<Item = &Endpoint> {
        self.endpoints.values()
    }

    /// Whether a binding is of a port's present guest. One that is not can be removed from the table.
    pub fn is_current(&self, binding: &Binding) -> bool {
        self.ports.get(&binding.port).is_some_and(|port| port.epoch == binding.epoch)
    }

    /// Takes in what has happened.
    pub fn apply(&mut self, input: Input, now: Moment) -> Vec<Change> {
        let mut changes = Vec::new();
        match input {
            Input::Port { index, name, epoch } => self.port(index, &name, epoch, &mut changes),
            Input::PortGone(index) => {
                self.ports.remove(&index);
                self.forget(|endpoint| endpoint.port == index, &mut changes);
            }
            Input::Binding(key, binding) => self.binding(&key, &binding, now, &mut changes),
            Input::Table(bindings) => {
                let mut held = BTreeSet::new();
                for (key, binding) in &bindings {
                    held.insert((binding.port, Ipv6Addr::from(key.address)));
                    self.binding(key, binding, now, &mut changes);
                }
                self.forget(
                    |endpoint| !held.contains(&(endpoint.port, endpoint.address)),
                    &mut changes,
                );
                self.age(now, &mut changes);
            }
            Input::Tick => self.age(now, &mut changes),
        }
        changes
    }

    fn port(&mut self, index: u32, name: &Arc<str>, epoch: u16, changes: &mut Vec<Change>) {
        let old = self.ports.insert(index, Port { name: Arc::clone(name), epoch });
        let Some(old) = old else { return };
        if old.epoch != epoch {
            self.forget(|endpoint| endpoint.port == index, changes);
        }
        if old.name != *name {
            let range = (index, Ipv6Addr::UNSPECIFIED)..=(index, Ipv6Addr::from(u128::MAX));
            for (_, endpoint) in self.endpoints.range_mut(range) {
                endpoint.tap = Arc::clone(name);
                changes.push(Change::Updated(endpoint.clone()));
            }
        }
    }

    fn binding(
        &mut self,
        key: &BindingKey,
        binding: &Binding,
        now: Moment,
        changes: &mut Vec<Change>,
    ) {
        if !self.is_current(binding) {
            return;
        }
        let Some(port) = self.ports.get(&binding.port) else { return };
        // The kernel side writes nothing else; what it writes is checked all the same.
        let (Ok(held), Ok(origin)) =
            (abi::State::try_from(binding.state), Kind::try_from(binding.origin))
        else {
            return;
        };
        let last_seen = Moment::from_nanos(binding.last_seen);
        let endpoint = Endpoint {
            tap: Arc::clone(&port.name),
            port: binding.port,
            address: Ipv6Addr::from(key.address),
            mac: Mac::new(binding.mac),
            state: match held {
                abi::State::Tentative if now.since(last_seen) < TENTATIVE_TIME => State::Tentative,
                abi::State::Tentative | abi::State::Valid => quiet(last_seen, now),
            },
            origin,
            first_seen: Moment::from_nanos(binding.first_seen),
            last_seen,
        };
        match self.endpoints.insert((endpoint.port, endpoint.address), endpoint.clone()) {
            None => changes.push(Change::Added(endpoint)),
            // That it was heard once more is no change: a busy guest would be all one saw.
            Some(old) if Endpoint { last_seen, ..old.clone() } == endpoint => {}
            Some(_) => changes.push(Change::Updated(endpoint)),
        }
    }

    fn age(&mut self, now: Moment, changes: &mut Vec<Change>) {
        for endpoint in self.endpoints.values_mut() {
            let state = match endpoint.state {
                State::Tentative if now.since(endpoint.last_seen) < TENTATIVE_TIME => {
                    State::Tentative
                }
                State::Tentative | State::Reachable | State::Stale => {
                    quiet(endpoint.last_seen, now)
                }
            };
            if state != endpoint.state {
                endpoint.state = state;
                changes.push(Change::Updated(endpoint.clone()));
            }
        }
    }

    fn forget(&mut self, which: impl Fn(&Endpoint) -> bool, changes: &mut Vec<Change>) {
        let gone = self.endpoints.extract_if(.., |_, endpoint| which(endpoint));
        changes.extend(gone.map(|(_, endpoint)| Change::Removed(endpoint)));
    }
}

fn quiet(last_seen: Moment, now: Moment) -> State {
    if now.since(last_seen) < REACHABLE_TIME { State::Reachable } else { State::Stale }
}

#[cfg(test)]
mod tests;

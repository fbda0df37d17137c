//! fold: the live map, as a pure state machine.
//!
//! Input comes in any order and time is an argument. The map holds what the kernel's binding table held
//! when it was last told of, never anything of its own: an endpoint that is lost here is back with the
//! next [`Input::Table`]. What becomes of those that are quiet is [`EndpointTable::tick`]'s.

mod contest;
mod liveness;
mod search;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv6Addr,
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};

use netmon_common::{
    Address, Kind, Mac,
    abi::{self, Binding, BindingKey},
};

pub use self::liveness::{Due, Question, Timers};
use self::{liveness::Silence, search::Search};
use crate::time::Moment;

/// How long an address is tentative after the last DAD for it: RetransTimer, RFC 4862 section 5.4. A claim
/// that another has is dropped before it gets here, so silence means that the guest now uses it
/// (TENT_LT, RFC 6620 section 3.2.3).
pub const TENTATIVE_TIME: Duration = Duration::from_secs(1);

/// How long a proposed binding waits for its guest to try again. A TCP client does so after a second.
const ABANDONED: Duration = Duration::from_secs(5);

/// How far an endpoint has come; the names are those of RFC 4861, RFC 4862 and RFC 7048.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// DAD was seen less than [`TENTATIVE_TIME`] ago, nothing else.
    Tentative,
    /// Heard within [`Timers::reachable`].
    Reachable,
    /// Quiet since, and not asked yet: it waits for its turn, or its TAP is down.
    Stale,
    /// Being asked.
    Probing,
    /// Has not answered. It is asked again from time to time.
    Unreachable,
}

impl State {
    const fn is_quiet(self) -> bool {
        match self {
            Self::Tentative | Self::Reachable => false,
            Self::Stale | Self::Probing | Self::Unreachable => true,
        }
    }
}

/// An address behind a TAP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The TAP's name.
    pub tap: Arc<str>,
    /// The TAP's interface index.
    pub port: u32,
    /// The interface by which the host reaches the guest, which is the address's scope: the TAP, or its bridge, or
    /// the VLAN interface on that.
    pub scope: u32,
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
    /// confirmed comes before one that was only seen, that before one still asked for, and one that does
    /// not answer comes last; one that somebody chose before one that is derived from the MAC; then the
    /// older. How much each is used never changes it.
    pub fn rank(&self) -> impl Ord + use<> {
        let trust = match (self.state, self.origin) {
            (State::Unreachable, _) => 3,
            (State::Tentative, _) => 2,
            (_, Kind::Dad) => 0,
            _ => 1,
        };
        (trust, is_derived(self.address, self.mac), self.first_seen, self.address)
    }
}

/// Whether the address is the MAC's modified EUI-64 (RFC 4291 appendix A).
fn is_derived(address: Ipv6Addr, mac: Mac) -> bool {
    address == Ipv6Addr::from(Address::link_local_of(mac))
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
        /// See [`Endpoint::scope`].
        scope: u32,
        /// Which of its guests it has; bindings of earlier ones do not count.
        epoch: u16,
        /// Whether frames get to the guest.
        up: bool,
    },
    /// A port is gone.
    PortGone(u32),
    /// What the binding table holds under this key now.
    Binding(BindingKey, Binding),
    /// Another port claims the address of this binding: is its holder still there?
    Contested(BindingKey, Binding),
    /// A newcomer behind a port was refused for what the port holds already: is that still there?
    Crowded {
        /// The port's interface index.
        port: u32,
        /// The newcomer's MAC.
        newcomer: Mac,
    },
    /// All that the binding table holds.
    Table(Vec<(BindingKey, Binding)>),
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
    scope: u32,
    epoch: u16,
    up: bool,
    search: Search,
}

#[derive(Clone, Debug)]
struct Entry {
    endpoint: Endpoint,
    /// Where the binding table has it.
    key: BindingKey,
    /// What was asked since it was heard last.
    silence: Silence,
}

/// A port and an address behind it.
type Id = (u32, Ipv6Addr);

/// The live map.
#[derive(Clone, Debug)]
pub struct EndpointTable {
    timers: Timers,
    ports: BTreeMap<u32, Port>,
    /// By port, then address. One that DAD has not confirmed is among them.
    entries: BTreeMap<Id, Entry>,
    /// Who was looked after last: the next tick goes on from there.
    cursor: Id,
    /// Those whose place another wants, and when they were first asked.
    contests: BTreeMap<Id, Moment>,
    /// What is to be asked at once.
    questions: Vec<Question>,
}

impl Default for EndpointTable {
    fn default() -> Self {
        Self::new(Timers::default())
    }
}

impl EndpointTable {
    /// An empty one.
    pub const fn new(timers: Timers) -> Self {
        Self {
            timers,
            ports: BTreeMap::new(),
            entries: BTreeMap::new(),
            cursor: (0, Ipv6Addr::UNSPECIFIED),
            contests: BTreeMap::new(),
            questions: Vec::new(),
        }
    }

    /// All endpoints, by port and address.
    pub fn iter(&self) -> impl Iterator<Item = &Endpoint> {
        self.entries.values().map(|entry| &entry.endpoint)
    }

    /// Whether a binding is of a port's present guest. One that is not can be removed from the table.
    pub fn is_current(&self, binding: &Binding) -> bool {
        self.ports.get(&binding.port).is_some_and(|port| port.epoch == binding.epoch)
    }

    /// Whether a binding was proposed, and its guest has not come back to it since.
    pub fn is_abandoned(binding: &Binding, now: Moment) -> bool {
        binding.state == abi::State::Proposed.number()
            && now.since(Moment::from_nanos(binding.last_seen)) >= ABANDONED
    }

    /// Takes in what has happened.
    pub fn apply(&mut self, input: Input, now: Moment) -> Vec<Change> {
        let mut changes = Vec::new();
        match input {
            Input::Port { index, name, scope, epoch, up } => {
                let port = Port { name, scope, epoch, up, search: Search::new(up) };
                self.port(index, port, &mut changes);
            }
            Input::PortGone(index) => {
                self.ports.remove(&index);
                self.forget(|endpoint| endpoint.port == index, &mut changes);
            }
            Input::Binding(key, binding) => self.binding(&key, &binding, now, &mut changes),
            Input::Contested(key, binding) => {
                self.binding(&key, &binding, now, &mut changes);
                self.contest((binding.port, Ipv6Addr::from(key.address)), now);
            }
            Input::Crowded { port, newcomer } => self.crowd(port, newcomer, now),
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
            }
        }
        changes
    }

    fn port(&mut self, index: u32, mut port: Port, changes: &mut Vec<Change>) {
        if let Some(old) = self.ports.remove(&index) {
            if old.epoch != port.epoch {
                self.forget(|endpoint| endpoint.port == index, changes);
            } else if old.name != port.name || old.scope != port.scope {
                for (_, entry) in self.entries.range_mut(behind(index)) {
                    entry.endpoint.tap = Arc::clone(&port.name);
                    entry.endpoint.scope = port.scope;
                    changes.push(Change::Updated(entry.endpoint.clone()));
                }
            }
            if old.epoch == port.epoch && old.up && port.up {
                port.search = old.search;
            }
        }
        self.ports.insert(index, port);
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
        let id = (binding.port, Ipv6Addr::from(key.address));
        if held == abi::State::Proposed {
            // It may be another's: nobody is told of it before the link was asked.
            self.questions.push(Question::Link { port: id.0, address: id.1 });
            changes.extend(self.remove(&id));
            return;
        }
        let last_seen = Moment::from_nanos(binding.last_seen);
        let (state, silence) = match (self.heard(held, last_seen, now), self.entries.get(&id)) {
            (Some(state), _) => (state, Silence::default()),
            // It is as quiet as before.
            (None, Some(known))
                if known.endpoint.state.is_quiet() && known.endpoint.last_seen == last_seen =>
            {
                (known.endpoint.state, known.silence)
            }
            (None, _) => (State::Stale, Silence::default()),
        };
        let endpoint = Endpoint {
            tap: Arc::clone(&port.name),
            port: binding.port,
            scope: port.scope,
            address: id.1,
            mac: Mac::new(binding.mac),
            state,
            origin,
            first_seen: Moment::from_nanos(binding.first_seen),
            last_seen,
        };
        let entry = Entry { endpoint: endpoint.clone(), key: *key, silence };
        match self.entries.insert(id, entry).map(|old| old.endpoint) {
            None => changes.push(Change::Added(endpoint)),
            // That it was heard once more is no change: a busy guest would be all one saw.
            Some(old) if Endpoint { last_seen, ..old.clone() } == endpoint => {}
            Some(_) => changes.push(Change::Updated(endpoint)),
        }
    }

    /// What an address is that was heard lately; `None`: it is quiet.
    fn heard(&self, held: abi::State, last_seen: Moment, now: Moment) -> Option<State> {
        let quiet = now.since(last_seen);
        if held == abi::State::Tentative && quiet < TENTATIVE_TIME {
            Some(State::Tentative)
        } else if quiet < self.timers.reachable {
            Some(State::Reachable)
        } else {
            None
        }
    }

    fn remove(&mut self, id: &Id) -> Option<Change> {
        self.entries.remove(id).map(|gone| Change::Removed(gone.endpoint))
    }

    fn forget(&mut self, which: impl Fn(&Endpoint) -> bool, changes: &mut Vec<Change>) {
        let gone = self.entries.extract_if(.., |_, entry| which(&entry.endpoint));
        changes.extend(gone.map(|(_, entry)| Change::Removed(entry.endpoint)));
    }
}

/// All that there can be behind a port.
fn behind(port: u32) -> RangeInclusive<Id> {
    (port, Ipv6Addr::UNSPECIFIED)..=(port, Ipv6Addr::from(u128::MAX))
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that panics has failed")]
mod tests;

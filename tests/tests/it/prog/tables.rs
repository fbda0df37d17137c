//! Long conversations against a model of the tables: who holds what, whose MAC it is, what the host has. After each
//! step the verdict and both tables are the model's, and the events are its news.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv6Addr,
};

use netmon_common::{
    Kind, Reason,
    abi::{Binding, BindingKey, Direction, PortPolicy, Rate, Reserved, State},
    outcome::Outcome,
};
use netmon_tests::{
    case::Case,
    frame::{
        ALL_NODES, Frame, GUEST_MAC, HOST_MAC, OTHER_MAC, advertisement, dad, echo,
        listener_report, mac_option, router_solicitation, solicitation, tcp,
    },
    generate, oracle,
};

use super::{PORT, Programs};

/// Steps of the ordinary test run.
const STEPS: usize = 4_000;

/// Another port of the same link.
const OTHER_PORT: u32 = 2;

/// Who holds an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    port: u32,
    epoch: u16,
    mac: [u8; 6],
    state: State,
    origin: Kind,
}

/// What the port and its link remember.
#[derive(Default)]
struct Model {
    held: BTreeMap<Ipv6Addr, Held>,
    hosts: BTreeSet<Ipv6Addr>,
    /// The guest's MAC, once it has spoken.
    mac: [u8; 6],
    news: Vec<(Ipv6Addr, State)>,
}

impl Model {
    /// A frame of the guest, under this policy.
    fn hear(&mut self, frame: Vec<u8>, policy: &PortPolicy) -> Result<Kind, Reason> {
        let mac: [u8; 6] = frame[6..12].try_into().unwrap_or_default();
        let case =
            Case { policy: *policy, first_mac: self.mac, ..Case::of(Direction::Ingress, frame) };
        let (kind, claim) = oracle::verdict(&case)?;
        let discovery = [
            Kind::Dad,
            Kind::NeighborSolicitation,
            Kind::NeighborAdvertisement,
            Kind::RouterSolicitation,
            Kind::MulticastListener,
        ];
        let has_budget = policy.nd_rate == Rate::default() || !discovery.contains(&kind);
        if let Some(claim) = claim {
            let state = if claim.is_valid { State::Valid } else { State::Tentative };
            let new = Held { port: PORT, epoch: policy.epoch, mac, state, origin: kind };
            let next = self.claim(claim.address, new, policy.quota)?;
            if !has_budget {
                return Err(Reason::NdRate);
            }
            if self.held.insert(claim.address, next) != Some(next) {
                self.news.push((claim.address, next.state));
            }
        } else if !has_budget {
            return Err(Reason::NdRate);
        }
        self.mac = mac;
        Ok(kind)
    }

    /// What is held after this claim: the first has the address, until user space takes it away.
    fn claim(&self, address: Ipv6Addr, new: Held, quota: u32) -> Result<Held, Reason> {
        if self.hosts.contains(&address) {
            return Err(Reason::HostAddress);
        }
        let own = self.held.values().filter(|held| held.port == PORT).count();
        match self.held.get(&address) {
            None if own >= quota as usize => Err(Reason::BindingQuota),
            None => Ok(new),
            Some(held) if held.port != PORT => Err(Reason::BindingConflict),
            // A former guest's binds nobody.
            Some(held) if held.epoch != new.epoch => Ok(new),
            Some(held) if held.mac != new.mac => Err(Reason::BindingConflict),
            Some(held) if new.state == State::Valid => Ok(Held { state: State::Valid, ..*held }),
            Some(held) => Ok(*held),
        }
    }
}

/// An address of few, so that they meet.
fn address(random: &mut fastrand::Rng) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, random.u16(1..8))
}

fn spoken(random: &mut fastrand::Rng) -> Frame {
    let (own, other) = (address(random), address(random));
    let mac = if random.u8(..4) == 0 { OTHER_MAC } else { GUEST_MAC };
    let frame = match random.u8(..9) {
        0 | 1 => dad(own),
        2 => advertisement(own).with(|f| f.payload.truncate(24)),
        3 => solicitation(other, &mac_option(1, mac)),
        4 => listener_report(),
        5 => router_solicitation(&[]),
        6 => tcp(80, 2),
        7 => advertisement(own).with(|f| f.checksum_error = 1),
        _ => echo(ALL_NODES),
    };
    let is_dad = frame.source.is_unspecified();
    frame.with(|f| {
        f.source_mac = mac;
        f.source = if is_dad { f.source } else { own };
    })
}

/// The programs and the model, told the same.
struct Conversation {
    programs: Programs,
    model: Model,
    random: fastrand::Rng,
}

impl Conversation {
    fn step(&mut self) {
        let address = address(&mut self.random);
        let key = BindingKey::new(PORT, address.octets());
        match self.random.u8(..40) {
            0 => {
                self.programs.set_policy(|policy| policy.epoch += 1);
                self.model.mac = [0; 6];
            }
            1 => {
                let mac = [[0; 6], [0; 6], GUEST_MAC, OTHER_MAC][self.random.usize(..4)];
                self.programs.set_policy(|policy| policy.mac = mac);
            }
            2 => {
                let quota = self.random.u32(..5);
                self.programs.set_policy(|policy| policy.quota = quota);
            }
            3 | 4 => {
                let rate = [Rate::default(), Rate::per_second(0)][self.random.usize(..2)];
                self.programs.set_policy(|policy| policy.nd_rate = rate);
            }
            5..8 => self.forget(address, &key),
            8 => self.other_port(address, &key),
            9 => {
                self.programs
                    .loaded
                    .maps
                    .reserve(&key, Reserved { interface: PORT, holder: 1, ..Reserved::default() })
                    .expect("room");
                self.model.hosts.insert(address);
            }
            10 | 11 => {
                self.programs.loaded.maps.unreserve(&key);
                self.model.hosts.remove(&address);
            }
            12 => {
                let asks = dad(address).with(|f| f.source_mac = HOST_MAC).bytes();
                assert_eq!(self.programs.run(Direction::Egress, &asks), Ok(Kind::Dad));
                self.model.hosts.insert(address);
            }
            _ => {
                let frame = spoken(&mut self.random).bytes();
                let expected = self.model.hear(frame.clone(), &self.programs.policy);
                let outcome = self.programs.outcome(Direction::Ingress, &frame);
                let expected = expected.map_or_else(Outcome::Dropped, Outcome::Passed);
                assert_eq!(outcome, expected, "{frame:02x?} {:?}", self.programs.policy);
            }
        }
    }

    /// User space takes a binding away.
    fn forget(&mut self, address: Ipv6Addr, key: &BindingKey) {
        let removed = self.programs.loaded.maps.remove_binding(key);
        let held = self.model.held.remove(&address);
        assert_eq!(removed, held.is_some());
        if held.is_some_and(|held| held.port == PORT) {
            self.programs.set_policy(|policy| policy.released += 1);
        }
    }

    /// Another port of the link has the address first.
    fn other_port(&mut self, address: Ipv6Addr, key: &BindingKey) {
        let (epoch, mac) = (1, OTHER_MAC);
        let (state, origin) = (State::Valid, Kind::Echo);
        if !self.model.held.contains_key(&address) {
            let (state, origin) = (state.number(), origin.number());
            let port = OTHER_PORT;
            let held = Binding { port, epoch, mac, state, origin, ..Binding::default() };
            self.programs.loaded.maps.insert_binding(key, &held).expect("room");
            self.model.held.insert(
                address,
                Held { port, epoch, mac, state: State::Valid, origin: Kind::Echo },
            );
        }
    }

    /// Both tables are the model's.
    fn compare(&self) {
        let held: BTreeMap<Ipv6Addr, Held> = self.programs.bindings().iter().map(row).collect();
        assert_eq!(held, self.model.held);
        let hosts = self.programs.loaded.maps.reserved().expect("the host's addresses");
        let hosts: BTreeSet<Ipv6Addr> = hosts.iter().map(|key| key.address.into()).collect();
        assert_eq!(hosts, self.model.hosts);
        let state = self.programs.loaded.maps.state(PORT).expect("the port");
        let own = held.values().filter(|held| held.port == PORT).count() as u64;
        assert_eq!(state.claimed - self.programs.policy.released, own);
    }

    /// The events are the model's news.
    fn drain(&mut self) {
        let Programs { loaded, _runtime: runtime, .. } = &mut self.programs;
        let mut news = Vec::new();
        while news.len() < self.model.news.len() {
            let events = runtime.block_on(loaded.events.next()).expect("events");
            news.extend(events.iter().map(|event| {
                let state = State::try_from(event.binding.state).expect("a state");
                (Ipv6Addr::from(event.key.address), state)
            }));
        }
        assert_eq!(news, self.model.news);
        self.model.news.clear();
    }
}

fn row((key, held): &(BindingKey, Binding)) -> (Ipv6Addr, Held) {
    let state = State::try_from(held.state).expect("a state");
    let origin = Kind::try_from(held.origin).expect("a kind");
    let Binding { port, epoch, mac, .. } = *held;
    (key.address.into(), Held { port, epoch, mac, state, origin })
}

#[test]
fn the_tables_are_the_models() -> anyhow::Result<()> {
    let random = fastrand::Rng::with_seed(generate::seed()?);
    let (mut programs, model) = (Programs::load(), Model::default());
    programs.set_policy(|policy| policy.nd_rate = Rate::default());
    let mut conversation = Conversation { programs, model, random };
    for step in 1..=STEPS {
        conversation.step();
        conversation.compare();
        if step % 100 == 0 {
            conversation.drain();
        }
    }
    let counters = conversation.programs.counters()[0];
    for reason in [
        Reason::SourceMac,
        Reason::HostAddress,
        Reason::BindingConflict,
        Reason::BindingQuota,
        Reason::NdRate,
    ] {
        let met = counters.ingress.dropped[usize::from(reason.number())].packets;
        assert!(met > 20, "{reason}: only {met} of {STEPS} steps came to it");
    }
    Ok(())
}

//! Long conversations against a model of the tables: who holds what, whose MAC it is, what the host has and what other
//! members of the link have. After each step the verdict and both tables are the model's, and the events are its news.
//!
//! Time stands still, but where a step says that it passes: what is young stays so.

mod model;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    net::Ipv6Addr,
    time::Instant,
};

use netmon_common::{
    Kind, Mac, Reason,
    abi::{Binding, BindingKey, Direction, Holder, News, Rate, Reserved, State},
    limits,
    outcome::Outcome,
};
use netmon_tests::{
    frame::{
        ALL_NODES, Frame, GUEST_MAC, HOST_MAC, OTHER_MAC, advertisement, dad, echo,
        listener_report, mac_option, router_solicitation, solicitation, tcp,
    },
    generate,
};

use self::model::{Held, Model};
use super::{PORT, Programs};

/// Steps of the ordinary test run.
const STEPS: usize = 4_000;

/// Another port of the same link.
const OTHER_PORT: u32 = 2;

/// The interface behind which a member of the link is that is no port.
const UPLINK: u32 = 3;

/// … and its MAC.
const MEMBER_MAC: [u8; 6] = [2, 0xfc, 0, 0, 0, 3];

/// A time that has not passed, whatever is waited for.
const YOUNG: u64 = u64::MAX;

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
    /// Events that were taken out of the ring.
    drained: u64,
    /// … and those of them that are of newcomers.
    crowded: u64,
}

impl Conversation {
    fn step(&mut self) {
        let address = address(&mut self.random);
        let key = BindingKey::new(PORT, address.octets());
        match self.random.u8(..48) {
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
                let holder = Holder::Host.number();
                let had = Reserved { interface: PORT, holder, ..Reserved::default() };
                self.programs.loaded.maps.reserve(&key, had).expect("room");
                self.model.reserved.insert(address, (Holder::Host, false));
            }
            10..14 => {
                self.programs.loaded.maps.unreserve(&key);
                self.model.reserved.remove(&address);
            }
            14 => {
                let asks = dad(address).with(|f| f.source_mac = HOST_MAC).bytes();
                assert_eq!(self.programs.run(Direction::Egress, &asks), Ok(Kind::Dad));
                self.model.reserved.insert(address, (Holder::Host, true));
                self.was_asked();
            }
            15 | 16 => self.member(address),
            17 => {
                let asks_link = self.random.u8(..2);
                self.programs.set_policy(|policy| policy.asks_link = asks_link);
            }
            18..22 => self.time_passes(address, &key),
            _ => {
                let frame = spoken(&mut self.random).bytes();
                let expected = self.model.hear(frame.clone(), &self.programs.policy);
                let outcome = self.programs.outcome(Direction::Ingress, &frame);
                let expected = expected.map_or_else(Outcome::Dropped, Outcome::Passed);
                assert_eq!(outcome, expected, "{frame:02x?} {:?}", self.programs.policy);
                self.time_stands_still();
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

    /// Another port of the link has the address first: it uses it, asks for it, or has asked for it.
    fn other_port(&mut self, address: Ipv6Addr, key: &BindingKey) {
        let (port, epoch, mac, origin) = (OTHER_PORT, 1, OTHER_MAC, Kind::Echo);
        let state = [State::Valid, State::Tentative][self.random.usize(..2)];
        let is_old = self.random.bool();
        let Entry::Vacant(place) = self.model.held.entry(address) else { return };
        place.insert(Held { port, epoch, mac, state, origin, is_old, is_contested: false });
        let last_seen = if is_old { 0 } else { YOUNG };
        let (state, origin, first_seen) = (state.number(), origin.number(), last_seen);
        let new = Binding::default();
        let held = Binding { first_seen, last_seen, port, epoch, mac, state, origin, ..new };
        self.programs.loaded.maps.insert_binding(key, &held).expect("room");
    }

    /// A member that is no port asks for an address, or says that it has it.
    fn member(&mut self, address: Ipv6Addr) {
        let asks = self.random.bool();
        let frame = if asks { dad(address) } else { advertisement(address) };
        let frame = frame.with(|f| f.source_mac = MEMBER_MAC).bytes();
        assert!(self.programs.passed_on(UPLINK, &frame));
        if asks {
            self.was_asked();
        }
        if self.programs.policy.asks_link == 1 {
            self.model.member(address, asks);
        }
    }

    fn was_asked(&mut self) {
        self.model.unanswered = limits::UNANSWERED.min(self.model.unanswered + 1);
    }

    /// What is held of this address becomes old, and was not contested for long.
    fn time_passes(&mut self, address: Ipv6Addr, key: &BindingKey) {
        let Some(held) = self.model.held.get_mut(&address) else { return };
        (held.is_old, held.is_contested) = (true, false);
        let held = self.programs.loaded.maps.binding(key).expect("it is held");
        let old = Binding { first_seen: 0, last_seen: 0, contested: 0, ..held };
        self.programs.loaded.maps.insert_binding(key, &old).expect("it is there");
    }

    /// What has become young or contested stays so.
    fn time_stands_still(&mut self) {
        for (key, held) in self.programs.bindings() {
            let first_seen = if held.first_seen == 0 { 0 } else { YOUNG };
            let contested = if held.contested == 0 { 0 } else { YOUNG };
            if (first_seen, contested) != (held.first_seen, held.contested) {
                let still = Binding { first_seen, contested, ..held };
                self.programs.loaded.maps.insert_binding(&key, &still).expect("it is there");
            }
        }
    }

    /// Both tables are the model's.
    fn compare(&self) {
        let held: BTreeMap<Ipv6Addr, Held> = self.programs.bindings().iter().map(row).collect();
        assert_eq!(held, self.model.held);
        let keys = self.programs.loaded.maps.reserved().expect("the table");
        let reserved = keys.iter().map(|key| {
            let had = self.programs.reserved(key).expect("it is there");
            let holder = Holder::try_from(had.holder).expect("a holder");
            (key.address.into(), (holder, had.is_tentative == 1))
        });
        assert_eq!(reserved.collect::<BTreeMap<_, _>>(), self.model.reserved);
        let state = self.programs.state();
        assert_eq!(state.unanswered, self.model.unanswered);
        assert_eq!(state.newcomer, Mac::new(self.model.newcomer).bits());
        let own = held.values().filter(|held| held.port == PORT).count() as u64;
        assert_eq!(state.claimed - self.programs.policy.released, own);
    }

    /// The events are the model's news, and no more than one a second of a newcomer that was refused.
    fn drain(&mut self) {
        let Programs { loaded, _runtime: runtime, .. } = &mut self.programs;
        let wanted = loaded.maps.ring().expect("the ring's ledger").wanted;
        let mut news = Vec::new();
        while self.drained < wanted {
            let events = runtime.block_on(loaded.events.next()).expect("events");
            self.drained += events.len() as u64;
            for event in events {
                match News::try_from(event.news).expect("news") {
                    News::Crowded => self.crowded += 1,
                    kind @ (News::Bound | News::Contested) => {
                        let state = State::try_from(event.binding.state).expect("a state");
                        news.push((kind, Ipv6Addr::from(event.key.address), state));
                    }
                }
            }
        }
        assert_eq!(news, self.model.news);
        self.model.news.clear();
    }
}

fn row((key, held): &(BindingKey, Binding)) -> (Ipv6Addr, Held) {
    let state = State::try_from(held.state).expect("a state");
    let origin = Kind::try_from(held.origin).expect("a kind");
    let Binding { port, epoch, mac, .. } = *held;
    let (is_old, is_contested) = (held.first_seen == 0, held.contested != 0);
    (key.address.into(), Held { port, epoch, mac, state, origin, is_old, is_contested })
}

#[test]
fn the_tables_are_the_models() -> anyhow::Result<()> {
    let random = fastrand::Rng::with_seed(generate::seed()?);
    let (mut programs, model) = (Programs::load(), Model::default());
    programs.set_policy(|policy| policy.nd_rate = Rate::default());
    let mut conversation = Conversation { programs, model, random, drained: 0, crowded: 0 };
    let start = Instant::now();
    for step in 1..=STEPS {
        conversation.step();
        conversation.compare();
        if step % 100 == 0 {
            conversation.drain();
        }
    }
    let seconds = start.elapsed().as_secs() + 1;
    assert!((1..=seconds).contains(&conversation.crowded), "{} events", conversation.crowded);
    let counters = conversation.programs.counters()[0];
    for reason in [
        Reason::SourceMac,
        Reason::HostAddress,
        Reason::BindingConflict,
        Reason::BindingQuota,
        Reason::NdRate,
        Reason::LinkAddress,
        Reason::BindingTentative,
    ] {
        let met = counters.ingress.dropped[usize::from(reason.number())].packets;
        assert!(met > 20, "{reason}: only {met} of {STEPS} steps came to it");
    }
    Ok(())
}

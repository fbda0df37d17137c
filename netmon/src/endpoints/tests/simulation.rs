//! The live map as a simulation: news in any order, lost, late and false, against a naive model.

use std::{collections::BTreeMap, time::Duration};

use netmon_common::limits;

use super::{
    super::{Endpoint, Question, Timers},
    *,
};

const STEPS: u64 = 1_000_000;
const PORTS: u64 = 4;
const ADDRESSES: u64 = 4;
const TIMERS: Timers =
    Timers { reachable: Duration::from_secs(30), expire: Duration::from_secs(600) };

/// xorshift64: the same run from the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[derive(Clone, Copy, PartialEq)]
struct Truth {
    name: u64,
    epoch: u16,
    up: bool,
}

/// What is true, and each time that somebody was asked.
#[derive(Default)]
struct World {
    now: u64,
    kernel: BTreeMap<BindingKey, Binding>,
    ports: BTreeMap<u32, Truth>,
    /// Since the guest or its TAP was another one, or the TAP down.
    asked: BTreeMap<BindingKey, Vec<u64>>,
    ticked: u64,
    expired: u64,
}

impl World {
    /// Something happens; what the daemon is told of it, if it is.
    fn happens(&mut self, random: &mut Random) -> Option<Input> {
        self.now += if random.below(1000) == 0 { random.below(2000) } else { random.below(3) };
        let index = 1 + random.below(PORTS) as u32;
        let key = key(index, &format!("fe80::1{}", random.below(ADDRESSES)));
        match random.below(200) {
            0 => {
                self.ports.remove(&index);
                self.asked.retain(|key, _| key.link != index);
                Some(Input::PortGone(index))
            }
            1..4 => {
                let old = self.ports.get(&index).copied();
                let epoch = old.map_or(1, |old| old.epoch) + random.below(2) as u16;
                let truth = Truth { name: random.below(9), epoch, up: random.below(4) > 0 };
                if old.is_none_or(|old| old.epoch != epoch) {
                    self.asked.retain(|key, _| key.link != index);
                }
                self.ports.insert(index, truth);
                let name = format!("tap{}", truth.name).into();
                Some(Input::Port { index, name, scope: index, epoch, up: truth.up })
            }
            4 => {
                self.kernel.remove(&key);
                None
            }
            5..10 => Some(Input::Table(self.kernel.iter().map(|(k, held)| (*k, *held)).collect())),
            10..14 => {
                let epoch = self.ports.get(&index).map_or(7, |port| port.epoch);
                let state = [abi::State::Tentative, abi::State::Valid][random.below(2) as usize];
                let claim = binding(index, epoch, state, Kind::Dad, self.now);
                let held = self.kernel.entry(key).or_insert(claim);
                if held.epoch != epoch {
                    *held = claim;
                }
                held.last_seen = self.now * SECOND;
                // Half of the hints are lost.
                (random.below(2) == 0).then_some(Input::Binding(key, *held))
            }
            _ => None,
        }
    }

    /// Takes note of what a tick has brought, none of which may be without a reason.
    fn tick(&mut self, table: &mut EndpointTable) {
        let due = table.tick(at(self.now), |key| self.kernel.get(key).copied());
        let ports = &self.ports;
        self.asked.retain(|key, _| ports.get(&key.link).is_some_and(|port| port.up));
        assert!(due.questions.len() <= limits::PROBES + limits::SEARCHES);
        for question in due.questions {
            let Question::Neighbor { port, address, .. } = question else { continue };
            let key = BindingKey::new(port, address.octets());
            // A search asks for others, too.
            let Some(held) = self.kernel.get(&key) else { continue };
            assert!(self.is_shown(held) && self.ports[&port].up, "{question:?}");
            assert!(self.quiet(held) >= TIMERS.reachable.as_secs(), "{question:?} has spoken");
            let asked = self.asked.entry(key).or_default();
            asked.retain(|at| at * SECOND > held.last_seen);
            let pause = if asked.len() < 3 { 1 } else { 60 };
            assert!(asked.last().is_none_or(|at| at + pause <= self.now), "{question:?} {asked:?}");
            asked.push(self.now);
        }
        for (key, _) in due.expired {
            self.expired += 1;
            let held = self.kernel.remove(&key).expect("what expires is there");
            assert!(self.is_shown(&held) && self.ports[&held.port].up, "{held:?}");
            let asked = self.asked.remove(&key).unwrap_or_default();
            assert!(asked.iter().all(|at| at * SECOND > held.last_seen), "{held:?}: {asked:?}");
            assert!(asked[2] + TIMERS.expire.as_secs() <= self.now, "{held:?}: {asked:?}");
        }
        self.ticked = self.now;
    }

    fn is_shown(&self, held: &Binding) -> bool {
        self.ports.get(&held.port).is_some_and(|port| port.epoch == held.epoch)
    }

    fn quiet(&self, held: &Binding) -> u64 {
        self.now - held.last_seen / SECOND
    }

    /// The naive model: what is to be shown once the table was read.
    fn rows(&self) -> Vec<String> {
        let mut shown: Vec<_> = self.kernel.iter().filter(|row| self.is_shown(row.1)).collect();
        shown.sort_by_key(|(key, _)| (key.link, key.address));
        let row = |(key, held): (&BindingKey, &Binding)| {
            let asked = self.asked.get(key).map(Vec::as_slice).unwrap_or_default();
            let asked: Vec<_> = asked.iter().filter(|at| **at * SECOND > held.last_seen).collect();
            let state = match *asked {
                _ if self.quiet(held) == 0 && held.state == abi::State::Tentative.number() => {
                    State::Tentative
                }
                _ if self.quiet(held) < TIMERS.reachable.as_secs() => State::Reachable,
                [] => State::Stale,
                [_, _, third, ..] if *third < self.ticked => State::Unreachable,
                [..] => State::Probing,
            };
            format!("tap{} {} {state:?}", self.ports[&held.port].name, Ipv6Addr::from(key.address))
        };
        shown.into_iter().map(row).collect()
    }
}

#[test]
fn any_order_of_news_ends_at_the_kernels_table() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut world, mut table) = (World::default(), EndpointTable::new(TIMERS));
    let mut seen = BTreeMap::<String, u64>::new();
    for step in 0..STEPS {
        if let Some(input) = world.happens(&mut random) {
            table.apply(input, at(world.now));
        }
        if random.below(10) == 0 {
            world.tick(&mut table);
        }
        assert!(table.entries.len() <= (PORTS * ADDRESSES) as usize, "bounded by what was claimed");
        assert!(table.ports.len() <= PORTS as usize);
        if step % 1000 == 999 {
            let rows = world.kernel.iter().map(|(key, held)| (*key, *held)).collect();
            table.apply(Input::Table(rows), at(world.now));
            world.tick(&mut table);
            let row = |one: &Endpoint| format!("{} {} {:?}", one.tap, one.address, one.state);
            let rows: Vec<_> = table.iter().map(row).collect();
            assert_eq!(rows, world.rows(), "step {step}");
            for endpoint in table.iter() {
                *seen.entry(format!("{:?}", endpoint.state)).or_default() += 1;
            }
        }
    }
    assert_eq!(seen.len(), 5, "each of the states: {seen:?}");
    assert!(world.expired > 100, "{}", world.expired);
}

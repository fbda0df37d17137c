//! What becomes of the quiet, second by second.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use netmon_common::limits;

use super::{super::Question, *};

/// Ticks in a second.
const TICKS: u64 = 4;

/// A binding table and the map of it.
#[derive(Default)]
struct Host {
    table: EndpointTable,
    kernel: BTreeMap<BindingKey, Binding>,
}

impl Host {
    /// With `tap0` at index 7, which nobody is searched behind.
    fn new() -> Self {
        let mut host = Self::default();
        host.table.apply(
            Input::Port { index: 7, name: "tap0".into(), scope: 7, epoch: 1, up: false },
            at(0),
        );
        host.table.apply(port(7, "tap0", 1), at(0));
        assert_eq!(host.tick(at(0)), ["? 7"]);
        assert_eq!(host.tick(at(1)), ["? 7"]);
        assert_eq!(host.tick(at(2)), [""; 0]);
        host
    }

    /// The guest behind `tap0` is heard for the first time.
    fn appears(&mut self, address: &str, seconds: u64) {
        self.holds(address, valid(7, seconds));
        let held = self.kernel[&key(7, address)];
        self.table.apply(Input::Binding(key(7, address), held), at(seconds));
    }

    /// The kernel side tells nobody that it has heard an address once more.
    fn speaks(&mut self, address: &str, seconds: u64) {
        let held = self.kernel.get_mut(&key(7, address)).expect("a binding");
        held.last_seen = seconds * SECOND;
    }

    fn holds(&mut self, address: &str, binding: Binding) {
        self.kernel.insert(key(7, address), binding);
    }

    /// What a tick brings: changes as in [`told`], then `? fe80::2`, then `! fe80::2` of what expired.
    fn tick(&mut self, now: Moment) -> Vec<String> {
        let due = self.table.tick(now, |key| self.kernel.get(key).copied());
        let mut lines = told(&due.changes);
        lines.extend(due.questions.iter().map(|question| match question {
            Question::Everybody { port } => format!("? {port}"),
            Question::Neighbor { address, .. } => format!("? {address}"),
            Question::Link { address, .. } => format!("? link {address}"),
        }));
        for (key, _) in due.expired {
            self.kernel.remove(&key).expect("what expires is there");
            lines.push(format!("! {}", Ipv6Addr::from(key.address)));
        }
        lines
    }

    /// All that happens from one second to another, with the second before it.
    fn happens(&mut self, from: u64, to: u64) -> Vec<String> {
        let ticks = from * TICKS..=to * TICKS;
        let lines = ticks.flat_map(|tick| {
            let now = Moment::from_nanos(tick * SECOND / TICKS);
            let seconds = tick as f64 / TICKS as f64;
            self.tick(now).into_iter().map(move |line| format!("{seconds} {line}"))
        });
        lines.collect()
    }
}

#[test]
fn dad_is_tentative_until_the_address_is_used_or_a_second_is_over() {
    let dad = || {
        let mut host = Host::new();
        let dad = binding(7, 1, abi::State::Tentative, Kind::Dad, 10);
        host.holds("fe80::2", dad);
        let changes = host.table.apply(Input::Binding(key(7, "fe80::2"), dad), at(10));
        assert_eq!(told(&changes), ["+ tap0 fe80::2 Tentative"]);
        host
    };
    assert_eq!(dad().happens(10, 12), ["11 ~ tap0 fe80::2 Reachable"]);
    let used = Input::Binding(key(7, "fe80::2"), binding(7, 1, abi::State::Valid, Kind::Dad, 10));
    assert_eq!(told(&dad().table.apply(used, at(10))), ["~ tap0 fe80::2 Reachable"]);
}

#[test]
fn one_that_falls_silent_is_asked_three_times_and_kept() {
    let mut host = Host::new();
    host.appears("fe80::2", 10);
    assert_eq!(
        host.happens(10, 100),
        [
            "40 ~ tap0 fe80::2 Stale",
            "40.25 ~ tap0 fe80::2 Probing",
            "40.25 ? fe80::2",
            "41.25 ? fe80::2",
            "42.25 ? fe80::2",
            "43.25 ~ tap0 fe80::2 Unreachable",
        ]
    );
    let age = host.table.iter().map(|endpoint| endpoint.last_seen).collect::<Vec<_>>();
    assert_eq!(age, [at(10)], "it is never blanked");
}

#[test]
fn one_that_is_unreachable_is_asked_once_a_minute_and_forgotten_after_an_hour() {
    let mut host = Host::new();
    host.appears("fe80::2", 10);
    host.happens(10, 50);
    let hour = host.happens(51, 3643);
    let minutes = (1..=60).map(|n| format!("{}.25 ? fe80::2", 42 + 60 * n));
    assert_eq!(hour, minutes.collect::<Vec<_>>());
    assert_eq!(
        host.happens(3643, 9999),
        ["3643.25 - tap0 fe80::2 Unreachable", "3643.25 ! fe80::2"]
    );
}

#[test]
fn one_that_answers_is_reachable_at_once_and_keeps_its_binding_for_ever() {
    let mut host = Host::new();
    host.appears("fe80::2", 10);
    for seconds in (40..100_000).step_by(33) {
        assert_eq!(
            host.happens(seconds, seconds + 2),
            [
                format!("{seconds} ~ tap0 fe80::2 Stale"),
                format!("{seconds}.25 ~ tap0 fe80::2 Probing"),
                format!("{seconds}.25 ? fe80::2"),
                format!("{}.25 ? fe80::2", seconds + 1),
            ]
        );
        host.speaks("fe80::2", seconds + 3);
        let answered = [format!("{} ~ tap0 fe80::2 Reachable", seconds + 3)];
        assert_eq!(host.happens(seconds + 3, seconds + 32), answered);
    }
}

#[test]
fn one_that_was_unreachable_comes_back_by_itself() {
    let mut host = Host::new();
    host.appears("fe80::2", 10);
    host.happens(10, 99);
    host.speaks("fe80::2", 100);
    assert_eq!(host.happens(100, 129), ["100 ~ tap0 fe80::2 Reachable"]);
}

#[test]
fn one_that_speaks_is_never_asked() {
    let mut host = Host::new();
    host.appears("fe80::2", 10);
    for seconds in (10..1000).step_by(29) {
        host.speaks("fe80::2", seconds);
        assert_eq!(host.happens(seconds, seconds + 29), [""; 0], "no event told of it");
    }
}

#[test]
fn reading_the_whole_table_makes_nobody_less_silent() {
    let mut host = Host::new();
    host.appears("fe80::2", 10);
    host.happens(10, 99);
    let rows = host.kernel.clone().into_iter().collect();
    assert_eq!(told(&host.table.apply(Input::Table(rows), at(100))), [""; 0]);
}

#[test]
fn behind_a_tap_that_is_down_nobody_is_asked_and_nobody_given_up() {
    let mut host = Host::new();
    host.appears("fe80::2", 10);
    let set = |up| Input::Port { index: 7, name: "tap0".into(), scope: 7, epoch: 1, up };
    host.happens(10, 50);
    host.table.apply(set(false), at(50));
    assert_eq!(host.happens(50, 9999), ["50 ~ tap0 fe80::2 Stale"]);
    host.table.apply(set(true), at(10_000));
    let again = host.happens(10_000, 10_001);
    assert_eq!(again[..2], ["10000 ~ tap0 fe80::2 Probing", "10000 ? 7"]);
}

#[test]
fn a_binding_that_somebody_has_removed_is_gone() {
    let mut host = Host::new();
    host.appears("fe80::2", 10);
    host.kernel.clear();
    assert_eq!(host.happens(10, 99), ["40 - tap0 fe80::2 Reachable"]);
}

#[test]
fn an_address_that_another_port_of_the_bridge_has_now_is_gone_from_here() {
    let mut host = Host::new();
    host.table.apply(port(8, "tap1", 1), at(0));
    host.happens(0, 9);
    host.appears("fe80::2", 10);
    host.holds("fe80::2", valid(8, 39));
    assert_eq!(host.happens(10, 40), ["40 - tap0 fe80::2 Reachable"]);
}

#[test]
fn one_that_does_not_answer_ranks_last() {
    let mut host = Host::new();
    host.appears("fe80::2", 10);
    host.happens(10, 50);
    host.appears("fe80::9", 50);
    let first = host.table.iter().min_by_key(|endpoint| endpoint.rank());
    assert_eq!(first.map(|endpoint| endpoint.address.to_string()).as_deref(), Some("fe80::9"));
}

#[test]
fn a_port_is_searched_when_it_comes_and_when_it_comes_up() {
    let mut host = Host::default();
    let set = |epoch, up| Input::Port { index: 7, name: "tap0".into(), scope: 7, epoch, up };
    host.table.apply(set(1, false), at(0));
    assert_eq!(host.happens(0, 9), [""; 0], "it could not hear");
    host.table.apply(set(1, true), at(10));
    assert_eq!(host.happens(10, 19), ["10 ? 7", "11 ? 7"]);
    host.table.apply(port(7, "vm1", 1), at(20));
    assert_eq!(host.happens(20, 29), [""; 0], "a name is no guest");
    host.table.apply(set(2, true), at(30));
    assert_eq!(host.happens(30, 39), ["30 ? 7", "31 ? 7"], "another guest");
}

#[test]
fn whoever_answers_is_asked_for_the_addresses_that_it_may_have_besides() {
    let found = |address: &str| {
        let mut host = Host::default();
        host.table.apply(port(7, "tap0", 1), at(10));
        assert_eq!(host.tick(at(10)), ["? 7"]);
        host.appears(address, 10);
        host.happens(10, 20)
    };
    assert_eq!(found("fe80::2"), ["10 ? fe80::fc:ff:fe00:1"]);
    assert_eq!(found("fe80::fc:ff:fe00:1"), ["10 ? fe80::2"]);
    assert_eq!(found("fe80::9"), ["10 ? fe80::2", "10 ? fe80::fc:ff:fe00:1"]);
}

#[test]
fn thousands_who_fall_silent_together_are_asked_in_turn() {
    let mut host = Host::default();
    let all = 4000;
    for index in 1..=all {
        host.table.apply(port(index, "tap", 1), at(0));
        host.kernel.insert(key(index, "fe80::2"), valid(index, 10));
    }
    for tick in 0..9 * TICKS {
        let questions =
            host.table.tick(Moment::from_nanos(tick * SECOND / TICKS), |_| None).questions;
        assert!(questions.len() <= limits::SEARCHES);
    }
    host.table.apply(Input::Table(host.kernel.clone().into_iter().collect()), at(10));
    let mut asked: BTreeMap<Question, Vec<u64>> = BTreeMap::new();
    for tick in 40 * TICKS.. {
        let now = Moment::from_nanos(tick * SECOND / TICKS);
        let due = host.table.tick(now, |key| host.kernel.get(key).copied());
        assert!(due.questions.len() <= limits::PROBES);
        for question in due.questions {
            asked.entry(question).or_default().push(tick);
        }
        if host.table.iter().all(|endpoint| endpoint.state == State::Unreachable) {
            break;
        }
        assert!(tick < 100 * TICKS, "everybody has a turn");
    }
    assert_eq!(asked.len(), all as usize);
    for (question, ticks) in &asked {
        assert_eq!(ticks.len(), 3, "{question:?}");
        assert!(ticks.is_sorted_by(|a, b| b - a >= TICKS), "{question:?}: {ticks:?}");
    }
    let firsts: BTreeSet<u64> = asked.values().map(|ticks| ticks[0]).collect();
    assert!(firsts.len() >= all as usize / limits::PROBES, "{firsts:?}");
}

#[test]
fn many_who_are_quiet_are_looked_at_in_turn() {
    let mut host = Host::default();
    let all = 3 * limits::LOOKS;
    for index in 1..=all as u32 {
        let down = Input::Port { index, name: "tap".into(), scope: index, epoch: 1, up: false };
        host.table.apply(down, at(0));
        host.kernel.insert(key(index, "fe80::2"), valid(index, 0));
    }
    host.table.apply(Input::Table(host.kernel.clone().into_iter().collect()), at(100));
    let looked = RefCell::new(BTreeSet::new());
    for tick in 1..=3 {
        host.table.tick(at(100), |key| {
            looked.borrow_mut().insert(*key);
            host.kernel.get(key).copied()
        });
        assert_eq!(looked.borrow().len(), tick * limits::LOOKS);
    }
}

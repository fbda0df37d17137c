//! The live map by its features, one readable line a case; then as a simulation against a naive model.

use std::{collections::BTreeMap, net::Ipv6Addr, sync::Arc, time::Duration};

use netmon_common::{
    Kind,
    abi::{self, Binding, BindingKey},
};

use super::{Change, EndpointTable, Input, REACHABLE_TIME, State};
use crate::time::Moment;

const MAC: [u8; 6] = [2, 0xfc, 0, 0, 0, 1];
const SECOND: u64 = 1_000_000_000;

fn at(seconds: u64) -> Moment {
    Moment::from_nanos(seconds * SECOND)
}

fn port(index: u32, name: &str, epoch: u16) -> Input {
    Input::Port { index, name: Arc::from(name), epoch }
}

fn key(port: u32, address: &str) -> BindingKey {
    let address: Ipv6Addr = address.parse().unwrap_or(Ipv6Addr::UNSPECIFIED);
    BindingKey::new(port, address.octets())
}

fn binding(port: u32, epoch: u16, state: abi::State, origin: Kind, seconds: u64) -> Binding {
    Binding {
        first_seen: seconds * SECOND,
        last_seen: seconds * SECOND,
        port,
        epoch,
        mac: MAC,
        state: state.number(),
        origin: origin.number(),
        padding: [0; 2],
    }
}

fn valid(port: u32, seconds: u64) -> Binding {
    binding(port, 1, abi::State::Valid, Kind::NeighborAdvertisement, seconds)
}

/// `+ tap0 fe80::2 Reachable`
fn told(changes: &[Change]) -> Vec<String> {
    let line = |change: &Change| {
        let (sign, endpoint) = match change {
            Change::Added(endpoint) => ('+', endpoint),
            Change::Updated(endpoint) => ('~', endpoint),
            Change::Removed(endpoint) => ('-', endpoint),
        };
        format!("{sign} {} {} {:?}", endpoint.tap, endpoint.address, endpoint.state)
    };
    changes.iter().map(line).collect()
}

/// A table with `tap0` at index 7 that was told these inputs at their times; what the last one changed.
fn after(inputs: Vec<(u64, Input)>) -> Vec<String> {
    let mut table = EndpointTable::default();
    let mut changes = table.apply(port(7, "tap0", 1), at(0));
    for (seconds, input) in inputs {
        changes = table.apply(input, at(seconds));
    }
    told(&changes)
}

#[test]
fn a_claim_is_an_endpoint() {
    let claim = Input::Binding(key(7, "fe80::2"), valid(7, 1));
    assert_eq!(after(vec![(1, claim)]), ["+ tap0 fe80::2 Reachable"]);
}

#[test]
fn dad_is_tentative_until_the_address_is_used_or_a_second_is_over() {
    let dad = Input::Binding(key(7, "fe80::2"), binding(7, 1, abi::State::Tentative, Kind::Dad, 1));
    let used = Input::Binding(key(7, "fe80::2"), binding(7, 1, abi::State::Valid, Kind::Dad, 1));
    assert_eq!(after(vec![(1, dad.clone())]), ["+ tap0 fe80::2 Tentative"]);
    assert_eq!(after(vec![(1, dad.clone()), (1, used)]), ["~ tap0 fe80::2 Reachable"]);
    assert_eq!(after(vec![(1, dad), (2, Input::Tick)]), ["~ tap0 fe80::2 Reachable"]);
}

#[test]
fn traffic_alone_is_no_news() {
    let again = Binding { last_seen: 9 * SECOND, ..valid(7, 1) };
    let inputs = vec![
        (1, Input::Binding(key(7, "fe80::2"), valid(7, 1))),
        (9, Input::Table(vec![(key(7, "fe80::2"), again)])),
    ];
    assert_eq!(after(inputs), [""; 0]);
}

#[test]
fn a_quiet_endpoint_is_stale_and_comes_back() {
    let claim = |seconds| {
        Input::Binding(key(7, "fe80::2"), Binding { first_seen: SECOND, ..valid(7, seconds) })
    };
    let quiet = 1 + REACHABLE_TIME.as_secs();
    assert_eq!(after(vec![(1, claim(1)), (quiet - 1, Input::Tick)]), [""; 0]);
    assert_eq!(after(vec![(1, claim(1)), (quiet, Input::Tick)]), ["~ tap0 fe80::2 Stale"]);
    assert_eq!(
        after(vec![(1, claim(1)), (quiet, Input::Tick), (99, claim(99))]),
        ["~ tap0 fe80::2 Reachable"]
    );
}

#[test]
fn the_table_is_the_truth() {
    let inputs = vec![
        (1, Input::Binding(key(7, "fe80::2"), valid(7, 1))),
        (1, Input::Table(vec![(key(7, "fe80::3"), valid(7, 1))])),
    ];
    assert_eq!(after(inputs), ["+ tap0 fe80::3 Reachable", "- tap0 fe80::2 Reachable"]);
}

#[test]
fn a_port_that_is_gone_takes_its_endpoints_along() {
    let claim = Input::Binding(key(7, "fe80::2"), valid(7, 1));
    assert_eq!(after(vec![(1, claim), (2, Input::PortGone(7))]), ["- tap0 fe80::2 Reachable"]);
}

#[test]
fn a_new_guest_starts_with_nothing() {
    let claim = Input::Binding(key(7, "fe80::2"), valid(7, 1));
    let late = claim.clone();
    assert_eq!(
        after(vec![(1, claim.clone()), (2, port(7, "tap0", 2))]),
        ["- tap0 fe80::2 Reachable"]
    );
    assert_eq!(after(vec![(1, claim), (2, port(7, "tap0", 2)), (3, late)]), [""; 0]);
}

#[test]
fn a_renamed_tap_keeps_its_endpoints() {
    let claim = Input::Binding(key(7, "fe80::2"), valid(7, 1));
    assert_eq!(after(vec![(1, claim), (2, port(7, "vm1", 1))]), ["~ vm1 fe80::2 Reachable"]);
}

#[test]
fn two_taps_with_the_same_address_are_two_endpoints() {
    let inputs = vec![
        (0, port(8, "tap1", 1)),
        (1, Input::Binding(key(7, "fe80::2"), valid(7, 1))),
        (1, Input::Binding(key(8, "fe80::2"), valid(8, 1))),
    ];
    assert_eq!(after(inputs.clone()), ["+ tap1 fe80::2 Reachable"]);
    let gone = [inputs, vec![(2, Input::PortGone(7))]].concat();
    assert_eq!(after(gone), ["- tap0 fe80::2 Reachable"]);
}

#[test]
fn a_binding_of_no_port_is_not_shown() {
    assert_eq!(after(vec![(1, Input::Binding(key(9, "fe80::2"), valid(9, 1)))]), [""; 0]);
}

#[test]
fn numbers_that_the_kernel_never_writes_are_ignored() {
    let odd = Binding { state: 9, ..valid(7, 1) };
    assert_eq!(after(vec![(1, Input::Binding(key(7, "fe80::2"), odd))]), [""; 0]);
    let odd = Binding { origin: 200, ..valid(7, 1) };
    assert_eq!(after(vec![(1, Input::Binding(key(7, "fe80::2"), odd))]), [""; 0]);
}

#[test]
fn rank_prefers_dad_then_the_chosen_address_then_the_older() {
    let mut table = EndpointTable::default();
    table.apply(port(7, "tap0", 1), at(0));
    let mut claim = |address, state, origin, seconds| {
        let binding = binding(7, 1, state, origin, seconds);
        table.apply(Input::Binding(key(7, address), binding), at(5));
    };
    claim("fe80::9", abi::State::Tentative, Kind::Dad, 5);
    claim("fe80::8", abi::State::Valid, Kind::Tcp, 1);
    claim("fe80::fc:ff:fe00:1", abi::State::Valid, Kind::Dad, 1); // derived from MAC
    claim("fe80::3", abi::State::Valid, Kind::Dad, 3);
    claim("fe80::2", abi::State::Valid, Kind::Dad, 4);
    let mut ranked: Vec<_> = table.iter().collect();
    ranked.sort_by_key(|endpoint| endpoint.rank());
    let ranked: Vec<_> = ranked.iter().map(|endpoint| endpoint.address.to_string()).collect();
    assert_eq!(ranked, ["fe80::3", "fe80::2", "fe80::fc:ff:fe00:1", "fe80::8", "fe80::9"]);
}

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

/// What the kernel holds, and which hints of it got through.
#[test]
fn any_order_of_news_ends_at_the_kernels_table() {
    for seed in 1..=20 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let mut kernel: BTreeMap<BindingKey, Binding> = BTreeMap::new();
        let mut ports: BTreeMap<u32, u16> = BTreeMap::new();
        let mut table = EndpointTable::default();
        let mut now = 1;
        for _ in 0..5_000 {
            now += random.below(4);
            let index = 1 + random.below(6) as u32;
            let input = match random.below(8) {
                0 => {
                    let epoch = random.below(1 << 16) as u16;
                    ports.insert(index, epoch);
                    Some(port(index, &format!("tap{}", random.below(9)), epoch))
                }
                1 => {
                    ports.remove(&index);
                    Some(Input::PortGone(index))
                }
                2 => {
                    kernel.retain(|_, held| held.port != index);
                    None
                }
                3 => Some(Input::Tick),
                4 => Some(Input::Table(kernel.iter().map(|(key, held)| (*key, *held)).collect())),
                _ => {
                    let key = key(index, &format!("fe80::{:x}", random.below(9)));
                    let epoch = ports.get(&index).copied().unwrap_or(7);
                    let binding = binding(index, epoch, abi::State::Valid, Kind::Tcp, now);
                    kernel.insert(key, binding);
                    // Half of the hints are lost.
                    (random.below(2) == 0).then_some(Input::Binding(key, binding))
                }
            };
            if let Some(input) = input {
                table.apply(input, at(now));
            }
            assert!(table.iter().count() <= 6 * 9, "seed {seed}: bounded by what was claimed");
        }
        let rows = kernel.iter().map(|(key, held)| (*key, *held)).collect();
        table.apply(Input::Table(rows), at(now));
        let is_current = |held: &Binding| ports.get(&held.port) == Some(&held.epoch);
        let mut model: Vec<_> = kernel
            .iter()
            .filter(|(_, held)| is_current(held))
            .map(|(key, held)| (held.port, Ipv6Addr::from(key.address), quiet(held, now)))
            .collect();
        model.sort();
        let shown: Vec<_> = table.iter().map(|e| (e.port, e.address, e.state)).collect();
        assert_eq!(shown, model, "seed {seed}");
    }
}

fn quiet(held: &Binding, now: u64) -> State {
    let since = Duration::from_nanos(now * SECOND - held.last_seen);
    if since < REACHABLE_TIME { State::Reachable } else { State::Stale }
}

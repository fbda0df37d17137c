//! The live map by its features, one readable line a case.

mod contest;
mod quiet;
mod simulation;

use std::{net::Ipv6Addr, sync::Arc};

use netmon_common::{
    Kind,
    abi::{self, Binding, BindingKey},
};

use super::{Change, EndpointTable, Input, State};
use crate::time::Moment;

const MAC: [u8; 6] = [2, 0xfc, 0, 0, 0, 1];
const SECOND: u64 = 1_000_000_000;

fn at(seconds: u64) -> Moment {
    Moment::from_nanos(seconds * SECOND)
}

fn port(index: u32, name: &str, epoch: u16) -> Input {
    Input::Port { index, name: Arc::from(name), scope: index, epoch, up: true }
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
        contested: 0,
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
fn traffic_alone_is_no_news() {
    let again = Binding { last_seen: 9 * SECOND, ..valid(7, 1) };
    let inputs = vec![
        (1, Input::Binding(key(7, "fe80::2"), valid(7, 1))),
        (9, Input::Table(vec![(key(7, "fe80::2"), again)])),
    ];
    assert_eq!(after(inputs), [""; 0]);
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

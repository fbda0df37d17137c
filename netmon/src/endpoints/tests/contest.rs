//! Who has to give a place up, and who does not.

use netmon_common::{Mac, abi};

use super::*;
use crate::endpoints::Question;

const OTHER: Mac = Mac::new([2, 0xfc, 0, 0, 0, 9]);

fn ms(millis: u64) -> Moment {
    Moment::from_nanos(millis * 1_000_000)
}

fn at(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last)
}

/// A binding of port 7 that was heard at this millisecond.
fn heard(millis: u64, state: abi::State) -> Binding {
    let seen = millis * 1_000_000;
    Binding {
        first_seen: seen,
        last_seen: seen,
        port: 7,
        epoch: 1,
        mac: OTHER.octets(),
        state: state.number(),
        ..Binding::default()
    }
}

fn table() -> EndpointTable {
    let mut table = EndpointTable::default();
    let port = Input::Port { index: 7, name: "tap0".into(), scope: 7, epoch: 1, up: true };
    table.apply(port, ms(0));
    table
}

fn key(last: u16) -> BindingKey {
    BindingKey::new(7, at(last).octets())
}

/// Port 7 holds fe80::2 since one second; it is contested at two. What is asked, and what is given up at 2.6 s where
/// the table then holds `later`.
fn contested(binding: Binding, later: Option<Binding>) -> (usize, usize) {
    let mut table = table();
    table.apply(Input::Binding(key(2), binding), ms(1_000));
    table.questions();
    table.apply(Input::Contested(key(2), binding), ms(2_000));
    let asked = table.questions().len();
    let early = table.tick(ms(2_400), |_| Some(binding));
    assert!(early.expired.is_empty(), "the answer may be under way");
    (asked, table.tick(ms(2_600), |_| later).expired.len())
}

#[test]
fn a_holder_that_does_not_answer_gives_its_address_up() {
    let silent = heard(1_000, abi::State::Valid);
    assert_eq!(contested(silent, Some(silent)), (1, 1));
}

#[test]
fn a_holder_that_answers_keeps_it() {
    let silent = heard(1_000, abi::State::Valid);
    assert_eq!(contested(silent, Some(heard(2_001, abi::State::Valid))), (1, 0));
    // It was heard a moment ago: nobody asks.
    let fresh = heard(1_900, abi::State::Valid);
    assert_eq!(contested(fresh, Some(fresh)), (0, 0));
}

#[test]
fn what_is_gone_meanwhile_is_not_given_up_again() {
    let silent = heard(1_000, abi::State::Valid);
    assert_eq!(contested(silent, None), (1, 0));
}

#[test]
fn a_guest_with_a_full_quota_is_asked_for_its_old_addresses() {
    let mut table = table();
    for last in 1..=8 {
        table.apply(Input::Binding(key(last), heard(1_000, abi::State::Valid)), ms(1_000));
    }
    table.apply(Input::Crowded { port: 7, newcomer: OTHER }, ms(5_000));
    assert_eq!(table.questions().len(), 8);
    // One of them is alive.
    let read = |asked: &BindingKey| {
        let last = if *asked == key(3) { 5_001 } else { 1_000 };
        Some(heard(last, abi::State::Valid))
    };
    assert_eq!(table.tick(ms(5_600), read).expired.len(), 7);
}

#[test]
fn another_mac_gets_the_port_only_from_who_was_found_unreachable() {
    let mut table = table();
    let silent = heard(1_000, abi::State::Valid);
    table.apply(Input::Binding(key(2), silent), ms(1_000));
    let newcomer = Mac::new([2, 0xfc, 0, 0, 0, 0x77]);
    table.apply(Input::Crowded { port: 7, newcomer }, ms(5_000));
    assert!(table.questions().is_empty(), "it was heard within half a minute");
    for second in 31..40 {
        table.tick(ms(second * 1_000), |_| Some(silent));
    }
    table.apply(Input::Crowded { port: 7, newcomer }, ms(41_000));
    assert_eq!(table.questions().len(), 1);
    assert_eq!(table.tick(ms(41_600), |_| Some(silent)).expired.len(), 1);
}

#[test]
fn a_proposed_address_is_asked_for_on_the_link() {
    let mut table = table();
    table.apply(Input::Binding(key(2), heard(1_000, abi::State::Proposed)), ms(1_000));
    assert_eq!(table.questions(), [Question::Link { port: 7, address: at(2) }]);
    assert_eq!(table.iter().count(), 0, "it may be another's");
    let proposed = heard(1_000, abi::State::Proposed);
    assert!(!EndpointTable::is_abandoned(&proposed, ms(5_000)));
    assert!(EndpointTable::is_abandoned(&proposed, ms(6_000)));
    table.apply(Input::Binding(key(2), heard(1_600, abi::State::Valid)), ms(1_600));
    assert_eq!(table.iter().map(|one| one.state).collect::<Vec<_>>(), [State::Reachable]);
}

//! The pure pieces by themselves. Frames through parse and judge are in `tests/`, beside the same frames
//! through the loaded programs.

use core::net::Ipv6Addr;

use netmon_common::{
    Address, Kind, Mac, Reason,
    abi::{Binding, Mode, Rate, State},
    budget,
    claim::{Claimant, Step, decide},
    judge::Claim,
    outcome::Outcome,
};

const MAC: Mac = Mac::new([2, 0xfc, 0, 0, 0, 1]);
const QUOTA: u32 = 2;

fn address(text: &str) -> Address {
    text.parse::<Ipv6Addr>().map(Address::from).unwrap_or_default()
}

#[test]
fn scopes() {
    let is = |text: &str| (address(text).is_link_local(), address(text).is_link_local_group());
    assert_eq!(is("fe80::2"), (true, false));
    assert_eq!(is("fe80:0:0:1::2"), (false, false)); // fe80::/10 outside /64
    assert_eq!(is("febf::1"), (false, false));
    assert_eq!(is("fd00::1"), (false, false));
    assert_eq!(is("2001:db8::1"), (false, false));
    assert_eq!(is("ff02::1"), (false, true));
    assert_eq!(is("ff12::1"), (false, true)); // transient, link-local scope
    assert_eq!(is("ff01::1"), (false, false));
    assert_eq!(is("ff05::2"), (false, false));
    assert_eq!(is("ff0e::1"), (false, false));
    assert_eq!(is("::"), (false, false));
}

#[test]
fn groups_and_their_macs() {
    let group = address("fe80::1:2:3456:789a").solicited_node_group();
    assert_eq!(Ipv6Addr::from(group).to_string(), "ff02::1:ff56:789a");
    assert!(Mac::new([0x33, 0x33, 0xff, 0x56, 0x78, 0x9a]).is_group_of(group));
    assert!(!Mac::new([0x33, 0x33, 0xff, 0x56, 0x78, 0x9b]).is_group_of(group));
    assert!(!Mac::new([0xff; 6]).is_group_of(group));
}

#[test]
fn addresses_keep_their_octets() {
    let octets = *b"\xfe\x80\0\0\0\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08";
    assert_eq!(Address::new(octets).octets(), octets);
    assert_eq!(MAC.octets(), [2, 0xfc, 0, 0, 0, 1]);
    assert_eq!(Mac::from_bits(0x0007_02fc_0000_0001), MAC);
    assert!(Mac::new([0x33, 0x33, 0, 0, 0, 1]).is_multicast() && !MAC.is_multicast());
}

#[test]
fn numbers_are_never_reused_and_names_are_unique() {
    let mut names: Vec<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Reason::ALL.len());
    for reason in Reason::ALL {
        assert_eq!(Reason::try_from(reason.number()), Ok(*reason));
        assert!(!reason.sentence().is_empty());
    }
    for kind in Kind::ALL {
        assert_eq!(Kind::try_from(kind.number()), Ok(*kind));
    }
    // The contract: `design` numbers, in the order in which they were given out.
    let contract = [
        (1, "runt"),
        (7, "src_mac"),
        (17, "router_advert"),
        (28, "nd_checksum"),
        (34, "port_unknown"),
    ];
    for (number, name) in contract {
        assert_eq!(Reason::try_from(number).map(Reason::name), Ok(name));
    }
}

/// Port 7's first guest claims, with so many addresses already.
fn claimed(state: State, held: Option<Binding>, count: u64) -> Result<Step, Reason> {
    let claim = Claim { address: address("fe80::2"), state, origin: Kind::Dad };
    let claimant = Claimant { port: 7, epoch: 1, mac: MAC };
    decide(&claim, &claimant, false, held.as_ref(), count, QUOTA)
}

fn held(port: u32, epoch: u16, mac: Mac, state: State) -> Option<Binding> {
    Some(Binding { port, epoch, mac: mac.octets(), state: state.number(), ..Binding::default() })
}

#[test]
fn first_come_first_served() {
    let other = Mac::new([2, 0xfc, 0, 0, 0, 2]);
    let (asks, uses) = (State::Tentative, State::Valid);
    assert_eq!(claimed(asks, None, 0), Ok(Step::Insert));
    assert_eq!(claimed(uses, None, 1), Ok(Step::Insert));
    assert_eq!(claimed(uses, None, 2), Err(Reason::BindingQuota));
    assert_eq!(claimed(uses, held(7, 1, MAC, uses), 2), Ok(Step::Refresh));
    assert_eq!(claimed(asks, held(7, 1, MAC, uses), 2), Ok(Step::Refresh));
    assert_eq!(claimed(asks, held(7, 1, MAC, asks), 2), Ok(Step::Refresh));
    assert_eq!(claimed(uses, held(7, 1, MAC, asks), 2), Ok(Step::Confirm));
    assert_eq!(claimed(uses, held(7, 0, other, uses), 2), Ok(Step::Replace));
    assert_eq!(claimed(uses, held(7, 1, other, uses), 0), Err(Reason::BindingConflict));
    assert_eq!(claimed(uses, held(8, 1, MAC, uses), 0), Err(Reason::BindingConflict));
    assert_eq!(claimed(asks, held(8, 1, MAC, asks), 0), Err(Reason::BindingConflict));
}

#[test]
fn what_the_host_has_is_nobody_elses() {
    let claim = Claim { address: address("fe80::1"), state: State::Tentative, origin: Kind::Dad };
    let claimant = Claimant { port: 7, epoch: 1, mac: MAC };
    let decided = |held: Option<Binding>| decide(&claim, &claimant, true, held.as_ref(), 0, QUOTA);
    assert_eq!(decided(None), Err(Reason::HostAddress));
    // Not even a guest that was first.
    assert_eq!(decided(held(7, 1, MAC, State::Valid)), Err(Reason::HostAddress));
}

#[test]
fn a_budget_is_a_burst_and_a_rate() {
    const SECOND: u64 = 1_000_000_000;
    let rate = Rate::per_second(10);
    let mut due = 0;
    let mut take = |now: u64| budget::take(due, now, &rate).map(|next| due = next).is_some();
    let start = 5 * SECOND;
    assert_eq!((0..100).filter(|_| take(start)).count(), 20, "two seconds' worth at once");
    assert!(!take(start + SECOND / 10 - 1));
    assert!(take(start + SECOND / 10));
    assert!(!take(start + SECOND / 10));
    assert_eq!((0..100).filter(|_| take(start + 60 * SECOND)).count(), 20, "full again, no more");
    assert!(!take(start), "a clock that goes back gives nothing");
    let none = Rate::per_second(0);
    assert_eq!(budget::take(0, start, &none), None, "no rate: not even the first passes");
    assert!(budget::take(u64::MAX, 1, &Rate::default()).is_some(), "no limit");
}

#[test]
fn a_mode_makes_an_outcome_of_a_verdict() {
    let (passed, refused) = (Ok(Kind::Tcp), Err(Reason::Vlan));
    assert_eq!(Outcome::of(passed, Mode::Enforce), Outcome::Passed(Kind::Tcp));
    assert_eq!(Outcome::of(refused, Mode::Enforce), Outcome::Dropped(Reason::Vlan));
    assert_eq!(Outcome::of(refused, Mode::Observe), Outcome::Observed(Reason::Vlan));
    assert_eq!(Outcome::of(refused, Mode::Open), Outcome::Passed(Kind::Other));
    for mode in [Mode::Enforce, Mode::Observe, Mode::Open] {
        let unknown = Outcome::of(Err(Reason::PortUnknown), mode);
        assert_eq!(unknown, Outcome::Dropped(Reason::PortUnknown), "{mode:?}");
        assert_eq!(Mode::of(mode.number()), mode);
    }
    assert_eq!(Mode::of(77), Mode::Enforce, "it fails closed");
}

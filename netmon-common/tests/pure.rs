//! The pure pieces by themselves. Frames through parse and judge are in `tests/`, beside the same frames
//! through the loaded programs.

use core::net::Ipv6Addr;

use netmon_common::{
    Address, Kind, Mac, Reason,
    abi::{Binding, Holder, MacHolder, Mode, PortPolicy, PortState, Rate, Reserved, State},
    budget,
    claim::{self, Claimant, Known, Step, decide},
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

const SECOND: u64 = 1_000_000_000;

/// Nothing is known; it is 10 s after the boot.
const NOTHING: Known<'_> = Known {
    reserved: None,
    held: None,
    now: 10 * SECOND,
    count: 0,
    quota: QUOTA,
    asks_link: false,
};

/// Port 7's first guest claims fe80::2.
fn claimed(state: State, known: &Known<'_>) -> Result<Step, Reason> {
    let claim = Claim { address: address("fe80::2"), state, origin: Kind::Dad };
    decide(&claim, &Claimant { port: 7, epoch: 1, mac: MAC }, known)
}

/// A binding that was made and heard at this second.
fn held(port: u32, epoch: u16, mac: Mac, state: State, second: u64) -> Binding {
    let (first_seen, last_seen) = (second * SECOND, second * SECOND);
    let (mac, state) = (mac.octets(), state.number());
    Binding { port, epoch, mac, state, first_seen, last_seen, ..Binding::default() }
}

#[test]
fn first_come_first_served() {
    let other = Mac::new([2, 0xfc, 0, 0, 0, 2]);
    let (asks, uses) = (State::Tentative, State::Valid);
    let check = |state, held: Option<Binding>, count, expected| {
        let known = Known { held: held.as_ref(), count, ..NOTHING };
        assert_eq!(claimed(state, &known), expected, "{held:?}");
    };
    check(asks, None, 0, Ok(Step::Insert));
    check(uses, None, 1, Ok(Step::Insert));
    check(uses, None, 2, Err(Reason::BindingQuota));
    check(uses, Some(held(7, 1, MAC, uses, 9)), 2, Ok(Step::Refresh));
    check(asks, Some(held(7, 1, MAC, uses, 9)), 2, Ok(Step::Refresh));
    check(asks, Some(held(7, 1, MAC, asks, 9)), 2, Ok(Step::Refresh));
    check(uses, Some(held(7, 1, MAC, asks, 9)), 2, Ok(Step::Confirm));
    check(uses, Some(held(7, 0, other, uses, 9)), 2, Ok(Step::Replace));
    check(uses, Some(held(7, 1, other, uses, 9)), 0, Err(Reason::BindingConflict));
    check(uses, Some(held(8, 1, MAC, uses, 9)), 0, Err(Reason::BindingConflict));
}

#[test]
fn a_question_goes_to_whoever_has_the_address_and_binds_nothing() {
    let asks = State::Tentative;
    let check = |held: Binding, expected| {
        let known = Known { held: Some(&held), ..NOTHING };
        assert_eq!(claimed(asks, &known), expected, "{held:?}");
    };
    check(held(8, 1, MAC, State::Valid, 10), Ok(Step::Question));
    // Its own DAD would fail: two who ask at the same time both give the address up.
    check(held(8, 1, MAC, asks, 10), Err(Reason::BindingConflict));
    check(held(8, 1, MAC, asks, 9), Ok(Step::Question));
}

#[test]
fn on_a_link_with_other_members_a_claim_waits_until_they_were_asked() {
    let (asks, uses) = (State::Tentative, State::Valid);
    let check = |state, held: Option<Binding>, expected| {
        let known = Known { held: held.as_ref(), asks_link: true, ..NOTHING };
        assert_eq!(claimed(state, &known), expected, "{held:?}");
    };
    check(uses, None, Ok(Step::Propose));
    check(uses, Some(held(7, 0, MAC, uses, 1)), Ok(Step::Propose));
    check(asks, None, Ok(Step::Insert));
    for state in [asks, State::Proposed] {
        check(uses, Some(held(7, 1, MAC, state, 10)), Err(Reason::BindingTentative));
        check(uses, Some(held(7, 1, MAC, state, 9)), Ok(Step::Confirm));
    }
}

#[test]
fn what_is_reserved_is_no_guests() {
    let (asks, uses) = (State::Tentative, State::Valid);
    let check = |holder: Holder, is_tentative, state, expected| {
        let reserved = Reserved { holder: holder.number(), is_tentative, ..Reserved::default() };
        // Not even a guest that was first.
        for held in [None, Some(held(7, 1, MAC, State::Valid, 9))] {
            let known = Known { reserved: Some(&reserved), held: held.as_ref(), ..NOTHING };
            assert_eq!(claimed(state, &known), expected, "{holder:?}");
        }
    };
    check(Holder::Host, 0, uses, Err(Reason::HostAddress));
    check(Holder::Host, 0, asks, Ok(Step::Question));
    check(Holder::Host, 1, asks, Err(Reason::HostAddress));
    for holder in [Holder::Router, Holder::Member, Holder::Listed] {
        check(holder, 0, uses, Err(Reason::LinkAddress));
        check(holder, 0, asks, Ok(Step::Question));
        check(holder, 1, asks, Err(Reason::LinkAddress));
    }
}

#[test]
fn a_mac_is_the_first_ports() {
    let of = |port, holder| Some(MacHolder { port, holder, ..MacHolder::default() });
    let check = |held: Option<MacHolder>, is_live, expected| {
        assert_eq!(claim::mac(held.as_ref(), 7, is_live), expected, "{held:?}");
    };
    check(None, false, Ok(()));
    check(of(7, 0), false, Ok(()));
    check(of(8, 0), true, Err(Reason::MacConflict));
    check(of(8, 0), false, Ok(()));
    check(of(0, Holder::Member.number()), false, Err(Reason::MacConflict));
}

#[test]
fn a_mac_is_pinned_while_the_guest_holds_an_address() {
    let policy = PortPolicy { epoch: 3, released: 2, ..PortPolicy::default() };
    let check = |epoch: u64, claimed, expected| {
        let state = PortState { mac: epoch << 48 | MAC.bits(), claimed, ..PortState::default() };
        assert_eq!(claim::first_mac(&policy, &state), expected, "{epoch}, {claimed}");
        assert_eq!(claim::has_mac(&policy, &state, MAC), !expected.is_zero());
    };
    check(3, 3, MAC);
    check(3, 2, Mac::default());
    check(2, 3, Mac::default());
}

#[test]
fn what_a_member_says_is_learnt_unless_a_guest_was_first() {
    let member = |is_tentative| Reserved {
        seen: 1,
        holder: Holder::Member.number(),
        is_tentative,
        ..Reserved::default()
    };
    let (asks, uses) = (State::Tentative, State::Valid);
    for state in [asks, State::Proposed] {
        let held = held(7, 1, MAC, state, 9);
        assert_eq!(claim::learn(member(0), None, Some(&held)), Some(member(0)));
    }
    assert_eq!(claim::learn(member(0), None, Some(&held(7, 1, MAC, uses, 9))), None);
    assert_eq!(claim::learn(member(1), None, None), Some(member(1)));
    assert_eq!(claim::learn(member(1), Some(&member(0)), None), Some(member(0)));
    let host = Reserved { holder: Holder::Host.number(), ..Reserved::default() };
    assert_eq!(claim::learn(member(0), Some(&host), None), None);
}

#[test]
fn a_budget_is_a_burst_and_a_rate() {
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

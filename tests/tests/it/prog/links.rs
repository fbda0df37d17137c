//! Links with more than one port, and with members that are none: whose a MAC is, and what the link is asked first
//! (what its members say: `members.rs`).

use std::net::Ipv6Addr;

use netmon_common::{
    Kind, Reason,
    abi::{Binding, BindingKey, Direction, Holder, MacHolder, News, PortPolicy, PortState, State},
};
use netmon_tests::{
    frame::{Frame, GUEST, GUEST_MAC, OTHER_MAC, dad, listener_report, tcp},
    wait::until,
};

use super::{PORT, Programs, bindings::events};

const INGRESS: Direction = Direction::Ingress;

/// Another port of the host's.
pub(super) const NEIGHBOR: u32 = 2;

/// A time that has not passed, whatever is waited for.
pub(super) const YOUNG: u64 = u64::MAX;

pub(super) fn key(address: Ipv6Addr) -> BindingKey {
    BindingKey::new(PORT, address.octets())
}

impl Programs {
    /// On a link with members that are no ports.
    pub(super) fn load_asking() -> Self {
        let mut programs = Self::load();
        programs.set_policy(|policy| policy.asks_link = 1);
        programs
    }

    /// The neighbour's guest has the guest's MAC and holds one address, but for what is changed.
    fn neighbor(&mut self, change: impl FnOnce(&mut PortPolicy, &mut PortState)) {
        let mac = u64::from(self.policy.epoch) << 48 | self.mac_key(GUEST_MAC).mac;
        let mut state = PortState { mac, claimed: 1, ..PortState::default() };
        let mut policy = self.policy;
        change(&mut policy, &mut state);
        self.loaded.maps.add_port(NEIGHBOR, &policy).expect("a port");
        self.set_state(NEIGHBOR, state);
        let holder = MacHolder { port: NEIGHBOR, ..MacHolder::default() };
        self.set_mac_holder(self.mac_key(GUEST_MAC), holder);
    }

    /// What is held of the guest's address: its state, from now on of this age.
    pub(super) fn aged(&mut self, first_seen: u64) -> State {
        let held = self.loaded.maps.binding(&key(GUEST)).expect("a binding");
        let aged = Binding { first_seen, ..held };
        self.loaded.maps.insert_binding(&key(GUEST), &aged).expect("it is there");
        State::try_from(held.state).expect("a state")
    }

    /// The news in the ring; there must be some.
    pub(super) fn news(&mut self) -> Vec<News> {
        events(self).iter().map(|event| News::try_from(event.news).expect("news")).collect()
    }
}

/// What a guest may say first.
fn first_frames() -> [(&'static str, Frame, Kind); 3] {
    let silent = listener_report().with(|f| f.source = Ipv6Addr::UNSPECIFIED);
    [
        ("MLD from ::", silent, Kind::MulticastListener),
        ("DAD", dad(GUEST), Kind::Dad),
        ("TCP", tcp(80, 2), Kind::Tcp),
    ]
}

#[test]
fn the_first_address_makes_the_mac_the_ports() {
    let mut programs = Programs::load();
    let [(_, silent, _), (_, dad, _), _] = first_frames();
    programs.run(INGRESS, &silent.bytes()).expect("it passes");
    assert_eq!((programs.state().mac, programs.macs()), (0, 0), "it holds nothing");
    programs.run(INGRESS, &dad.bytes()).expect("it passes");
    let holder = programs.mac_holder(GUEST_MAC).expect("it is entered");
    assert!(holder.seen > 0);
    assert_eq!((holder.port, holder.holder), (PORT, 0));
    assert_eq!(programs.state().mac, 1 << 48 | programs.mac_key(GUEST_MAC).mac);
}

#[test]
fn a_mac_of_another_port_of_the_link_is_not_had() {
    let mut programs = Programs::load();
    for (name, frame, _) in first_frames() {
        programs.new_guest();
        programs.neighbor(|_, _| ());
        assert_eq!(programs.run(INGRESS, &frame.bytes()), Err(Reason::MacConflict), "{name}");
        assert_eq!(programs.bindings(), [], "{name}");
        assert_eq!(programs.mac_holder(GUEST_MAC).map(|held| held.port), Some(NEIGHBOR), "{name}");
        let own = frame.with(|f| f.source_mac = OTHER_MAC).bytes();
        programs.run(INGRESS, &own).expect("its own MAC is its own");
    }
    // The configuration gives the neighbour its MAC before its guest has said anything.
    programs.new_guest();
    programs.neighbor(|policy, state| {
        (policy.mac, *state) = (GUEST_MAC, PortState::default());
    });
    assert_eq!(programs.run(INGRESS, &tcp(80, 2).bytes()), Err(Reason::MacConflict));
}

#[test]
fn a_mac_whose_guest_is_gone_is_free() {
    type Change = fn(&mut PortPolicy, &mut PortState);
    let cases: [(&str, Change); 4] = [
        ("another guest", |policy, _| policy.epoch += 1),
        ("it holds nothing any more", |policy, _| policy.released = 1),
        ("now in another VLAN", |policy, _| policy.vlan = 7),
        ("now of another link", |policy, _| policy.link = 77),
    ];
    let mut programs = Programs::load();
    for (name, change) in cases {
        for (first, frame, kind) in first_frames() {
            programs.new_guest();
            programs.neighbor(change);
            assert_eq!(programs.run(INGRESS, &frame.bytes()), Ok(kind), "{name}: {first}");
            let holder = programs.mac_holder(GUEST_MAC).map(|held| held.port);
            let is_bound = kind != Kind::MulticastListener;
            let expected = if is_bound { PORT } else { NEIGHBOR };
            assert_eq!(holder, Some(expected), "{name}: {first}");
        }
    }
    programs.new_guest();
    programs.neighbor(|_, _| ());
    programs.loaded.maps.remove_port(NEIGHBOR);
    assert_eq!(programs.run(INGRESS, &tcp(80, 2).bytes()), Ok(Kind::Tcp), "no port any more");
}

#[test]
fn a_mac_is_one_links_and_vlans() {
    type Change = fn(&mut PortPolicy);
    let moves: [(&str, Change); 2] =
        [("VLAN", |policy| policy.vlan = 7), ("link", |policy| policy.link = 77)];
    for (name, change) in moves {
        let mut programs = Programs::load();
        programs.neighbor(|_, _| ());
        programs.set_policy(change);
        assert_eq!(programs.run(INGRESS, &tcp(80, 2).bytes()), Ok(Kind::Tcp), "another {name}");
        assert_eq!(programs.macs(), 2, "another {name}");
    }
}

#[test]
fn a_mac_of_a_member_that_is_no_port_is_not_had() {
    let mut programs = Programs::load();
    for holder in [Holder::Host, Holder::Listed, Holder::Router, Holder::Member] {
        let holder = MacHolder { holder: holder.number(), ..MacHolder::default() };
        programs.set_mac_holder(programs.mac_key(GUEST_MAC), holder);
        for (name, frame, _) in first_frames() {
            assert_eq!(programs.run(INGRESS, &frame.bytes()), Err(Reason::MacConflict), "{name}");
        }
    }
}

#[test]
fn an_address_that_is_used_unasked_waits_until_the_link_was_asked() {
    let mut programs = Programs::load_asking();
    let used = tcp(80, 2).bytes();
    assert_eq!(programs.run(INGRESS, &used), Err(Reason::BindingTentative));
    assert_eq!(programs.news(), [News::Bound], "user space asks the link");
    assert_eq!(programs.aged(YOUNG), State::Proposed);
    assert_eq!(programs.run(INGRESS, &used), Err(Reason::BindingTentative));
    assert_eq!(programs.aged(0), State::Proposed);
    assert_eq!(programs.run(INGRESS, &used), Ok(Kind::Tcp));
    assert_eq!(programs.aged(0), State::Valid);
    assert_eq!(programs.news(), [News::Bound]);
    let holder = programs.mac_holder(GUEST_MAC).expect("it is entered");
    assert_eq!(holder.port, PORT);
}

#[test]
fn the_wait_is_over_by_itself() -> anyhow::Result<()> {
    let mut programs = Programs::load_asking();
    let used = tcp(80, 2).bytes();
    assert_eq!(programs.run(INGRESS, &used), Err(Reason::BindingTentative));
    let kind = until("the link was asked", || match programs.run(INGRESS, &used) {
        Ok(kind) => Ok(Some(kind)),
        Err(Reason::BindingTentative) => Ok(None),
        Err(reason) => anyhow::bail!("{reason}"),
    })?;
    assert_eq!(kind, Kind::Tcp);
    let (_, held) = programs.bindings()[0];
    assert!(held.last_seen - held.first_seen >= 500_000_000);
    Ok(())
}

#[test]
fn dad_asks_the_link_and_what_follows_too_soon_waits() {
    let mut programs = Programs::load_asking();
    let used = tcp(80, 2).bytes();
    assert_eq!(programs.run(INGRESS, &dad(GUEST).bytes()), Ok(Kind::Dad));
    assert_eq!(programs.aged(YOUNG), State::Tentative);
    assert_eq!(programs.run(INGRESS, &used), Err(Reason::BindingTentative));
    assert_eq!(programs.run(INGRESS, &dad(GUEST).bytes()), Ok(Kind::Dad), "it may ask again");
    assert_eq!(programs.aged(0), State::Tentative);
    assert_eq!(programs.run(INGRESS, &used), Ok(Kind::Tcp));
    assert_eq!(programs.aged(0), State::Valid);
    // The next guest of the TAP asks anew.
    programs.set_policy(|policy| policy.epoch += 1);
    assert_eq!(programs.run(INGRESS, &used), Err(Reason::BindingTentative));
    assert_eq!(programs.aged(0), State::Proposed);
}

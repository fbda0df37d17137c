//! What the programs remember: the binding table, the first MAC, and ports without a policy.

use std::net::Ipv6Addr;

use netmon_common::{
    Kind, Reason,
    abi::{Binding, BindingKey, Direction, Event, News, PortState, State, VERSION},
};
use netmon_tests::frame::{
    ALL_NODES, GUEST, GUEST_MAC, HOST, OTHER_MAC, advertisement, dad, echo, listener_report,
    router_solicitation, tcp,
};

use super::{
    PORT, Programs, QUOTA,
    links::{NEIGHBOR, YOUNG, key},
};

const INGRESS: Direction = Direction::Ingress;

fn numbered(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, number)
}

/// What the table holds: address, state, origin.
fn held(programs: &Programs) -> Vec<(Ipv6Addr, State, Kind)> {
    let rows = programs.bindings();
    let rows = rows.iter().map(|(key, binding)| {
        assert_eq!((key.link, binding.port, binding.mac), (PORT, PORT, GUEST_MAC));
        let state = State::try_from(binding.state).expect("a state");
        (key.address.into(), state, Kind::try_from(binding.origin).expect("a kind"))
    });
    rows.collect()
}

/// The events in the ring.
pub(super) fn events(programs: &mut Programs) -> Vec<Event> {
    let Programs { loaded, _runtime: runtime, .. } = programs;
    runtime.block_on(loaded.events.next()).expect("events")
}

#[test]
fn each_kind_of_frame_claims_its_address() {
    let cases = [
        (dad(GUEST), State::Tentative, Kind::Dad),
        (advertisement(GUEST), State::Valid, Kind::NeighborAdvertisement),
        (listener_report(), State::Valid, Kind::MulticastListener),
        (router_solicitation(&[]), State::Valid, Kind::RouterSolicitation),
        (echo(ALL_NODES), State::Valid, Kind::Echo),
        (tcp(80, 2), State::Valid, Kind::Tcp),
    ];
    let mut programs = Programs::load();
    for (frame, state, origin) in cases {
        programs.new_guest();
        assert_eq!(programs.run(INGRESS, &frame.bytes()), Ok(origin));
        assert_eq!(held(&programs), [(GUEST, state, origin)]);
    }
}

#[test]
fn a_frame_from_the_unspecified_address_claims_nothing_but_by_dad() {
    let mut programs = Programs::load();
    let silent = listener_report().with(|f| f.source = Ipv6Addr::UNSPECIFIED);
    programs.run(INGRESS, &silent.bytes()).expect("it passes");
    assert_eq!(held(&programs), []);
}

#[test]
fn a_dropped_frame_claims_nothing() {
    let mut programs = Programs::load();
    assert_eq!(
        programs.run(INGRESS, &advertisement(GUEST).with(|f| f.checksum_error = 1).bytes()),
        Err(Reason::NdChecksum)
    );
    assert_eq!(held(&programs), []);
}

#[test]
fn an_event_is_told_for_each_news_and_for_nothing_else() {
    let mut programs = Programs::load();
    for frame in [dad(GUEST), dad(GUEST), tcp(80, 2), tcp(80, 2), echo(ALL_NODES)] {
        programs.run(INGRESS, &frame.bytes()).expect("it passes");
    }
    let told = events(&mut programs);
    let states: Vec<_> =
        told.iter().map(|event| (event.version, event.key.address, event.binding.state)).collect();
    let address = GUEST.octets();
    assert_eq!(
        states,
        [(VERSION, address, State::Tentative.number()), (VERSION, address, State::Valid.number())]
    );
    let ring = programs.loaded.maps.ring().expect("the ring's ledger");
    assert_eq!((ring.wanted, ring.lost), (2, 0));
}

#[test]
fn a_full_ring_is_counted_and_the_table_is_whole() {
    let mut programs = Programs::load();
    let mut wanted = 0;
    while programs.loaded.maps.ring().expect("the ring's ledger").lost == 0 {
        programs.new_guest();
        for number in 0..8 {
            programs.run(INGRESS, &advertisement(numbered(number)).bytes()).expect("it passes");
            wanted += 1;
        }
    }
    let ring = programs.loaded.maps.ring().expect("the ring's ledger");
    assert_eq!(ring.wanted, wanted);
    assert_eq!(held(&programs).len(), 8);
    let mut emitted = 0;
    while emitted + ring.lost < wanted {
        emitted += events(&mut programs).len() as u64;
    }
    assert_eq!(emitted + ring.lost, wanted);
}

#[test]
fn the_quota_is_the_ports() {
    let mut programs = Programs::load();
    for number in 0..QUOTA as u16 {
        assert_eq!(programs.run(INGRESS, &dad(numbered(number)).bytes()), Ok(Kind::Dad));
    }
    assert_eq!(programs.run(INGRESS, &dad(numbered(99)).bytes()), Err(Reason::BindingQuota));
    assert_eq!(
        programs.run(INGRESS, &tcp(80, 2).with(|f| f.source = numbered(98)).bytes()),
        Err(Reason::BindingQuota)
    );
    // Those that it holds go on.
    assert_eq!(programs.run(INGRESS, &dad(numbered(0)).bytes()), Ok(Kind::Dad));
    // One that user space removes is free again.
    let (key, _) = programs.bindings()[0];
    assert!(programs.loaded.maps.remove_binding(&key));
    programs.set_policy(|policy| policy.released += 1);
    assert_eq!(programs.run(INGRESS, &dad(numbered(99)).bytes()), Ok(Kind::Dad));
    assert_eq!(programs.run(INGRESS, &dad(numbered(97)).bytes()), Err(Reason::BindingQuota));
}

#[test]
fn an_address_of_another_port_of_the_link_is_not_had() {
    let mut programs = Programs::load();
    programs.run(INGRESS, &advertisement(GUEST).bytes()).expect("it passes");
    // The same port becomes another one of the same link, as far as the table can tell.
    let (key, binding) = programs.bindings()[0];
    programs.new_guest();
    // A holder that still asks would give the address up if another asked too; last asked for long ago, or just now.
    let (ages_ago, now) = (0, u64::MAX);
    let cases = [
        ("settled", State::Valid, now, Ok(Kind::Dad)),
        ("asked for, and settled since", State::Tentative, ages_ago, Ok(Kind::Dad)),
        ("still asked for", State::Tentative, now, Err(Reason::BindingConflict)),
    ];
    for (name, state, last_seen, asked) in cases {
        let held = Binding { port: PORT + 1, state: state.number(), last_seen, ..binding };
        programs.loaded.maps.insert_binding(&key, &held).expect("a binding");
        let used = programs.run(INGRESS, &advertisement(GUEST).bytes());
        assert_eq!(used, Err(Reason::BindingConflict), "{name}");
        // The question goes to the holder, and binds nothing.
        assert_eq!(programs.run(INGRESS, &dad(GUEST).bytes()), asked, "{name}");
        let still = programs.bindings();
        let contested = still[0].1.contested;
        assert_eq!(still, [(key, Binding { contested, ..held })], "{name}");
        assert_eq!(programs.state().claimed, 0, "{name}");
    }
}

#[test]
fn the_first_mac_is_the_guests_until_the_next_guest() {
    let mut programs = Programs::load();
    let other = || tcp(80, 2).with(|f| f.source_mac = OTHER_MAC);
    assert_eq!(programs.run(INGRESS, &tcp(80, 2).bytes()), Ok(Kind::Tcp));
    assert_eq!(programs.run(INGRESS, &other().bytes()), Err(Reason::SourceMac));
    assert_eq!(programs.run(INGRESS, &tcp(80, 2).bytes()), Ok(Kind::Tcp));
    // The next guest takes the address of the former one over, with its own MAC.
    programs.set_policy(|policy| policy.epoch += 1);
    assert_eq!(programs.run(INGRESS, &other().bytes()), Ok(Kind::Tcp));
    assert_eq!(programs.run(INGRESS, &tcp(80, 2).bytes()), Err(Reason::SourceMac));
    let bindings = programs.bindings();
    assert_eq!(bindings.iter().map(|(_, binding)| binding.mac).collect::<Vec<_>>(), [OTHER_MAC]);
}

#[test]
fn a_dropped_frame_teaches_no_mac() {
    let mut programs = Programs::load();
    let spoofed = tcp(80, 2).with(|f| {
        f.source_mac = OTHER_MAC;
        f.hop_limit = 1;
        f.version = 4;
    });
    assert_eq!(programs.run(INGRESS, &spoofed.bytes()), Err(Reason::IpVersion));
    assert_eq!(programs.run(INGRESS, &tcp(80, 2).bytes()), Ok(Kind::Tcp));
}

#[test]
fn a_mac_of_the_policy_is_the_only_one() {
    let mut programs = Programs::load();
    programs.set_policy(|policy| policy.mac = OTHER_MAC);
    assert_eq!(programs.run(INGRESS, &tcp(80, 2).bytes()), Err(Reason::SourceMac));
    assert_eq!(
        programs.run(INGRESS, &tcp(80, 2).with(|f| f.source_mac = OTHER_MAC).bytes()),
        Ok(Kind::Tcp)
    );
}

#[test]
fn an_interface_without_policy_passes_nothing() {
    let mut programs = Programs::load();
    programs.loaded.maps.remove_port(PORT);
    for direction in Direction::ALL {
        assert_eq!(programs.run(direction, &tcp(80, 2).bytes()), Err(Reason::PortUnknown));
    }
}

#[test]
fn a_full_table_refuses_and_counts() {
    let mut programs = Programs::load();
    programs.fill_bindings();
    assert_eq!(programs.run(INGRESS, &advertisement(GUEST).bytes()), Err(Reason::BindingTable));
    assert_eq!(
        programs.loaded.maps.state(PORT).expect("the port").claimed,
        0,
        "no place is used up"
    );
}

#[test]
fn a_conflict_is_told_once_a_second() {
    let mut programs = Programs::load();
    let contested = |programs: &Programs| programs.bindings()[0].1.contested;
    let conflict = Err(Reason::BindingConflict);
    for (state, frame) in [(State::Valid, tcp(80, 2)), (State::Tentative, dad(GUEST))] {
        let state = state.number();
        let held = Binding {
            port: NEIGHBOR,
            state,
            last_seen: YOUNG,
            mac: OTHER_MAC,
            ..Binding::default()
        };
        programs.loaded.maps.insert_binding(&key(GUEST), &held).expect("room");
        assert_eq!(programs.run(INGRESS, &frame.bytes()), conflict);
        let since = contested(&programs);
        assert!(since > 0);
        let told = events(&mut programs);
        let [one] = told.as_slice() else { panic!("one event, not {told:?}") };
        assert_eq!((one.news, one.key), (News::Contested.number(), key(GUEST)));
        assert_eq!(one.binding, Binding { contested: since, ..held });
        // It was contested just now: nothing more is told.
        let wanted = programs.loaded.maps.ring().expect("the ring's ledger").wanted;
        let now = Binding { contested: YOUNG, ..held };
        programs.loaded.maps.insert_binding(&key(GUEST), &now).expect("it is there");
        assert_eq!(programs.run(INGRESS, &frame.bytes()), conflict);
        assert_eq!(contested(&programs), YOUNG);
        assert_eq!(programs.loaded.maps.ring().expect("the ring's ledger").wanted, wanted);
    }
}

#[test]
fn a_newcomer_that_is_refused_is_told_once_a_second() {
    let mut programs = Programs::load();
    programs.run(INGRESS, &tcp(80, 2).bytes()).expect("it passes");
    assert_eq!(programs.news(), [News::Bound]);
    let wanted = |programs: &Programs| programs.loaded.maps.ring().expect("the ledger").wanted;
    let by_mac = tcp(80, 2).with(|f| f.source_mac = OTHER_MAC);
    let by_quota = tcp(80, 2).with(|f| f.source = HOST);
    let cases =
        [(Reason::SourceMac, by_mac, OTHER_MAC, 8), (Reason::BindingQuota, by_quota, GUEST_MAC, 1)];
    for (reason, frame, mac, quota) in cases {
        programs.set_policy(|policy| policy.quota = quota);
        programs.set_state(PORT, PortState { crowded: 0, ..programs.state() });
        assert_eq!(programs.run(INGRESS, &frame.bytes()), Err(reason));
        assert!(programs.state().crowded > 0);
        assert_eq!(programs.state().newcomer, programs.mac_key(mac).mac);
        let told = events(&mut programs);
        let [one] = told.as_slice() else { panic!("one event, not {told:?}") };
        assert_eq!((one.news, one.key), (News::Crowded.number(), BindingKey::default()));
        assert_eq!((one.binding.port, one.binding.mac), (PORT, mac));
        // Another was refused just now: only the newcomer is noted.
        let before = wanted(&programs);
        programs.set_state(PORT, PortState { crowded: YOUNG, newcomer: 0, ..programs.state() });
        assert_eq!(programs.run(INGRESS, &frame.bytes()), Err(reason));
        assert_eq!(programs.state().newcomer, programs.mac_key(mac).mac);
        assert_eq!(wanted(&programs), before);
    }
}

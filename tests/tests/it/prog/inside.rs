//! What a frame carries inside, where the verdict depends on what was said before: other addresses of the guest's, its
//! groups, its budget of errors.

use std::net::Ipv6Addr;

use netmon_common::{
    Kind, Reason,
    abi::{ALLOW_DHCP_SERVER, Binding, BindingKey, Direction, State},
    limits::{ERROR_RATE, GROUPS_PER_PORT},
};
use netmon_tests::frame::{
    ALL_NODES, GLOBAL, GUEST, HOST, OTHER_MAC, SECOND, advertisement, dad, dhcp, error,
    listener_v1, port_unreachable, records, solicited_node,
};

use super::{
    PORT, Programs,
    ingress::{address, drops},
};

const INGRESS: Direction = Direction::Ingress;

const KEY: BindingKey = BindingKey::new(PORT, SECOND.octets());

#[test]
fn what_is_carried_is_named() {
    let group = solicited_node(GUEST);
    let (global, many) = (address("ff0e::1"), [(4, 0, 0, group); 33]);
    drops(vec![
        ("an error about a flow elsewhere", error(1, GLOBAL, GLOBAL), Reason::IcmpError),
        ("… of the host's to elsewhere", error(1, HOST, GLOBAL), Reason::IcmpError),
        ("… to another guest", error(2, HOST, address("fe80::3")), Reason::IcmpError),
        ("… to a group", error(4, HOST, ALL_NODES), Reason::IcmpError),
        (
            "an error to a group",
            error(1, ALL_NODES, GUEST).with(|f| f.destination = ALL_NODES),
            Reason::IcmpError,
        ),
        (
            "half a header in an error",
            port_unreachable().with(|f| f.payload.truncate(47)),
            Reason::IcmpError,
        ),
        ("IPv4 in an error", port_unreachable().with(|f| f.payload[8] = 0x45), Reason::IcmpError),
        ("an answer to a client", dhcp(547, 546), Reason::DhcpServer),
        ("… from any port", dhcp(0xc000, 546), Reason::DhcpServer),
        ("a relay's message", dhcp(547, 547), Reason::DhcpServer),
        ("a global group", records(&[(4, 0, 0, group), (4, 0, 0, global)]), Reason::MldRecord),
        ("leaves a global group", listener_v1(132, global), Reason::MldRecord),
        ("leaves what is no group", listener_v1(132, HOST), Reason::MldRecord),
        ("an interface's group", listener_v1(132, address("ff01::2")), Reason::MldRecord),
        ("a reserved scope", listener_v1(132, address("ff00::2")), Reason::MldRecord),
        ("another group of the site", listener_v1(132, address("ff05::1:3")), Reason::MldRecord),
        (
            "MLDv1 cut short",
            listener_v1(131, group).with(|f| f.payload.truncate(23)),
            Reason::MldRecord,
        ),
        (
            "a record cut short",
            records(&[(4, 0, 0, group)]).with(|f| f.payload.truncate(27)),
            Reason::MldRecord,
        ),
        ("a source", records(&[(4, 0, 1, group)]), Reason::MldRecord),
        ("auxiliary data", records(&[(4, 1, 0, group)]), Reason::MldRecord),
        ("33 records", records(&many), Reason::MldRecord),
    ]);
}

/// Says that the second address is the guest's, from its first one.
fn advertised() -> Vec<u8> {
    advertisement(SECOND).with(|f| f.source = GUEST).bytes()
}

#[test]
fn an_advertisement_for_another_own_address_passes_and_uses_it() {
    let mut programs = Programs::load();
    assert_eq!(programs.run(INGRESS, &advertised()), Err(Reason::NdTarget));
    assert_eq!(programs.run(INGRESS, &dad(SECOND).bytes()), Ok(Kind::Dad));
    assert_eq!(programs.run(INGRESS, &advertised()), Ok(Kind::NeighborAdvertisement));
    let held = programs.loaded.maps.binding(&KEY).expect("it is held");
    assert_eq!(held.state, State::Valid.number());
    assert_eq!(programs.bindings().len(), 2, "and the address that it was sent from");
    assert_eq!(programs.loaded.maps.ring().expect("the ring's ledger").wanted, 3);
}

#[test]
fn an_advertisement_for_anothers_address_does_not() {
    let mut programs = Programs::load();
    programs.run(INGRESS, &dad(SECOND).bytes()).expect("it passes");
    let (_, own) = programs.bindings()[0];
    let others = [
        ("another port's", Binding { port: PORT + 1, ..own }),
        ("a former guest's", Binding { epoch: own.epoch.wrapping_sub(1), ..own }),
        ("another MAC's", Binding { mac: OTHER_MAC, ..own }),
    ];
    for (name, binding) in others {
        programs.loaded.maps.insert_binding(&KEY, &binding).expect("a place");
        assert_eq!(programs.run(INGRESS, &advertised()), Err(Reason::NdTarget), "{name}");
    }
    programs.loaded.maps.insert_binding(&KEY, &own).expect("a place");
    programs.loaded.maps.reserve(&KEY, netmon_common::abi::Reserved::default()).expect("a place");
    assert_eq!(programs.run(INGRESS, &advertised()), Err(Reason::NdTarget), "the host's by now");
}

#[test]
fn errors_have_a_budget() {
    let mut programs = Programs::load();
    let mut passed = 0;
    // Time goes on: what is refused once may pass a moment later.
    let over = loop {
        match programs.run(INGRESS, &port_unreachable().bytes()) {
            Ok(Kind::IcmpError) => passed += 1,
            over => break over,
        }
    };
    assert!(passed >= ERROR_RATE, "{passed}");
    assert_eq!(over, Err(Reason::ErrorRate));
    // What is refused for another reason keeps that, and discovery has its own.
    assert_eq!(programs.run(INGRESS, &error(1, HOST, HOST).bytes()), Err(Reason::IcmpError));
    assert_eq!(programs.run(INGRESS, &dad(GUEST).bytes()), Ok(Kind::Dad));
}

fn group(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, number)
}

#[test]
fn a_port_listens_to_so_many_groups() {
    let mut programs = Programs::load();
    let most = GROUPS_PER_PORT as u16;
    let all: Vec<_> = (0..most).map(|number| (4, 0, 0, group(number))).collect();
    let over = listener_v1(131, group(most)).bytes();
    assert_eq!(programs.run(INGRESS, &records(&all).bytes()), Ok(Kind::MulticastListener));
    assert_eq!(programs.loaded.maps.groups().expect("the groups").len(), all.len());
    assert_eq!(programs.run(INGRESS, &over), Err(Reason::MldGroups));
    let over_list = records(&[(4, 0, 0, group(most))]).bytes();
    assert_eq!(programs.run(INGRESS, &over_list), Err(Reason::MldGroups));
    // Those that it has go on, and to leave one takes no place.
    assert_eq!(programs.run(INGRESS, &records(&all).bytes()), Ok(Kind::MulticastListener));
    for leaves in
        [records(&[(3, 0, 0, group(99)), (1, 0, 0, group(98))]), listener_v1(132, group(97))]
    {
        assert_eq!(programs.run(INGRESS, &leaves.bytes()), Ok(Kind::MulticastListener));
    }
    // One that user space removes is free again.
    let (key, _) = programs.loaded.maps.groups().expect("the groups")[0];
    assert!(programs.loaded.maps.remove_group(&key));
    programs.set_policy(|policy| policy.groups_released += 1);
    assert_eq!(programs.run(INGRESS, &over), Ok(Kind::MulticastListener));
    assert_eq!(programs.loaded.maps.state(PORT).expect("the port").groups, u64::from(most) + 1);
}

#[test]
fn a_policy_makes_a_guest_a_dhcp_server() {
    let mut programs = Programs::load();
    assert_eq!(programs.run(INGRESS, &dhcp(547, 546).bytes()), Err(Reason::DhcpServer));
    programs.set_policy(|policy| policy.allowed |= ALLOW_DHCP_SERVER);
    assert_eq!(programs.run(INGRESS, &dhcp(547, 546).bytes()), Ok(Kind::Udp));
}

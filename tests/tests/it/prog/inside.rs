//! What a frame carries inside, where the verdict depends on what was said before: other addresses of the guest's, its
//! groups, its budget of errors.

use std::net::Ipv6Addr;

use netmon_common::{
    Kind, Reason,
    abi::{ALLOW_DHCP_SERVER, Binding, BindingKey, Direction, State},
    limits::{ERROR_RATE, GROUPS_PER_PORT},
};
use netmon_tests::frame::{
    GUEST, HOST, OTHER_MAC, SECOND, advertisement, dad, dhcp, error, listener_v1, port_unreachable,
    records,
};

use super::{PORT, Programs};

const INGRESS: Direction = Direction::Ingress;

const KEY: BindingKey = BindingKey::new(PORT, SECOND.octets());

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
    while programs.run(INGRESS, &port_unreachable().bytes()) == Ok(Kind::IcmpError) {
        passed += 1;
    }
    assert!(passed >= ERROR_RATE, "{passed}");
    assert_eq!(programs.run(INGRESS, &port_unreachable().bytes()), Err(Reason::ErrorRate));
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

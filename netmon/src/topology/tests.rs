use super::*;

const LONE: u32 = 2;
const BRIDGE: u32 = 10;
const BRIDGED: u32 = 11;
const UPLINK: u32 = 12;
const VETH: u32 = 13;
const VETH_END: u32 = 14;
const MACVLAN: u32 = 15;
const AWARE: u32 = 20;
const IN_TEN: u32 = 21;
const IN_TWENTY: u32 = 22;
const TRUNK: u32 = 23;
const TEN: u32 = 24;
const VRF: u32 = 30;
const IN_VRF: u32 = 31;

fn interface(index: u32, kind: Kind, master: u32, below: u32) -> Interface {
    Interface {
        index,
        name: Arc::from(format!("if{index}")),
        kind,
        master,
        below,
        mac: Mac::from_bits(0x02fc_0000_0000 | u64::from(index)),
        carrier_losses: 0,
        up: true,
    }
}

/// A host with one of everything.
fn host() -> Topology {
    let interfaces = vec![
        interface(LONE, Kind::Tap, 0, 0),
        interface(BRIDGE, Kind::Bridge { filters_vlans: false }, 0, 0),
        interface(BRIDGED, Kind::Tap, BRIDGE, 0),
        interface(UPLINK, Kind::Other, BRIDGE, 0),
        interface(VETH, Kind::Veth, BRIDGE, VETH_END),
        interface(VETH_END, Kind::Veth, 0, VETH),
        interface(MACVLAN, Kind::Macvlan, 0, BRIDGE),
        interface(AWARE, Kind::Bridge { filters_vlans: true }, 0, 0),
        interface(IN_TEN, Kind::Tap, AWARE, 0),
        interface(IN_TWENTY, Kind::Tap, AWARE, 0),
        interface(TRUNK, Kind::Other, AWARE, 0),
        interface(TEN, Kind::Vlan(10), 0, AWARE),
        interface(VRF, Kind::Other, 0, 0),
        interface(IN_VRF, Kind::Tap, VRF, 0),
    ];
    let pvids = [(AWARE, 1), (IN_TEN, 10), (IN_TWENTY, 20), (TRUNK, 1)];
    Topology::new(interfaces, pvids.into())
}

fn is_port(one: &Interface) -> bool {
    one.kind == Kind::Tap
}

/// The TAP of this index.
fn tap_of(host: &Topology, index: u32) -> Tap {
    host.taps(|one| one.index == index, is_port).pop().expect("a TAP")
}

#[test]
fn an_interface_is_on_one_link() {
    let host = host();
    let check =
        |index, link, vlan| assert_eq!(host.link(index), Link { index: link, vlan }, "{index}");
    check(LONE, LONE, 0);
    check(BRIDGE, BRIDGE, 0);
    for member in [BRIDGED, UPLINK, VETH, VETH_END, MACVLAN] {
        check(member, BRIDGE, 0);
    }
    check(AWARE, AWARE, 1);
    check(IN_TEN, AWARE, 10);
    check(IN_TWENTY, AWARE, 20);
    check(TEN, AWARE, 10);
    check(IN_VRF, IN_VRF, 0);
    check(99, 99, 0);
}

#[test]
fn a_port_without_a_vlan_of_its_own_is_with_nobody() {
    let mut host = host();
    host.pvids.remove(&IN_TEN);
    assert_eq!(host.link(IN_TEN), Link { index: AWARE, vlan: NO_VLAN });
}

#[test]
fn interfaces_that_stand_on_one_another_in_a_circle_are_alone() {
    let circle = vec![interface(1, Kind::Macvlan, 0, 2), interface(2, Kind::Macvlan, 0, 1)];
    let host = Topology::new(circle, BTreeMap::new());
    assert_eq!(host.link(1).vlan, 0);
}

#[test]
fn a_guest_is_dialled_by_the_hosts_interface_on_its_link() {
    let host = host();
    let check = |tap, scope| {
        assert_eq!(tap_of(&host, tap).scope, scope, "{tap}");
    };
    check(LONE, LONE);
    check(BRIDGED, BRIDGE);
    check(IN_TEN, TEN);
    // The host has no interface there.
    check(IN_TWENTY, AWARE);
    check(IN_VRF, IN_VRF);
}

#[test]
fn a_link_is_asked_where_others_than_ports_are() {
    let mut host = host();
    let asks = |host: &Topology, tap| tap_of(host, tap).asks_link;
    assert!(!asks(&host, LONE));
    assert!(asks(&host, BRIDGED));
    assert!(asks(&host, IN_TEN));
    for member in [UPLINK, VETH, VETH_END] {
        host.remove(member);
    }
    assert!(asks(&host, BRIDGED), "there is a macvlan yet");
    host.remove(MACVLAN);
    assert!(!asks(&host, BRIDGED));
}

#[test]
fn a_member_is_asked_in_the_links_vlan() {
    let host = host();
    let members = |tap| host.members(host.link(tap), is_port).collect::<Vec<_>>();
    assert_eq!(members(IN_TEN), [Member { index: TRUNK, tag: Some(10) }]);
    let untagged = [UPLINK, VETH].map(|index| Member { index, tag: None });
    assert_eq!(members(BRIDGED), untagged);
}

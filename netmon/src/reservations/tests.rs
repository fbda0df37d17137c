use std::sync::Arc;

use super::*;
use crate::links::{HostAddress, Interface};

const BRIDGE: u32 = 10;
const TAP: u32 = 11;
const UPLINK: u32 = 12;
const LONE: u32 = 13;
const NOW: Moment = Moment::from_nanos(1_000_000_000_000);

fn address(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last)
}

const fn mac(last: u64) -> Mac {
    Mac::from_bits(0x02fc_0000_0000 | last)
}

fn link(index: u32) -> Link {
    Link { index, vlan: 0 }
}

fn topology() -> Topology {
    let one = |index: u32, kind, master| Interface {
        index,
        name: Arc::from("x"),
        kind,
        master,
        below: 0,
        mac: mac(u64::from(index)),
        carrier_losses: 0,
        up: true,
    };
    let interfaces = vec![
        one(BRIDGE, Kind::Bridge { filters_vlans: false }, 0),
        one(TAP, Kind::Tap, BRIDGE),
        one(UPLINK, Kind::Other, BRIDGE),
        one(LONE, Kind::Tap, 0),
    ];
    Topology::new(interfaces, BTreeMap::new())
}

fn wanted(all: &AllLinks, listed: &[Listed]) -> Wanted {
    Wanted::of(&topology(), all, listed, |index| [TAP, LONE].contains(&index), NOW)
}

fn holder_of(wanted: &Wanted, link: Link, address: Ipv6Addr) -> Option<u8> {
    wanted.addresses.get(&address_key(link, address)).map(|one| one.holder)
}

#[test]
fn whoever_is_known_best_has_an_address() {
    let host = |index, last| HostAddress { index, address: address(last), is_tentative: false };
    let neighbor = |index, last| Neighbor { index, address: address(last), mac: mac(0x99) };
    let all = AllLinks {
        addresses: vec![host(BRIDGE, 1), host(LONE, 1)],
        routers: vec![(BRIDGE, address(0xfe)), (LONE, address(2))],
        neighbors: vec![neighbor(BRIDGE, 0xfe), neighbor(BRIDGE, 3), neighbor(LONE, 4)],
        stations: vec![Station { index: UPLINK, mac: mac(0x99), vlan: 0 }],
        ..AllLinks::default()
    };
    let listed = Listed { link: link(BRIDGE), addresses: vec![address(5)], macs: vec![mac(5)] };
    let wanted = wanted(&all, &[listed]);
    let check = |index, last, holder: Option<Holder>| {
        let expected = holder.map(Holder::number);
        assert_eq!(holder_of(&wanted, link(index), address(last)), expected, "{index} {last}");
    };
    check(BRIDGE, 1, Some(Holder::Host));
    check(LONE, 1, Some(Holder::Host));
    check(BRIDGE, 0xfe, Some(Holder::Router));
    check(BRIDGE, 3, Some(Holder::Member));
    check(BRIDGE, 5, Some(Holder::Listed));
    // Behind a lone TAP there is but its guest.
    check(LONE, 2, None);
    check(LONE, 4, None);
}

#[test]
fn a_guest_that_the_host_knows_is_no_member() {
    let neighbor = Neighbor { index: BRIDGE, address: address(2), mac: mac(0x66) };
    let station = |index, last| Station { index, mac: mac(last), vlan: 0 };
    let all = AllLinks {
        neighbors: vec![neighbor],
        stations: vec![station(TAP, 0x66), station(UPLINK, 0x77)],
        ..AllLinks::default()
    };
    assert_eq!(holder_of(&wanted(&all, &[]), link(BRIDGE), address(2)), None);
    // The bridge has forgotten it, the host has not.
    let forgotten = AllLinks { stations: vec![station(UPLINK, 0x77)], ..all.clone() };
    assert_eq!(holder_of(&wanted(&forgotten, &[]), link(BRIDGE), address(2)), None);
    let wanted = wanted(&all, &[]);
    let of = |last| wanted.macs.get(&mac_key(link(BRIDGE), mac(last))).copied();
    assert_eq!(of(0x66), None);
    assert_eq!(of(0x77), Some(Holder::Member));
    for own in [BRIDGE, TAP, UPLINK] {
        assert_eq!(of(u64::from(own)), Some(Holder::Host), "{own}");
    }
}

#[test]
fn an_entry_is_kept_written_or_removed() {
    let entry = |holder: Holder, seen: u64, is_tentative| Reserved {
        seen,
        holder: holder.number(),
        is_tentative,
        ..Reserved::default()
    };
    let nanos = NOW.nanos();
    let (old, ancient) = (nanos - 100_000_000_000, nanos - 400_000_000_000);
    let check = |there: Option<Reserved>, wanted: Option<Reserved>, step| {
        assert_eq!(
            address_step(there.as_ref(), wanted.as_ref(), NOW),
            step,
            "{there:?} {wanted:?}"
        );
    };
    let host = entry(Holder::Host, 0, 0);
    check(None, Some(host), Step::Write);
    check(Some(host), Some(host), Step::Keep);
    check(Some(host), None, Step::Remove);
    // The host's DAD, which the kernel side has heard; then it is done.
    check(Some(entry(Holder::Host, nanos, 1)), Some(host), Step::Write);
    check(Some(entry(Holder::Host, nanos, 1)), None, Step::Keep);
    check(Some(entry(Holder::Host, ancient, 1)), None, Step::Remove);
    let member = entry(Holder::Member, nanos, 0);
    check(Some(entry(Holder::Member, old, 0)), Some(member), Step::Write);
    check(Some(member), Some(member), Step::Keep);
    check(Some(entry(Holder::Member, old, 0)), None, Step::Keep);
    check(Some(entry(Holder::Member, ancient, 0)), None, Step::Remove);
    check(Some(member), Some(entry(Holder::Router, 0, 0)), Step::Write);
}

#[test]
fn a_mac_is_a_ports_as_long_as_its_guest_has_it() {
    let of = |port, holder, seen| Some(MacHolder { port, holder, seen, ..MacHolder::default() });
    let member = Holder::Member.number();
    let check = |there: Option<MacHolder>, wanted, is_live, step| {
        assert_eq!(mac_step(there.as_ref(), wanted, is_live, NOW), step, "{there:?} {wanted:?}");
    };
    check(of(7, 0, 0), None, true, Step::Keep);
    check(of(7, 0, 0), None, false, Step::Remove);
    check(of(7, 0, 0), Some(Holder::Member), true, Step::Keep);
    check(of(7, 0, 0), Some(Holder::Member), false, Step::Write);
    check(of(7, 0, 0), Some(Holder::Host), true, Step::Write);
    check(of(0, member, NOW.nanos()), None, false, Step::Keep);
    check(of(0, member, 0), None, false, Step::Remove);
    check(of(0, Holder::Listed.number(), 0), None, false, Step::Remove);
}

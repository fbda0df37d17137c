//! What the hostile guest sends: each frame is an attack on a host or its other guests that has worked
//! somewhere.

use std::net::Ipv6Addr;

use netmon_common::Reason;
use netmon_tests::frame::{
    ALL_NODES, Frame, GLOBAL, GUEST_MAC, ethernet, icmp, listener_report, mac_option, redirect,
    router_advertisement, tcp,
};

/// The hostile guest's MAC.
pub(crate) const MAC: [u8; 6] = [2, 0xfc, 0, 0, 0, 0x66];
/// The address that is the hostile guest's by right.
pub(crate) const OWN: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x666);
/// The address that it would like to have.
pub(crate) const COVETED: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xdead);

const LISTENER_QUERY: u8 = 130;
const NEIGHBOR_ADVERTISEMENT: u8 = 136;
const OVERRIDE: u8 = 0x20;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;
const ICMPV6: u8 = 58;

/// What the hostile guest says when nobody suspects it: netmon learns its MAC from that.
pub(crate) fn honest() -> Vec<u8> {
    advertisement(OWN, MAC).bytes()
}

/// Another word that may pass. It takes nothing back: after an advertisement without the router flag,
/// Linux would forget the route that a forged one has brought (RFC 4861 section 7.2.5).
pub(crate) fn farewell() -> Vec<u8> {
    from_us(listener_report()).bytes()
}

/// Its attacks, each with the reason for which it must be dropped, in the order of these.
pub(crate) fn frames() -> Vec<(Reason, Vec<u8>)> {
    let announce = |change: fn(&mut Frame)| advertisement(COVETED, MAC).with(change).bytes();
    let route = |change: fn(&mut Frame)| from_us(router_advertisement()).with(change).bytes();
    let connect = |change: fn(&mut Frame)| from_us(tcp(22, 2)).with(change).bytes();
    vec![
        // A filter that looks behind no tag lets the host's stack take it off (VU#855201).
        (Reason::Vlan, route(|frame| frame.tags = vec![0x81, 0, 0, 0])),
        (Reason::Llc, route(|frame| frame.tags = vec![0, 64, 0xaa, 0xaa, 3, 0, 0, 0])),
        (Reason::Ipv4, of_type(0x0800)),
        (Reason::Arp, of_type(0x0806)),
        (Reason::SourceMac, advertisement(COVETED, GUEST_MAC).bytes()),
        (Reason::SourceScope, connect(|frame| frame.source = GLOBAL)),
        (Reason::DestinationScope, connect(|frame| frame.destination = GLOBAL)),
        // RFC 7113: what RA guards were evaded with.
        (Reason::ExtensionHeader, route(|frame| frame.extension = behind(DESTINATION_OPTIONS))),
        (Reason::Fragment, route(|frame| frame.extension = behind(FRAGMENT))),
        (Reason::RouterAdvertisement, route(|_| ())),
        (Reason::Redirect, from_us(redirect()).bytes()),
        // The least address is the querier's: it could silence the real one.
        (Reason::Mld, from_us(icmp(ALL_NODES, LISTENER_QUERY, &[0; 24])).bytes()),
        (Reason::NdHopLimit, announce(|frame| frame.hop_limit = 64)),
        (Reason::NdOptionMac, announce(|frame| frame.payload = says(COVETED, GUEST_MAC))),
        (Reason::NdTarget, announce(|frame| frame.source = OWN)),
    ]
}

/// An advertisement of `target`, by `mac`, in which all is as it should be.
fn advertisement(target: Ipv6Addr, mac: [u8; 6]) -> Frame {
    icmp(ALL_NODES, NEIGHBOR_ADVERTISEMENT, &[]).with(|frame| {
        frame.payload = says(target, mac);
        frame.source = target;
        frame.source_mac = mac;
    })
}

/// The body of an advertisement: "`target` is at `mac`".
fn says(target: Ipv6Addr, mac: [u8; 6]) -> Vec<u8> {
    let head = [NEIGHBOR_ADVERTISEMENT, 0, 0, 0, OVERRIDE, 0, 0, 0];
    [head.as_slice(), &target.octets(), &mac_option(2, mac)].concat()
}

fn from_us(frame: Frame) -> Frame {
    frame.with(|frame| {
        frame.source_mac = MAC;
        frame.source = OWN;
    })
}

/// An extension header of 8 bytes: an atomic fragment, or options that are but padding.
fn behind(kind: u8) -> Option<(u8, Vec<u8>)> {
    let body = if kind == FRAGMENT { [0, 0, 0, 0, 0, 1] } else { [1, 4, 0, 0, 0, 0] };
    Some((kind, [&[ICMPV6, 0], body.as_slice()].concat()))
}

fn of_type(ethertype: u16) -> Vec<u8> {
    let mut frame = ethernet(ethertype);
    frame.splice(6..12, MAC);
    frame
}

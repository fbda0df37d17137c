//! Host → guest: the scope, and nothing else.

use std::net::Ipv6Addr;

use netmon_common::{Kind, Reason, abi::Direction};
use netmon_tests::frame::{
    ALL_NODES, Frame, GLOBAL, GUEST, GUEST_MAC, HOST, HOST_MAC, advertisement, dad, echo, ethernet,
    listener_report, router_advertisement, tcp, udp,
};

use super::{case, check};

/// The same frame the other way.
fn turned(frame: Frame) -> Frame {
    frame.with(|f| {
        f.source_mac = HOST_MAC;
        if f.source == GUEST {
            f.source = HOST;
        }
        if f.destination == HOST {
            f.destination = GUEST;
            f.destination_mac = Some(GUEST_MAC);
        }
    })
}

#[test]
fn what_the_host_says_on_the_link_passes() {
    let same = |_: &mut Frame| {};
    let fragment = |f: &mut Frame| f.extension = Some((44, vec![17, 0, 0, 1, 0, 0, 0, 1]));
    check(
        Direction::Egress,
        vec![
            case("TCP", turned(tcp(80, 2)), same, Ok(Kind::Tcp)),
            case("UDP", turned(udp(53)), same, Ok(Kind::Udp)),
            case("echo", turned(echo(HOST)), same, Ok(Kind::Echo)),
            case("echo to all nodes", turned(echo(ALL_NODES)), same, Ok(Kind::Echo)),
            case("DAD", turned(dad(HOST)), same, Ok(Kind::Dad)),
            case(
                "advertisement",
                turned(advertisement(HOST)),
                same,
                Ok(Kind::NeighborAdvertisement),
            ),
            case("MLD", turned(listener_report()), same, Ok(Kind::MulticastListener)),
            case(
                "router advertisement",
                turned(router_advertisement()),
                same,
                Ok(Kind::RouterAdvertisement),
            ),
            case("a fragment", turned(udp(53)), fragment, Ok(Kind::Other)),
        ],
    );
}

#[test]
fn what_is_not_of_the_link_does_not() {
    let host = |change: fn(&mut Frame)| turned(tcp(80, 2)).with(change);
    let cases = [
        ("global source", host(|f| f.source = GLOBAL), Reason::SourceScope),
        ("global destination", host(|f| f.destination = GLOBAL), Reason::DestinationScope),
        (
            "site-local group",
            host(|f| f.destination = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 2)),
            Reason::DestinationScope,
        ),
        (":: in TCP", host(|f| f.source = Ipv6Addr::UNSPECIFIED), Reason::UnspecifiedSource),
        ("version 4", host(|f| f.version = 4), Reason::IpVersion),
        ("jumbogram", host(|f| f.payload_length = Some(0)), Reason::PayloadLength),
        ("VLAN in the bytes", host(|f| f.tags = vec![0x81, 0, 0, 5]), Reason::Vlan),
        ("LLC", host(|f| f.ethertype = 60), Reason::Llc),
        ("another ethertype", host(|f| f.ethertype = 0x88cc), Reason::Ethertype),
    ];
    check(
        Direction::Egress,
        cases.into_iter().map(|(name, frame, reason)| (name, frame.bytes(), Err(reason))).collect(),
    );
    let raw = [("IPv4", 0x0800, Reason::Ipv4), ("ARP", 0x0806, Reason::Arp)];
    check(
        Direction::Egress,
        raw.map(|(name, ethertype, reason)| (name, ethernet(ethertype), Err(reason))).to_vec(),
    );
}

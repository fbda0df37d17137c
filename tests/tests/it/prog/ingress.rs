//! Guest → host: each reason and each kind, one readable line a case.

use std::net::Ipv6Addr;

use netmon_common::{Kind, Reason, abi::Direction};
use netmon_tests::{
    frame::{
        ALL_NODES, ALL_ROUTERS, Frame, GLOBAL, GUEST, GUEST_MAC, HOST, HOST_MAC, advertisement,
        dad, dhcp, echo, error, ethernet, frame, icmp, listener_report, listener_v1, mac_option,
        nonce, port_unreachable, records, redirect, router_advertisement, router_alert,
        router_solicitation, solicitation, solicited_advertisement, solicited_node, tcp, udp,
    },
    pcap,
};

use super::{case, check};

fn unchanged(_: &mut Frame) {}

pub(super) fn drops(cases: Vec<(&str, Frame, Reason)>) {
    check(
        Direction::Ingress,
        cases.into_iter().map(|(name, frame, reason)| case_of(name, &frame, Err(reason))).collect(),
    );
}

fn passes(cases: Vec<(&str, Frame, Kind)>) {
    check(
        Direction::Ingress,
        cases.into_iter().map(|(name, frame, kind)| case_of(name, &frame, Ok(kind))).collect(),
    );
}

fn case_of<'a>(
    name: &'a str,
    frame: &Frame,
    expected: Result<Kind, Reason>,
) -> (&'a str, Vec<u8>, Result<Kind, Reason>) {
    (name, frame.bytes(), expected)
}

pub(super) fn address(text: &str) -> Ipv6Addr {
    text.parse().expect("an address")
}

#[test]
fn what_a_guest_needs_passes() {
    let other = address("fe80::3");
    passes(vec![
        ("DAD with a nonce", dad(GUEST), Kind::Dad),
        ("DAD without options", dad(GUEST).with(|f| f.payload.truncate(24)), Kind::Dad),
        (
            "solicitation",
            solicitation(other, &mac_option(1, GUEST_MAC)),
            Kind::NeighborSolicitation,
        ),
        ("solicitation without options", solicitation(other, &[]), Kind::NeighborSolicitation),
        (
            "unicast solicitation",
            solicitation(HOST, &[]).with(|f| f.destination = HOST),
            Kind::NeighborSolicitation,
        ),
        ("announcement", advertisement(GUEST), Kind::NeighborAdvertisement),
        (
            "answer of Linux: S flag, no TLLA",
            solicited_advertisement(),
            Kind::NeighborAdvertisement,
        ),
        (
            "unknown option",
            solicitation(other, &[99, 1, 0, 0, 0, 0, 0, 0]),
            Kind::NeighborSolicitation,
        ),
        ("eight options", solicitation(other, &nonce().repeat(8)), Kind::NeighborSolicitation),
        (
            "router solicitation",
            router_solicitation(&mac_option(1, GUEST_MAC)),
            Kind::RouterSolicitation,
        ),
        (
            "router solicitation from ::",
            router_solicitation(&[]).with(|f| f.source = Ipv6Addr::UNSPECIFIED),
            Kind::RouterSolicitation,
        ),
        ("MLD report", listener_report(), Kind::MulticastListener),
        (
            "MLD report from ::",
            listener_report().with(|f| f.source = Ipv6Addr::UNSPECIFIED),
            Kind::MulticastListener,
        ),
        (
            "MLD with the padding in front",
            listener_report().with(|f| f.extension = Some((0, vec![58, 0, 1, 0, 5, 2, 0, 0]))),
            Kind::MulticastListener,
        ),
        ("echo", echo(HOST), Kind::Echo),
        ("echo to all nodes", echo(ALL_NODES), Kind::Echo),
        ("port unreachable", port_unreachable(), Kind::IcmpError),
        ("packet too big", error(2, HOST, GUEST), Kind::IcmpError),
        (
            "an error about a header alone",
            error(3, HOST, GUEST).with(|f| f.payload.truncate(48)),
            Kind::IcmpError,
        ),
        ("DHCPv6 of a client", dhcp(546, 547), Kind::Udp),
        ("MLDv1 report", listener_v1(131, solicited_node(GUEST)), Kind::MulticastListener),
        ("MLDv1 Done", listener_v1(132, solicited_node(GUEST)), Kind::MulticastListener),
        ("32 records", records(&[(4, 0, 0, solicited_node(GUEST)); 32]), Kind::MulticastListener),
        (
            "the routers of the site, as Linux with forwarding has them",
            records(&[(4, 0, 0, ALL_ROUTERS), (4, 0, 0, address("ff05::2"))]),
            Kind::MulticastListener,
        ),
        (
            "the router flag",
            advertisement(GUEST).with(|f| f.payload[4] |= 0x80),
            Kind::NeighborAdvertisement,
        ),
        ("TCP", tcp(8080, 0x02), Kind::Tcp),
        ("UDP", udp(53), Kind::Udp),
        ("padding behind the payload", tcp(8080, 0x02).with(|f| f.trailer = vec![0; 6]), Kind::Tcp),
        (
            "unicast MAC, multicast destination",
            echo(ALL_NODES).with(|f| f.destination_mac = Some(HOST_MAC)),
            Kind::Echo,
        ),
        ("a transient group of link scope", echo(address("ff12::1")), Kind::Echo),
        ("hop limit 1 in TCP", tcp(80, 0x02).with(|f| f.hop_limit = 1), Kind::Tcp),
    ]);
}

#[test]
fn ethernet_layer() {
    let vlan = |tag: u16| tcp(80, 2).with(|f| f.tags = [tag.to_be_bytes(), [0, 0]].concat());
    drops(vec![
        ("VLAN 0", vlan(0x8100), Reason::Vlan),
        ("802.1ad", vlan(0x88a8), Reason::Vlan),
        ("QinQ of old", vlan(0x9100), Reason::Vlan),
        ("LLC", tcp(80, 2).with(|f| f.ethertype = 60), Reason::Llc),
        ("the largest length", tcp(80, 2).with(|f| f.ethertype = 0x05ff), Reason::Llc),
        ("the least ethertype", tcp(80, 2).with(|f| f.ethertype = 0x0600), Reason::Ethertype),
        ("zero MAC", tcp(80, 2).with(|f| f.source_mac = [0; 6]), Reason::SourceMac),
        ("multicast source MAC", tcp(80, 2).with(|f| f.source_mac[0] |= 1), Reason::SourceMac),
        ("the host's MAC", tcp(80, 2).with(|f| f.source_mac = HOST_MAC), Reason::SourceMac),
        (
            "broadcast, unicast destination",
            tcp(80, 2).with(|f| f.destination_mac = Some([0xff; 6])),
            Reason::DestinationMac,
        ),
        (
            "group MAC, unicast destination",
            tcp(80, 2).with(|f| f.destination_mac = Some([0x33, 0x33, 0, 0, 0, 1])),
            Reason::DestinationMac,
        ),
        (
            "another group's MAC",
            echo(ALL_NODES).with(|f| f.destination_mac = Some([0x33, 0x33, 0, 0, 0, 2])),
            Reason::DestinationMac,
        ),
    ]);
    let raw = [
        (0x0800, Reason::Ipv4),
        (0x0806, Reason::Arp),
        (0x88cc, Reason::Ethertype),
        (0x888e, Reason::Ethertype),
        (0x8035, Reason::Rarp),
    ];
    let raw = raw.map(|(ethertype, reason)| ("raw", ethernet(ethertype), Err(reason)));
    check(Direction::Ingress, raw.to_vec());
}

#[test]
fn runts_of_every_length() {
    let whole = tcp(80, 2).bytes();
    let cases = (14..54).map(|length| ("cut", whole[..length].to_vec(), Err(Reason::Runt)));
    check(Direction::Ingress, cases.collect());
    // Past the IPv6 header it is the payload that is cut.
    let cases = (54..whole.len())
        .map(|length| ("cut", whole[..length].to_vec(), Err(Reason::PayloadLength)));
    check(Direction::Ingress, cases.collect());
}

#[test]
fn ipv6_header() {
    drops(vec![
        ("version 4", tcp(80, 2).with(|f| f.version = 4), Reason::IpVersion),
        ("jumbogram", tcp(80, 2).with(|f| f.payload_length = Some(0)), Reason::PayloadLength),
        (
            "longer than the frame",
            tcp(80, 2).with(|f| f.payload_length = Some(21)),
            Reason::PayloadLength,
        ),
        ("longest", tcp(80, 2).with(|f| f.payload_length = Some(0xffff)), Reason::PayloadLength),
        ("global source", tcp(80, 2).with(|f| f.source = GLOBAL), Reason::SourceScope),
        (
            "fe80::/10 outside /64",
            tcp(80, 2).with(|f| f.source = address("fe80:0:0:1::2")),
            Reason::SourceScope,
        ),
        ("febf::", tcp(80, 2).with(|f| f.source = address("febf::2")), Reason::SourceScope),
        ("multicast source", tcp(80, 2).with(|f| f.source = ALL_NODES), Reason::SourceScope),
        (
            "loopback source",
            tcp(80, 2).with(|f| f.source = Ipv6Addr::LOCALHOST),
            Reason::SourceScope,
        ),
        (
            "unique local source",
            tcp(80, 2).with(|f| f.source = address("fd00::2")),
            Reason::SourceScope,
        ),
        (
            "global destination",
            tcp(80, 2).with(|f| f.destination = GLOBAL),
            Reason::DestinationScope,
        ),
        (
            "unspecified destination",
            tcp(80, 2).with(|f| f.destination = Ipv6Addr::UNSPECIFIED),
            Reason::DestinationScope,
        ),
        (
            "destination fe80::/10 outside /64",
            tcp(80, 2).with(|f| f.destination = address("fe80:1::2")),
            Reason::DestinationScope,
        ),
        ("interface-local group", echo(address("ff01::1")), Reason::DestinationScope),
        ("site-local group", echo(address("ff05::2")), Reason::DestinationScope),
        ("global group", echo(address("ff0e::1")), Reason::DestinationScope),
        (
            ":: in TCP",
            tcp(80, 2).with(|f| f.source = Ipv6Addr::UNSPECIFIED),
            Reason::UnspecifiedSource,
        ),
        (
            ":: in echo",
            echo(HOST).with(|f| f.source = Ipv6Addr::UNSPECIFIED),
            Reason::UnspecifiedSource,
        ),
        (
            ":: in an advertisement",
            advertisement(GUEST).with(|f| f.source = Ipv6Addr::UNSPECIFIED),
            Reason::UnspecifiedSource,
        ),
    ]);
}

#[test]
fn extension_headers() {
    let behind = |kind: u8, bytes: &[u8]| {
        let extension = Some((kind, bytes.to_vec()));
        tcp(80, 2).with(|f| f.extension = extension)
    };
    drops(vec![
        ("Hop-by-Hop before TCP", behind(0, &[6, 0, 5, 2, 0, 0, 1, 0]), Reason::ExtensionHeader),
        (
            "Router Alert before echo",
            echo(HOST).with(|f| f.extension = Some(router_alert())),
            Reason::ExtensionHeader,
        ),
        (
            "Router Alert before a solicitation",
            dad(GUEST).with(|f| f.extension = Some(router_alert())),
            Reason::UnspecifiedSource,
        ),
        (
            "Router Alert before an advertisement",
            advertisement(GUEST).with(|f| f.extension = Some(router_alert())),
            Reason::ExtensionHeader,
        ),
        (
            "Hop-by-Hop without Router Alert",
            listener_report().with(|f| f.extension = Some((0, vec![58, 0, 1, 4, 0, 0, 0, 0]))),
            Reason::ExtensionHeader,
        ),
        (
            "Router Alert of another value",
            listener_report().with(|f| f.extension = Some((0, vec![58, 0, 5, 2, 0, 1, 1, 0]))),
            Reason::ExtensionHeader,
        ),
        (
            "a longer Hop-by-Hop",
            listener_report().with(|f| {
                f.extension = Some((0, vec![58, 1, 5, 2, 0, 0, 1, 8, 0, 0, 0, 0, 0, 0, 0, 0]));
            }),
            Reason::ExtensionHeader,
        ),
        (
            "Hop-by-Hop twice",
            listener_report().with(|f| {
                f.extension =
                    Some((0, [[0, 0, 5, 2, 0, 0, 1, 0], [58, 0, 5, 2, 0, 0, 1, 0]].concat()));
            }),
            Reason::ExtensionHeader,
        ),
        (
            "Hop-by-Hop that ends the frame",
            listener_report().with(|f| f.payload.clear()),
            Reason::ExtensionHeader,
        ),
        ("Destination Options", behind(60, &[6, 0, 1, 4, 0, 0, 0, 0]), Reason::ExtensionHeader),
        ("Routing", behind(43, &[6, 0, 0, 0, 0, 0, 0, 0]), Reason::ExtensionHeader),
        ("ESP", behind(50, &[0; 8]), Reason::ExtensionHeader),
        ("AH", behind(51, &[6, 1, 0, 0, 0, 0, 0, 0]), Reason::ExtensionHeader),
        ("Mobility", behind(135, &[6, 0, 0, 0, 0, 0, 0, 0]), Reason::ExtensionHeader),
        ("atomic fragment", behind(44, &[6, 0, 0, 0, 0, 0, 0, 1]), Reason::Fragment),
        ("first fragment", behind(44, &[6, 0, 0, 1, 0, 0, 0, 1]), Reason::Fragment),
        (
            "fragmented advertisement",
            advertisement(GUEST).with(|f| f.extension = Some((44, vec![58, 0, 0, 0, 0, 0, 0, 1]))),
            Reason::Fragment,
        ),
        ("no next header", frame(HOST, 59, vec![0; 8]), Reason::NextHeader),
        ("SCTP", frame(HOST, 132, vec![0; 12]), Reason::NextHeader),
        ("IPv6 in IPv6", frame(HOST, 41, tcp(80, 2).bytes()[14..].to_vec()), Reason::NextHeader),
        ("TCP header cut short", frame(HOST, 6, vec![0; 19]), Reason::NextHeader),
        ("UDP header cut short", frame(HOST, 17, vec![0; 7]), Reason::NextHeader),
    ]);
}

#[test]
fn icmpv6() {
    drops(vec![
        ("router advertisement", router_advertisement(), Reason::RouterAdvertisement),
        (
            "router advertisement, one byte of it",
            frame(HOST, 58, vec![134]),
            Reason::RouterAdvertisement,
        ),
        ("redirect", redirect(), Reason::Redirect),
        ("node information query", icmp(HOST, 139, &[0; 12]), Reason::IcmpType),
        ("router renumbering", icmp(HOST, 138, &[0; 12]), Reason::IcmpType),
        ("type 0", icmp(HOST, 0, &[0; 4]), Reason::IcmpType),
        ("header cut short", icmp(HOST, 128, &[0; 3]), Reason::IcmpType),
        ("no header at all", frame(HOST, 58, vec![]), Reason::IcmpType),
        ("MLD query", listener_report().with(|f| f.payload[0] = 130), Reason::Mld),
        ("MLD with hop limit 255", listener_report().with(|f| f.hop_limit = 255), Reason::Mld),
        ("MLD without Router Alert", listener_report().with(|f| f.extension = None), Reason::Mld),
    ]);
}

/// One field off a valid frame must not turn it into something else than a drop with its own reason.
#[test]
fn frames_at_the_edge_of_the_reader() {
    let long =
        solicitation(address("fe80::3"), &[99, 61].into_iter().chain([0; 486]).collect::<Vec<_>>());
    check(
        Direction::Ingress,
        vec![
            case("512 bytes", long, unchanged, Ok(Kind::NeighborSolicitation)),
            case("65,535 bytes of IPv6", udp(53), |f| f.payload.resize(3_000, 7), Ok(Kind::Udp)),
        ],
    );
}

#[test]
fn a_booting_guest_causes_no_drop() -> anyhow::Result<()> {
    let mut programs = super::Programs::load();
    for file in ["guest-boot.pcap", "guest-boot-notify1.pcap"] {
        programs.new_guest();
        for frame in pcap::frames(file)? {
            let direction =
                if frame[6..12] == GUEST_MAC { Direction::Ingress } else { Direction::Egress };
            let verdict = programs.run(direction, &frame);
            assert!(verdict.is_ok(), "{file}: {verdict:?}: {frame:02x?}");
        }
    }
    Ok(())
}

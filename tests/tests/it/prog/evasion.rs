//! Ways in which filters of neighbour discovery were passed by (RFC 6980, RFC 7113, VU#855201): each by its name,
//! around a message that would do harm.

use std::net::Ipv6Addr;

use netmon_common::{Kind, Reason, abi::Direction};
use netmon_tests::frame::{
    ALL_NODES, Frame, GUEST, GUEST_MAC, HOST, OTHER_MAC, advertisement, dad, echo, frame, icmp,
    listener_report, mac_option, nonce, redirect, router_advertisement, solicitation,
    solicited_advertisement, tcp, udp,
};

use super::{Verdict, check, ingress::address};

const ICMPV6: u8 = 58;

/// Headers in front of the payload: the first's type, then the bytes of all.
fn behind(kind: u8, headers: &[[u8; 8]]) -> impl Fn(Frame) -> Frame + use<> {
    let headers = headers.concat();
    move |frame| frame.with(|f| f.extension = Some((kind, headers.clone())))
}

/// What a guest would like to get through.
fn harmful() -> [(&'static str, Frame); 4] {
    [
        ("router advertisement", router_advertisement()),
        ("redirect", redirect()),
        ("advertisement", advertisement(GUEST)),
        ("solicitation", solicitation(GUEST, &mac_option(1, GUEST_MAC))),
    ]
}

/// Each harmful message in this disguise is dropped for this reason.
fn hides(disguises: Vec<(&str, impl Fn(Frame) -> Frame, Reason)>) {
    let mut cases = Vec::new();
    for (name, disguise, reason) in disguises {
        for (harm, frame) in harmful() {
            cases.push((format!("{harm}, {name}"), disguise(frame).bytes(), Err(reason)));
        }
    }
    let cases = cases.iter().map(|(name, frame, verdict)| (name.as_str(), frame.clone(), *verdict));
    check(Direction::Ingress, cases.collect());
}

fn judged(cases: Vec<(&str, Frame, Verdict)>) {
    let bytes = |(name, frame, verdict): (_, Frame, _)| (name, frame.bytes(), verdict);
    check(Direction::Ingress, cases.into_iter().map(bytes).collect());
}

#[test]
fn tags_and_llc() {
    let tagged = |tags: &[u16]| {
        let tags: Vec<u8> = tags.iter().flat_map(|tag| tag.to_be_bytes()).collect();
        move |frame: Frame| frame.with(|f| f.tags = tags.clone())
    };
    hides(vec![
        ("VLAN 0", tagged(&[0x8100, 0]), Reason::Vlan),
        ("VLAN 0 with a priority", tagged(&[0x8100, 0xe000]), Reason::Vlan),
        ("VLAN 0 twice", tagged(&[0x8100, 0, 0x8100, 0]), Reason::Vlan),
        ("802.1ad around 802.1Q", tagged(&[0x88a8, 0, 0x8100, 0]), Reason::Vlan),
        ("eight tags", tagged(&[0x8100, 0].repeat(8)), Reason::Vlan),
        // DSAP, SSAP, control, OUI 00:00:00, then the ethertype.
        ("LLC and SNAP", tagged(&[94, 0xaaaa, 0x0300, 0]), Reason::Llc),
        ("LLC and SNAP behind VLAN 0", tagged(&[0x8100, 0, 94, 0xaaaa, 0x0300, 0]), Reason::Vlan),
        ("VLAN 0 behind LLC and SNAP", tagged(&[98, 0xaaaa, 0x0300, 0, 0x8100, 0]), Reason::Llc),
    ]);
}

#[test]
fn extension_headers_around_discovery() {
    let last = ICMPV6;
    hides(vec![
        ("Hop-by-Hop", behind(0, &[[last, 0, 1, 4, 0, 0, 0, 0]]), Reason::ExtensionHeader),
        ("Router Alert", behind(0, &[[last, 0, 5, 2, 0, 0, 1, 0]]), Reason::ExtensionHeader),
        (
            "Hop-by-Hop twice",
            behind(0, &[[0, 0, 1, 4, 0, 0, 0, 0], [last, 0, 5, 2, 0, 0, 1, 0]]),
            Reason::ExtensionHeader,
        ),
        (
            "Hop-by-Hop not first",
            behind(60, &[[0, 0, 1, 4, 0, 0, 0, 0], [last, 0, 5, 2, 0, 0, 1, 0]]),
            Reason::ExtensionHeader,
        ),
        (
            "Hop-by-Hop: jumbo",
            behind(0, &[[last, 0, 0xc2, 4, 0, 1, 0, 0]]),
            Reason::ExtensionHeader,
        ),
        (
            "Hop-by-Hop: unknown",
            behind(0, &[[last, 0, 0x3e, 4, 0, 0, 0, 0]]),
            Reason::ExtensionHeader,
        ),
        (
            "Destination Options",
            behind(60, &[[last, 0, 1, 4, 0, 0, 0, 0]]),
            Reason::ExtensionHeader,
        ),
        (
            "Destination Options thrice",
            behind(
                60,
                &[
                    [60, 0, 1, 4, 0, 0, 0, 0],
                    [60, 0, 1, 4, 0, 0, 0, 0],
                    [last, 0, 1, 4, 0, 0, 0, 0],
                ],
            ),
            Reason::ExtensionHeader,
        ),
        ("Routing 0", behind(43, &[[last, 0, 0, 0, 0, 0, 0, 0]]), Reason::ExtensionHeader),
        ("Routing 1", behind(43, &[[last, 0, 1, 0, 0, 0, 0, 0]]), Reason::ExtensionHeader),
        ("Routing 2", behind(43, &[[last, 0, 2, 0, 0, 0, 0, 0]]), Reason::ExtensionHeader),
        ("Routing 3", behind(43, &[[last, 0, 3, 0, 0, 0, 0, 0]]), Reason::ExtensionHeader),
        ("Routing 4", behind(43, &[[last, 0, 4, 0, 0, 0, 0, 0]]), Reason::ExtensionHeader),
        ("Authentication", behind(51, &[[last, 0, 0, 0, 0, 0, 0, 1]]), Reason::ExtensionHeader),
        (
            "Encapsulating Security",
            behind(50, &[[0, 0, 0, 1, 0, 0, 0, 1]]),
            Reason::ExtensionHeader,
        ),
        ("Mobility", behind(135, &[[last, 0, 0, 0, 0, 0, 0, 0]]), Reason::ExtensionHeader),
        ("Host Identity", behind(139, &[[last, 0, 0, 0, 0, 0, 0, 0]]), Reason::ExtensionHeader),
        ("Shim6", behind(140, &[[last, 0, 0, 0, 0, 0, 0, 0]]), Reason::ExtensionHeader),
        ("an experiment", behind(253, &[[last, 0, 0, 0, 0, 0, 0, 0]]), Reason::ExtensionHeader),
        ("no next header", behind(59, &[[last, 0, 0, 0, 0, 0, 0, 0]]), Reason::NextHeader),
        ("an unknown header", behind(200, &[[last, 0, 0, 0, 0, 0, 0, 0]]), Reason::NextHeader),
        ("IPv6 in IPv6", behind(41, &[]), Reason::NextHeader),
    ]);
}

#[test]
fn fragments() {
    let fragment = |offset_and_more: u16| {
        let [high, low] = offset_and_more.to_be_bytes();
        behind(44, &[[ICMPV6, 0, high, low, 0, 0, 0, 1]])
    };
    hides(vec![
        ("atomic", fragment(0), Reason::Fragment),
        ("first", fragment(1), Reason::Fragment),
        ("second", fragment(8 | 1), Reason::Fragment),
        ("overlapping", fragment(4 << 3 | 1), Reason::Fragment),
        ("last of 65,535 bytes", fragment(0xfff8), Reason::Fragment),
    ]);
    let behind_options = [[44, 0, 1, 4, 0, 0, 0, 0], [ICMPV6, 0, 0, 1, 0, 0, 0, 1]];
    hides(vec![
        ("behind Hop-by-Hop", behind(0, &behind_options), Reason::ExtensionHeader),
        ("behind Destination Options", behind(60, &behind_options), Reason::ExtensionHeader),
        ("behind Routing", behind(43, &behind_options), Reason::ExtensionHeader),
    ]);
    let tail = frame(HOST, 44, vec![ICMPV6, 0, 0, 8, 0, 0, 0, 1]);
    judged(vec![("a fragment of nothing", tail, Err(Reason::Fragment))]);
}

#[test]
fn a_chain_that_ends_with_the_frame() {
    let ends = |kind: u8, headers: Vec<u8>| frame(HOST, kind, headers);
    let header = Err(Reason::ExtensionHeader);
    judged(vec![
        ("Hop-by-Hop, nothing behind", ends(0, vec![ICMPV6, 0, 5, 2, 0, 0, 1, 0]), header),
        ("half a Hop-by-Hop", ends(0, vec![ICMPV6, 0, 5, 2]), header),
        ("Hop-by-Hop longer than the frame", ends(0, vec![ICMPV6, 255, 1, 4, 0, 0, 0, 0]), header),
        ("Routing, nothing behind", ends(43, vec![ICMPV6, 0, 0, 0, 0, 0, 0, 0]), header),
        ("Destination Options, one byte", ends(60, vec![ICMPV6]), header),
        ("a header's type and no header", ends(51, vec![]), header),
        ("half a Fragment header", ends(44, vec![ICMPV6, 0, 0]), Err(Reason::Fragment)),
        ("no next header and no payload", ends(59, vec![]), Err(Reason::NextHeader)),
        // The length says so, where there are bytes.
        (
            "MLD beyond the payload length",
            listener_report().with(|f| f.payload_length = Some(8)),
            header,
        ),
        (
            "an advertisement beyond the payload length",
            advertisement(GUEST).with(|f| f.payload_length = Some(23)),
            Err(Reason::NdLength),
        ),
    ]);
}

#[test]
fn discovery_at_its_edges() {
    let other = address("fe80::3");
    let options = |options: Vec<u8>| solicitation(other, &options);
    let (own, lie) = (mac_option(1, GUEST_MAC), mac_option(1, OTHER_MAC));
    let solicits = Ok(Kind::NeighborSolicitation);
    let advertises = Ok(Kind::NeighborAdvertisement);
    judged(vec![
        (
            "hop limit 254",
            options(own.clone()).with(|f| f.hop_limit = 254),
            Err(Reason::NdHopLimit),
        ),
        ("hop limit 0", advertisement(GUEST).with(|f| f.hop_limit = 0), Err(Reason::NdHopLimit)),
        ("code 255", dad(GUEST).with(|f| f.payload[1] = 255), Err(Reason::NdCode)),
        (
            "the second of two lies",
            options([own.clone(), lie.clone()].concat()),
            Err(Reason::NdOptionMac),
        ),
        (
            "the first of two lies",
            options([lie.clone(), own.clone()].concat()),
            Err(Reason::NdOptionMac),
        ),
        ("the eighth lies", options([nonce().repeat(7), lie].concat()), Err(Reason::NdOptionMac)),
        (
            "a TLLA that lies in a solicitation",
            options(mac_option(2, OTHER_MAC)),
            Err(Reason::NdOptionMac),
        ),
        (
            "a lie behind one of length 0",
            options([vec![14, 0, 0, 0, 0, 0, 0, 0], own.clone()].concat()),
            Err(Reason::NdOption),
        ),
        (
            "an option past the end",
            options([own, vec![14, 2, 0, 0, 0, 0, 0, 0]].concat()),
            Err(Reason::NdOption),
        ),
        ("255 units", options(vec![14, 255, 0, 0, 0, 0, 0, 0]), Err(Reason::NdOption)),
        ("a byte behind the options", options([nonce(), vec![0]].concat()), Err(Reason::NdOption)),
        ("a Nonce", options(nonce()), solicits),
        (
            "unknown options",
            options([[200, 1, 0, 0, 0, 0, 0, 0], [253, 1, 9, 9, 9, 9, 9, 9]].concat()),
            solicits,
        ),
        ("no TLLA in an answer", solicited_advertisement(), advertises),
        (
            "no TLLA in an announcement",
            advertisement(GUEST).with(|f| f.payload.truncate(24)),
            advertises,
        ),
        (
            "DAD with SLLA",
            solicitation(GUEST, &mac_option(1, GUEST_MAC))
                .with(|f| f.source = Ipv6Addr::UNSPECIFIED),
            Err(Reason::NdDestination),
        ),
        ("a multicast target", solicitation(address("ff02::5"), &[]), Err(Reason::NdTarget)),
        ("an advertised group", advertisement(ALL_NODES), Err(Reason::SourceScope)),
        (
            "a wrong checksum",
            dad(GUEST).with(|f| f.checksum_error = 0x8000),
            Err(Reason::NdChecksum),
        ),
        ("a checksum of zero", dad(GUEST).with(|f| f.checksum_error = 1), Err(Reason::NdChecksum)),
    ]);
}

#[test]
fn scopes() {
    let to = |group: &str| echo(address(group));
    let source = |text: &str| tcp(80, 2).with(|f| f.source = address(text));
    let destination = Err(Reason::DestinationScope);
    judged(vec![
        ("interface-local", to("ff01::1"), destination),
        ("site-local", to("ff05::1"), destination),
        ("organisation-local", to("ff08::1"), destination),
        ("global", to("ff0e::1"), destination),
        ("reserved scope 0", to("ff00::1"), destination),
        ("link-local, transient", to("ff12::1"), Ok(Kind::Echo)),
        ("link-local, by prefix", to("ff32::1"), Ok(Kind::Echo)),
        ("fe80::/10 outside /64", source("fe80:0:0:1::2"), Err(Reason::SourceScope)),
        ("the end of fe80::/10", source("febf:ffff:ffff:ffff::2"), Err(Reason::SourceScope)),
        ("old site-local", source("fec0::2"), Err(Reason::SourceScope)),
        ("IPv4-mapped", source("::ffff:192.0.2.1"), Err(Reason::SourceScope)),
        ("to IPv4-mapped", to("::ffff:192.0.2.1"), destination),
        ("to loopback", to("::1"), destination),
    ]);
}

#[test]
fn lengths() {
    // What is shorter than an Ethernet header no kernel takes, neither from a TAP nor for a test.
    let whole = echo(HOST).with(|f| f.payload.extend([0; 40])).bytes();
    let cases = (14..=100).map(|length| {
        let expected = match length {
            ..54 => Err(Reason::Runt),
            54..102 => Err(Reason::PayloadLength),
            _ => Ok(Kind::Echo),
        };
        (length.to_string(), whole.get(..length).unwrap_or(&whole).to_vec(), expected)
    });
    let cases: Vec<_> = cases.collect();
    check(
        Direction::Ingress,
        cases
            .iter()
            .map(|(name, frame, verdict)| (name.as_str(), frame.clone(), *verdict))
            .collect(),
    );
    let length = Err(Reason::PayloadLength);
    judged(vec![
        ("jumbo payload", udp(53).with(|f| f.payload_length = Some(0)), length),
        (
            "jumbo payload with its option",
            behind(0, &[[17, 0, 0xc2, 4, 0, 1, 0, 0]])(udp(53))
                .with(|f| f.payload_length = Some(0)),
            length,
        ),
        (
            "one byte less than there is",
            udp(53).with(|f| f.payload_length = Some(11)),
            Ok(Kind::Udp),
        ),
        ("one byte more", udp(53).with(|f| f.payload_length = Some(13)), length),
        (
            "TCP options past the end",
            tcp(80, 2).with(|f| f.payload[12] = 0xf0),
            Err(Reason::NextHeader),
        ),
        (
            "TCP header of 16 bytes",
            tcp(80, 2).with(|f| f.payload[12] = 0x40),
            Err(Reason::NextHeader),
        ),
        ("ICMPv6 of one byte", frame(HOST, ICMPV6, vec![135]), Err(Reason::IcmpType)),
        ("a solicitation of 23 bytes", icmp(HOST, 135, &[0; 19]), Err(Reason::NdLength)),
    ]);
}

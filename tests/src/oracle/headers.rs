//! Each header by itself: read as it was written, cut short anywhere, and with any one bit wrong. What the judge says of
//! a header that is not whole is what the bytes explain: the oracle's reason.

#![expect(clippy::panic, reason = "a test fails by panicking")]

use netmon_common::{
    Address, Mac,
    abi::Direction,
    parse::{self, Upper, parse},
};

use crate::{
    agree::agreed,
    case::Case,
    frame::{
        ALL_NODES, Frame, GUEST, GUEST_MAC, HOST, advertisement, dad, dhcp, echo, icmp,
        listener_report, listener_v1, mac_option, nonce, port_unreachable, records, redirect,
        router_advertisement, router_solicitation, solicitation, solicited_advertisement,
        solicited_node, tcp, udp,
    },
};

/// One of each kind.
fn messages() -> Vec<Frame> {
    let options = [mac_option(1, GUEST_MAC), nonce(), mac_option(2, GUEST_MAC)].concat();
    vec![
        dad(GUEST),
        solicitation(HOST, &options),
        advertisement(GUEST),
        solicited_advertisement(),
        router_solicitation(&options),
        listener_report(),
        echo(ALL_NODES),
        icmp(HOST, 2, &[0, 0, 5, 0]),
        port_unreachable(),
        listener_v1(131, solicited_node(GUEST)),
        records(&[(2, 0, 0, solicited_node(GUEST)); 3]),
        dhcp(546, 547),
        tcp(8080, 0x02),
        tcp(8080, 0x10).with(|f| f.payload[12] = 0x60).with(|f| f.payload.extend([1; 4])),
        udp(53),
        router_advertisement(),
        redirect(),
        tcp(80, 2).with(|f| f.extension = Some((44, vec![6, 0, 0, 1, 0, 0, 0, 1]))),
        tcp(80, 2).with(|f| f.tags = vec![0x81, 0, 0, 5]),
    ]
}

fn read(frame: &Frame) -> parse::Frame {
    let bytes = frame.bytes();
    parse(bytes.as_slice(), Direction::Ingress)
        .unwrap_or_else(|reason| panic!("{reason}: {frame:?}"))
}

#[test]
fn ethernet_and_ipv6_are_read_as_written() {
    for frame in messages().iter().filter(|frame| frame.tags.is_empty()) {
        let read = read(frame);
        assert_eq!(read.source_mac, Mac::new(frame.source_mac));
        assert_eq!(read.destination_mac.octets(), frame.bytes()[..6]);
        assert_eq!(read.source, Address::from(frame.source));
        assert_eq!(read.destination, Address::from(frame.destination));
        assert_eq!(read.hop_limit, frame.hop_limit);
    }
}

#[test]
fn transport_is_read_as_written() {
    for flags in 0..=u8::MAX {
        let opens = flags & 0x12 == 0x02;
        let expected = Upper::Tcp { source: 0xc000, destination: 8080, opens };
        assert_eq!(read(&tcp(8080, flags)).upper, Ok(expected));
    }
    let expected = Upper::Udp { source: 0xc000, destination: 53 };
    assert_eq!(read(&udp(53)).upper, Ok(expected));
}

#[test]
fn discovery_is_read_as_written() {
    for (flags, frame) in (0..8).map(|bits| bits << 5).flat_map(|flags| {
        [advertisement(GUEST), solicitation(HOST, &mac_option(1, GUEST_MAC))].map(|f| (flags, f))
    }) {
        let frame = frame.with(|f| {
            f.payload[1] = flags;
            f.payload[4] = flags;
        });
        let Ok(Upper::Nd(nd)) = read(&frame).upper else { panic!("{frame:?}") };
        assert_eq!((nd.kind, nd.code), (frame.payload[0], flags));
        assert_eq!(nd.solicited, flags & 0x40 != 0);
        assert_eq!(nd.target.octets(), frame.payload[8..24]);
        let options =
            nd.options.map(|options| (options.source_mac, options.foreign_mac, options.checksum));
        assert_eq!(options, Ok((frame.payload[0] == 135, false, true)));
    }
}

/// Each of these bytes both ways, under the default policy.
fn check(bytes: &[u8]) {
    for direction in Direction::ALL {
        let _agreed = agreed(&Case::of(direction, bytes.to_vec()));
    }
}

#[test]
fn a_header_cut_short_anywhere() {
    for frame in messages() {
        let bytes = frame.bytes();
        (0..bytes.len()).for_each(|length| check(&bytes[..length]));
        // The IPv6 header says so, too.
        for length in 0..=frame.payload.len() {
            check(&frame.clone().with(|f| f.payload.truncate(length)).bytes());
            check(&frame.clone().with(|f| f.payload_length = Some(length as u16)).bytes());
        }
    }
}

#[test]
fn any_bit_wrong() {
    for frame in messages() {
        let mut bytes = frame.bytes();
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            check(&bytes);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn any_type_behind_any_header() {
    for kind in 0..=u8::MAX {
        check(&icmp(HOST, kind, &[0; 24]).bytes());
        check(&icmp(HOST, kind, &[0; 24]).with(|f| f.upper = kind).bytes());
        check(&listener_report().with(|f| f.payload[0] = kind).bytes());
        let behind =
            listener_report().with(|f| f.extension = Some((kind, vec![58, 0, 5, 2, 0, 0, 1, 0])));
        check(&behind.bytes());
    }
}

/// Six octets of options, each one of those that matter: padding of either kind and any length, Router Alert of any value
/// and length, and an unknown one.
#[test]
fn any_padding_around_a_router_alert() {
    const OCTETS: [u8; 6] = [0, 1, 2, 3, 5, 0xc2];
    let mut passed = 0;
    for number in 0..OCTETS.len().pow(6) {
        let options = (0..6).map(|place| OCTETS[number / OCTETS.len().pow(place) % OCTETS.len()]);
        let header = [58, 0].into_iter().chain(options).collect();
        let bytes = listener_report().with(|f| f.extension = Some((0, header))).bytes();
        passed += usize::from(agreed(&Case::of(Direction::Ingress, bytes)).is_ok());
    }
    assert_eq!(passed, 5, "Pad1 twice or PadN of none on one side, or Pad1 on both");
}

//! Guest → host: neighbour discovery, one field off a valid message each.

use netmon_common::Reason;
use netmon_tests::frame::{
    ALL_NODES, GLOBAL, GUEST, GUEST_MAC, HOST, OTHER_MAC, advertisement, dad, icmp, mac_option,
    nonce, router_solicitation, solicitation, solicited_node,
};

use super::ingress::{address, drops};
use std::net::Ipv6Addr;

#[test]
fn neighbour_discovery() {
    let other = address("fe80::3");
    let lying = [mac_option(2, GUEST_MAC), mac_option(2, OTHER_MAC)].concat();
    drops(vec![
        ("hop limit 254", advertisement(GUEST).with(|f| f.hop_limit = 254), Reason::NdHopLimit),
        ("code 1", solicitation(other, &[]).with(|f| f.payload[1] = 1), Reason::NdCode),
        ("advertisement cut short", icmp(HOST, 136, &[0; 19]), Reason::NdLength),
        (
            "over 512 bytes",
            solicitation(other, &[99, 62].into_iter().chain([0; 494]).collect::<Vec<_>>()),
            Reason::NdLength,
        ),
        ("option of length 0", solicitation(other, &[14, 0, 0, 0, 0, 0, 0, 0]), Reason::NdOption),
        ("option past the end", solicitation(other, &[14, 2, 0, 0, 0, 0, 0, 0]), Reason::NdOption),
        ("half an option", solicitation(other, &[14, 1, 0, 0]), Reason::NdOption),
        ("nine options", solicitation(other, &nonce().repeat(9)), Reason::NdOption),
        ("SLLA of another", solicitation(other, &mac_option(1, OTHER_MAC)), Reason::NdOptionMac),
        (
            "the second TLLA lies",
            advertisement(GUEST).with(|f| f.payload.splice(24.., lying).for_each(drop)),
            Reason::NdOptionMac,
        ),
        (
            "TLLA of two units",
            advertisement(GUEST).with(|f| {
                f.payload
                    .splice(24.., [2, 2, 2, 0xfc, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
                    .for_each(drop);
            }),
            Reason::NdOptionMac,
        ),
        ("multicast target", solicitation(ALL_NODES, &[]), Reason::NdTarget),
        ("global target", solicitation(GLOBAL, &[]), Reason::NdTarget),
        ("DAD of ::", dad(Ipv6Addr::UNSPECIFIED), Reason::NdTarget),
        (
            "advertisement for another",
            advertisement(other).with(|f| f.source = GUEST),
            Reason::NdTarget,
        ),
        ("DAD to all nodes", dad(GUEST).with(|f| f.destination = ALL_NODES), Reason::NdDestination),
        (
            "DAD to another group",
            dad(GUEST).with(|f| f.destination = solicited_node(other)),
            Reason::NdDestination,
        ),
        (
            "DAD with SLLA",
            solicitation(GUEST, &mac_option(1, GUEST_MAC))
                .with(|f| f.source = Ipv6Addr::UNSPECIFIED),
            Reason::NdDestination,
        ),
        (
            "router solicitation from :: with SLLA",
            router_solicitation(&mac_option(1, GUEST_MAC))
                .with(|f| f.source = Ipv6Addr::UNSPECIFIED),
            Reason::NdDestination,
        ),
        (
            "solicited, to all nodes",
            advertisement(GUEST).with(|f| f.payload[4] |= 0x40),
            Reason::NdDestination,
        ),
        (
            "checksum off by one",
            advertisement(GUEST).with(|f| f.checksum_error = 1),
            Reason::NdChecksum,
        ),
        (
            "checksum of a router solicitation",
            router_solicitation(&[]).with(|f| f.checksum_error = 0x100),
            Reason::NdChecksum,
        ),
    ]);
}

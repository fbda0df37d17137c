//! Which frames no guest may send: a second opinion, over etherparse and on purpose not over netmon's own
//! parser and judge.

use std::{net::Ipv6Addr, ops::RangeInclusive};

use etherparse::{
    EtherType, Icmpv6Slice, LinkSlice, NetSlice, SlicedPacket, TransportSlice, ip_number,
};
use netmon_common::limits::MLD_RECORDS;

/// The neighbour discovery types (RFC 4861), and MLD's (RFC 2710, RFC 3810).
const ROUTER_SOLICITATION: u8 = 133;
const NEIGHBOR_SOLICITATION: u8 = 135;
const NEIGHBOR_ADVERTISEMENT: u8 = 136;
const LISTENER_MESSAGES: [u8; 3] = [131, 132, 143];

/// The further ICMPv6 that a host on a link needs: errors and echo.
const ICMP: [u8; 6] = [1, 2, 3, 4, 128, 129];

/// The errors among them begin with what went wrong, and then have the packet about which they are
/// (RFC 4443 section 3).
const ERRORS: RangeInclusive<u8> = 1..=4;

/// An MLDv2 report, and the bytes of a record with neither sources nor auxiliary data (RFC 3810 section 5.2).
const REPORT_V2: u8 = 143;
const RECORD: usize = 20;

/// Where DHCPv6 clients listen, and servers and relays (RFC 8415 section 7.2).
const DHCP_CLIENT: u16 = 546;
const DHCP_SERVER: u16 = 547;

const LINK_LAYER_ADDRESSES: [u8; 2] = [1, 2];

/// What is known of the guest.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    pub(crate) mac: [u8; 6],
    pub(crate) address: Ipv6Addr,
    /// Addresses on its link that are somebody else's. It may ask for them, and learn that they are taken.
    pub(crate) of_others: Vec<Ipv6Addr>,
    /// Addresses for which somebody else asks: whoever asks too says that nobody may have them (RFC 4862
    /// section 5.4.3).
    pub(crate) asked_for: Vec<Ipv6Addr>,
}

impl Sender {
    fn is_anothers(&self, address: Ipv6Addr) -> bool {
        self.of_others.contains(&address) || self.asked_for.contains(&address)
    }
}

/// Why this frame must not have come through; `None`: it may.
pub(crate) fn why(frame: &[u8], sender: &Sender) -> Option<&'static str> {
    judged(frame, sender).err()
}

fn judged(frame: &[u8], sender: &Sender) -> Result<(), &'static str> {
    let packet = SlicedPacket::from_ethernet(frame).map_err(|_| "is malformed")?;
    let Some(LinkSlice::Ethernet2(ethernet)) = &packet.link else {
        return Err("is no Ethernet II");
    };
    refuse(!packet.link_exts.is_empty(), "has a tag")?;
    refuse(ethernet.ether_type() != EtherType::IPV6, "is not IPv6")?;
    refuse(ethernet.source() != sender.mac, "has another's MAC")?;
    let Some(NetSlice::Ipv6(ip)) = &packet.net else { return Err("is not IPv6") };
    let (source, destination) = (ip.header().source_addr(), ip.header().destination_addr());
    refuse(!source.is_unspecified() && !is_link_local(source), "has a source off the link")?;
    let group = destination.segments()[0] == 0xff02;
    refuse(!is_link_local(destination) && !group, "has a destination off the link")?;
    refuse(
        ip.is_payload_fragmented() || ip.extensions().is_fragmenting_payload(),
        "is a fragment",
    )?;
    refuse(sender.is_anothers(source), "has another's address")?;
    let listens = matches!(&packet.transport, Some(TransportSlice::Icmpv6(icmp))
        if LISTENER_MESSAGES.contains(&icmp.type_u8()));
    let extensions: Vec<_> = ip.extensions().clone().into_iter().collect();
    let router_alert = ip.extensions().first_header() == Some(ip_number::IPV6_HEADER_HOP_BY_HOP);
    let allowed = extensions.is_empty() || listens && extensions.len() == 1 && router_alert;
    refuse(!allowed, "has an extension header")?;
    match &packet.transport {
        Some(TransportSlice::Udp(udp)) => {
            let (from, to) = (udp.source_port(), udp.destination_port());
            refuse(to == DHCP_CLIENT || from == DHCP_SERVER, "is a DHCPv6 server's")?;
            refuse(source.is_unspecified(), "has no source")
        }
        Some(TransportSlice::Tcp(_)) => refuse(source.is_unspecified(), "has no source"),
        Some(TransportSlice::Icmpv6(icmp)) if icmp.type_u8() >= ROUTER_SOLICITATION && !listens => {
            refuse(ip.header().hop_limit() != 255, "is ND with a hop limit below 255")?;
            neighbor_discovery(icmp, source, sender)
        }
        Some(TransportSlice::Icmpv6(icmp)) if listens || ICMP.contains(&icmp.type_u8()) => {
            refuse(source.is_unspecified() && !listens, "has no source")?;
            match icmp.type_u8() {
                kind if ERRORS.contains(&kind) => error(icmp.slice(), destination, sender),
                kind if listens => groups(kind, icmp.slice()),
                _ => Ok(()),
            }
        }
        Some(TransportSlice::Icmpv6(_)) => Err("is ICMPv6 of another kind"),
        _ => Err("has another upper layer"),
    }
}

/// An error is about a packet that the host has sent to this guest, and nobody else.
fn error(message: &[u8], host: Ipv6Addr, sender: &Sender) -> Result<(), &'static str> {
    let address = |at: usize| {
        let bytes = message.get(at..at + 16).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        bytes.map(Ipv6Addr::from)
    };
    // The embedded packet's IPv6 header begins at byte 8 of the message, its addresses at 8 and 24 of that.
    let (Some(from), Some(to)) = (address(16), address(32)) else {
        return Err("is an error about nothing");
    };
    refuse(from != host, "is an error about a packet of somebody else's")?;
    refuse(
        !is_link_local(to) || sender.is_anothers(to),
        "is an error about a packet to somebody else",
    )
}

/// Groups that it listens to are of the link.
fn groups(kind: u8, message: &[u8]) -> Result<(), &'static str> {
    let of_link = |group: Option<&[u8]>| group.is_some_and(|group| group.starts_with(&[0xff, 2]));
    if kind != REPORT_V2 {
        return refuse(!of_link(message.get(8..24)), "reports a group off the link");
    }
    let count = message.get(6..8).and_then(|count| <[u8; 2]>::try_from(count).ok());
    let count = count.map_or(0, u16::from_be_bytes);
    refuse(u32::from(count) > MLD_RECORDS, "reports too many groups at once")?;
    let mut records = message.get(8..).unwrap_or_default();
    for _ in 0..count {
        let (Some([_, auxiliary, high, low]), group) = (records.first_chunk(), records.get(4..20))
        else {
            return Err("is a report cut short");
        };
        refuse(!of_link(group), "reports a group off the link")?;
        let sources = usize::from(u16::from_be_bytes([*high, *low])) * 16;
        let length = RECORD + sources + usize::from(*auxiliary) * 4;
        records = records.get(length..).ok_or("is a report cut short")?;
    }
    Ok(())
}

fn neighbor_discovery(
    icmp: &Icmpv6Slice<'_>,
    source: Ipv6Addr,
    sender: &Sender,
) -> Result<(), &'static str> {
    let message = icmp.slice();
    let target = message.get(8..24).and_then(|target| <[u8; 16]>::try_from(target).ok());
    let target = target.map(Ipv6Addr::from);
    let options = match icmp.type_u8() {
        ROUTER_SOLICITATION => message.get(8..),
        NEIGHBOR_SOLICITATION => {
            let claims = source.is_unspecified();
            let denied = target.is_some_and(|target| sender.asked_for.contains(&target));
            refuse(claims && denied, "asks for what another asks for")?;
            message.get(24..)
        }
        NEIGHBOR_ADVERTISEMENT => {
            let own = [source, sender.address].map(Some);
            refuse(!own.contains(&target), "advertises another's address")?;
            message.get(24..)
        }
        134 => return Err("is a router advertisement"),
        137 => return Err("is a redirect"),
        _ => return Err("is ICMPv6 of another kind"),
    };
    let mut options = options.ok_or("is ND cut short")?;
    while let [kind, length, rest @ ..] = options {
        let length = usize::from(*length) * 8;
        refuse(length == 0 || length > options.len(), "has a broken ND option")?;
        let lies = LINK_LAYER_ADDRESSES.contains(kind) && !rest.starts_with(&sender.mac);
        refuse(lies, "tells of another's MAC")?;
        options = options.get(length..).unwrap_or_default();
    }
    Ok(())
}

fn is_link_local(address: Ipv6Addr) -> bool {
    address.segments().starts_with(&[0xfe80, 0, 0, 0])
}

fn refuse(forbidden: bool, why: &'static str) -> Result<(), &'static str> {
    if forbidden { Err(why) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use netmon_tests::{
        frame::{
            ALL_NODES, Frame, GLOBAL, GUEST, GUEST_MAC, HOST, OTHER_MAC, advertisement, dad, echo,
            ethernet, icmp, listener_report, mac_option, redirect, router_advertisement,
            router_solicitation, solicitation, solicited_advertisement, tcp, udp,
        },
        pcap,
    };

    use super::{Sender, why};

    const ANOTHER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xfc, 0xfe00, 1);
    const ASKED_FOR: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xd);
    const ANOTHERS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xfe);

    fn of_guest(frame: &[u8]) -> Option<&'static str> {
        let (of_others, asked_for) = (vec![HOST, ANOTHERS], vec![ASKED_FOR]);
        why(frame, &Sender { mac: GUEST_MAC, address: GUEST, of_others, asked_for })
    }

    /// Port unreachable, about a datagram from one to the other.
    fn port_unreachable(from: Ipv6Addr, to: Ipv6Addr) -> Frame {
        let datagram = udp(53).with(|f| (f.source, f.destination) = (from, to)).bytes();
        let packet = datagram.iter().skip(14).copied();
        icmp(HOST, 1, &[0; 4].into_iter().chain(packet).collect::<Vec<_>>())
    }

    fn report(groups: &[Ipv6Addr]) -> Frame {
        let records = groups.iter().flat_map(|group| [&[4, 0, 0, 0], &group.octets()[..]].concat());
        let body: Vec<_> = [0, 0, 0, groups.len() as u8].into_iter().chain(records).collect();
        listener_report().with(|f| drop(f.payload.splice(4.., body)))
    }

    #[test]
    fn what_a_guest_says_may_pass() -> anyhow::Result<()> {
        let said = [
            dad(GUEST),
            advertisement(GUEST),
            solicited_advertisement(),
            solicitation(HOST, &mac_option(1, GUEST_MAC)),
            router_solicitation(&mac_option(1, GUEST_MAC)),
            listener_report(),
            report(&[ALL_NODES, ALL_NODES]),
            // It learns that they are taken.
            dad(HOST),
            dad(ANOTHERS),
            // From another address of its own; as a router, for itself.
            advertisement(GUEST).with(|f| f.source = ANOTHER),
            advertisement(GUEST).with(|f| drop(f.payload.splice(4..=4, [0xa0]))),
            port_unreachable(HOST, GUEST),
            echo(HOST),
            tcp(80, 2),
            udp(80),
        ];
        for frame in said {
            assert_eq!(of_guest(&frame.bytes()), None, "{frame:?}");
        }
        for frame in pcap::frames("guest-boot.pcap")? {
            let is_hers = frame.get(6..12) == Some(&GUEST_MAC);
            assert!(!is_hers || of_guest(&frame).is_none(), "{frame:02x?}");
        }
        Ok(())
    }

    #[test]
    fn what_it_may_not_say_is_forbidden() {
        let check = |frame: Frame, expected: &str| {
            assert_eq!(of_guest(&frame.bytes()), Some(expected), "{frame:?}");
        };
        let says = |at: usize, byte: u8| {
            advertisement(GUEST).with(|f| drop(f.payload.splice(at..=at, [byte])))
        };
        check(router_advertisement(), "is a router advertisement");
        check(redirect(), "is a redirect");
        check(icmp(ALL_NODES, 130, &[0; 20]), "is ICMPv6 of another kind");
        check(advertisement(GUEST).with(|f| f.source = HOST), "has another's address");
        check(dad(ASKED_FOR), "asks for what another asks for");
        check(advertisement(ANOTHERS), "has another's address");
        check(advertisement(ANOTHERS).with(|f| f.source = GUEST), "advertises another's address");
        check(port_unreachable(GLOBAL, GLOBAL), "is an error about a packet of somebody else's");
        check(port_unreachable(HOST, GLOBAL), "is an error about a packet to somebody else");
        check(port_unreachable(HOST, ANOTHERS), "is an error about a packet to somebody else");
        check(icmp(HOST, 2, &[0; 20]), "is an error about nothing");
        check(udp(546), "is a DHCPv6 server's");
        check(udp(547).with(|f| drop(f.payload.splice(..2, [2, 35]))), "is a DHCPv6 server's");
        let site = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 2);
        check(report(&[ALL_NODES, site]), "reports a group off the link");
        check(
            listener_report().with(|f| drop(f.payload.splice(7..=7, [2]))),
            "is a report cut short",
        );
        check(advertisement(GUEST).with(|f| f.source_mac = OTHER_MAC), "has another's MAC");
        check(advertisement(GUEST).with(|f| f.hop_limit = 64), "is ND with a hop limit below 255");
        check(says(30, 9), "tells of another's MAC");
        check(says(25, 0), "has a broken ND option");
        check(says(23, 9), "advertises another's address");
        check(echo(HOST).with(|f| f.source = GLOBAL), "has a source off the link");
        check(echo(GLOBAL), "has a destination off the link");
        check(
            echo(HOST).with(|f| f.extension = Some((44, vec![58, 0, 0, 1, 0, 0, 0, 1]))),
            "is a fragment",
        );
        check(
            echo(HOST).with(|f| f.extension = Some((60, vec![58, 0, 1, 4, 0, 0, 0, 0]))),
            "has an extension header",
        );
        check(echo(HOST).with(|f| f.tags = vec![0x81, 0, 0, 0]), "has a tag");
        assert_eq!(of_guest(&ethernet(0x0806)), Some("is not IPv6"));
        assert_eq!(of_guest(&[0; 10]), Some("is malformed"));
    }
}

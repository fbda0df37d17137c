//! Which frames no guest may send: a second opinion, over etherparse and on purpose not over netmon's own
//! parser and judge.

use std::net::Ipv6Addr;

use etherparse::{
    EtherType, Icmpv6Slice, LinkSlice, NetSlice, SlicedPacket, TransportSlice, ip_number,
};

/// The neighbour discovery types (RFC 4861), and MLD's (RFC 2710, RFC 3810).
const ROUTER_SOLICITATION: u8 = 133;
const NEIGHBOR_SOLICITATION: u8 = 135;
const NEIGHBOR_ADVERTISEMENT: u8 = 136;
const LISTENER_MESSAGES: [u8; 3] = [131, 132, 143];

/// The further ICMPv6 that a host on a link needs: errors and echo.
const ICMP: [u8; 6] = [1, 2, 3, 4, 128, 129];

const ROUTER_FLAG: u8 = 0x80;
const LINK_LAYER_ADDRESSES: [u8; 2] = [1, 2];

/// What is known of the guest.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    pub(crate) mac: [u8; 6],
    /// Addresses on its link that are somebody else's.
    pub(crate) of_others: Vec<Ipv6Addr>,
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
    refuse(sender.of_others.contains(&source), "has another's address")?;
    let listens = matches!(&packet.transport, Some(TransportSlice::Icmpv6(icmp))
        if LISTENER_MESSAGES.contains(&icmp.type_u8()));
    let extensions: Vec<_> = ip.extensions().clone().into_iter().collect();
    let router_alert = ip.extensions().first_header() == Some(ip_number::IPV6_HEADER_HOP_BY_HOP);
    let allowed = extensions.is_empty() || listens && extensions.len() == 1 && router_alert;
    refuse(!allowed, "has an extension header")?;
    match &packet.transport {
        Some(TransportSlice::Tcp(_) | TransportSlice::Udp(_)) => {
            refuse(source.is_unspecified(), "has no source")
        }
        Some(TransportSlice::Icmpv6(icmp)) if icmp.type_u8() >= ROUTER_SOLICITATION && !listens => {
            refuse(ip.header().hop_limit() != 255, "is ND with a hop limit below 255")?;
            neighbor_discovery(icmp, source, sender)
        }
        Some(TransportSlice::Icmpv6(icmp)) if listens || ICMP.contains(&icmp.type_u8()) => {
            refuse(source.is_unspecified() && !listens, "has no source")
        }
        Some(TransportSlice::Icmpv6(_)) => Err("is ICMPv6 of another kind"),
        _ => Err("has another upper layer"),
    }
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
            let stolen = target.is_some_and(|target| sender.of_others.contains(&target));
            refuse(claims && stolen, "asks for another's address")?;
            message.get(24..)
        }
        NEIGHBOR_ADVERTISEMENT => {
            refuse(target != Some(source), "advertises another's address")?;
            let router = message.get(4).is_some_and(|flags| flags & ROUTER_FLAG != 0);
            refuse(router, "says that it is a router")?;
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
    use netmon_tests::{
        frame::{
            ALL_NODES, Frame, GLOBAL, GUEST, GUEST_MAC, HOST, OTHER_MAC, advertisement, dad, echo,
            ethernet, icmp, listener_report, mac_option, redirect, router_advertisement,
            router_solicitation, solicitation, solicited_advertisement, tcp, udp,
        },
        pcap,
    };

    use super::{Sender, why};

    fn of_guest(frame: &[u8]) -> Option<&'static str> {
        why(frame, &Sender { mac: GUEST_MAC, of_others: vec![HOST] })
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
        check(dad(HOST), "asks for another's address");
        check(advertisement(GUEST).with(|f| f.source_mac = OTHER_MAC), "has another's MAC");
        check(advertisement(GUEST).with(|f| f.hop_limit = 64), "is ND with a hop limit below 255");
        check(says(4, 0x80), "says that it is a router");
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

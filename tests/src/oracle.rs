//! A second judge, in the obvious style: each reason is a sentence of `docs/reasons.md` as a predicate, and
//! the verdict is the first that applies. etherparse reads the headers and says whether they are whole.
//!
//! It shares no line with the judge under test but the names of what both speak of: reasons, kinds, the policy.

#![expect(
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::unreachable,
    reason = "a second judge that panics has failed its test"
)]

#[cfg(test)]
mod headers;
mod reader;
#[cfg(test)]
mod tests;

use std::net::Ipv6Addr;

use netmon_common::{
    Kind, Reason,
    abi::{
        ALLOW_DHCP_SERVER, ALLOW_GUEST_PORTS, ALLOW_HOST_PORTS, ALLOW_TCP, ALLOW_UDP, Direction,
        PortPolicy,
    },
};

use self::reader::{Frame, Message, Upper};
use crate::{
    case::Case,
    frame::{SECOND, solicited_node},
};

/// Why a guest's frame is dropped, in the order of the checks: Ethernet and the shape of the IPv6 header,
/// then addresses, then what the header carries. What only a table knows (29 to 32, 34, 35, 39 to 43) is not here, but
/// for an advertisement of [`SECOND`].
const INGRESS: [Reason; 33] = [
    Reason::Runt,
    Reason::Vlan,
    Reason::Llc,
    Reason::Ipv4,
    Reason::Arp,
    Reason::Rarp,
    Reason::Ethertype,
    Reason::IpVersion,
    Reason::PayloadLength,
    Reason::SourceMac,
    Reason::DestinationMac,
    Reason::SourceScope,
    Reason::DestinationScope,
    Reason::UnspecifiedSource,
    Reason::ExtensionHeader,
    Reason::Fragment,
    Reason::NextHeader,
    Reason::RouterAdvertisement,
    Reason::Redirect,
    Reason::IcmpType,
    Reason::Mld,
    Reason::NdHopLimit,
    Reason::NdCode,
    Reason::NdLength,
    Reason::NdOption,
    Reason::NdOptionMac,
    Reason::NdTarget,
    Reason::NdDestination,
    Reason::NdChecksum,
    Reason::HostService,
    Reason::IcmpError,
    Reason::DhcpServer,
    Reason::MldRecord,
];

/// Why a frame of the host is dropped, likewise.
const EGRESS: [Reason; 12] = [
    Reason::Runt,
    Reason::Vlan,
    Reason::Llc,
    Reason::Ipv4,
    Reason::Arp,
    Reason::Rarp,
    Reason::Ethertype,
    Reason::IpVersion,
    Reason::PayloadLength,
    Reason::SourceScope,
    Reason::DestinationScope,
    Reason::UnspecifiedSource,
];

/// An address that a frame says is its sender's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The address.
    pub address: Ipv6Addr,
    /// It is already used; else the sender asks for it.
    pub is_valid: bool,
}

/// What a frame is, if it may pass, and what it claims; or why it may not.
///
/// # Errors
///
/// The reason.
pub fn verdict(case: &Case) -> Result<(Kind, Option<Claim>), Reason> {
    let frame = Frame::read(&case.frame);
    let reasons = match case.direction {
        Direction::Ingress => INGRESS.as_slice(),
        Direction::Egress => EGRESS.as_slice(),
    };
    if let Some(reason) = reasons.iter().find(|reason| applies(**reason, &frame, case)) {
        return Err(*reason);
    }
    // By the table of bindings, which comes after all else.
    if case.direction == Direction::Ingress && advertises_anothers(&frame, case) {
        return Err(Reason::NdTarget);
    }
    let kind = kind(&frame);
    Ok((kind, claim(&frame, kind, case.direction)))
}

fn applies(reason: Reason, frame: &Frame<'_>, case: &Case) -> bool {
    let Some(ethernet) = &frame.ethernet else { return reason == Reason::Runt };
    let ethertype = ethernet.ether_type().0;
    match reason {
        Reason::Runt => ethertype == 0x86dd && case.frame.len() < 14 + 40,
        Reason::Vlan => [0x8100, 0x88a8, 0x9100].contains(&ethertype),
        Reason::Llc => ethertype < 1536,
        Reason::Ipv4 => ethertype == 0x0800,
        Reason::Arp => ethertype == 0x0806,
        Reason::Rarp => ethertype == 0x8035,
        Reason::Ethertype => ethertype != 0x86dd,
        Reason::IpVersion => frame.ipv6.is_none(),
        Reason::PayloadLength => frame.payload.is_none(),
        Reason::SourceMac => source_mac(ethernet.source(), case),
        Reason::DestinationMac => {
            let mac = ethernet.destination();
            let [.., a, b, c, d] = frame.destination().octets();
            let of_group = frame.destination().is_multicast() && mac == [0x33, 0x33, a, b, c, d];
            mac[0] & 1 == 1 && !of_group
        }
        Reason::SourceScope => !is_link_local(frame.source()) && !frame.is_unspecified(),
        Reason::DestinationScope => {
            let to = frame.destination();
            !(is_link_local(to) || to.is_multicast() && to.segments()[0] & 0xf == 2)
        }
        Reason::UnspecifiedSource => {
            frame.is_unspecified()
                && !matches!(frame.icmp_type(), Some(131 | 132 | 133 | 135 | 143))
        }
        Reason::ExtensionHeader => matches!(frame.upper, Upper::Extension),
        Reason::Fragment => matches!(frame.upper, Upper::Fragment),
        Reason::NextHeader => match frame.upper {
            Upper::Unknown => true,
            Upper::Tcp(_) => case.policy.allowed & ALLOW_TCP == 0,
            Upper::Udp(_) => case.policy.allowed & ALLOW_UDP == 0,
            Upper::Icmp(_) | Upper::Extension | Upper::Fragment => false,
        },
        Reason::HostService => host_service(frame, &case.policy),
        Reason::DhcpServer => match &frame.upper {
            Upper::Udp(udp) => {
                let is_servers = udp.source_port() == 547 || udp.destination_port() == 546;
                is_servers && case.policy.allowed & ALLOW_DHCP_SERVER == 0
            }
            _ => false,
        },
        of_icmp => match &frame.upper {
            Upper::Icmp(message) => icmp(of_icmp, frame, message),
            Upper::Tcp(_) | Upper::Udp(_) | Upper::Extension | Upper::Fragment | Upper::Unknown => {
                false
            }
        },
    }
}

fn source_mac(mac: [u8; 6], case: &Case) -> bool {
    let PortPolicy { mac: given, host_mac, link_mac, .. } = case.policy;
    let own = if given == [0; 6] { case.first_mac } else { given };
    mac == [0; 6]
        || mac[0] & 1 == 1
        || mac == host_mac
        || mac == link_mac
        || (own != [0; 6] && mac != own)
}

/// fe80::/64
fn is_link_local(address: Ipv6Addr) -> bool {
    address.segments()[..4] == [0xfe80, 0, 0, 0]
}

/// Speaks to a port of the host, or answers from one of its own, that the policy does not list.
fn host_service(frame: &Frame<'_>, policy: &PortPolicy) -> bool {
    let to_host = |port| {
        policy.allowed & ALLOW_HOST_PORTS != 0 || (port != 0 && policy.host_ports.contains(&port))
    };
    let from_guest = |port| {
        policy.allowed & ALLOW_GUEST_PORTS != 0 || (port != 0 && policy.guest_ports.contains(&port))
    };
    match &frame.upper {
        Upper::Tcp(tcp) => {
            let is_answer = tcp.ack() || !tcp.syn();
            !(to_host(tcp.destination_port()) || is_answer && from_guest(tcp.source_port()))
        }
        Upper::Udp(udp) => !to_host(udp.destination_port()),
        Upper::Icmp(_) | Upper::Extension | Upper::Fragment | Upper::Unknown => false,
    }
}

fn icmp(reason: Reason, frame: &Frame<'_>, message: &Message<'_>) -> bool {
    let kind = message.kind();
    let nd = matches!(kind, Some(133 | 135 | 136));
    match reason {
        Reason::RouterAdvertisement => kind == Some(134),
        Reason::Redirect => kind == Some(137),
        Reason::IcmpType => {
            let known = matches!(kind, Some(1..=4 | 128..=133 | 135 | 136 | 143));
            message.icmp.is_none() || !known
        }
        Reason::Mld => {
            let query = kind == Some(130);
            let mld = query || matches!(kind, Some(131 | 132 | 143));
            mld && (query || frame.hop_limit() != 1 || !message.router_alert)
        }
        Reason::NdHopLimit => nd && frame.hop_limit() != 255,
        Reason::NdCode => nd && message.code() != 0,
        Reason::NdLength => {
            nd && (message.bytes.len() < message.fixed() || message.bytes.len() > 512)
        }
        Reason::NdOption => nd && message.options().is_none_or(|options| options.len() > 8),
        Reason::NdOptionMac => {
            let own = frame.source_mac();
            let lies = |option: &&[u8]| matches!(option[0], 1 | 2) && option[2..] != own;
            nd && message.options().is_some_and(|options| options.iter().any(lies))
        }
        Reason::NdTarget => message.target().is_some_and(|target| !is_link_local(target)),
        Reason::NdDestination => nd && astray(frame, message),
        Reason::NdChecksum => nd && !message.checksum_is_right(frame),
        Reason::IcmpError => {
            let is_honest = |(source, destination)| {
                !frame.destination().is_multicast()
                    && source == frame.destination()
                    && destination == frame.source()
            };
            matches!(kind, Some(1..=4)) && !message.invoking().is_some_and(is_honest)
        }
        Reason::MldRecord => {
            let mld = matches!(kind, Some(131 | 132 | 143));
            mld && !message.groups().is_some_and(|groups| groups.into_iter().all(is_of_the_link))
        }
        outside => unreachable!("{outside} is not about ICMPv6"),
    }
}

/// ff02::/16 with any flags, and ff05::2.
fn is_of_the_link(group: Ipv6Addr) -> bool {
    let [first, ..] = group.segments();
    group.is_multicast() && first & 0xf == 2 || group == Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 2)
}

/// An advertisement for neither its source nor the other address that its sender holds.
fn advertises_anothers(frame: &Frame<'_>, case: &Case) -> bool {
    let Upper::Icmp(message) = &frame.upper else { return false };
    let holds = |target| target == SECOND && case.second_mac == frame.source_mac();
    message.kind() == Some(136)
        && message.target().is_some_and(|target| target != frame.source() && !holds(target))
}

fn astray(frame: &Frame<'_>, message: &Message<'_>) -> bool {
    let is_source = |option: &&[u8]| option[0] == 1;
    let has_source = message.options().is_some_and(|options| options.iter().any(is_source));
    let to = frame.destination();
    let dad_elsewhere = frame.is_unspecified()
        && message.kind() == Some(135)
        && message.target().is_some_and(|target| to != solicited_node(target));
    let answers_all =
        message.kind() == Some(136) && message.bytes[4] & 0x40 != 0 && to.is_multicast();
    dad_elsewhere || answers_all || (frame.is_unspecified() && has_source)
}

fn kind(frame: &Frame<'_>) -> Kind {
    match &frame.upper {
        Upper::Tcp(_) => Kind::Tcp,
        Upper::Udp(_) => Kind::Udp,
        Upper::Icmp(message) => match message.kind() {
            Some(134) => Kind::RouterAdvertisement,
            _ if message.icmp.is_none() => Kind::Other,
            Some(1..=4) => Kind::IcmpError,
            Some(128 | 129) => Kind::Echo,
            Some(130..=132 | 143) => Kind::MulticastListener,
            Some(133) => Kind::RouterSolicitation,
            Some(135) if frame.is_unspecified() => Kind::Dad,
            Some(135) => Kind::NeighborSolicitation,
            Some(136) => Kind::NeighborAdvertisement,
            _ => Kind::Other,
        },
        Upper::Extension | Upper::Fragment | Upper::Unknown => Kind::Other,
    }
}

/// What the host or a member says on the way to a guest: discovery only, and an advertisement tells of its target.
fn told(frame: &Frame<'_>, kind: Kind) -> Option<Claim> {
    let valid = |address| Claim { address, is_valid: true };
    match (kind, &frame.upper) {
        (Kind::NeighborAdvertisement, Upper::Icmp(message)) => {
            message.target().filter(|target| is_link_local(*target)).map(valid)
        }
        (Kind::NeighborSolicitation | Kind::RouterSolicitation | Kind::RouterAdvertisement, _) => {
            Some(frame.source()).filter(|_| !frame.is_unspecified()).map(valid)
        }
        _ => None,
    }
}

/// DAD asks for its target. Whatever else a guest says, it says from an address that it uses.
fn claim(frame: &Frame<'_>, kind: Kind, direction: Direction) -> Option<Claim> {
    match (kind, &frame.upper) {
        (Kind::Dad, Upper::Icmp(message)) => {
            let target = message.target().filter(|target| !target.is_unspecified());
            target.map(|address| Claim { address, is_valid: false })
        }
        _ if direction == Direction::Egress => told(frame, kind),
        _ if frame.is_unspecified() => None,
        _ => Some(Claim { address: frame.source(), is_valid: true }),
    }
}

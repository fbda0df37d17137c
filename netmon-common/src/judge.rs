//! A frame and the port's policy → pass or drop, and what the frame claims.
//!
//! Default deny. The checks stand in the order of their reasons' numbers, and the first that fails names
//! the drop: each frame has exactly one reason. Two exceptions: the shape of the IPv6 header (9, 10) is
//! [`crate::parse`]'s and comes before all that is here; and what needs no table comes before what does, so
//! `host_service` (33) and what is carried inside (36 to 38) stand here, and 29 to 32 behind ([`crate::claim`]),
//! with an advertisement for another of the guest's own addresses (26).
//! `docs/reasons.md` tells what each is for and who asks for it.

use crate::{
    Address, Kind, Mac, Reason,
    abi::{
        ALLOW_DHCP_SERVER, ALLOW_GUEST_PORTS, ALLOW_HOST_PORTS, ALLOW_TCP, ALLOW_UDP, PortPolicy,
        State,
    },
    limits,
    parse::{Embedded, Frame, Listener, Nd, Report, Upper, icmp},
};

/// What the judge must know of the port that a frame came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port<'a> {
    /// What its guest may do.
    pub policy: &'a PortPolicy,
    /// The first MAC that its guest used; zero while it has not spoken.
    pub first_mac: Mac,
}

/// A frame that may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// What it is.
    pub kind: Kind,
    /// The address that its sender says is its own, if it says so.
    pub claim: Option<Claim>,
}

/// "This address is mine."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The address.
    pub address: Address,
    /// Asked for, or already used.
    pub state: State,
    /// The kind of frame that said so.
    pub origin: Kind,
}

/// Judges a frame that the guest sent.
#[inline(always)]
pub fn ingress(frame: &Frame, port: &Port<'_>) -> Result<Pass, Reason> {
    source_mac(frame.source_mac, port)?;
    // A unicast MAC with a multicast destination is legal (RFC 6085).
    if frame.destination_mac.is_multicast()
        && !(frame.destination.is_multicast()
            && frame.destination_mac.is_group_of(frame.destination))
    {
        return Err(Reason::DestinationMac);
    }
    scope(frame)?;
    let kind = match frame.upper? {
        Upper::Tcp { source, destination, opens } => {
            let passes = to_service(port.policy, destination)
                || (!opens && from_service(port.policy, source));
            transport(port.policy, ALLOW_TCP, passes)?;
            Kind::Tcp
        }
        // A datagram does not tell a question from an answer: it is taken for a question.
        Upper::Udp { source, destination } => {
            transport(port.policy, ALLOW_UDP, to_service(port.policy, destination))?;
            dhcp(port.policy, source, destination)?;
            Kind::Udp
        }
        Upper::Mld(message) => {
            listener(frame, &message)?;
            Kind::MulticastListener
        }
        Upper::Nd(nd) => neighbor_discovery(frame, &nd)?,
        Upper::Error(embedded) => error(frame, &embedded?)?,
        Upper::Icmp { kind } => match kind {
            icmp::ROUTER_ADVERTISEMENT => return Err(Reason::RouterAdvertisement),
            icmp::REDIRECT => return Err(Reason::Redirect),
            icmp::ECHO_REQUEST | icmp::ECHO_REPLY => Kind::Echo,
            _ => return Err(Reason::IcmpType),
        },
    };
    Ok(Pass { kind, claim: claim(frame, kind) })
}

/// Judges a frame on its way to the guest: what is not of the link does not go there. What it claims is its
/// sender's: the host's, or that of another member of the link.
#[inline(always)]
pub fn egress(frame: &Frame) -> Result<Pass, Reason> {
    scope(frame)?;
    // Other kinds tell nothing that discovery does not, and are many more.
    let (kind, told) = match frame.upper {
        Ok(Upper::Tcp { .. }) => (Kind::Tcp, Address::UNSPECIFIED),
        Ok(Upper::Udp { .. }) => (Kind::Udp, Address::UNSPECIFIED),
        Ok(Upper::Mld(_)) => (Kind::MulticastListener, Address::UNSPECIFIED),
        Ok(Upper::Error(_)) => (Kind::IcmpError, Address::UNSPECIFIED),
        Ok(Upper::Nd(nd)) => told(frame, &nd),
        Ok(Upper::Icmp { kind }) => match kind {
            icmp::ROUTER_ADVERTISEMENT => (Kind::RouterAdvertisement, frame.source),
            icmp::ECHO_REQUEST | icmp::ECHO_REPLY => (Kind::Echo, Address::UNSPECIFIED),
            _ => (Kind::Other, Address::UNSPECIFIED),
        },
        Err(_) => (Kind::Other, Address::UNSPECIFIED),
    };
    let state = if matches!(kind, Kind::Dad) { State::Tentative } else { State::Valid };
    let claim = Claim { address: told, state, origin: kind };
    Ok(Pass { kind, claim: (!told.is_unspecified()).then_some(claim) })
}

/// The address that a neighbour discovery message says is its sender's. What the host or a member says may be cut
/// short, and tells of nothing then.
#[inline(always)]
fn told(frame: &Frame, nd: &Nd) -> (Kind, Address) {
    let kind = nd_kind(frame, nd);
    let told = match kind {
        Kind::Dad => nd.target,
        Kind::NeighborAdvertisement if nd.target.is_link_local() => nd.target,
        Kind::NeighborAdvertisement => Address::UNSPECIFIED,
        Kind::NeighborSolicitation
        | Kind::RouterSolicitation
        | Kind::MulticastListener
        | Kind::Echo
        | Kind::IcmpError
        | Kind::Tcp
        | Kind::Udp
        | Kind::RouterAdvertisement
        | Kind::Other => frame.source,
    };
    (kind, told)
}

/// The address that a frame which passes advertises, where that is not its source: its sender must hold it
/// ([`crate::claim::may_advertise`]).
#[inline(always)]
pub fn advertised(frame: &Frame) -> Option<Address> {
    match frame.upper {
        Ok(Upper::Nd(nd)) => (nd.kind == icmp::NEIGHBOR_ADVERTISEMENT && nd.target != frame.source)
            .then_some(nd.target),
        _ => None,
    }
}

/// The groups that a frame which passes listens to, of which a port may have so many.
#[inline(always)]
pub fn report(frame: &Frame) -> Option<Report> {
    match frame.upper {
        Ok(Upper::Mld(message)) => message.report.ok(),
        _ => None,
    }
}

/// Not zero, not a group, not the host's, and the guest's own: the one of the policy, else the first seen.
#[inline(always)]
fn source_mac(mac: Mac, port: &Port<'_>) -> Result<(), Reason> {
    let given = Mac::new(port.policy.mac);
    let own = if given.is_zero() { port.first_mac } else { given };
    if mac.is_zero()
        || mac.is_multicast()
        || mac == Mac::new(port.policy.host_mac)
        || mac == Mac::new(port.policy.link_mac)
        || (!own.is_zero() && mac != own)
    {
        return Err(Reason::SourceMac);
    }
    Ok(())
}

/// A protocol that the policy allows, and a service that it lists.
#[inline(always)]
fn transport(policy: &PortPolicy, protocol: u8, passes: bool) -> Result<(), Reason> {
    if policy.allowed & protocol == 0 {
        return Err(Reason::NextHeader);
    }
    if passes { Ok(()) } else { Err(Reason::HostService) }
}

/// Whether the guest may speak to this port of the host.
#[inline(always)]
fn to_service(policy: &PortPolicy, port: u16) -> bool {
    policy.allowed & ALLOW_HOST_PORTS != 0 || lists(&policy.host_ports, port)
}

/// Whether the guest may answer from this port of its own.
#[inline(always)]
fn from_service(policy: &PortPolicy, port: u16) -> bool {
    policy.allowed & ALLOW_GUEST_PORTS != 0 || lists(&policy.guest_ports, port)
}

#[inline(always)]
fn lists(ports: &[u16; limits::PORT_LIST], port: u16) -> bool {
    // Zero fills up the list, and is no port (RFC 6335 section 6).
    let mut found = false;
    for listed in ports {
        found |= *listed == port && port != 0;
    }
    found
}

/// Link-local on both sides, and `::` only where a host that has no address yet needs it.
#[inline(always)]
fn scope(frame: &Frame) -> Result<(), Reason> {
    if !frame.source.is_link_local() && !frame.source.is_unspecified() {
        return Err(Reason::SourceScope);
    }
    if !frame.destination.is_link_local() && !frame.destination.is_link_local_group() {
        return Err(Reason::DestinationScope);
    }
    let may_be_unspecified = match frame.upper {
        Ok(Upper::Nd(nd)) => nd.kind != icmp::NEIGHBOR_ADVERTISEMENT,
        Ok(Upper::Mld(message)) => message.kind != icmp::LISTENER_QUERY,
        Ok(Upper::Tcp { .. } | Upper::Udp { .. } | Upper::Error(_) | Upper::Icmp { .. })
        | Err(_) => false,
    };
    if frame.source.is_unspecified() && !may_be_unspecified {
        return Err(Reason::UnspecifiedSource);
    }
    Ok(())
}

/// RFC 3810 section 5: hop limit 1 and a Router Alert, or it is to be ignored. Only a router asks.
#[inline(always)]
fn listener(frame: &Frame, message: &Listener) -> Result<Report, Reason> {
    if frame.hop_limit == 1 && message.router_alert && message.kind != icmp::LISTENER_QUERY {
        message.report
    } else {
        Err(Reason::Mld)
    }
}

/// An error may only be about what its receiver has sent to its sender: an address of the link that is asked on
/// another interface, or by another flow, is none of a guest's business. What was sent to a group is not answered,
/// though RFC 4443 section 2.4 (e.3) would allow it for two errors: nothing on a link needs that.
#[inline(always)]
fn error(frame: &Frame, embedded: &Embedded) -> Result<Kind, Reason> {
    let is_answer =
        frame.destination.is_link_local() && embedded.is_receivers && embedded.is_to_sender;
    if is_answer { Ok(Kind::IcmpError) } else { Err(Reason::IcmpError) }
}

/// RFC 7610: to a client's port whoever is no server has nothing to say, from whatever port; and from a server's
/// port a client says nothing (RFC 8415 section 7.2).
#[inline(always)]
fn dhcp(policy: &PortPolicy, source: u16, destination: u16) -> Result<(), Reason> {
    const CLIENT: u16 = 546;
    const SERVER: u16 = 547;
    let is_servers = source == SERVER || destination == CLIENT;
    if is_servers && policy.allowed & ALLOW_DHCP_SERVER == 0 {
        return Err(Reason::DhcpServer);
    }
    Ok(())
}

/// RFC 4861 sections 6.1.1, 7.1.1 and 7.1.2, and RFC 4862 section 5.4.
#[inline(always)]
fn neighbor_discovery(frame: &Frame, nd: &Nd) -> Result<Kind, Reason> {
    let kind = nd_kind(frame, nd);
    if frame.hop_limit != 255 {
        return Err(Reason::NdHopLimit);
    }
    if nd.code != 0 {
        return Err(Reason::NdCode);
    }
    let options = nd.options?;
    if options.foreign_mac {
        return Err(Reason::NdOptionMac);
    }
    if kind != Kind::RouterSolicitation && !nd.target.is_link_local() {
        return Err(Reason::NdTarget);
    }
    let astray = (kind == Kind::Dad && frame.destination != nd.target.solicited_node_group())
        || (kind == Kind::NeighborAdvertisement
            && nd.solicited
            && frame.destination.is_multicast());
    if astray || (frame.source.is_unspecified() && options.source_mac) {
        return Err(Reason::NdDestination);
    }
    if !options.checksum {
        return Err(Reason::NdChecksum);
    }
    Ok(kind)
}

#[inline(always)]
fn nd_kind(frame: &Frame, nd: &Nd) -> Kind {
    match nd.kind {
        icmp::ROUTER_SOLICITATION => Kind::RouterSolicitation,
        icmp::NEIGHBOR_ADVERTISEMENT => Kind::NeighborAdvertisement,
        _ if frame.source.is_unspecified() => Kind::Dad,
        _ => Kind::NeighborSolicitation,
    }
}

/// DAD asks for its target; anything else with an address for source already uses it. So a guest that
/// was up before netmon is learnt from its next frame.
#[inline(always)]
fn claim(frame: &Frame, kind: Kind) -> Option<Claim> {
    match (kind, frame.upper) {
        // The host's own may be cut short, and then asks for nothing.
        (Kind::Dad, Ok(Upper::Nd(nd))) if !nd.target.is_unspecified() => {
            Some(Claim { address: nd.target, state: State::Tentative, origin: kind })
        }
        _ if frame.source.is_unspecified() => None,
        _ => Some(Claim { address: frame.source, state: State::Valid, origin: kind }),
    }
}

//! What is asked of guests: a [`Question`] → frames on the guest's TAP.
//!
//! The answers need no reader: they are frames of the guest like any other, and its claims. So a question
//! asks from an address that the host may not even have, the one derived from its MAC on the TAP: an
//! interface without IPv6, or a port of a bridge, can be asked all the same.

use std::{io, net::Ipv6Addr};

use etherparse::{
    EtherType, Ethernet2Header, IcmpEchoHeader, Icmpv6Header, Icmpv6Type, IpNumber, Ipv6Header,
};
use netmon_common::{Address, Mac, parse::icmp};
use tracing::debug;

use crate::{endpoints::Question, kernel::packet::PacketSocket, topology::Member};

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Hop-by-Hop Options with a Router Alert "MLD" and PadN (RFC 2711): MLD without it is ignored.
const ROUTER_ALERT: [u8; 8] = [IpNumber::IPV6_ICMP.0, 0, 5, 2, 0, 0, 1, 0];

/// Milliseconds within which a listener answers a query (Maximum Response Code, RFC 3810 section 5.1.3):
/// less than a search waits.
const LISTENERS_ANSWER: [u8; 2] = 500_u16.to_be_bytes();

/// A general query of MLDv2 behind its Maximum Response Code (RFC 3810 sections 5.1 and 9): no group, the
/// default robustness of 2 and interval of 125 s, no source.
const GENERAL_QUERY: [u8; 20] = {
    let mut body = [0; 20];
    [body[16], body[17]] = [2, 125];
    body
};

/// The prober's socket is not to be had.
#[derive(Debug, thiserror::Error)]
#[error("packet socket: {0} (netmon probes quiet guests by it: run as root, or with CAP_NET_RAW)")]
pub struct ProbeError(#[from] io::Error);

/// Asks guests.
#[derive(Debug)]
pub struct Prober(PacketSocket);

impl Prober {
    /// Opens the socket that it asks by.
    ///
    /// # Errors
    ///
    /// No CAP_NET_RAW.
    pub fn open() -> Result<Self, ProbeError> {
        Ok(Self(PacketSocket::open()?))
    }

    /// Asks as the host with this MAC. What is not sent is as if it was lost on the way: it is asked again.
    pub fn ask(&self, question: &Question, host: Mac) {
        for frame in frames(question, host) {
            if let Err(error) = self.0.send(question.port(), &frame) {
                debug!(?question, "not sent: {error}");
            }
        }
    }

    /// Asks a member of a link that is no port whether it has an address: as the bridge with this MAC, and as DAD
    /// asks, because any other question would enter the asker into its table of neighbours.
    pub fn ask_member(&self, member: Member, address: Ipv6Addr, bridge: Mac) {
        let mut frame = dad(bridge, address);
        if let Some(vlan) = member.tag {
            // Behind the two MACs (IEEE 802.1Q clause 9.6).
            let tag = [0x8100_u16.to_be_bytes(), vlan.to_be_bytes()].concat();
            frame.splice(12..12, tag).for_each(drop);
        }
        if let Err(error) = self.0.send(member.index, &frame) {
            debug!(?member, %address, "not sent: {error}");
        }
    }
}

fn frames(question: &Question, host: Mac) -> Vec<Vec<u8>> {
    match *question {
        // One address of each guest answers: that which it prefers for the link.
        Question::Everybody { .. } => vec![listener_query(host), echo_request(host)],
        Question::Neighbor { mac, address, .. } => vec![solicitation(host, mac, address)],
        // Not for the guest: see `Prober::ask_member`.
        Question::Link { .. } => vec![],
    }
}

/// A unicast neighbour solicitation (RFC 4861 section 4.3). With the host's MAC, so that the guest need not
/// ask for it.
fn solicitation(host: Mac, guest: Mac, target: Ipv6Addr) -> Vec<u8> {
    const SOURCE_LINK_LAYER_ADDRESS: [u8; 2] = [1, 1];
    let body = [&target.octets()[..], &SOURCE_LINK_LAYER_ADDRESS, &host.octets()].concat();
    let source = Address::link_local_of(host).into();
    let (to, destination) = (guest, target);
    let envelope = Envelope { host, source, to, destination, hop_limit: 255, alert: &[] };
    envelope.around(Icmpv6Type::NeighborSolicitation, &body)
}

/// Duplicate address detection of an address (RFC 4862 section 5.4.2).
fn dad(host: Mac, target: Ipv6Addr) -> Vec<u8> {
    let group = Address::from(target).solicited_node_group();
    let [.., a, b, c, d] = group.octets();
    let (to, destination) = (Mac::new([0x33, 0x33, a, b, c, d]), Ipv6Addr::from(group));
    let source = Ipv6Addr::UNSPECIFIED;
    let envelope = Envelope { host, source, to, destination, hop_limit: 255, alert: &[] };
    envelope.around(Icmpv6Type::NeighborSolicitation, &target.octets())
}

/// Whoever listens to a group, as every host does that has an address, reports it.
fn listener_query(host: Mac) -> Vec<u8> {
    let [high, low] = LISTENERS_ANSWER;
    let query = Icmpv6Type::Unknown {
        type_u8: icmp::LISTENER_QUERY,
        code_u8: 0,
        bytes5to8: [high, low, 0, 0],
    };
    let envelope = Envelope { hop_limit: 1, alert: &ROUTER_ALERT, ..Envelope::to_all(host) };
    envelope.around(query, &GENERAL_QUERY)
}

fn echo_request(host: Mac) -> Vec<u8> {
    let echo = Icmpv6Type::EchoRequest(IcmpEchoHeader { id: 0, seq: 0 });
    Envelope::to_all(host).around(echo, &[])
}

/// What is written on a question.
struct Envelope<'a> {
    host: Mac,
    source: Ipv6Addr,
    to: Mac,
    destination: Ipv6Addr,
    hop_limit: u8,
    /// A Hop-by-Hop header, or nothing.
    alert: &'a [u8],
}

impl Envelope<'_> {
    fn to_all(host: Mac) -> Self {
        let to = Mac::new([0x33, 0x33, 0, 0, 0, 1]);
        let source = Address::link_local_of(host).into();
        Self { host, source, to, destination: ALL_NODES, hop_limit: 255, alert: &[] }
    }

    fn around(&self, kind: Icmpv6Type, body: &[u8]) -> Vec<u8> {
        let source = self.source.octets();
        let destination = self.destination.octets();
        let ethernet = Ethernet2Header {
            destination: self.to.octets(),
            source: self.host.octets(),
            ether_type: EtherType::IPV6,
        };
        // The only error is a body of 4 GiB.
        let checksum = kind.calc_checksum(source, destination, body).unwrap_or_default();
        let message = Icmpv6Header { icmp_type: kind, checksum };
        let hop_by_hop = IpNumber::IPV6_HEADER_HOP_BY_HOP;
        let ipv6 = Ipv6Header {
            payload_length: (self.alert.len() + message.header_len() + body.len()) as u16,
            next_header: if self.alert.is_empty() { IpNumber::IPV6_ICMP } else { hop_by_hop },
            hop_limit: self.hop_limit,
            source,
            destination,
            ..Ipv6Header::default()
        };
        [&ethernet.to_bytes()[..], &ipv6.to_bytes(), self.alert, &message.to_bytes(), body].concat()
    }
}

#[cfg(test)]
#[allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics has failed"
)]
mod tests {
    use netmon_common::{
        Kind,
        abi::Direction,
        judge,
        parse::{Frame, NdOptions, Upper, parse},
    };

    use super::*;

    const HOST: Mac = Mac::new([2, 0xfc, 0, 0, 0, 0xfe]);
    const GUEST: Mac = Mac::new([2, 0xfc, 0, 0, 0, 1]);

    /// What the frames are; read by the parser that judges guests, which checks a solicitation whole.
    fn asked(question: Question) -> Vec<(Kind, Frame)> {
        let read = |bytes: Vec<u8>| {
            let frame = parse(bytes.as_slice(), Direction::Ingress).expect("a frame");
            assert_eq!(frame.source_mac, HOST);
            assert_eq!(Ipv6Addr::from(frame.source).to_string(), "fe80::fc:ff:fe00:fe");
            (judge::egress(&frame).expect("let through").kind, frame)
        };
        frames(&question, HOST).into_iter().map(read).collect()
    }

    #[test]
    fn everybody_is_asked_by_mld_and_echo() {
        let frames = asked(Question::Everybody { port: 7 });
        let kinds: Vec<_> = frames.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [Kind::MulticastListener, Kind::Echo]);
        for (_, frame) in &frames {
            assert_eq!(frame.destination, Address::from(ALL_NODES));
            assert!(frame.destination_mac.is_group_of(frame.destination));
        }
        let (_, query) = frames[0];
        assert_eq!(query.hop_limit, 1);
        let Ok(Upper::Mld(message)) = query.upper else { panic!("{query:?}") };
        assert_eq!((message.kind, message.router_alert), (icmp::LISTENER_QUERY, true));
    }

    #[test]
    fn a_member_is_asked_as_dad_asks() {
        let frame = dad(HOST, Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2));
        let frame = parse(frame.as_slice(), Direction::Ingress).expect("a frame");
        let policy = netmon_common::abi::PortPolicy::default();
        let port = judge::Port { policy: &policy, first_mac: Mac::default() };
        assert_eq!(judge::ingress(&frame, &port).map(|pass| pass.kind), Ok(Kind::Dad));
    }

    #[test]
    fn a_neighbor_is_asked_by_a_solicitation_that_says_where_to_answer() {
        let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
        let frames = asked(Question::Neighbor { port: 7, mac: GUEST, address });
        let [(kind, frame)] = frames[..] else { panic!("{frames:?}") };
        assert_eq!(kind, Kind::NeighborSolicitation);
        assert_eq!((frame.destination_mac, frame.hop_limit), (GUEST, 255));
        assert_eq!(Ipv6Addr::from(frame.destination), address);
        let Ok(Upper::Nd(nd)) = frame.upper else { panic!("{frame:?}") };
        assert_eq!((nd.code, Ipv6Addr::from(nd.target)), (0, address));
        let options = NdOptions { source_mac: true, foreign_mac: false, checksum: true };
        assert_eq!(nd.options, Ok(options));
    }
}

//! Frames, spelt out: each function gives a valid one, and a test puts one field off.
//!
//! Checksums are etherparse's, not those of the code under test.

use std::net::Ipv6Addr;

use etherparse::checksum::Sum16BitWords;

/// The guest's MAC.
pub const GUEST_MAC: [u8; 6] = [2, 0xfc, 0, 0, 0, 1];
/// Another guest's.
pub const OTHER_MAC: [u8; 6] = [2, 0xfc, 0, 0, 0, 2];
/// The host's on the TAP.
pub const HOST_MAC: [u8; 6] = [2, 0xfc, 0, 0, 0, 0xfe];
/// The guest's address.
pub const GUEST: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
/// Another address of the guest's.
pub const SECOND: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xb0d);
/// The host's.
pub const HOST: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
/// All nodes of the link.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// All routers of the link.
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// MLDv2's group.
pub const LISTENERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
/// A global address.
pub const GLOBAL: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

const ICMPV6: u8 = 58;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// An Ethernet frame with an IPv6 header.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Ethernet destination; `None`: what the IPv6 destination asks for.
    pub destination_mac: Option<[u8; 6]>,
    /// Ethernet source.
    pub source_mac: [u8; 6],
    /// What stands between the MACs and the ethertype: VLAN tags.
    pub tags: Vec<u8>,
    /// Ethertype.
    pub ethertype: u16,
    /// Version of the IPv6 header.
    pub version: u8,
    /// Payload length; `None`: the true one.
    pub payload_length: Option<u16>,
    /// Hop limit.
    pub hop_limit: u8,
    /// Source.
    pub source: Ipv6Addr,
    /// Destination.
    pub destination: Ipv6Addr,
    /// Extension headers: the first's type and their bytes.
    pub extension: Option<(u8, Vec<u8>)>,
    /// Type of the upper layer.
    pub upper: u8,
    /// The upper layer's bytes.
    pub payload: Vec<u8>,
    /// Added to the right ICMPv6 checksum.
    pub checksum_error: u16,
    /// Bytes behind the IPv6 payload.
    pub trailer: Vec<u8>,
}

impl Frame {
    /// This frame with something changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The frame as it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let payload = self.checksummed();
        let (next_header, extension) = match &self.extension {
            Some((first, bytes)) => (*first, bytes.as_slice()),
            None => (self.upper, [].as_slice()),
        };
        let length = self.payload_length.unwrap_or((extension.len() + payload.len()) as u16);
        let mut bytes = Vec::new();
        bytes.extend(self.destination_mac.unwrap_or_else(|| mac_of(self.destination)));
        bytes.extend(self.source_mac);
        bytes.extend(&self.tags);
        bytes.extend(self.ethertype.to_be_bytes());
        bytes.extend([self.version << 4, 0, 0, 0]);
        bytes.extend(length.to_be_bytes());
        bytes.extend([next_header, self.hop_limit]);
        bytes.extend(self.source.octets());
        bytes.extend(self.destination.octets());
        bytes.extend(extension);
        bytes.extend(payload);
        bytes.extend(&self.trailer);
        bytes
    }

    /// The upper layer with its checksum, which is at bytes 2 and 3 of ICMPv6.
    fn checksummed(&self) -> Vec<u8> {
        let mut payload = self.payload.clone();
        if self.upper != ICMPV6 || payload.len() < 4 {
            return payload;
        }
        let sum = Sum16BitWords::new()
            .add_16bytes(self.source.octets())
            .add_16bytes(self.destination.octets())
            .add_4bytes((payload.len() as u32).to_be_bytes())
            .add_4bytes([0, 0, 0, ICMPV6])
            .add_slice(&payload)
            .ones_complement()
            .wrapping_add(self.checksum_error.to_be())
            .to_ne_bytes();
        payload.splice(2..4, sum);
        payload
    }
}

/// Where a frame for this address goes: the group's MAC, else the host's.
fn mac_of(destination: Ipv6Addr) -> [u8; 6] {
    let [.., a, b, c, d] = destination.octets();
    if destination.is_multicast() { [0x33, 0x33, a, b, c, d] } else { HOST_MAC }
}

/// The group that asks for `target` (RFC 4291 section 2.7.1).
pub fn solicited_node(target: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = target.octets();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]))
}

/// The guest says `payload` to `destination`.
pub fn frame(destination: Ipv6Addr, upper: u8, payload: Vec<u8>) -> Frame {
    Frame {
        destination_mac: None,
        source_mac: GUEST_MAC,
        tags: Vec::new(),
        ethertype: 0x86dd,
        version: 6,
        payload_length: None,
        hop_limit: 255,
        source: GUEST,
        destination,
        extension: None,
        upper,
        payload,
        checksum_error: 0,
        trailer: Vec::new(),
    }
}

/// An ICMPv6 message of this type with this body.
pub fn icmp(destination: Ipv6Addr, kind: u8, body: &[u8]) -> Frame {
    frame(destination, ICMPV6, [&[kind, 0, 0, 0], body].concat())
}

fn nd(destination: Ipv6Addr, kind: u8, flags: u8, target: Ipv6Addr, options: &[u8]) -> Frame {
    icmp(destination, kind, &[&[flags, 0, 0, 0], target.octets().as_slice(), options].concat())
}

/// A link-layer address option: 1 is the source's, 2 the target's.
pub fn mac_option(kind: u8, mac: [u8; 6]) -> Vec<u8> {
    [&[kind, 1], mac.as_slice()].concat()
}

/// A Nonce option (RFC 3971 section 5.3.2).
pub fn nonce() -> Vec<u8> {
    vec![14, 1, 1, 2, 3, 4, 5, 6]
}

/// An unsolicited advertisement of `target`, with the override flag and the target's MAC.
pub fn advertisement(target: Ipv6Addr) -> Frame {
    nd(ALL_NODES, 136, 0x20, target, &mac_option(2, GUEST_MAC)).with(|frame| frame.source = target)
}

/// The answer of a Linux guest to a unicast solicitation: S flag, no option.
pub fn solicited_advertisement() -> Frame {
    nd(HOST, 136, 0x40, GUEST, &[])
}

/// A solicitation of `target`, from the guest's address, with options.
pub fn solicitation(target: Ipv6Addr, options: &[u8]) -> Frame {
    nd(solicited_node(target), 135, 0, target, options)
}

/// Duplicate address detection of `target`, with a nonce as Linux sends it.
pub fn dad(target: Ipv6Addr) -> Frame {
    solicitation(target, &nonce()).with(|frame| frame.source = Ipv6Addr::UNSPECIFIED)
}

/// A router solicitation with options.
pub fn router_solicitation(options: &[u8]) -> Frame {
    icmp(ALL_ROUTERS, 133, &[&[0; 4], options].concat())
}

/// A router advertisement that makes its sender the default router.
pub fn router_advertisement() -> Frame {
    icmp(ALL_NODES, 134, &[64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0])
}

/// A redirect.
pub fn redirect() -> Frame {
    nd(HOST, 137, 0, GUEST, &GLOBAL.octets())
}

/// The Hop-by-Hop header with Router Alert that stands before MLD.
pub fn router_alert() -> (u8, Vec<u8>) {
    (0, vec![ICMPV6, 0, 5, 2, 0, 0, 1, 0])
}

/// An MLDv2 report of one group, as Linux sends it.
pub fn listener_report() -> Frame {
    let group = solicited_node(GUEST).octets();
    icmp(LISTENERS, 143, &[&[0, 0, 0, 1, 4, 0, 0, 0], group.as_slice()].concat()).with(|frame| {
        frame.hop_limit = 1;
        frame.extension = Some(router_alert());
    })
}

/// An MLDv2 report of these records: type, auxiliary words, sources, group.
pub fn records(records: &[(u8, u8, u16, Ipv6Addr)]) -> Frame {
    let [high, low] = (records.len() as u16).to_be_bytes();
    let record = |(kind, aux, sources, group): &(u8, u8, u16, Ipv6Addr)| {
        let head = [&[*kind, *aux], sources.to_be_bytes().as_slice(), &group.octets()].concat();
        let tail = 16 * usize::from(*sources) + 4 * usize::from(*aux);
        [head, vec![0; tail]].concat()
    };
    listener_report().with(|frame| {
        frame.payload = [143, 0, 0, 0, 0, 0, high, low].to_vec();
        frame.payload.extend(records.iter().flat_map(record));
    })
}

/// An MLDv1 report (131) or Done (132) of a group.
pub fn listener_v1(kind: u8, group: Ipv6Addr) -> Frame {
    listener_report().with(|frame| {
        frame.payload = [[kind, 0, 0, 0, 0, 0, 0, 0].as_slice(), &group.octets()].concat();
        frame.destination = if kind == 132 { ALL_ROUTERS } else { group };
    })
}

/// An ICMPv6 error about a UDP datagram between these two.
pub fn error(kind: u8, source: Ipv6Addr, destination: Ipv6Addr) -> Frame {
    let asked = udp(9).with(|f| (f.source, f.destination) = (source, destination)).bytes();
    let asked = asked.into_iter().skip(14);
    icmp(HOST, kind, &[0; 4].into_iter().chain(asked).collect::<Vec<_>>())
}

/// An honest "port unreachable" for a datagram of the host's to the guest.
pub fn port_unreachable() -> Frame {
    error(1, HOST, GUEST).with(|frame| frame.payload.splice(1..2, [4]).for_each(drop))
}

/// A DHCPv6 message, as far as it matters, from and to these ports.
pub fn dhcp(source: u16, destination: u16) -> Frame {
    let ports = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    udp(0).with(|frame| frame.payload.splice(..4, ports).for_each(drop))
}

/// An echo request.
pub fn echo(destination: Ipv6Addr) -> Frame {
    icmp(destination, 128, &[0, 1, 0, 1, 1, 2, 3, 4])
}

/// A TCP segment with these flags (0x02: SYN, 0x10: ACK) to this port.
pub fn tcp(port: u16, flags: u8) -> Frame {
    let ports = [0xc0, 0, port.to_be_bytes()[0], port.to_be_bytes()[1]];
    frame(HOST, TCP, [ports.as_slice(), &[0; 8], &[0x50, flags, 1, 0, 0, 0, 0, 0]].concat())
}

/// A UDP datagram to this port.
pub fn udp(port: u16) -> Frame {
    let [high, low] = port.to_be_bytes();
    frame(HOST, UDP, vec![0xc0, 0, high, low, 0, 12, 0, 0, 1, 2, 3, 4])
}

/// A frame of another ethertype: 46 bytes of payload.
pub fn ethernet(ethertype: u16) -> Vec<u8> {
    [&[0xff; 6], GUEST_MAC.as_slice(), &ethertype.to_be_bytes(), &[0; 46]].concat()
}

//! Bytes → [`Frame`], or the reason why they are none.
//!
//! Total: whatever a guest writes into its queue becomes a frame or a [`Reason`], with every loop
//! bounded. Outer layers come first; what is wrong inside an upper layer travels in [`Frame::upper`],
//! so that the judge can look at the addresses before it.

use zerocopy::{FromBytes, Immutable, KnownLayout, network_endian::U16};

use crate::{Address, Mac, Reason, abi::Direction, limits};

/// The bytes of one frame, wherever they lie.
pub trait Bytes {
    /// Length of the frame in bytes.
    fn length(&self) -> usize;

    /// Whether a VLAN tag was taken out of the bytes and stands beside them (`skb->vlan_present`).
    fn has_vlan_tag(&self) -> bool {
        false
    }

    /// The `T` that begins at `offset`; `None` where it does not end within the frame.
    fn read<T: FromBytes + Copy>(&self, offset: usize) -> Option<T>;
}

impl Bytes for [u8] {
    fn length(&self) -> usize {
        self.len()
    }

    fn read<T: FromBytes + Copy>(&self, offset: usize) -> Option<T> {
        T::read_from_prefix(self.get(offset..)?).ok().map(|(value, _)| value)
    }
}

/// Ethernet II, 14 octets.
#[derive(FromBytes, KnownLayout, Immutable, Clone, Copy)]
#[repr(C)]
struct EthernetHeader {
    destination: [u8; 6],
    source: [u8; 6],
    ethertype: U16,
}

/// IPv6, RFC 8200 section 3, 40 octets.
#[derive(FromBytes, KnownLayout, Immutable, Clone, Copy)]
#[repr(C)]
struct Ipv6Header {
    version_and_class: u8,
    class_and_flow: [u8; 3],
    payload_length: U16,
    next_header: u8,
    hop_limit: u8,
    source: [u8; 16],
    destination: [u8; 16],
}

/// A Hop-by-Hop Options header of the least length, RFC 8200 section 4.3, 8 octets.
#[derive(FromBytes, KnownLayout, Immutable, Clone, Copy)]
#[repr(C)]
struct HopByHopHeader {
    next_header: u8,
    length: u8,
    options: [u8; 6],
}

/// What NS, NA and RS have in common, RFC 4861 section 4, 8 octets; the flags are an NA's.
#[derive(FromBytes, KnownLayout, Immutable, Clone, Copy)]
#[repr(C)]
struct IcmpHeader {
    kind: u8,
    code: u8,
    checksum: [u8; 2],
    flags: u8,
    reserved: [u8; 3],
}

const ETHERNET_END: usize = size_of::<EthernetHeader>();
const IPV6_END: usize = ETHERNET_END + size_of::<Ipv6Header>();

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// Smaller values are an 802.3 length (IEEE 802.3 clause 3.2.6).
const ETHERTYPE_LEAST: u16 = 0x0600;

const NEXT_HEADER_TCP: u8 = 6;
const NEXT_HEADER_UDP: u8 = 17;
const NEXT_HEADER_FRAGMENT: u8 = 44;
const NEXT_HEADER_ICMPV6: u8 = 58;
const TCP_BYTES: usize = 20;
const UDP_BYTES: usize = 8;
const ICMP_BYTES: usize = size_of::<IcmpHeader>();

/// ICMPv6 types, by their names in the RFCs.
pub mod icmp {
    #![allow(missing_docs, reason = "the names are the RFCs'")]
    pub const DESTINATION_UNREACHABLE: u8 = 1;
    pub const PARAMETER_PROBLEM: u8 = 4;
    pub const ECHO_REQUEST: u8 = 128;
    pub const ECHO_REPLY: u8 = 129;
    pub const LISTENER_QUERY: u8 = 130;
    pub const LISTENER_REPORT: u8 = 131;
    pub const LISTENER_DONE: u8 = 132;
    pub const ROUTER_SOLICITATION: u8 = 133;
    pub const ROUTER_ADVERTISEMENT: u8 = 134;
    pub const NEIGHBOR_SOLICITATION: u8 = 135;
    pub const NEIGHBOR_ADVERTISEMENT: u8 = 136;
    pub const REDIRECT: u8 = 137;
    pub const LISTENER_REPORT_V2: u8 = 143;
}

/// An untagged Ethernet frame with an IPv6 header and a payload that it holds whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Ethernet destination.
    pub destination_mac: Mac,
    /// Ethernet source.
    pub source_mac: Mac,
    /// IPv6 source.
    pub source: Address,
    /// IPv6 destination.
    pub destination: Address,
    /// IPv6 hop limit.
    pub hop_limit: u8,
    /// What the IPv6 header carries, or why that is nothing known.
    pub upper: Result<Upper, Reason>,
}

/// What an IPv6 header carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upper {
    /// TCP, its header whole.
    Tcp,
    /// UDP, its header whole.
    Udp,
    /// Multicast listener discovery (RFC 2710, RFC 3810).
    Mld {
        /// The ICMPv6 type.
        kind: u8,
        /// Whether a Router Alert stood before it.
        router_alert: bool,
    },
    /// A neighbour or router solicitation, or a neighbour advertisement.
    Nd(Nd),
    /// Any other ICMPv6 message.
    Icmp {
        /// The ICMPv6 type.
        kind: u8,
    },
}

/// A neighbour discovery message, RFC 4861 section 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nd {
    /// The ICMPv6 type: 133, 135 or 136.
    pub kind: u8,
    /// The ICMPv6 code.
    pub code: u8,
    /// The R flag of an advertisement.
    pub router: bool,
    /// The S flag of an advertisement.
    pub solicited: bool,
    /// The target; `::` in a router solicitation, which has none.
    pub target: Address,
    /// The options, or why they are none.
    pub options: Result<NdOptions, Reason>,
}

/// What matters of a neighbour discovery message's options.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct NdOptions {
    /// There is a Source Link-Layer Address option.
    pub source_mac: bool,
    /// A link-layer address option, any of them, is not the frame's source MAC.
    pub foreign_mac: bool,
    /// The message's checksum is right.
    pub checksum: bool,
}

/// Reads a frame. What the host itself sends (`Egress`) is not searched for options and checksums: the
/// judge does not ask for them.
#[inline(always)]
pub fn parse<B: Bytes + ?Sized>(bytes: &B, direction: Direction) -> Result<Frame, Reason> {
    let ethernet: EthernetHeader = bytes.read(0).ok_or(Reason::Runt)?;
    if bytes.has_vlan_tag() {
        return Err(Reason::Vlan);
    }
    match ethernet.ethertype.get() {
        ETHERTYPE_IPV6 => {}
        0x8100 | 0x88a8 | 0x9100 => return Err(Reason::Vlan),
        ETHERTYPE_IPV4 => return Err(Reason::Ipv4),
        ETHERTYPE_ARP => return Err(Reason::Arp),
        0..ETHERTYPE_LEAST => return Err(Reason::Llc),
        _ => return Err(Reason::Ethertype),
    }
    let ipv6: Ipv6Header = bytes.read(ETHERNET_END).ok_or(Reason::Runt)?;
    if ipv6.version_and_class >> 4 != 6 {
        return Err(Reason::IpVersion);
    }
    // Bytes behind the payload are padding, as for the kernel (ip6_rcv_core trims them).
    let length = usize::from(ipv6.payload_length.get());
    let present = bytes.length();
    if IPV6_END + length > present || (length == 0 && present > IPV6_END) {
        return Err(Reason::PayloadLength);
    }
    let mut frame = Frame {
        destination_mac: Mac::new(ethernet.destination),
        source_mac: Mac::new(ethernet.source),
        source: Address::new(ipv6.source),
        destination: Address::new(ipv6.destination),
        hop_limit: ipv6.hop_limit,
        upper: Err(Reason::NextHeader),
    };
    frame.upper = upper(bytes, &frame, ipv6.next_header, length, direction);
    Ok(frame)
}

#[inline(always)]
fn upper<B: Bytes + ?Sized>(
    bytes: &B,
    frame: &Frame,
    next_header: u8,
    length: usize,
    direction: Direction,
) -> Result<Upper, Reason> {
    match next_header {
        NEXT_HEADER_TCP if length >= TCP_BYTES => Ok(Upper::Tcp),
        NEXT_HEADER_UDP if length >= UDP_BYTES => Ok(Upper::Udp),
        NEXT_HEADER_ICMPV6 => icmp_message(bytes, frame, IPV6_END, length, direction),
        0 => listener_message(bytes, length),
        NEXT_HEADER_FRAGMENT => Err(Reason::Fragment),
        // IANA "IPv6 Extension Header Types" but for the three above: Routing, ESP, AH, Destination
        // Options, Mobility, HIP, Shim6 and the two for experiments. Any header that is not named here
        // is an upper layer, and refused as such.
        43 | 50 | 51 | 60 | 135 | 139 | 140 | 253 | 254 => Err(Reason::ExtensionHeader),
        _ => Err(Reason::NextHeader),
    }
}

/// The one extension header that a guest needs: Hop-by-Hop with nothing but Router Alert "MLD" and
/// padding, and MLD behind it (RFC 3810 section 5, RFC 2711).
#[inline(always)]
fn listener_message<B: Bytes + ?Sized>(bytes: &B, length: usize) -> Result<Upper, Reason> {
    let header: HopByHopHeader = bytes.read(IPV6_END).ok_or(Reason::ExtensionHeader)?;
    let kind: u8 = bytes.read(IPV6_END + 8).ok_or(Reason::ExtensionHeader)?;
    // Router Alert (5, 2, 0, 0) and two octets of padding, PadN or Pad1, on either side.
    let router_alert = matches!(
        header.options,
        [5, 2, 0, 0, 1, 0]
            | [5, 2, 0, 0, 0, 0]
            | [1, 0, 5, 2, 0, 0]
            | [0, 0, 5, 2, 0, 0]
            | [0, 5, 2, 0, 0, 0]
    );
    if header.length != 0 || header.next_header != NEXT_HEADER_ICMPV6 || !router_alert || length < 9
    {
        return Err(Reason::ExtensionHeader);
    }
    match kind {
        icmp::LISTENER_QUERY..=icmp::LISTENER_DONE | icmp::LISTENER_REPORT_V2 => {
            if length < 8 + ICMP_BYTES {
                return Err(Reason::IcmpType);
            }
            Ok(Upper::Mld { kind, router_alert: true })
        }
        _ => Err(Reason::ExtensionHeader),
    }
}

#[inline(always)]
fn icmp_message<B: Bytes + ?Sized>(
    bytes: &B,
    frame: &Frame,
    offset: usize,
    length: usize,
    direction: Direction,
) -> Result<Upper, Reason> {
    if length == 0 {
        return Err(Reason::IcmpType);
    }
    let kind: u8 = bytes.read(offset).ok_or(Reason::IcmpType)?;
    // What is never let through needs no whole header to be refused by its name.
    if matches!(kind, icmp::ROUTER_ADVERTISEMENT | icmp::REDIRECT) {
        return Ok(Upper::Icmp { kind });
    }
    if length < ICMP_BYTES {
        return Err(Reason::IcmpType);
    }
    match kind {
        icmp::LISTENER_QUERY..=icmp::LISTENER_DONE | icmp::LISTENER_REPORT_V2 => {
            Ok(Upper::Mld { kind, router_alert: false })
        }
        icmp::ROUTER_SOLICITATION | icmp::NEIGHBOR_SOLICITATION | icmp::NEIGHBOR_ADVERTISEMENT => {
            let header: IcmpHeader = bytes.read(offset).ok_or(Reason::IcmpType)?;
            Ok(Upper::Nd(nd_message(bytes, frame, &header, offset, length, direction)))
        }
        _ => Ok(Upper::Icmp { kind }),
    }
}

#[inline(always)]
fn nd_message<B: Bytes + ?Sized>(
    bytes: &B,
    frame: &Frame,
    header: &IcmpHeader,
    offset: usize,
    length: usize,
    direction: Direction,
) -> Nd {
    let mut nd = Nd {
        kind: header.kind,
        code: header.code,
        router: header.flags & 0x80 != 0,
        solicited: header.flags & 0x40 != 0,
        target: Address::UNSPECIFIED,
        options: Err(Reason::NdLength),
    };
    let mut fixed = ICMP_BYTES;
    if header.kind != icmp::ROUTER_SOLICITATION {
        fixed += size_of::<[u8; 16]>();
        match bytes.read(offset + ICMP_BYTES) {
            Some(target) if length >= fixed => nd.target = Address::new(target),
            _ => return nd,
        }
    }
    if length > usize::from(limits::ND_BYTES) {
        return nd;
    }
    nd.options = match direction {
        Direction::Ingress => nd_options(bytes, frame, offset, fixed, length),
        Direction::Egress => Ok(NdOptions::default()),
    };
    nd
}

/// Walks the options, RFC 4861 section 4.6: a type, a length in units of 8 octets, a value.
#[inline(always)]
fn nd_options<B: Bytes + ?Sized>(
    bytes: &B,
    frame: &Frame,
    message: usize,
    fixed: usize,
    length: usize,
) -> Result<NdOptions, Reason> {
    const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;
    const TARGET_LINK_LAYER_ADDRESS: u8 = 2;

    let mut options = NdOptions::default();
    let mut at = fixed;
    for _ in 0..limits::ND_OPTIONS {
        if at >= length {
            break;
        }
        let [kind, units, mac @ ..]: [u8; 8] = bytes.read(message + at).ok_or(Reason::NdOption)?;
        at += usize::from(units) * 8;
        if units == 0 || at > length {
            return Err(Reason::NdOption);
        }
        if matches!(kind, SOURCE_LINK_LAYER_ADDRESS | TARGET_LINK_LAYER_ADDRESS) {
            options.source_mac |= kind == SOURCE_LINK_LAYER_ADDRESS;
            // An Ethernet address fills one unit (RFC 2464 section 6).
            options.foreign_mac |= units != 1 || Mac::new(mac) != frame.source_mac;
        }
    }
    if at != length {
        return Err(Reason::NdOption);
    }
    options.checksum = checksum_is_right(bytes, frame, message, length);
    Ok(options)
}

/// The one's complement sum over the pseudo-header and the message (RFC 8200 section 8.1), for a
/// message that is a multiple of 8 octets, as every well-formed one of neighbour discovery is.
#[inline(always)]
fn checksum_is_right<B: Bytes + ?Sized>(
    bytes: &B,
    frame: &Frame,
    message: usize,
    length: usize,
) -> bool {
    let halves = |word: u64| (word >> 32) + (word & 0xffff_ffff);
    let (source, destination) = (frame.source.halves(), frame.destination.halves());
    let mut sum = length as u64 + u64::from(NEXT_HEADER_ICMPV6);
    sum += halves(source.0) + halves(source.1) + halves(destination.0) + halves(destination.1);
    let mut at = 0;
    while at < length && at < usize::from(limits::ND_BYTES) {
        match bytes.read::<u64>(message + at) {
            Some(word) => sum += halves(u64::from_be(word)),
            None => return false,
        }
        at += 8;
    }
    // At most 2^32 · 2 · 69 so far: three folds bring it below 2^16.
    sum = (sum >> 32) + (sum & 0xffff_ffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum == 0xffff
}

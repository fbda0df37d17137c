//! Bytes → [`Frame`], or the reason why they are none.
//!
//! Total: whatever a guest writes into its queue becomes a frame or a [`Reason`], with every loop
//! bounded. Outer layers come first; what is wrong inside an upper layer travels in [`Frame::upper`],
//! so that the judge can look at the addresses before it.

mod error;
mod listener;
mod neighbor_discovery;

use zerocopy::{FromBytes, Immutable, KnownLayout, network_endian::U16};

pub use self::{
    error::Embedded,
    listener::{Listener, Report},
    neighbor_discovery::{Nd, NdOptions},
};

use crate::{Address, Mac, Reason, abi::Direction};

/// The bytes of one frame, wherever they lie.
pub trait Bytes {
    /// Length of the frame in bytes.
    fn length(&self) -> usize;

    /// Whether a VLAN tag was taken out of the bytes and stands beside them (`skb->vlan_present`).
    fn has_vlan_tag(&self) -> bool {
        false
    }

    /// The same number, of which a verifier that follows each way through the code by itself knows nothing more. What
    /// comes behind is then looked at once, and not once for each way there.
    fn forget(&self, number: usize) -> usize {
        number
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

/// TCP, RFC 9293 section 3.1, its 20 octets without options.
#[derive(FromBytes, KnownLayout, Immutable, Clone, Copy)]
#[repr(C)]
struct TcpHeader {
    source: U16,
    destination: U16,
    numbers: [u8; 8],
    offset: u8,
    flags: u8,
    rest: [u8; 6],
}

/// UDP, RFC 768, 8 octets.
#[derive(FromBytes, KnownLayout, Immutable, Clone, Copy)]
#[repr(C)]
struct UdpHeader {
    source: U16,
    destination: U16,
    rest: [u8; 4],
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

pub(crate) const ETHERNET_END: usize = size_of::<EthernetHeader>();
pub(crate) const IPV6_END: usize = ETHERNET_END + size_of::<Ipv6Header>();

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
/// RFC 903.
const ETHERTYPE_RARP: u16 = 0x8035;
pub(crate) const ETHERTYPE_IPV6: u16 = 0x86dd;
/// Smaller values are an 802.3 length (IEEE 802.3 clause 3.2.6).
const ETHERTYPE_LEAST: u16 = 0x0600;

const NEXT_HEADER_TCP: u8 = 6;
const NEXT_HEADER_UDP: u8 = 17;
const NEXT_HEADER_FRAGMENT: u8 = 44;
pub(crate) const NEXT_HEADER_ICMPV6: u8 = 58;
const TCP_BYTES: usize = size_of::<TcpHeader>();
const UDP_BYTES: usize = size_of::<UdpHeader>();
const TCP_SYN: u8 = 0x02;
const TCP_ACK: u8 = 0x10;
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
    Tcp {
        /// The sender's port.
        source: u16,
        /// The receiver's port.
        destination: u16,
        /// It asks for a connection: SYN without ACK.
        opens: bool,
    },
    /// UDP, its header whole.
    Udp {
        /// The sender's port.
        source: u16,
        /// The receiver's port.
        destination: u16,
    },
    /// Multicast listener discovery (RFC 2710, RFC 3810).
    Mld(Listener),
    /// A neighbour or router solicitation, or a neighbour advertisement.
    Nd(Nd),
    /// An error (RFC 4443 section 3): what it says of the packet that it is about.
    Error(Result<Embedded, Reason>),
    /// Any other ICMPv6 message.
    Icmp {
        /// The ICMPv6 type.
        kind: u8,
    },
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
        ETHERTYPE_RARP => return Err(Reason::Rarp),
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
        NEXT_HEADER_TCP if length >= TCP_BYTES => {
            let tcp: TcpHeader = bytes.read(IPV6_END).ok_or(Reason::NextHeader)?;
            // The upper four bits count the header's 32-bit words, options included.
            let whole = usize::from(tcp.offset >> 4) * 4;
            if whole < TCP_BYTES || whole > length {
                return Err(Reason::NextHeader);
            }
            Ok(Upper::Tcp {
                source: tcp.source.get(),
                destination: tcp.destination.get(),
                opens: tcp.flags & (TCP_SYN | TCP_ACK) == TCP_SYN,
            })
        }
        NEXT_HEADER_UDP if length >= UDP_BYTES => {
            let udp: UdpHeader = bytes.read(IPV6_END).ok_or(Reason::NextHeader)?;
            Ok(Upper::Udp { source: udp.source.get(), destination: udp.destination.get() })
        }
        NEXT_HEADER_ICMPV6 => icmp_message(bytes, frame, IPV6_END, length, direction),
        0 => listener::behind_router_alert(bytes, length, direction),
        NEXT_HEADER_FRAGMENT => Err(Reason::Fragment),
        // IANA "IPv6 Extension Header Types" but for the three above: Routing, ESP, AH, Destination
        // Options, Mobility, HIP, Shim6 and the two for experiments. Any header that is not named here
        // is an upper layer, and refused as such.
        43 | 50 | 51 | 60 | 135 | 139 | 140 | 253 | 254 => Err(Reason::ExtensionHeader),
        _ => Err(Reason::NextHeader),
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
        icmp::DESTINATION_UNREACHABLE..=icmp::PARAMETER_PROBLEM => Ok(Upper::Error(
            error::embedded(bytes, frame, offset + ICMP_BYTES, length - ICMP_BYTES, direction),
        )),
        icmp::LISTENER_QUERY..=icmp::LISTENER_DONE | icmp::LISTENER_REPORT_V2 => {
            Ok(Upper::Mld(Listener { kind, router_alert: false, report: Err(Reason::Mld) }))
        }
        icmp::ROUTER_SOLICITATION | icmp::NEIGHBOR_SOLICITATION | icmp::NEIGHBOR_ADVERTISEMENT => {
            let header: IcmpHeader = bytes.read(offset).ok_or(Reason::IcmpType)?;
            Ok(Upper::Nd(neighbor_discovery::message(
                bytes, frame, &header, offset, length, direction,
            )))
        }
        _ => Ok(Upper::Icmp { kind }),
    }
}

//! What etherparse makes of a frame.

use std::net::Ipv6Addr;

use etherparse::{
    Ethernet2HeaderSlice, Icmpv6Slice, IpNumber, Ipv6HeaderSlice, Ipv6RawExtHeaderSlice,
    TcpHeaderSlice, UdpHeaderSlice, icmpv6::NdpOptionHeader, ip_number,
};

/// A frame, as far as it is one: what is `None` is not whole.
pub(super) struct Frame<'a> {
    pub(super) ethernet: Option<Ethernet2HeaderSlice<'a>>,
    pub(super) ipv6: Option<Ipv6HeaderSlice<'a>>,
    /// What the IPv6 header says is its payload.
    pub(super) payload: Option<&'a [u8]>,
    pub(super) upper: Upper<'a>,
}

/// What the IPv6 header carries.
pub(super) enum Upper<'a> {
    Tcp(TcpHeaderSlice<'a>),
    Udp(UdpHeaderSlice<'a>),
    Icmp(Message<'a>),
    /// An extension header but the one that stands before MLD.
    Extension,
    Fragment,
    Unknown,
}

/// An ICMPv6 message, whole or not.
pub(super) struct Message<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) icmp: Option<Icmpv6Slice<'a>>,
    pub(super) router_alert: bool,
}

impl<'a> Frame<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Self {
        let ethernet = Ethernet2HeaderSlice::from_slice(bytes).ok();
        let behind = bytes.get(14..).unwrap_or_default();
        let ipv6 = Ipv6HeaderSlice::from_slice(behind).ok();
        let payload = ipv6.as_ref().and_then(|ipv6| {
            let length = usize::from(ipv6.payload_length());
            let rest = behind.get(40..)?;
            if length == 0 && !rest.is_empty() { None } else { rest.get(..length) }
        });
        let upper = match (&ipv6, payload) {
            (Some(ipv6), Some(payload)) => Upper::read(ipv6.next_header(), payload),
            _ => Upper::Unknown,
        };
        Self { ethernet, ipv6, payload, upper }
    }

    pub(super) fn source_mac(&self) -> [u8; 6] {
        self.ethernet.as_ref().map(Ethernet2HeaderSlice::source).unwrap_or_default()
    }

    pub(super) fn source(&self) -> Ipv6Addr {
        self.ipv6.as_ref().map_or(Ipv6Addr::UNSPECIFIED, Ipv6HeaderSlice::source_addr)
    }

    pub(super) fn is_unspecified(&self) -> bool {
        self.source().is_unspecified()
    }

    pub(super) fn destination(&self) -> Ipv6Addr {
        self.ipv6.as_ref().map_or(Ipv6Addr::UNSPECIFIED, Ipv6HeaderSlice::destination_addr)
    }

    pub(super) fn hop_limit(&self) -> u8 {
        self.ipv6.as_ref().map(Ipv6HeaderSlice::hop_limit).unwrap_or_default()
    }

    /// The type of a whole ICMPv6 message.
    pub(super) fn icmp_type(&self) -> Option<u8> {
        match &self.upper {
            Upper::Icmp(message) => message.icmp.as_ref().map(Icmpv6Slice::type_u8),
            Upper::Tcp(_) | Upper::Udp(_) | Upper::Extension | Upper::Fragment | Upper::Unknown => {
                None
            }
        }
    }
}

impl<'a> Upper<'a> {
    fn read(kind: IpNumber, payload: &'a [u8]) -> Self {
        match kind {
            ip_number::TCP => TcpHeaderSlice::from_slice(payload).map_or(Self::Unknown, Self::Tcp),
            ip_number::UDP => UdpHeaderSlice::from_slice(payload).map_or(Self::Unknown, Self::Udp),
            ip_number::IPV6_ICMP => Self::Icmp(Message::read(payload, false)),
            ip_number::IPV6_FRAG => Self::Fragment,
            ip_number::IPV6_HOP_BY_HOP => listener(payload).map_or(Self::Extension, Self::Icmp),
            _ if kind.is_ipv6_ext_header_value() => Self::Extension,
            _ => Self::Unknown,
        }
    }
}

/// MLD behind a Hop-by-Hop header of 8 octets with one Router Alert "MLD" and padding (RFC 3810 section 5).
fn listener(payload: &[u8]) -> Option<Message<'_>> {
    let header = Ipv6RawExtHeaderSlice::from_slice(payload).ok()?;
    if header.next_header() != ip_number::IPV6_ICMP || header.slice().len() != 8 {
        return None;
    }
    let mut alerts = 0;
    let mut rest = header.payload();
    while let Some((kind, behind)) = rest.split_first() {
        if *kind == 0 {
            rest = behind; // Pad1
            continue;
        }
        let (length, behind) = behind.split_first()?;
        let (value, behind) = behind.split_at_checked(usize::from(*length))?;
        match (kind, value) {
            (1, value) if value.iter().all(|octet| *octet == 0) => {} // PadN
            (5, [0, 0]) => alerts += 1,
            _ => return None,
        }
        rest = behind;
    }
    let message = Message::read(payload.get(8..)?, true);
    (alerts == 1 && matches!(message.kind(), Some(130..=132 | 143))).then_some(message)
}

impl<'a> Message<'a> {
    fn read(bytes: &'a [u8], router_alert: bool) -> Self {
        Self { bytes, icmp: Icmpv6Slice::from_slice(bytes).ok(), router_alert }
    }

    pub(super) fn kind(&self) -> Option<u8> {
        self.bytes.first().copied()
    }

    pub(super) fn code(&self) -> u8 {
        self.icmp.as_ref().map(Icmpv6Slice::code_u8).unwrap_or_default()
    }

    /// Bytes before the options.
    pub(super) fn fixed(&self) -> usize {
        if self.kind() == Some(133) { 8 } else { 24 }
    }

    /// The target of a whole neighbour solicitation or advertisement.
    pub(super) fn target(&self) -> Option<Ipv6Addr> {
        let octets: [u8; 16] = self.bytes.get(8..24)?.try_into().ok()?;
        matches!(self.kind(), Some(135 | 136)).then(|| octets.into())
    }

    /// Source and destination of the packet that an error is about; `None` where its header is not whole.
    pub(super) fn invoking(&self) -> Option<(Ipv6Addr, Ipv6Addr)> {
        let ipv6 = Ipv6HeaderSlice::from_slice(self.bytes.get(8..)?).ok()?;
        Some((ipv6.source_addr(), ipv6.destination_addr()))
    }

    /// The groups that a report names; `None` where it is not whole, has over 32 records, or one with sources or
    /// auxiliary data.
    pub(super) fn groups(&self) -> Option<Vec<Ipv6Addr>> {
        if self.kind() != Some(143) {
            let octets: [u8; 16] = self.bytes.get(8..24)?.try_into().ok()?;
            return Some(vec![octets.into()]);
        }
        let number = u16::from_be_bytes(self.bytes.get(6..8)?.try_into().ok()?);
        let records = self.bytes.get(8..)?.chunks_exact(20).take(number.into());
        let groups: Option<Vec<Ipv6Addr>> = records
            .map(|record| {
                let octets: [u8; 16] = record.get(4..)?.try_into().ok()?;
                (record.get(1..4)? == [0; 3]).then(|| octets.into())
            })
            .collect();
        groups.filter(|groups| groups.len() == usize::from(number) && number <= 32)
    }

    /// The options, each with its type and length; `None` where they are none.
    pub(super) fn options(&self) -> Option<Vec<&'a [u8]>> {
        let mut options = Vec::new();
        let mut rest = self.bytes.get(self.fixed()..)?;
        while !rest.is_empty() {
            let (header, _) = NdpOptionHeader::from_slice(rest).ok()?;
            let (option, behind) = rest.split_at_checked(header.byte_len())?;
            if option.is_empty() {
                return None;
            }
            options.push(option);
            rest = behind;
        }
        Some(options)
    }

    pub(super) fn checksum_is_right(&self, frame: &Frame<'_>) -> bool {
        let (source, destination) = (frame.source().octets(), frame.destination().octets());
        self.icmp.as_ref().is_some_and(|icmp| icmp.is_checksum_valid(source, destination))
    }
}

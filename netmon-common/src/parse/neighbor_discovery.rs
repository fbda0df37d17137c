//! Neighbour discovery: the message, its options and its checksum.

use super::{Bytes, Frame, ICMP_BYTES, IcmpHeader, NEXT_HEADER_ICMPV6, icmp};
use crate::{Address, Mac, Reason, abi::Direction, limits};

/// A neighbour discovery message, RFC 4861 section 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nd {
    /// The ICMPv6 type: 133, 135 or 136.
    pub kind: u8,
    /// The ICMPv6 code.
    pub code: u8,
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

#[inline(always)]
pub(super) fn message<B: Bytes + ?Sized>(
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
        Direction::Ingress => options(bytes, frame, offset, fixed, length),
        Direction::Egress => Ok(NdOptions::default()),
    };
    nd
}

/// Walks the options, RFC 4861 section 4.6: a type, a length in units of 8 octets, a value.
#[inline(always)]
fn options<B: Bytes + ?Sized>(
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
    let flags = usize::from(options.source_mac) | usize::from(options.foreign_mac) << 1;
    let flags = bytes.forget(flags);
    Ok(NdOptions {
        source_mac: flags & 1 != 0,
        foreign_mac: flags & 2 != 0,
        checksum: checksum_is_right(bytes, frame, message, length),
    })
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

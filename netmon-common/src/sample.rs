//! What is told of a frame that was refused: enough to see who sent what.
//!
//! Field by field and not header by header: on the kernel side each is copied by the stack, where what is
//! read must be aligned.

use zerocopy::network_endian::U16;

use crate::{
    Reason,
    abi::{Direction, Sample, VERSION},
    parse::{Bytes, ETHERNET_END, ETHERTYPE_IPV6, IPV6_END, NEXT_HEADER_ICMPV6},
};

const SOURCE_MAC: usize = 6;
const ETHERTYPE: usize = 12;
/// RFC 8200 section 3.
const NEXT_HEADER: usize = ETHERNET_END + 6;
const SOURCE: usize = ETHERNET_END + 8;
const DESTINATION: usize = ETHERNET_END + 24;

/// Describes a frame, as far as it is long enough, in a sample of zeros: where it is to be, because a second one would
/// not fit the kernel side's stack.
#[inline(always)]
pub fn describe<B: Bytes + ?Sized>(
    sample: &mut Sample,
    bytes: &B,
    direction: Direction,
    reason: Reason,
) {
    sample.version = VERSION;
    sample.length = bytes.length() as u32;
    sample.ethertype = bytes.read::<U16>(ETHERTYPE).unwrap_or_default().get();
    sample.direction = direction as u8;
    sample.reason = reason.number();
    sample.destination_mac = bytes.read(0).unwrap_or_default();
    sample.source_mac = bytes.read(SOURCE_MAC).unwrap_or_default();
    if sample.ethertype == ETHERTYPE_IPV6 {
        sample.next_header = bytes.read(NEXT_HEADER).unwrap_or_default();
        sample.source = bytes.read(SOURCE).unwrap_or_default();
        sample.destination = bytes.read(DESTINATION).unwrap_or_default();
        if sample.next_header == NEXT_HEADER_ICMPV6 {
            sample.icmp_type = bytes.read(IPV6_END).unwrap_or_default();
        }
    }
}

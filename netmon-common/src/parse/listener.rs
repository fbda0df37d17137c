//! Multicast listener discovery: the header before it, and the groups that a report names.

use zerocopy::{FromBytes, Immutable, KnownLayout, network_endian::U16};

use super::{Bytes, ICMP_BYTES, IPV6_END, NEXT_HEADER_ICMPV6, Upper, icmp};
use crate::{Address, Reason, abi::Direction, limits};

/// A Hop-by-Hop Options header of the least length, RFC 8200 section 4.3, 8 octets.
#[derive(FromBytes, KnownLayout, Immutable, Clone, Copy)]
#[repr(C)]
struct HopByHopHeader {
    next_header: u8,
    length: u8,
    options: [u8; 6],
}

/// An MLDv2 report without its records, RFC 3810 section 5.2, 8 octets.
#[derive(FromBytes, KnownLayout, Immutable, Clone, Copy)]
#[repr(C)]
struct ReportHeader {
    kind: u8,
    code: u8,
    checksum: [u8; 2],
    reserved: [u8; 2],
    records: U16,
}

/// An address record without sources, RFC 3810 section 5.2, 20 octets.
#[derive(FromBytes, KnownLayout, Immutable, Clone, Copy)]
#[repr(C)]
struct Record {
    kind: u8,
    aux_length: u8,
    sources: U16,
    group: [u8; 16],
}

const MESSAGE: usize = IPV6_END + size_of::<HopByHopHeader>();
const RECORD_BYTES: usize = size_of::<Record>();
const GROUP_BYTES: usize = 16;

/// RFC 3810 section 5.2.12. Without sources either means: no more.
const MODE_IS_INCLUDE: u8 = 1;
const CHANGE_TO_INCLUDE: u8 = 3;

/// A message of multicast listener discovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The ICMPv6 type.
    pub kind: u8,
    /// Whether a Router Alert stood before it.
    pub router_alert: bool,
    /// The groups that it names, or why it may not name them.
    pub report: Result<Report, Reason>,
}

/// Groups of link-local scope, each read out of the frame by [`Report::joined`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    kind: u8,
    /// How many records it has.
    pub records: u32,
}

impl Report {
    /// Both in one number, which is not zero.
    #[inline(always)]
    pub const fn bits(self) -> u32 {
        (self.kind as u32) << 16 | self.records
    }

    /// What these [`bits`](Self::bits) are of.
    #[inline(always)]
    pub const fn from_bits(bits: u32) -> Self {
        let kind = (bits >> 16) as u8;
        // A constant, which the verifier knows for the end of a loop.
        let records = if kind == icmp::LISTENER_REPORT_V2 { bits & 0xffff } else { 1 };
        Self { kind, records }
    }

    /// The group of this record, if its sender begins or goes on to listen to it: what takes a place.
    #[inline(always)]
    pub fn joined<B: Bytes + ?Sized>(&self, bytes: &B, record: u32) -> Option<Address> {
        if self.kind == icmp::LISTENER_REPORT_V2 {
            // From the last, as above.
            let record: Record = bytes.read(record_at(self.records.checked_sub(record + 1)?))?;
            let leaves = matches!(record.kind, MODE_IS_INCLUDE | CHANGE_TO_INCLUDE);
            return (!leaves).then(|| Address::new(record.group));
        }
        let group = bytes.read(MESSAGE + ICMP_BYTES)?;
        (self.kind == icmp::LISTENER_REPORT).then(|| Address::new(group))
    }
}

#[inline(always)]
const fn record_at(record: u32) -> usize {
    MESSAGE + size_of::<ReportHeader>() + record as usize * RECORD_BYTES
}

/// The one extension header that a guest needs: Hop-by-Hop of 8 octets with nothing but Router Alert "MLD" and
/// padding, and MLD behind it (RFC 3810 section 5, RFC 2711).
#[inline(always)]
pub(super) fn behind_router_alert<B: Bytes + ?Sized>(
    bytes: &B,
    length: usize,
    direction: Direction,
) -> Result<Upper, Reason> {
    let header: HopByHopHeader = bytes.read(IPV6_END).ok_or(Reason::ExtensionHeader)?;
    let kind: u8 = bytes.read(MESSAGE).ok_or(Reason::ExtensionHeader)?;
    // Router Alert (5, 2, 0, 0) leaves two octets, and there is no other way to pad them: Pad1 is one octet, PadN
    // at least two (RFC 8200 section 4.2).
    let router_alert = matches!(
        header.options,
        [5, 2, 0, 0, 1, 0]
            | [5, 2, 0, 0, 0, 0]
            | [1, 0, 5, 2, 0, 0]
            | [0, 0, 5, 2, 0, 0]
            | [0, 5, 2, 0, 0, 0]
    );
    let is_alert = router_alert && header.length == 0 && header.next_header == NEXT_HEADER_ICMPV6;
    let is_mld =
        matches!(kind, icmp::LISTENER_QUERY..=icmp::LISTENER_DONE | icmp::LISTENER_REPORT_V2);
    let before = size_of::<HopByHopHeader>();
    if !is_alert || !is_mld || length <= before {
        return Err(Reason::ExtensionHeader);
    }
    if length < before + ICMP_BYTES {
        return Err(Reason::IcmpType);
    }
    let report = match direction {
        Direction::Ingress => report(bytes, kind, length - before),
        Direction::Egress => Err(Reason::Mld),
    };
    Ok(Upper::Mld(Listener { kind, router_alert: true, report }))
}

/// Reads a report's records. They are of one length, because none has sources or auxiliary data: no group of a
/// link needs them (RFC 3810 section 5.2.10 forbids the latter), a bridge makes an entry of each source, and Linux's
/// does not step over auxiliary data (`br_ip6_multicast_mld2_report`), so that it would see other groups than are
/// seen here. What stands behind the records is additional data (section 5.2.11), which nobody reads.
#[inline(always)]
fn report<B: Bytes + ?Sized>(bytes: &B, kind: u8, length: usize) -> Result<Report, Reason> {
    if kind != icmp::LISTENER_REPORT_V2 {
        // RFC 2710 section 3.6: Report and Done name one group.
        let group = bytes.read(MESSAGE + ICMP_BYTES).ok_or(Reason::MldRecord)?;
        let is_whole = length >= ICMP_BYTES + GROUP_BYTES;
        let is_right = is_whole && is_of_the_link(Address::new(group));
        return if is_right { Ok(Report { kind, records: 1 }) } else { Err(Reason::MldRecord) };
    }
    let header: ReportHeader = bytes.read(MESSAGE).ok_or(Reason::MldRecord)?;
    let records = u32::from(header.records.get());
    if records > limits::MLD_RECORDS
        || length < size_of::<ReportHeader>() + records as usize * RECORD_BYTES
    {
        return Err(Reason::MldRecord);
    }
    // From the last to the first: the verifier knows no such place beforehand, and so takes no two reads for a
    // longer look at the same frame. Those would be another state of all that follows, 32 times.
    let mut at = record_at(records);
    for _ in 0..limits::MLD_RECORDS {
        if at <= record_at(0) {
            break;
        }
        at -= RECORD_BYTES;
        let record: Record = bytes.read(at).ok_or(Reason::MldRecord)?;
        if record.aux_length != 0
            || record.sources.get() != 0
            || !is_of_the_link(Address::new(record.group))
        {
            return Err(Reason::MldRecord);
        }
    }
    Ok(Report { kind, records })
}

/// Link-local scope; and the group of a site's routers, because Linux with forwarding reports it in one message with
/// its own (`dev_forward_change`), and would not be found where that is refused.
#[inline(always)]
fn is_of_the_link(group: Address) -> bool {
    group.is_link_local_group() || group == Address::SITE_ROUTERS
}

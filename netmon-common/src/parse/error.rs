//! ICMPv6 errors: the packet that they are about.

use super::{Bytes, Frame, Ipv6Header};
use crate::{Address, Reason, abi::Direction};

/// Whose packet an error is about. What it carried is not asked for: between these two it can only be the receiver's
/// own, whatever it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Embedded {
    /// Its source is the error's destination.
    pub is_receivers: bool,
    /// Its destination is the error's source.
    pub is_to_sender: bool,
}

/// Reads as much of the invoking packet, of which `length` bytes are at `offset`, as tells whose it was
/// (RFC 4443 section 3.1 asks for more of it).
#[inline(always)]
pub(super) fn embedded<B: Bytes + ?Sized>(
    bytes: &B,
    frame: &Frame,
    offset: usize,
    length: usize,
    direction: Direction,
) -> Result<Embedded, Reason> {
    if direction == Direction::Egress {
        return Ok(Embedded::default());
    }
    if length < size_of::<Ipv6Header>() {
        return Err(Reason::IcmpError);
    }
    let ipv6: Ipv6Header = bytes.read(offset).ok_or(Reason::IcmpError)?;
    if ipv6.version_and_class >> 4 != 6 {
        return Err(Reason::IcmpError);
    }
    Ok(Embedded {
        is_receivers: Address::new(ipv6.source) == frame.destination,
        is_to_sender: Address::new(ipv6.destination) == frame.source,
    })
}

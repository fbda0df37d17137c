//! What the verifier is to forget.
//!
//! Each way through parse and judge ends with other constants for what the frame is. The verifier would follow all that
//! comes behind once for each of them. What is read back from a map is to it a number like any other, so one look at
//! what comes behind is enough.

use netmon_common::{
    Address, Kind, Reason,
    abi::State,
    judge::{Claim, Pass},
};

use crate::maps::SCRATCH;

/// A [`Pass`] in words.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Words {
    kind: u64,
    /// Zero: it claims nothing.
    state: u64,
    high: u64,
    low: u64,
}

/// The same number, of which nothing is known.
#[inline(always)]
pub(crate) fn forget(number: usize) -> usize {
    // An array always has its first entry.
    let Some(words) = SCRATCH.get_ptr_mut(0) else { return 0 };
    // SAFETY: the entry is this processor's, and the program is not preempted by itself; the first field is a u64.
    unsafe {
        words.cast::<u64>().write_volatile(number as u64);
        words.cast::<u64>().read_volatile() as usize
    }
}

/// The same, of which nothing is known.
#[inline(always)]
pub(crate) fn forget_pass(pass: &Pass) -> Result<Pass, Reason> {
    // An array always has its first entry.
    let words = SCRATCH.get_ptr_mut(0).ok_or(Reason::PortUnknown)?;
    let (state, address) =
        pass.claim.map_or((0, Address::UNSPECIFIED), |claim| (claim.state.number(), claim.address));
    let (high, low) = address.halves();
    let kind = u64::from(pass.kind.number());
    // SAFETY: the entry is this processor's, and the program is not preempted by itself; every field is an integer.
    let read = unsafe {
        words.write_volatile(Words { kind, state: u64::from(state), high, low });
        words.read_volatile()
    };
    let kind = Kind::try_from(read.kind as u8).map_err(|_| Reason::PortUnknown)?;
    let address = Address::from_halves(read.high, read.low);
    let claim = State::try_from(read.state as u8);
    let claim = claim.ok().map(|state| Claim { address, state, origin: kind });
    Ok(Pass { kind, claim })
}

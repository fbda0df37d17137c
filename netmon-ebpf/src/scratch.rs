//! What the verifier is to forget.
//!
//! Each way through parse and judge ends with other constants for what the frame is. The verifier would follow all that
//! comes behind once for each of them. What is read back from a map is to it a number like any other, so one look at
//! what comes behind is enough.

use crate::maps::SCRATCH;

/// The same number, of which nothing is known.
#[inline(always)]
pub(crate) fn forget(number: usize) -> usize {
    // An array always has its first entry.
    let Some(word) = SCRATCH.get_ptr_mut(0) else { return 0 };
    // SAFETY: the entry is this processor's, and the program is not preempted by itself.
    unsafe { word.write_volatile(number as u64) };
    // SAFETY: as above.
    unsafe { word.read_volatile() as usize }
}

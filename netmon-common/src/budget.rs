//! A token bucket in one word: the generic cell rate algorithm (ITU-T I.371, appendix I).
//!
//! The word says when the bucket will be full again. So there is nothing to refill, and two processors that
//! take at the same time need one compare-and-exchange.

use crate::{abi::Rate, limits};

/// [`Rate::interval`] where nothing passes.
const NEVER: u64 = u64::MAX;

/// Takes one at `now`: the bucket's new word, or `None` where it is empty. Times are in nanoseconds; the
/// clock may stand still, and a word from a later `now` than this one only makes the bucket emptier.
#[inline(always)]
pub const fn take(due: u64, now: u64, rate: &Rate) -> Option<u64> {
    // Not as a very slow rate: it would let the first one pass, and owe it to whatever rate comes after.
    if rate.interval == NEVER {
        return None;
    }
    let due = if due < now { now } else { due };
    if rate.interval != 0 && due - now > rate.tolerance {
        return None;
    }
    Some(due.saturating_add(rate.interval))
}

impl Rate {
    /// So many a second, [`limits::BURST_SECONDS`] of them at once; zero stops all.
    pub const fn per_second(number: u32) -> Self {
        if number == 0 {
            return Self { interval: NEVER, tolerance: 0 };
        }
        let interval = 1_000_000_000 / number as u64;
        let burst = number as u64 * limits::BURST_SECONDS as u64;
        Self { interval, tolerance: interval * (burst - 1) }
    }
}

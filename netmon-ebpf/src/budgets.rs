//! claim: what a port has of each budget.

use core::mem::offset_of;

use netmon_common::{
    Reason,
    abi::{PortState, Rate},
    budget, limits,
};

use crate::{atomic, clock, port::Port};

impl Port {
    /// Takes one from the budget of discovery.
    #[inline(always)]
    pub(crate) fn take_discovery(&self) -> Result<(), Reason> {
        let due = self.field(offset_of!(PortState, nd_due));
        if take(due, &self.policy.nd_rate) { Ok(()) } else { Err(Reason::NdRate) }
    }

    /// Takes one from the budget of ICMPv6 errors.
    #[inline(always)]
    pub(crate) fn take_error(&self) -> Result<(), Reason> {
        const RATE: Rate = Rate::per_second(limits::ERROR_RATE);
        let due = self.field(offset_of!(PortState, error_due));
        if take(due, &RATE) { Ok(()) } else { Err(Reason::ErrorRate) }
    }

    /// Takes one from the budget of samples.
    #[inline(always)]
    pub(crate) fn take_sample(&self) -> bool {
        let due = self.field(offset_of!(PortState, sample_due));
        take(due, &self.policy.sample_rate)
    }

    /// A solicitation went to the guest: it may answer it without using its budget up.
    #[inline(always)]
    pub(crate) fn was_asked(&self) {
        let unanswered = self.field(offset_of!(PortState, unanswered));
        // SAFETY: the pointer is into a map's value; a u64 is read whole.
        if unsafe { unanswered.read_volatile() } < limits::UNANSWERED {
            // SAFETY: the pointer is into a map's value.
            unsafe { atomic::fetch_add(unanswered, 1) };
        }
    }

    /// Whether an answer was asked for; it is taken as given.
    #[inline(always)]
    pub(crate) fn take_answer(&self) -> bool {
        let unanswered = self.field(offset_of!(PortState, unanswered));
        // SAFETY: the pointer is into a map's value; a u64 is read whole.
        let seen = unsafe { unanswered.read_volatile() };
        // Where another processor is first, the answer is on the guest's own budget.
        // SAFETY: the pointer is into a map's value.
        seen > 0 && unsafe { atomic::compare_exchange(unanswered, seen, seen - 1) } == seen
    }
}

/// Takes one from the budget in this word of a map's value. Where other processors are always first, there
/// is none left.
#[inline(always)]
fn take(word: *mut u64, rate: &Rate) -> bool {
    for _ in 0..limits::BUDGET_TRIES {
        // SAFETY: the pointer is into a map's value; a u64 is read whole.
        let due = unsafe { word.read_volatile() };
        let Some(next) = budget::take(due, clock::now(), rate) else { return false };
        // SAFETY: the pointer is into a map's value.
        if unsafe { atomic::compare_exchange(word, due, next) } == due {
            return true;
        }
    }
    false
}

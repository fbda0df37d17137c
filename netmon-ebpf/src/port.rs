//! What is known of the port that a frame is on.

use core::mem::offset_of;

use netmon_common::{
    Mac, Reason,
    abi::{PortPolicy, PortState, Rate},
    budget, judge, limits,
};

use crate::{
    atomic, clock,
    maps::{PORT_STATE, PORTS},
};

/// A port with a policy.
pub(crate) struct Port {
    pub(crate) index: u32,
    pub(crate) policy: &'static PortPolicy,
    state: *mut PortState,
}

impl Port {
    /// No policy, or no state: drop. It fails closed.
    #[inline(always)]
    pub(crate) fn find(index: u32) -> Result<Self, Reason> {
        // SAFETY: user space replaces the entry as a whole; a reader that holds the old one while it is
        // reused judges one frame by a mixture of two policies of user space's own making.
        let policy = unsafe { PORTS.get(index) }.ok_or(Reason::PortUnknown)?;
        let state = PORT_STATE.get_ptr_mut(index).ok_or(Reason::PortUnknown)?;
        Ok(Self { index, policy, state })
    }

    /// The port with these entries.
    #[inline(always)]
    pub(crate) fn of(index: u32, policy: &'static PortPolicy, state: *mut PortState) -> Self {
        Self { index, policy, state }
    }

    /// Its entry in the map of states.
    #[inline(always)]
    pub(crate) fn state(&self) -> *mut PortState {
        self.state
    }

    /// What the judge is to know: the policy, and the first MAC that this guest used.
    #[inline(always)]
    pub(crate) fn as_judged(&self) -> judge::Port<'_> {
        // SAFETY: the pointer is into a map's value; a u64 is read whole.
        let seen = unsafe { self.mac().read_volatile() };
        let is_current = seen >> 48 == u64::from(self.policy.epoch);
        let first_mac = if is_current { Mac::from_bits(seen) } else { Mac::default() };
        judge::Port { policy: self.policy, first_mac }
    }

    /// Takes one from the budget of discovery.
    #[inline(always)]
    pub(crate) fn take_discovery(&self) -> Result<(), Reason> {
        let due = self.state.wrapping_byte_add(offset_of!(PortState, nd_due)).cast();
        if take(due, &self.policy.nd_rate) { Ok(()) } else { Err(Reason::NdRate) }
    }

    /// Takes one from the budget of ICMPv6 errors.
    #[inline(always)]
    pub(crate) fn take_error(&self) -> Result<(), Reason> {
        const RATE: Rate = Rate::per_second(limits::ERROR_RATE);
        let due = self.state.wrapping_byte_add(offset_of!(PortState, error_due)).cast();
        if take(due, &RATE) { Ok(()) } else { Err(Reason::ErrorRate) }
    }

    /// Takes one from the budget of samples.
    #[inline(always)]
    pub(crate) fn take_sample(&self) -> bool {
        let due = self.state.wrapping_byte_add(offset_of!(PortState, sample_due)).cast();
        take(due, &self.policy.sample_rate)
    }

    /// The first MAC that passes is the guest's from then on.
    #[inline(always)]
    pub(crate) fn remember_mac(&self, mac: Mac) -> Result<(), Reason> {
        let word = u64::from(self.policy.epoch) << 48 | mac.bits();
        // SAFETY: the pointer is into a map's value; a u64 is read whole.
        let seen = unsafe { self.mac().read_volatile() };
        if seen == word {
            return Ok(());
        }
        // SAFETY: the pointer is into a map's value.
        let was = unsafe { atomic::compare_exchange(self.mac(), seen, word) };
        // Another queue of the guest may have been first, with another MAC.
        if was == seen || was == word { Ok(()) } else { Err(Reason::SourceMac) }
    }

    /// How many bindings this port holds.
    #[inline(always)]
    pub(crate) fn bindings(&self) -> u64 {
        // SAFETY: the pointer is into a map's value; a u64 is read whole.
        let claimed = unsafe { self.claimed().read_volatile() };
        claimed.saturating_sub(self.policy.released)
    }

    /// Takes a place of the quota; returns how many were taken before.
    #[inline(always)]
    pub(crate) fn take_place(&self) -> u64 {
        // SAFETY: the pointer is into a map's value.
        let claimed = unsafe { atomic::fetch_add(self.claimed(), 1) };
        claimed.saturating_sub(self.policy.released)
    }

    /// Gives a place back.
    #[inline(always)]
    pub(crate) fn give_place_back(&self) {
        // SAFETY: the pointer is into a map's value.
        unsafe { atomic::fetch_add(self.claimed(), u64::MAX) };
    }

    /// How many multicast groups were entered for it so far.
    #[inline(always)]
    pub(crate) fn groups(&self) -> *mut u64 {
        self.state.wrapping_byte_add(offset_of!(PortState, groups)).cast()
    }

    #[inline(always)]
    fn mac(&self) -> *mut u64 {
        self.state.wrapping_byte_add(offset_of!(PortState, mac)).cast()
    }

    #[inline(always)]
    fn claimed(&self) -> *mut u64 {
        self.state.wrapping_byte_add(offset_of!(PortState, claimed)).cast()
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

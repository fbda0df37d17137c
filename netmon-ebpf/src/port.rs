//! What is known of the port that a frame is on.

use core::mem::offset_of;

use netmon_common::{
    Mac, Reason,
    abi::{PortPolicy, PortState},
    claim, judge, limits,
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

    /// What the judge is to know: the policy, and the MAC by which this guest holds its addresses.
    #[inline(always)]
    pub(crate) fn as_judged(&self) -> judge::Port<'_> {
        judge::Port { policy: self.policy, first_mac: self.first_mac() }
    }

    /// The MAC by which this guest holds its addresses; zero while it holds none.
    #[inline(always)]
    pub(crate) fn first_mac(&self) -> Mac {
        claim::first_mac(self.policy, &self.claims())
    }

    /// Whether this port's guest has this MAC.
    #[inline(always)]
    pub(crate) fn has_mac(&self, mac: Mac) -> bool {
        claim::has_mac(self.policy, &self.claims(), mac)
    }

    /// Of its state, what tells whose the port is; the rest is zero.
    #[inline(always)]
    fn claims(&self) -> PortState {
        // SAFETY: the pointer is into a map's value; a u64 is read whole.
        let mac = unsafe { self.mac().read_volatile() };
        // SAFETY: as above.
        let claimed = unsafe { self.claimed().read_volatile() };
        PortState { mac, claimed, ..PortState::default() }
    }

    /// Another queue of the guest may have been first, with another MAC.
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
        if was == seen || was == word { Ok(()) } else { Err(Reason::SourceMac) }
    }

    /// Notes that a newcomer was refused for what the port holds already; whether user space is to hear of it.
    #[inline(always)]
    pub(crate) fn note_newcomer(&self, mac: Mac) -> bool {
        let (now, crowded) = (clock::now(), self.field(offset_of!(PortState, crowded)));
        // SAFETY: the pointer is into a map's value; a u64 is written whole.
        unsafe { self.field(offset_of!(PortState, newcomer)).write_volatile(mac.bits()) };
        // SAFETY: likewise; a u64 is read whole.
        let last = unsafe { crowded.read_volatile() };
        now.saturating_sub(last) >= limits::CONTEST_INTERVAL
            // SAFETY: likewise.
            && unsafe { atomic::compare_exchange(crowded, last, now) } == last
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
        self.field(offset_of!(PortState, groups))
    }

    #[inline(always)]
    fn mac(&self) -> *mut u64 {
        self.field(offset_of!(PortState, mac))
    }

    #[inline(always)]
    fn claimed(&self) -> *mut u64 {
        self.field(offset_of!(PortState, claimed))
    }

    #[inline(always)]
    pub(crate) fn field(&self, offset: usize) -> *mut u64 {
        self.state.wrapping_byte_add(offset).cast()
    }
}

//! A claim against what the binding table holds: first come, first served (FCFS SAVI, RFC 6620).

use crate::{
    Mac, Reason,
    abi::{Binding, State},
    judge::Claim,
};

/// Who claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// The port's interface index.
    pub port: u32,
    /// Which of the guests that this TAP has had.
    pub epoch: u16,
    /// The frame's source MAC.
    pub mac: Mac,
}

/// What is to be done with the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A new binding is made.
    Insert,
    /// The port's former guest held it: the binding is made anew in its place.
    Replace,
    /// DAD has come to its end: what was asked for is used.
    Confirm,
    /// Only its age changes.
    Refresh,
}

/// Decides on a claim: `is_reserved` says that the host has the address, `held` is the table's binding of it
/// on this link, `count` the number of bindings that the port holds, `quota` how many it may.
#[inline(always)]
pub fn decide(
    claim: &Claim,
    claimant: &Claimant,
    is_reserved: bool,
    held: Option<&Binding>,
    count: u64,
    quota: u32,
) -> Result<Step, Reason> {
    if is_reserved {
        return Err(Reason::HostAddress);
    }
    match held {
        None if count >= u64::from(quota) => Err(Reason::BindingQuota),
        None => Ok(Step::Insert),
        Some(held) if held.port != claimant.port => Err(Reason::BindingConflict),
        Some(held) if held.epoch != claimant.epoch => Ok(Step::Replace),
        Some(held) if Mac::new(held.mac) != claimant.mac => Err(Reason::BindingConflict),
        Some(held) if held.state == State::Tentative.number() && claim.state == State::Valid => {
            Ok(Step::Confirm)
        }
        Some(_) => Ok(Step::Refresh),
    }
}

/// Decides on an advertisement from another of the sender's own addresses (RFC 4861 section 4.4 asks for any that is
/// assigned to the interface): `held` is the table's binding of what it advertises, which must be the sender's, and
/// `is_reserved` says that somebody else has it by now. The target is used from then on, as by a frame from it.
#[inline(always)]
pub fn may_advertise(
    claimant: &Claimant,
    is_reserved: bool,
    held: Option<&Binding>,
) -> Result<Step, Reason> {
    let is_own = |held: &&Binding| {
        held.port == claimant.port
            && held.epoch == claimant.epoch
            && Mac::new(held.mac) == claimant.mac
    };
    match held.filter(is_own) {
        Some(held) if !is_reserved && held.state == State::Tentative.number() => Ok(Step::Confirm),
        Some(_) if !is_reserved => Ok(Step::Refresh),
        Some(_) | None => Err(Reason::NdTarget),
    }
}

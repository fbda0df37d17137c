//! A claim against what the tables hold: first come, first served (FCFS SAVI, RFC 6620), addresses and MACs alike.

use crate::{
    Mac, Reason,
    abi::{Binding, Holder, MacHolder, PortPolicy, PortState, Reserved, State},
    judge::Claim,
    limits::{DAD_TIME, TENTATIVE_LIFETIME},
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

/// What the tables hold of the address that is claimed, and of the port that claims it.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Who has the address that is no guest.
    pub reserved: Option<&'a Reserved>,
    /// Which guest has it on this link.
    pub held: Option<&'a Binding>,
    /// Now, by the clock of ages.
    pub now: u64,
    /// How many addresses the port holds.
    pub count: u64,
    /// How many it may hold.
    pub quota: u32,
    /// The link has members that are no ports, and nobody knows what they have.
    pub asks_link: bool,
}

/// What is to be done with the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A new binding is made.
    Insert,
    /// A new binding is made, but the frame does not pass: the link is asked first (RFC 6620 section 3.2.3).
    Propose,
    /// The port's former guest held it: the binding is made anew in its place.
    Replace,
    /// DAD has come to its end: what was asked for is used.
    Confirm,
    /// Only its age changes.
    Refresh,
    /// Another has the address. The question goes to its holder, who answers it, and nothing is bound
    /// (RFC 6620 section 3.2.2).
    Question,
}

/// Decides on a claim.
#[inline(always)]
pub fn decide(claim: &Claim, claimant: &Claimant, known: &Known<'_>) -> Result<Step, Reason> {
    let asks = claim.state == State::Tentative;
    if let Some(reserved) = known.reserved {
        return match reserved.holder {
            // The question alone would make a holder that is still asking give the address up.
            _ if asks && reserved.is_tentative == 0 => Ok(Step::Question),
            holder if holder == Holder::Host.number() => Err(Reason::HostAddress),
            _ => Err(Reason::LinkAddress),
        };
    }
    let must_ask = known.asks_link && !asks;
    let Some(held) = known.held else {
        return match () {
            () if known.count >= u64::from(known.quota) => Err(Reason::BindingQuota),
            () if must_ask => Ok(Step::Propose),
            () => Ok(Step::Insert),
        };
    };
    if held.port != claimant.port {
        let is_settled = held.state == State::Valid.number()
            || known.now.saturating_sub(held.last_seen) >= DAD_TIME;
        return if asks && is_settled { Ok(Step::Question) } else { Err(Reason::BindingConflict) };
    }
    if held.epoch != claimant.epoch {
        return Ok(if must_ask { Step::Propose } else { Step::Replace });
    }
    if Mac::new(held.mac) != claimant.mac {
        return Err(Reason::BindingConflict);
    }
    if held.state == State::Valid.number() || asks {
        return Ok(Step::Refresh);
    }
    let age = known.now.saturating_sub(held.first_seen);
    if known.asks_link && age < TENTATIVE_LIFETIME {
        return Err(Reason::BindingTentative);
    }
    Ok(Step::Confirm)
}

/// Whether a port's guest may use a MAC: `is_live` says whether the port that holds it still does.
#[inline(always)]
pub fn mac(held: Option<&MacHolder>, port: u32, is_live: bool) -> Result<(), Reason> {
    match held {
        None => Ok(()),
        Some(held) if held.port == port || (held.port != 0 && !is_live) => Ok(()),
        Some(_) => Err(Reason::MacConflict),
    }
}

/// Whether a port's guest has this MAC: its policy names it, or its guest was the first to use it and still holds
/// an address.
#[inline(always)]
pub fn has_mac(policy: &PortPolicy, state: &PortState, mac: Mac) -> bool {
    Mac::new(policy.mac) == mac || first_mac(policy, state) == mac
}

/// The MAC by which the port's guest holds its addresses; zero while it holds none.
#[inline(always)]
pub fn first_mac(policy: &PortPolicy, state: &PortState) -> Mac {
    let is_current = state.mac >> 48 == u64::from(policy.epoch);
    if is_current && state.claimed > policy.released {
        Mac::from_bits(state.mac)
    } else {
        Mac::default()
    }
}

/// What is to be entered of an address that a member of the link says it has: `member` is the entry, `None` that
/// nothing is. A guest that was first keeps it, and so does whoever is known better.
#[inline(always)]
pub fn learn(
    member: Reserved,
    known: Option<&Reserved>,
    held: Option<&Binding>,
) -> Option<Reserved> {
    let is_free = match known {
        Some(known) => known.holder == Holder::Member.number(),
        None => held.is_none_or(|held| held.state != State::Valid.number()),
    };
    // Who has it does not ask for it again.
    let is_settled = known.is_some_and(|known| known.is_tentative == 0);
    let is_tentative = if is_settled { 0 } else { member.is_tentative };
    is_free.then_some(Reserved { is_tentative, ..member })
}

/// Decides on an advertisement from another of the sender's own addresses (RFC 4861 section 4.4 asks for any that is
/// assigned to the interface): `held` is the table's binding of what it advertises, which must be the sender's, and
/// `is_reserved` says that somebody else has it by now. The target is used from then on, as by a frame from it.
#[inline(always)]
pub fn may_advertise(
    claimant: &Claimant,
    is_reserved: bool,
    held: Option<&Binding>,
    asks_link: bool,
) -> Result<Step, Reason> {
    let is_own = |held: &&Binding| {
        held.port == claimant.port
            && held.epoch == claimant.epoch
            && Mac::new(held.mac) == claimant.mac
    };
    match held.filter(is_own) {
        Some(held) if !is_reserved && held.state == State::Valid.number() => Ok(Step::Refresh),
        // The link is being asked for it.
        Some(_) if !is_reserved && asks_link => Err(Reason::BindingTentative),
        Some(_) if !is_reserved => Ok(Step::Confirm),
        Some(_) | None => Err(Reason::NdTarget),
    }
}

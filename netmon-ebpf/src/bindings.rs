//! claim: what `netmon_common::claim` decides, carried out on the table.

use aya_ebpf::bindings::{BPF_ANY, BPF_NOEXIST};
use netmon_common::{
    Kind, Mac, Reason,
    abi::{Binding, BindingKey, News, State},
    claim::{Claimant, Known, Step, decide},
    judge::{Claim, Pass},
};

use crate::{
    clock,
    maps::{BINDINGS, EEXIST, RESERVED},
    port::Port,
    record,
};

/// Makes, confirms or refreshes the binding that a frame claims, or tells why not; `None`: it claims none. Nothing is
/// done for a frame that has no budget left.
#[inline(always)]
pub(crate) fn claim(port: &Port, mac: Mac, pass: &Pass) -> Result<Option<Step>, Reason> {
    let Some(claim) = &pass.claim else { return budget(port, pass).map(|()| None) };
    let key = key(port, claim);
    let claimant = Claimant { port: port.index, epoch: port.policy.epoch, mac };
    let now = clock::now();
    let held = BINDINGS.get_ptr_mut(key);
    // SAFETY: values of preallocated maps stay mapped; a torn read costs one frame's verdict.
    let seen = held.map(|held| unsafe { &*held });
    // SAFETY: as above.
    let reserved = unsafe { RESERVED.get(key) };
    let known = Known {
        reserved,
        held: seen,
        now,
        count: port.bindings(),
        quota: port.policy.quota,
        asks_link: port.policy.asks_link != 0,
    };
    let step = decide(claim, &claimant, &known);
    let step = step.inspect_err(|reason| record::contested(*reason, &key, held, now))?;
    budget(port, pass)?;
    let state = if step == Step::Propose { State::Proposed } else { claim.state };
    let mut binding = Binding {
        first_seen: now,
        last_seen: now,
        contested: 0,
        port: port.index,
        epoch: port.policy.epoch,
        mac: mac.octets(),
        state: state.number(),
        origin: claim.origin.number(),
        padding: [0; 2],
    };
    match (step, held) {
        (Step::Question, _) => return Ok(Some(step)),
        (Step::Refresh, Some(held)) => {
            // SAFETY: as above; user space never writes into a binding.
            unsafe { (*held).last_seen = now };
            return Ok(Some(step));
        }
        (Step::Confirm, Some(held)) => {
            // SAFETY: as above.
            let held = unsafe { &mut *held };
            held.last_seen = now;
            held.state = binding.state;
            binding.first_seen = held.first_seen;
            binding.contested = held.contested;
            binding.origin = held.origin;
        }
        (Step::Replace | Step::Propose, Some(_)) => {
            BINDINGS.insert(key, binding, u64::from(BPF_ANY)).map_err(|_| Reason::BindingTable)?;
        }
        _ => {
            if let Some(step) = insert(port, &claimant, claim, &key, &binding)? {
                return Ok(Some(step));
            }
        }
    }
    record::tell(News::Bound, &key, &binding);
    Ok(Some(step))
}

/// Whether the guest now holds an address that it did not hold.
#[inline(always)]
pub(crate) const fn is_new(step: Option<Step>) -> bool {
    matches!(step, Some(Step::Insert | Step::Propose | Step::Replace))
}

/// A frame whose address the link is asked for does not pass.
#[inline(always)]
pub(crate) const fn passes(step: Option<Step>) -> Result<(), Reason> {
    match step {
        Some(Step::Propose) => Err(Reason::BindingTentative),
        _ => Ok(()),
    }
}

/// Makes a new binding; or says what the claim comes to where another was first by a moment.
#[inline(always)]
fn insert(
    port: &Port,
    claimant: &Claimant,
    claim: &Claim,
    key: &BindingKey,
    binding: &Binding,
) -> Result<Option<Step>, Reason> {
    // Two queues of one guest may claim at the same time: the place is taken before the entry is made.
    if port.take_place() >= u64::from(port.policy.quota) {
        port.give_place_back();
        return Err(Reason::BindingQuota);
    }
    let Err(error) = BINDINGS.insert(key, binding, u64::from(BPF_NOEXIST)) else {
        return Ok(None);
    };
    port.give_place_back();
    if error != EEXIST {
        return Err(Reason::BindingTable);
    }
    // Another port's guest was first by a moment, or another queue of this one.
    // SAFETY: a value of a preallocated map stays mapped; a torn read costs one frame's verdict.
    let held = unsafe { BINDINGS.get(key) };
    let (reserved, now, quota) = (None, binding.last_seen, port.policy.quota);
    let asks_link = port.policy.asks_link != 0;
    decide(claim, claimant, &Known { reserved, held, now, count: 0, quota, asks_link }).map(Some)
}

#[inline(always)]
pub(crate) fn key(port: &Port, claim: &Claim) -> BindingKey {
    BindingKey::in_vlan(port.policy.link, port.policy.vlan, claim.address.octets())
}

/// An answer that was asked for is on the budget of whoever asked.
#[inline(always)]
fn budget(port: &Port, pass: &Pass) -> Result<(), Reason> {
    if matches!(pass.kind, Kind::IcmpError) {
        return port.take_error();
    }
    let is_answer = matches!(pass.kind, Kind::NeighborAdvertisement) && port.take_answer();
    if pass.kind.is_discovery() && !is_answer { port.take_discovery() } else { Ok(()) }
}

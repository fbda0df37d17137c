//! claim: what `netmon_common::claim` decides, carried out on the table.

use aya_ebpf::{
    bindings::{BPF_ANY, BPF_NOEXIST},
    helpers::bpf_ktime_get_coarse_ns,
};
use netmon_common::{
    Mac, Reason,
    abi::{Binding, BindingKey},
    claim::{Claimant, Step, decide},
    judge::Claim,
};

use crate::{maps::BINDINGS, port::Port, record};

const EEXIST: i32 = -17;

/// Makes, confirms or refreshes the binding of `claim`, or tells why not.
#[inline(always)]
pub(crate) fn claim(port: &Port, mac: Mac, claim: &Claim) -> Result<(), Reason> {
    let key = BindingKey { link: port.policy.link, address: claim.address.octets() };
    let claimant = Claimant { port: port.index, epoch: port.policy.epoch, mac };
    // The coarse clock is a load where the fine one reads the TSC, and ages are in seconds. It stands
    // still while the host is suspended, as its guests do.
    // SAFETY: the helper takes no argument.
    let now = unsafe { bpf_ktime_get_coarse_ns() };
    let held = BINDINGS.get_ptr_mut(key);
    // SAFETY: a value of a preallocated map stays mapped; a torn read costs one frame's verdict.
    let seen = held.map(|held| unsafe { &*held });
    let step = decide(claim, &claimant, seen, port.bindings(), port.policy.quota)?;
    let mut binding = Binding {
        first_seen: now,
        last_seen: now,
        port: port.index,
        epoch: port.policy.epoch,
        mac: mac.octets(),
        state: claim.state.number(),
        origin: claim.origin.number(),
        padding: [0; 2],
    };
    match (step, held) {
        (Step::Refresh, Some(held)) => {
            // SAFETY: as above; user space never writes into a binding.
            unsafe { (*held).last_seen = now };
            return Ok(());
        }
        (Step::Confirm, Some(held)) => {
            // SAFETY: as above.
            let held = unsafe { &mut *held };
            held.last_seen = now;
            held.state = binding.state;
            binding.first_seen = held.first_seen;
            binding.origin = held.origin;
        }
        (Step::Replace, Some(_)) => {
            BINDINGS.insert(key, binding, u64::from(BPF_ANY)).map_err(|_| Reason::BindingTable)?;
        }
        (Step::Insert | Step::Refresh | Step::Confirm | Step::Replace, _) => {
            insert(port, &claimant, claim, &key, &binding)?;
        }
    }
    record::tell(&key, &binding);
    Ok(())
}

#[inline(always)]
fn insert(
    port: &Port,
    claimant: &Claimant,
    claim: &Claim,
    key: &BindingKey,
    binding: &Binding,
) -> Result<(), Reason> {
    // Two queues of one guest may claim at the same time: the place is taken before the entry is made.
    if port.take_place() >= u64::from(port.policy.quota) {
        port.give_place_back();
        return Err(Reason::BindingQuota);
    }
    let Err(error) = BINDINGS.insert(key, binding, u64::from(BPF_NOEXIST)) else { return Ok(()) };
    port.give_place_back();
    if error != EEXIST {
        return Err(Reason::BindingTable);
    }
    // SAFETY: a value of a preallocated map stays mapped; a torn read costs one frame's verdict.
    let held = unsafe { BINDINGS.get(key) };
    decide(claim, claimant, held, 0, port.policy.quota).map(|_| ())
}

//! claim: what `netmon_common::claim` decides, carried out on the table.

use aya_ebpf::bindings::{BPF_ANY, BPF_NOEXIST};
use netmon_common::{
    Kind, Mac, Reason,
    abi::{Binding, BindingKey, Holder, Reserved},
    claim::{Claimant, Step, decide},
    judge::{Claim, Pass},
};

use crate::{
    clock,
    maps::{BINDINGS, RESERVED},
    port::Port,
    record,
};

const EEXIST: i32 = -17;

/// Makes, confirms or refreshes the binding that a frame claims, or tells why not. Nothing is done for a
/// frame that has no budget left.
#[inline(always)]
pub(crate) fn claim(port: &Port, mac: Mac, pass: &Pass) -> Result<(), Reason> {
    let Some(claim) = &pass.claim else { return budget(port, pass) };
    let key = key(port, claim);
    let claimant = Claimant { port: port.index, epoch: port.policy.epoch, mac };
    let now = clock::now();
    let held = BINDINGS.get_ptr_mut(key);
    // SAFETY: a value of a preallocated map stays mapped; a torn read costs one frame's verdict.
    let seen = held.map(|held| unsafe { &*held });
    let (count, quota) = (port.bindings(), port.policy.quota);
    let step = decide(claim, &claimant, is_reserved(&key), seen, count, quota)?;
    budget(port, pass)?;
    let mut binding = Binding {
        first_seen: now,
        last_seen: now,
        port: port.index,
        epoch: port.policy.epoch,
        mac: mac.octets(),
        state: claim.state.number(),
        origin: claim.origin.number(),
        contested: 0,
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
    decide(claim, claimant, false, held, 0, port.policy.quota).map(|_| ())
}

/// The host asks for an address: from now on no guest has it. Where the table is full, user space will say
/// so when it enters the host's addresses.
#[inline(always)]
pub(crate) fn reserve(port: &Port, claim: &Claim) {
    let reserved = Reserved {
        seen: clock::now(),
        interface: port.index,
        holder: Holder::Host.number(),
        is_tentative: 1,
        padding: [0; 2],
    };
    let _full = RESERVED.insert(key(port, claim), reserved, u64::from(BPF_ANY));
}

#[inline(always)]
fn key(port: &Port, claim: &Claim) -> BindingKey {
    BindingKey::in_vlan(port.policy.link, port.policy.vlan, claim.address.octets())
}

#[inline(always)]
fn is_reserved(key: &BindingKey) -> bool {
    RESERVED.get_ptr(*key).is_some()
}

#[inline(always)]
fn budget(port: &Port, pass: &Pass) -> Result<(), Reason> {
    if pass.kind == Kind::IcmpError {
        return port.take_error();
    }
    if pass.kind.is_discovery() { port.take_discovery() } else { Ok(()) }
}

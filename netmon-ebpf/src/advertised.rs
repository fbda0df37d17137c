//! An advertisement for another of the guest's own addresses: what `netmon_common::claim` decides, carried out.

use netmon_common::{
    Reason,
    abi::{BindingKey, News, State},
    claim::{Claimant, Step, may_advertise},
};

use crate::{
    clock,
    maps::{BINDINGS, RESERVED},
    port::Port,
    record,
    steps::Judged,
};

/// Whether the guest holds what it advertises, if that is not its source, which it claims. If so it is used, and
/// was just now: in that order, because a guest with no budget left may keep what it has.
#[inline(always)]
pub(crate) fn check(port: &Port, judged: &Judged) -> Result<(), Reason> {
    let Some(address) = judged.advertised() else { return Ok(()) };
    let key = BindingKey::in_vlan(port.policy.link, port.policy.vlan, address.octets());
    let claimant = Claimant { port: port.index, epoch: port.policy.epoch, mac: judged.mac() };
    let held = BINDINGS.get_ptr_mut(key).ok_or(Reason::NdTarget)?;
    // SAFETY: a value of a preallocated map stays mapped, and user space never writes into it; a torn read costs
    // one frame's verdict.
    let held = unsafe { &mut *held };
    let step = may_advertise(
        &claimant,
        RESERVED.get_ptr(key).is_some(),
        Some(held),
        port.policy.asks_link != 0,
    )?;
    held.last_seen = clock::now();
    if step == Step::Confirm {
        held.state = State::Valid.number();
        record::tell(News::Bound, &key, held);
    }
    Ok(())
}

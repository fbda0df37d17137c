//! claim: MACs, first come, first served on a link as addresses are.

use aya_ebpf::bindings::BPF_ANY;
use netmon_common::{
    Mac, Reason,
    abi::{MacHolder, MacKey},
    claim,
};

use crate::{clock, maps::MACS, port::Port};

/// Whether the port's guest may use this MAC. One by which the guest holds addresses is its own, and costs no look-up.
#[inline(always)]
pub(crate) fn check(port: &Port, mac: Mac) -> Result<(), Reason> {
    if port.has_mac(mac) {
        return Ok(());
    }
    let key = key(port, mac);
    // SAFETY: a value of a preallocated map stays mapped; a torn read costs one frame's verdict.
    let held = unsafe { MACS.get(key) };
    claim::mac(held, port.index, is_live(held, port, mac))
}

/// Enters the port's guest as this MAC's holder: it holds a new address by it. That is asked of the step and not of
/// [`check`], whose answer the verifier would carry through all that lies between, twice.
#[inline(always)]
pub(crate) fn enter(port: &Port, mac: Mac) -> Result<(), Reason> {
    port.remember_mac(mac)?;
    let holder = MacHolder { seen: clock::now(), port: port.index, holder: 0, padding: [0; 3] };
    // Where the table is full, user space enters it when it next looks at the port.
    let _full = MACS.insert(key(port, mac), holder, u64::from(BPF_ANY));
    Ok(())
}

#[inline(always)]
fn is_live(held: Option<&MacHolder>, port: &Port, mac: Mac) -> bool {
    let Some(held) = held.filter(|held| held.port != port.index) else { return false };
    Port::find(held.port).is_ok_and(|holder| {
        (holder.policy.link, holder.policy.vlan) == (port.policy.link, port.policy.vlan)
            && holder.has_mac(mac)
    })
}

#[inline(always)]
pub(crate) fn key(port: &Port, mac: Mac) -> MacKey {
    MacKey::in_vlan(port.policy.link, port.policy.vlan, mac)
}

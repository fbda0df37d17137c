//! claim: what the host, and members of the link that are no ports, say on their way to a guest.
//!
//! Whatever is for all of a link passes each of its TAPs: so an address is known to be a router's before any guest
//! has heard of it.

use aya_ebpf::bindings::{BPF_ANY, BPF_NOEXIST};
use netmon_common::{
    Kind, Mac,
    abi::{Holder, MacHolder, Reserved, State},
    claim::learn,
    judge::{Claim, Pass},
};

use crate::{
    bindings, clock, macs,
    maps::{BINDINGS, MACS, PORTS, RESERVED},
    packet::Packet,
    port::Port,
};

/// Takes in what a frame tells on its way to the port's guest.
#[inline(always)]
pub(crate) fn hear<P: Packet>(port: &Port, packet: &P, mac: Mac, pass: &Pass) {
    if matches!(pass.kind, Kind::Dad | Kind::NeighborSolicitation) {
        port.was_asked();
    }
    let Some(claim) = &pass.claim else { return };
    let from = packet.received_on();
    if from == 0 {
        // What the host has, user space reads; only what it asks for comes too fast for that.
        if pass.kind == Kind::Dad {
            reserve(port, claim);
        }
        return;
    }
    if port.policy.asks_link == 0 || PORTS.get_ptr(from).is_some() {
        return;
    }
    member(port, claim, from);
    let holder =
        MacHolder { seen: clock::now(), port: 0, holder: Holder::Member.number(), padding: [0; 3] };
    let _known = MACS.insert(macs::key(port, mac), holder, u64::from(BPF_NOEXIST));
}

/// The host asks for an address: from now on no guest has it. Where the table is full, user space will say
/// so when it enters the host's addresses.
#[inline(always)]
fn reserve(port: &Port, claim: &Claim) {
    let reserved = entry(Holder::Host, port.index, true);
    let _full = RESERVED.insert(bindings::key(port, claim), reserved, u64::from(BPF_ANY));
}

/// A member says that it has an address.
#[inline(always)]
fn member(port: &Port, claim: &Claim, from: u32) {
    let key = bindings::key(port, claim);
    // SAFETY: values of preallocated maps stay mapped; a torn read costs one entry, which the next frame mends.
    let known = unsafe { RESERVED.get(key) };
    // SAFETY: as above.
    let held = unsafe { BINDINGS.get(key) };
    let told = entry(Holder::Member, from, claim.state == State::Tentative);
    if let Some(reserved) = learn(told, known, held) {
        let _full = RESERVED.insert(key, reserved, u64::from(BPF_ANY));
    }
}

#[inline(always)]
fn entry(holder: Holder, interface: u32, is_tentative: bool) -> Reserved {
    Reserved {
        seen: clock::now(),
        interface,
        holder: holder.number(),
        is_tentative: u8::from(is_tentative),
        padding: [0; 2],
    }
}

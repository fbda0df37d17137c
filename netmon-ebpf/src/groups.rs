//! The multicast groups that a port's guest listens to: as many as a port may have, so that no guest fills the
//! table of its bridge.

use aya_ebpf::bindings::{BPF_NOEXIST, xdp_md};
use netmon_common::{
    Address, Reason,
    abi::{Group, GroupKey, PortPolicy, PortState},
    limits,
    parse::Report,
};

use crate::{
    atomic, clock,
    maps::{EEXIST, GROUPS},
    packet::{Packet as _, XdpPacket},
    port::Port,
    steps::Judged,
};

/// Enters the groups of a report. Those before the one that is too many stay entered.
#[inline(always)]
pub(crate) fn enter(packet: &XdpPacket, port: &Port, judged: &Judged) -> Result<(), Reason> {
    let Some(report) = judged.report() else { return Ok(()) };
    match enter_all(packet.context(), port.policy, port.state(), report.bits()) {
        0 => Ok(()),
        _ => Err(Reason::MldGroups),
    }
}

/// A function of its own, whose arguments are all in registers: with all else it would not fit the stack.
#[inline(never)]
fn enter_all(
    context: *mut xdp_md,
    policy: &'static PortPolicy,
    state: *mut PortState,
    report: u32,
) -> u32 {
    let report = Report::from_bits(report);
    let packet = XdpPacket::of(context);
    let port = Port::of(packet.interface(), policy, state);
    for record in 0..limits::MLD_RECORDS {
        if record >= report.records {
            break;
        }
        if let Some(group) = report.joined(&packet, record)
            && listen(&port, group).is_err()
        {
            return 1;
        }
    }
    0
}

#[inline(always)]
fn listen(port: &Port, group: Address) -> Result<(), Reason> {
    let key = GroupKey { group: group.octets(), port: port.index, padding: 0 };
    let now = Group { last_seen: clock::now() };
    if let Some(known) = GROUPS.get_ptr_mut(key) {
        // SAFETY: a value of a preallocated map stays mapped; user space never writes into it.
        unsafe { (*known).last_seen = now.last_seen };
        return Ok(());
    }
    // Two queues of one guest may report at the same time: the place is taken before the entry is made.
    // SAFETY: the pointer is into a map's value.
    let entered = unsafe { atomic::fetch_add(port.groups(), 1) };
    let count = entered.saturating_sub(port.policy.groups_released);
    let has_place = count < u64::from(limits::GROUPS_PER_PORT);
    let made = has_place.then(|| GROUPS.insert(key, now, u64::from(BPF_NOEXIST)));
    if made == Some(Ok(())) {
        return Ok(());
    }
    // SAFETY: the pointer is into a map's value.
    unsafe { atomic::fetch_add(port.groups(), u64::MAX) };
    // Another queue has entered it meanwhile; or there is no place in it, be it in the whole table.
    if made == Some(Err(EEXIST)) { Ok(()) } else { Err(Reason::MldGroups) }
}

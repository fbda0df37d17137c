//! record: count first, then tell, in this order.

use netmon_common::{
    Kind, Reason,
    abi::{self, Binding, BindingKey, Direction, Event, NO_PORT},
};

use crate::{
    maps::{COUNTERS, EVENTS, RING},
    packet::Packet,
};

/// Counts a frame under its verdict, and hands the verdict on.
#[inline(always)]
pub(crate) fn verdict<P: Packet>(
    packet: &P,
    direction: Direction,
    verdict: Result<Kind, Reason>,
) -> Result<Kind, Reason> {
    let counters =
        COUNTERS.get_ptr_mut(packet.interface()).or_else(|| COUNTERS.get_ptr_mut(NO_PORT));
    if let Some(counters) = counters {
        // SAFETY: the entry is this processor's, and neither program is preempted by the other: both run
        // with bottom halves off.
        let counters = unsafe { &mut *counters };
        let ledger = match direction {
            Direction::Ingress => &mut counters.ingress,
            Direction::Egress => &mut counters.egress,
        };
        let count = match verdict {
            Ok(kind) => ledger.passed.get_mut(usize::from(kind.number())),
            Err(reason) => ledger.dropped.get_mut(usize::from(reason.number())),
        };
        if let Some(count) = count {
            count.packets += 1;
            count.bytes += packet.length() as u64;
        }
    }
    verdict
}

/// Tells user space of a binding. Where the ring is full the loss is counted, and user space reads the
/// table.
#[inline(always)]
pub(crate) fn tell(key: &BindingKey, binding: &Binding) {
    let Some(ring) = RING.get_ptr_mut(0) else { return };
    // SAFETY: the entry is this processor's.
    let ring = unsafe { &mut *ring };
    ring.wanted += 1;
    match EVENTS.reserve(0) {
        Some(mut entry) => {
            entry.write(Event { version: abi::VERSION, key: *key, binding: *binding });
            entry.submit(0);
        }
        None => ring.lost += 1,
    }
}

//! record: count first, then tell, in this order.

use netmon_common::{
    Kind, Reason,
    abi::{self, Binding, BindingKey, Direction, Event, Mode, NO_PORT, News, PortCounters, Sample},
    outcome::Outcome,
};

use crate::{
    clock,
    maps::{COUNTERS, EVENTS, RING, SAMPLES},
    packet::Packet,
    port::Port,
};

/// Counts a frame under what becomes of it, shows it to user space if it was refused, and says what that is.
#[inline(always)]
pub(crate) fn outcome<P: Packet>(
    packet: &P,
    direction: Direction,
    port: Option<&Port>,
    verdict: Result<Kind, Reason>,
) -> Outcome {
    let mode = port.map_or(Mode::Enforce, |port| Mode::of(port.policy.mode));
    let outcome = Outcome::of(verdict, mode);
    let counters =
        COUNTERS.get_ptr_mut(packet.interface()).or_else(|| COUNTERS.get_ptr_mut(NO_PORT));
    let Some(counters) = counters else { return outcome };
    // SAFETY: the entry is this processor's, and neither program is preempted by the other: both run with
    // bottom halves off.
    let counters = unsafe { &mut *counters };
    count(counters, direction, outcome, packet.length());
    if let (Some(reason), Some(port)) = (outcome.refused(), port)
        && !show(packet, direction, port, reason, outcome.passes())
    {
        counters.unsampled += 1;
    }
    outcome
}

#[inline(always)]
fn count(counters: &mut PortCounters, direction: Direction, outcome: Outcome, length: usize) {
    let ledger = match direction {
        Direction::Ingress => &mut counters.ingress,
        Direction::Egress => &mut counters.egress,
    };
    let count = match outcome {
        Outcome::Passed(kind) => ledger.passed.get_mut(usize::from(kind.number())),
        Outcome::Dropped(reason) => ledger.dropped.get_mut(usize::from(reason.number())),
        Outcome::Observed(reason) => ledger.observed.get_mut(usize::from(reason.number())),
    };
    if let Some(count) = count {
        count.packets += 1;
        count.bytes += length as u64;
    }
}

/// Shows a refused frame to user space, if the port has the budget and the ring the room.
#[inline(always)]
fn show<P: Packet>(
    packet: &P,
    direction: Direction,
    port: &Port,
    reason: Reason,
    observed: bool,
) -> bool {
    if !port.take_sample() {
        return false;
    }
    let Some(mut entry) = SAMPLES.reserve(0) else { return false };
    let sample = entry.write(Sample::default());
    P::describe(packet.context(), sample, direction, reason);
    sample.time = clock::now();
    sample.interface = port.index;
    sample.observed = u8::from(observed);
    entry.submit(0);
    true
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
            // In place: a second one would not fit the stack.
            let event = entry.write(Event::default());
            event.version = abi::VERSION;
            event.news = News::Bound as u32;
            event.key = *key;
            event.binding = *binding;
            entry.submit(0);
        }
        None => ring.lost += 1,
    }
}

//! record: count first, then tell, in this order.

use netmon_common::{
    Kind, Mac, Reason,
    abi::{self, Binding, BindingKey, Direction, Event, Mode, NO_PORT, News, PortCounters, Sample},
    limits,
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

/// Another port claims what this binding holds: user space asks the holder whether it is still there.
#[inline(always)]
pub(crate) fn contested(reason: Reason, key: &BindingKey, held: Option<*mut Binding>, now: u64) {
    let (Reason::BindingConflict, Some(held)) = (reason, held) else { return };
    // SAFETY: a value of a preallocated map stays mapped; user space never writes into a binding.
    let held = unsafe { &mut *held };
    if now.saturating_sub(held.contested) >= limits::CONTEST_INTERVAL {
        held.contested = now;
        tell(News::Contested, key, held);
    }
}

/// A newcomer was refused for what its port holds already: user space asks the holders whether they are still there.
#[inline(always)]
pub(crate) fn crowded<P: Packet>(packet: &P, port: &Port, reason: Reason) {
    const SOURCE_MAC: usize = 6;
    if !reason.is_crowding() {
        return;
    }
    crowded_by(port, packet.read(SOURCE_MAC).map_or(Mac::default(), Mac::new).bits());
}

/// A function of its own, with its own part of the stack.
#[inline(never)]
fn crowded_by(port: &Port, mac: u64) {
    let mac = Mac::from_bits(mac);
    if port.note_newcomer(mac) {
        let binding = Binding { port: port.index, mac: mac.octets(), ..NOBODY };
        tell(News::Crowded, &BindingKey::new(0, [0; 16]), &binding);
    }
}

const NOBODY: Binding = Binding {
    first_seen: 0,
    last_seen: 0,
    contested: 0,
    port: 0,
    epoch: 0,
    mac: [0; 6],
    state: 0,
    origin: 0,
    padding: [0; 2],
};

/// Tells user space of a binding. Where the ring is full the loss is counted, and user space reads the
/// table.
#[inline(always)]
pub(crate) fn tell(news: News, key: &BindingKey, binding: &Binding) {
    let Some(ring) = RING.get_ptr_mut(0) else { return };
    // SAFETY: the entry is this processor's.
    let ring = unsafe { &mut *ring };
    ring.wanted += 1;
    match EVENTS.reserve(0) {
        Some(mut entry) => {
            // In place: a second one would not fit the stack.
            let event = entry.write(Event::default());
            event.version = abi::VERSION;
            event.news = news.number();
            event.key = *key;
            event.binding = *binding;
            entry.submit(0);
        }
        None => ring.lost += 1,
    }
}

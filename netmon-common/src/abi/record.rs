//! What the kernel side tells: the records of the ring buffers.

use core::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Binding, BindingKey};

/// Map `RING`, per CPU, one entry: the ring buffer's own ledger. Emitted is wanted less lost.
#[derive(
    FromBytes, IntoBytes, Immutable, KnownLayout, Clone, Copy, Debug, PartialEq, Eq, Default,
)]
#[repr(C)]
pub struct RingCount {
    /// Events that were to be told.
    pub wanted: u64,
    /// Of these, the ones that found the ring full: user space reads the map again.
    pub lost: u64,
}
const _: () = assert!(size_of::<RingCount>() == 16);

numbers! {
    /// What an [`Event`] is about.
    News: u32, "no such news"
    /// A binding is new, or has changed its state.
    Bound = 1
    /// Another port claims the address of this binding.
    Contested = 2
    /// A newcomer behind the binding's port was refused for what the port holds already.
    Crowded = 3
}

/// A record of the ring buffer: where user space is to look.
#[derive(
    FromBytes, IntoBytes, Immutable, KnownLayout, Clone, Copy, Debug, PartialEq, Eq, Default,
)]
#[repr(C)]
pub struct Event {
    /// [`VERSION`](super::VERSION) of the writer.
    pub version: u32,
    /// A [`News`].
    pub news: u32,
    /// The binding's key; zeros with [`News::Crowded`].
    pub key: BindingKey,
    /// The binding as it is now; with [`News::Crowded`] its port is all that counts.
    pub binding: Binding,
}
const _: () = assert!(size_of::<Event>() == 72 && offset_of!(Event, key) == 8);

/// A record of the ring buffer `SAMPLES`: a frame that was refused. No total is made of these: they come by
/// a budget.
#[derive(
    FromBytes, IntoBytes, Immutable, KnownLayout, Clone, Copy, Debug, PartialEq, Eq, Default,
)]
#[repr(C)]
pub struct Sample {
    /// Nanoseconds of CLOCK_MONOTONIC.
    pub time: u64,
    /// [`VERSION`](super::VERSION) of the writer.
    pub version: u32,
    /// Interface index of the port.
    pub interface: u32,
    /// Bytes of the frame, Ethernet header included.
    pub length: u32,
    /// Its ethertype, in the byte order of this machine.
    pub ethertype: u16,
    /// A [`Direction`](super::Direction).
    pub direction: u8,
    /// A [`Reason`](crate::Reason).
    pub reason: u8,
    /// Ethernet destination.
    pub destination_mac: [u8; 6],
    /// IPv6 next header; zero where the frame has no IPv6 header.
    pub next_header: u8,
    /// ICMPv6 type, where that is the next header.
    pub icmp_type: u8,
    /// Ethernet source.
    pub source_mac: [u8; 6],
    /// One where the frame passed all the same ([`Mode::Observe`](super::Mode::Observe)).
    pub observed: u8,
    /// Zero.
    pub padding: u8,
    /// IPv6 source; zeros where the frame has no IPv6 header.
    pub source: [u8; 16],
    /// IPv6 destination, likewise.
    pub destination: [u8; 16],
}
const _: () = assert!(size_of::<Sample>() == 72 && offset_of!(Sample, source_mac) == 32);

//! The treaty between kernel and user space: the values of the maps, and the ring buffer's records.
//!
//! Fixed-width integers and byte arrays only; padding is a field and is zero; sizes and offsets are
//! asserted beside each type. Numbers become enums by `try_from`. Any change here is a new
//! [`VERSION`].

use core::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::limits::{KINDS, REASONS};

/// Version of everything in this file.
pub const VERSION: u32 = 1;

/// Which way a frame goes, as the TAP sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Direction {
    /// Guest → host.
    Ingress = 0,
    /// Host → guest.
    Egress = 1,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ingress, Self::Egress];

    /// The name that people and programs see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

/// How far an address has come (RFC 4862 section 5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum State {
    /// The guest asks whether somebody else has it.
    Tentative = 1,
    /// The guest uses it.
    Valid = 2,
}

impl State {
    /// The number in the binding table.
    #[inline(always)]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl TryFrom<u8> for State {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        match number {
            1 => Ok(Self::Tentative),
            2 => Ok(Self::Valid),
            _ => Err("no such binding state"),
        }
    }
}

/// Map `PORTS`: interface index → policy. User space writes, the kernel side reads.
#[derive(
    FromBytes, IntoBytes, Immutable, KnownLayout, Clone, Copy, Debug, PartialEq, Eq, Default,
)]
#[repr(C)]
pub struct PortPolicy {
    /// The broadcast domain: the interface index of the TAP, or of its bridge.
    pub link: u32,
    /// How many addresses the port may hold.
    pub quota: u32,
    /// How many of this port's bindings user space has removed so far. With
    /// [`PortState::claimed`] it tells how many there are, and each number has one writer.
    pub released: u64,
    /// Counts the guests that this TAP has had: bindings and MAC of an earlier one bind nobody.
    pub epoch: u16,
    /// The guest's MAC; zero: the first seen is it.
    pub mac: [u8; 6],
    /// The host's own MAC on this TAP.
    pub host_mac: [u8; 6],
    /// Zero.
    pub padding: [u8; 2],
}
const _: () = assert!(size_of::<PortPolicy>() == 32 && offset_of!(PortPolicy, epoch) == 16);

/// Map `PORT_STATE`: interface index → what the kernel side remembers. User space makes the entry, and
/// from then on only reads it.
#[derive(
    FromBytes, IntoBytes, Immutable, KnownLayout, Clone, Copy, Debug, PartialEq, Eq, Default,
)]
#[repr(C)]
pub struct PortState {
    /// The first MAC seen: epoch in the upper 16 bits, MAC in the lower 48; zero: none yet.
    pub mac: u64,
    /// How many bindings were made for this port so far.
    pub claimed: u64,
}
const _: () = assert!(size_of::<PortState>() == 16 && offset_of!(PortState, claimed) == 8);

/// Key of map `BINDINGS`: an address on a link. Every guest may have the same address on a TAP of its
/// own: an address alone names nobody.
#[derive(
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
)]
#[repr(C)]
pub struct BindingKey {
    /// The broadcast domain.
    pub link: u32,
    /// The IPv6 address.
    pub address: [u8; 16],
}
const _: () = assert!(size_of::<BindingKey>() == 20 && offset_of!(BindingKey, address) == 4);

/// Map `BINDINGS`: who holds an address. The kernel side inserts, user space removes.
#[derive(
    FromBytes, IntoBytes, Immutable, KnownLayout, Clone, Copy, Debug, PartialEq, Eq, Default,
)]
#[repr(C)]
pub struct Binding {
    /// Nanoseconds since boot (CLOCK_BOOTTIME) of the first claim.
    pub first_seen: u64,
    /// … and of the newest.
    pub last_seen: u64,
    /// Interface index of the port.
    pub port: u32,
    /// [`PortPolicy::epoch`] at the time of the claim.
    pub epoch: u16,
    /// The holder's MAC.
    pub mac: [u8; 6],
    /// A [`State`].
    pub state: u8,
    /// The [`Kind`](crate::Kind) of frame that made it.
    pub origin: u8,
    /// Zero.
    pub padding: [u8; 2],
}
const _: () = assert!(size_of::<Binding>() == 32 && offset_of!(Binding, mac) == 22);

/// Frames and their bytes.
#[derive(
    FromBytes, IntoBytes, Immutable, KnownLayout, Clone, Copy, Debug, PartialEq, Eq, Default,
)]
#[repr(C)]
pub struct Count {
    /// Frames.
    pub packets: u64,
    /// Bytes of these frames, Ethernet header included.
    pub bytes: u64,
}
const _: () = assert!(size_of::<Count>() == 16);

/// What became of a port's frames in one direction. Each frame is counted once: seen is the sum of all.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Ledger {
    /// By [`Kind`](crate::Kind).
    pub passed: [Count; KINDS],
    /// By [`Reason`](crate::Reason).
    pub dropped: [Count; REASONS],
}
const _: () = assert!(size_of::<Ledger>() == 16 * (KINDS + REASONS));

/// Map `COUNTERS`, per CPU: interface index → ledgers. Index 0 has what no port could be found for.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct PortCounters {
    /// Guest → host.
    pub ingress: Ledger,
    /// Host → guest.
    pub egress: Ledger,
}
const _: () = assert!(size_of::<PortCounters>() == 1792);

/// The key in `COUNTERS` of frames on an interface without policy.
pub const NO_PORT: u32 = 0;

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

/// A record of the ring buffer: this binding is new, or has changed its state.
#[derive(
    FromBytes, IntoBytes, Immutable, KnownLayout, Clone, Copy, Debug, PartialEq, Eq, Default,
)]
#[repr(C)]
pub struct Event {
    /// [`VERSION`] of the writer.
    pub version: u32,
    /// The binding's key.
    pub key: BindingKey,
    /// The binding as it is now.
    pub binding: Binding,
}
const _: () = assert!(size_of::<Event>() == 56 && offset_of!(Event, binding) == 24);

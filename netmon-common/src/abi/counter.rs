//! What became of frames.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::limits::{KINDS, REASONS};

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
    /// … and of those that [`Mode::Observe`](super::Mode::Observe) let pass all the same.
    pub observed: [Count; REASONS],
}
const _: () = assert!(size_of::<Ledger>() == 16 * (KINDS + 2 * REASONS));

/// Map `COUNTERS`, per CPU: interface index → ledgers. Index 0 has what no port could be found for.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct PortCounters {
    /// Guest → host.
    pub ingress: Ledger,
    /// Host → guest.
    pub egress: Ledger,
    /// Refused frames of which no sample was made: the budget was used up, or the ring full.
    pub unsampled: u64,
}
const _: () = assert!(size_of::<PortCounters>() == 4104);

/// The key in `COUNTERS` of frames on an interface without policy.
pub const NO_PORT: u32 = 0;

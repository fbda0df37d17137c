//! Which guest has which address.

use core::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

numbers! {
    /// How far an address has come (RFC 4862 section 5.4).
    State: u8, "no such binding state"
    /// The guest asks whether somebody else has it.
    Tentative = 1
    /// The guest uses it.
    Valid = 2
    /// The guest uses it without having asked; the link is asked first (RFC 6620 section 3.2.3).
    Proposed = 3
}

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
#[repr(C, align(8))]
pub struct BindingKey {
    /// The IPv6 address. First, and aligned: the kernel side writes it to the stack by halves.
    pub address: [u8; 16],
    /// The broadcast domain: the interface index of a TAP or a bridge.
    pub link: u32,
    /// … and the VLAN, where that bridge filters VLANs; else zero.
    pub vlan: u16,
    /// Zero.
    pub padding: u16,
}
const _: () = assert!(size_of::<BindingKey>() == 24 && offset_of!(BindingKey, link) == 16);

impl BindingKey {
    /// This address on this link, which has no VLANs.
    #[inline(always)]
    pub const fn new(link: u32, address: [u8; 16]) -> Self {
        Self::in_vlan(link, 0, address)
    }

    /// This address in this VLAN of a link.
    #[inline(always)]
    pub const fn in_vlan(link: u32, vlan: u16, address: [u8; 16]) -> Self {
        Self { address, link, vlan, padding: 0 }
    }
}

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
    /// When another port last claimed the address; zero: never.
    pub contested: u64,
    /// Interface index of the port.
    pub port: u32,
    /// [`PortPolicy::epoch`](super::PortPolicy::epoch) at the time of the claim.
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
const _: () = assert!(size_of::<Binding>() == 40 && offset_of!(Binding, mac) == 30);

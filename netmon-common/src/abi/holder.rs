//! Who else has an address or a MAC on a link, and which groups a guest listens to.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Mac;

numbers! {
    /// Who has an address or a MAC that no guest may have.
    Holder: u8, "no such holder"
    /// The host itself, on any of its interfaces on the link.
    Host = 1
    /// Whoever the configuration means: it lists the address or the MAC.
    Listed = 2
    /// The host's default router.
    Router = 3
    /// A member of the link that is no port: it was heard, or the host knows it as a neighbour.
    Member = 4
}

/// Map `RESERVED`: addresses on a link that no guest may claim. The kernel side inserts what the host asks for
/// by DAD, and what it hears of members that are no ports; user space what it has read; user space removes.
#[derive(
    FromBytes, IntoBytes, Immutable, KnownLayout, Clone, Copy, Debug, PartialEq, Eq, Default,
)]
#[repr(C)]
pub struct Reserved {
    /// When it was last known to be so: nanoseconds of the clock of ages.
    pub seen: u64,
    /// The interface that has it, or behind which it is.
    pub interface: u32,
    /// A [`Holder`].
    pub holder: u8,
    /// One while its holder only asks for it (DAD): another's question would make the holder give it up
    /// (RFC 4862 section 5.4.3).
    pub is_tentative: u8,
    /// Zero.
    pub padding: [u8; 2],
}
const _: () = assert!(size_of::<Reserved>() == 16);

/// Key of map `MACS`: a MAC on a link.
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
pub struct MacKey {
    /// The MAC, in the lower 48 bits.
    pub mac: u64,
    /// The broadcast domain, as in [`BindingKey::link`](super::BindingKey::link).
    pub link: u32,
    /// As in [`BindingKey::vlan`](super::BindingKey::vlan).
    pub vlan: u16,
    /// Zero.
    pub padding: u16,
}
const _: () = assert!(size_of::<MacKey>() == 16);

impl MacKey {
    /// This MAC in this VLAN of a link.
    #[inline(always)]
    pub const fn in_vlan(link: u32, vlan: u16, mac: Mac) -> Self {
        Self { mac: mac.bits(), link, vlan, padding: 0 }
    }
}

/// Map `MACS`: who has a MAC on a link. Both sides insert, user space removes.
#[derive(
    FromBytes, IntoBytes, Immutable, KnownLayout, Clone, Copy, Debug, PartialEq, Eq, Default,
)]
#[repr(C)]
pub struct MacHolder {
    /// When it was last known to be so: nanoseconds of the clock of ages.
    pub seen: u64,
    /// The port whose guest has it, as long as that port's policy or state says so; zero: no port's.
    pub port: u32,
    /// A [`Holder`], where it is no port's; else zero.
    pub holder: u8,
    /// Zero.
    pub padding: [u8; 3],
}
const _: () = assert!(size_of::<MacHolder>() == 16);

/// Key of map `GROUPS`: a multicast group that a port's guest listens to.
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
pub struct GroupKey {
    /// The IPv6 group.
    pub group: [u8; 16],
    /// The port's interface index.
    pub port: u32,
    /// Zero.
    pub padding: u32,
}
const _: () = assert!(size_of::<GroupKey>() == 24);

/// Map `GROUPS`: when it was reported. The kernel side inserts, user space removes.
#[derive(
    FromBytes, IntoBytes, Immutable, KnownLayout, Clone, Copy, Debug, PartialEq, Eq, Default,
)]
#[repr(C)]
pub struct Group {
    /// When it was last reported: nanoseconds of the clock of ages.
    pub last_seen: u64,
}
const _: () = assert!(size_of::<Group>() == 8);

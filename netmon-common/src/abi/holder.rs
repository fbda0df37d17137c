//! Who else has an address or a MAC on a link, and which groups a guest listens to.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Who has an address or a MAC that no guest may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Holder {
    /// The host itself, on any of its interfaces on the link.
    Host = 1,
    /// Whoever the configuration means: it lists the address or the MAC.
    Listed = 2,
    /// The host's default router.
    Router = 3,
    /// A member of the link that is no port: it was heard, or the host knows it as a neighbour.
    Member = 4,
}

impl Holder {
    /// The number in a table.
    #[inline(always)]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl TryFrom<u8> for Holder {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        match number {
            1 => Ok(Self::Host),
            2 => Ok(Self::Listed),
            3 => Ok(Self::Router),
            4 => Ok(Self::Member),
            _ => Err("no such holder"),
        }
    }
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

//! A port: what its guest may do, and what the kernel side remembers of it.

use core::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::limits::PORT_LIST;

/// What becomes of a frame that the judge refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Mode {
    /// It is dropped.
    Enforce = 0,
    /// It passes, and is counted under the reason for which it would have been dropped.
    Observe = 1,
    /// It passes as [`Kind::Other`](crate::Kind): nothing is judged, addresses are still learnt.
    Open = 2,
}

impl Mode {
    /// The number in a policy.
    #[inline(always)]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The mode of this number. What is no mode enforces: it fails closed.
    #[inline(always)]
    pub const fn of(number: u8) -> Self {
        match number {
            1 => Self::Observe,
            2 => Self::Open,
            _ => Self::Enforce,
        }
    }
}

/// A bit of [`PortPolicy::allowed`]: TCP may pass.
pub const ALLOW_TCP: u8 = 1;
/// A bit of [`PortPolicy::allowed`]: UDP may pass.
pub const ALLOW_UDP: u8 = 2;
/// A bit of [`PortPolicy::allowed`]: any port of the host, not only those listed.
pub const ALLOW_HOST_PORTS: u8 = 4;
/// A bit of [`PortPolicy::allowed`]: from any port of the guest, not only those listed.
pub const ALLOW_GUEST_PORTS: u8 = 8;

/// A bit of [`PortPolicy::allowed`]: messages of a DHCPv6 server or relay.
pub const ALLOW_DHCP_SERVER: u8 = 16;

/// A token bucket's size and speed, so that taking from it needs no division ([`crate::budget`]).
#[derive(
    FromBytes, IntoBytes, Immutable, KnownLayout, Clone, Copy, Debug, PartialEq, Eq, Default,
)]
#[repr(C)]
pub struct Rate {
    /// Nanoseconds from one to the next on the long run; zero: no limit.
    pub interval: u64,
    /// Nanoseconds by which they may come too early: the burst.
    pub tolerance: u64,
}
const _: () = assert!(size_of::<Rate>() == 16);

/// Map `PORTS`: interface index → policy. User space writes, the kernel side reads.
#[derive(
    FromBytes, IntoBytes, Immutable, KnownLayout, Clone, Copy, Debug, PartialEq, Eq, Default,
)]
#[repr(C)]
pub struct PortPolicy {
    /// How many of this port's bindings user space has removed so far. With
    /// [`PortState::claimed`] it tells how many there are, and each number has one writer.
    pub released: u64,
    /// How many of this port's multicast groups user space has removed so far; with
    /// [`PortState::groups`] it tells how many there are.
    pub groups_released: u64,
    /// Neighbour and listener discovery.
    pub nd_rate: Rate,
    /// Samples of what is dropped.
    pub sample_rate: Rate,
    /// The broadcast domain: the interface index of the TAP, or of its bridge. With [`vlan`](Self::vlan).
    pub link: u32,
    /// How many addresses the port may hold.
    pub quota: u32,
    /// Ports of the host that the guest may open; zeros fill up.
    pub host_ports: [u16; PORT_LIST],
    /// Ports of the guest that it may speak from; zeros fill up.
    pub guest_ports: [u16; PORT_LIST],
    /// Counts the guests that this TAP has had: bindings and MAC of an earlier one bind nobody.
    pub epoch: u16,
    /// The guest's MAC; zero: the first seen is it.
    pub mac: [u8; 6],
    /// The host's own MAC on this TAP.
    pub host_mac: [u8; 6],
    /// The MAC of the TAP's bridge, which is the host's too; zero: it is in none.
    pub link_mac: [u8; 6],
    /// A [`Mode`].
    pub mode: u8,
    /// Bits of `ALLOW_…`.
    pub allowed: u8,
    /// User space's own note, as all that follows: somebody has ordered this policy for this port, and no
    /// configuration takes it back.
    pub ordered: u8,
    /// The profile that was asked for.
    pub profile: u8,
    /// How often the TAP's carrier was lost when this was written: by it a daemon that takes over knows
    /// whether the guest is still the same.
    pub carrier_losses: u32,
    /// The mode that was asked for, which the profile may override.
    pub asked_mode: u8,
    /// One where the link has members that are no ports (an uplink, a container): a claim for an address of
    /// which nothing is known is tentative until the link was asked (RFC 6620 section 3.2.3).
    pub asks_link: u8,
    /// The VLAN in which the TAP's untagged frames are, where its bridge filters VLANs; else zero.
    pub vlan: u16,
}
const _: () = assert!(size_of::<PortPolicy>() == 120 && offset_of!(PortPolicy, epoch) == 88);

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
    /// When the budget of discovery is whole again ([`crate::budget`]).
    pub nd_due: u64,
    /// When the budget of samples is.
    pub sample_due: u64,
    /// When the budget of ICMPv6 errors is.
    pub error_due: u64,
    /// How many multicast groups were entered for this port so far.
    pub groups: u64,
    /// Solicitations that went to the guest and that it may still answer without using its budget up.
    pub unanswered: u64,
    /// When a newcomer was last refused for what the guest holds already: its quota is full, or another MAC
    /// is pinned. Nanoseconds of the clock of ages; zero: never.
    pub crowded: u64,
    /// The newcomer's MAC, in the lower 48 bits.
    pub newcomer: u64,
}
const _: () = assert!(size_of::<PortState>() == 72 && offset_of!(PortState, newcomer) == 64);

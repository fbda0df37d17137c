//! The treaty between kernel and user space: the values of the maps, and the ring buffer's records.
//!
//! Fixed-width integers and byte arrays only; padding is a field and is zero; sizes and offsets are
//! asserted beside each type. Numbers become enums by `try_from`. Any change here is a new
//! [`VERSION`].

use core::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::limits::{KINDS, PORT_LIST, REASONS};

/// Version of everything in this file.
pub const VERSION: u32 = 2;

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
const _: () = assert!(size_of::<Binding>() == 40 && offset_of!(Binding, mac) == 30);

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
    /// … and of those that [`Mode::Observe`] let pass all the same.
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
    /// The broadcast domain, as in [`BindingKey::link`].
    pub link: u32,
    /// As in [`BindingKey::vlan`].
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

/// What an [`Event`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum News {
    /// A binding is new, or has changed its state.
    Bound = 1,
    /// Another port claims the address of this binding.
    Contested = 2,
    /// A newcomer behind the binding's port was refused for what the port holds already.
    Crowded = 3,
}

impl TryFrom<u32> for News {
    type Error = &'static str;

    fn try_from(number: u32) -> Result<Self, Self::Error> {
        match number {
            1 => Ok(Self::Bound),
            2 => Ok(Self::Contested),
            3 => Ok(Self::Crowded),
            _ => Err("no such news"),
        }
    }
}

/// A record of the ring buffer: where user space is to look.
#[derive(
    FromBytes, IntoBytes, Immutable, KnownLayout, Clone, Copy, Debug, PartialEq, Eq, Default,
)]
#[repr(C)]
pub struct Event {
    /// [`VERSION`] of the writer.
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
    /// [`VERSION`] of the writer.
    pub version: u32,
    /// Interface index of the port.
    pub interface: u32,
    /// Bytes of the frame, Ethernet header included.
    pub length: u32,
    /// Its ethertype, in the byte order of this machine.
    pub ethertype: u16,
    /// A [`Direction`].
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
    /// One where the frame passed all the same ([`Mode::Observe`]).
    pub observed: u8,
    /// Zero.
    pub padding: u8,
    /// IPv6 source; zeros where the frame has no IPv6 header.
    pub source: [u8; 16],
    /// IPv6 destination, likewise.
    pub destination: [u8; 16],
}
const _: () = assert!(size_of::<Sample>() == 72 && offset_of!(Sample, source_mac) == 32);

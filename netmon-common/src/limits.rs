//! Every bound that an attacker can run into, with its reason.

/// Ports that one instance protects. A host of 4,096 TAPs takes 0.4 GB for the TAPs alone.
pub const PORTS: u32 = 4096;

/// Addresses that all guests together may hold, over all links.
pub const BINDINGS: u32 = 65_536;

/// Addresses that one port may hold, unless its policy says otherwise: a guest needs one or two
/// link-local addresses; the host's neighbour table is shared by all (1,024 by default).
pub const BINDINGS_PER_PORT: u32 = 8;

/// The most that a policy may make of it: with every port at it, the table of bindings still has room.
pub const QUOTA: u32 = BINDINGS / PORTS;

/// Bytes of the ring buffer (a power of two, a multiple of the page size).
pub const EVENT_RING_BYTES: u32 = 1 << 20;

/// Bytes of the ring buffer of drop samples: 3,640 of them. Apart from the events, so that no flood of
/// forbidden frames can displace news.
pub const SAMPLE_RING_BYTES: u32 = 1 << 18;

/// Addresses that no guest may claim, on all links: the host's, the members' that are no ports, and those that the
/// configuration lists.
pub const RESERVED: u32 = 16_384;

/// Addresses, and MACs, that one table of the configuration may list.
pub const RESERVED_LISTED: usize = 256;

/// MACs that are somebody's, on all links: each port's, and as many of others as addresses.
pub const MACS: u32 = PORTS + RESERVED;

/// Multicast groups that all guests together may listen to.
pub const GROUPS: u32 = 65_536;

/// … and one port: a Linux guest listens to one group an address and to three or four of services. Every port at
/// it, the table is full; a bridge's own bound is 4,096 groups (`mcast_hash_max`), at which it stops snooping.
pub const GROUPS_PER_PORT: u32 = 32;

/// Seconds after which a group that is not reported any more is forgotten: as long as a bridge keeps it
/// (`mcast_membership_interval`, RFC 3810 section 9.4).
pub const GROUP_SECONDS: u64 = 260;

/// Address records in one MLD report: as many as the groups that a port may have.
pub const MLD_RECORDS: u32 = GROUPS_PER_PORT;

/// ICMPv6 errors that a port may send a second: Linux sends at most that many to one peer
/// (`net.ipv6.icmp.ratelimit`).
pub const ERROR_RATE: u32 = 100;

/// Solicitations whose answers may be outstanding: more than that many at once are answered on the guest's own
/// budget.
pub const UNANSWERED: u64 = 256;

/// Nanoseconds for which a claim is tentative while the link is asked (TENT_LT, RFC 6620 section 3.2.3).
pub const TENTATIVE_LIFETIME: u64 = 500_000_000;

/// Nanoseconds that an address is tentative after the last DAD for it (RetransTimer, RFC 4862 section 5.4).
pub const DAD_TIME: u64 = 1_000_000_000;

/// Nanoseconds between two events about one contested binding, or one crowded port.
pub const CONTEST_INTERVAL: u64 = 1_000_000_000;

/// Ports in a policy's list of services: a control link has one or two.
pub const PORT_LIST: usize = 8;

/// Messages of neighbour and listener discovery that a port may send a second, unless its policy says
/// otherwise: a guest that boots sends a dozen in the first seconds.
pub const ND_RATE: u32 = 100;

/// Samples of refused frames a second and port, unless its policy says otherwise: a person reads no more.
pub const SAMPLE_RATE: u32 = 10;

/// The most that a policy may make of the rate of discovery: more than a TAP carries, and as an interval
/// still far from zero nanoseconds, which would be no limit.
pub const MAX_ND_RATE: u32 = 1_000_000;

/// The most that a policy may make of the rate of samples: the ring holds three seconds of one such port.
pub const MAX_SAMPLE_RATE: u32 = 1000;

/// Seconds' worth of a rate that may come at once.
pub const BURST_SECONDS: u32 = 2;

/// How often the kernel side tries to take from a budget that another processor is changing too.
pub const BUDGET_TRIES: u32 = 4;

/// Options that a neighbour discovery message may carry. Linux sends two at most; RFC 6980 and
/// RFC 7113 leave the bound to the filter.
pub const ND_OPTIONS: u32 = 8;

/// Bytes of a neighbour discovery message, ICMPv6 header included: bounds the checksum's loop.
pub const ND_BYTES: u16 = 512;

/// Slots for reasons in a port's counters, more than there are reasons: a new one is no new ABI.
pub const REASONS: usize = 56;

/// Slots for kinds of passed frames, likewise.
pub const KINDS: usize = 16;

/// Changes of the live map that are kept for watchers to go on from; a slower one gets the whole map.
pub const HISTORY: usize = 4096;

/// Samples of refused frames that are kept for readers; a slower one is told how many it missed.
pub const SAMPLES_KEPT: usize = 1024;

/// Streams of changes at one time: each holds a task and a buffer.
pub const WATCHERS: usize = 256;

/// Link messages, commands and kernel events that wait for the daemon's one loop; its senders wait too.
pub const QUEUE: usize = 1024;

const _: () = assert!(BINDINGS_PER_PORT <= QUOTA && QUOTA * PORTS <= BINDINGS);
const _: () = assert!(ND_RATE <= MAX_ND_RATE && SAMPLE_RATE <= MAX_SAMPLE_RATE);
/// Quiet endpoints that are probed in one tick of the daemon (250 ms), so that those who fall silent
/// together are not all asked at once: 512 solicitations a second, enough for 15,000 endpoints that never
/// speak unless they are asked. More than that are asked later.
pub const PROBES: usize = 128;

/// Quiet endpoints whose binding is read again in one tick: each costs a system call of 1 µs.
pub const LOOKS: usize = 1024;

/// Members of a link that are asked for one address: a bridge has an uplink and some containers.
pub const MEMBERS_ASKED: usize = 64;

/// TAPs whose guests are searched for in one tick: those of a whole host within a second after its start.
pub const SEARCHES: usize = 1024;

const _: () = assert!(PROBES <= LOOKS);
const _: () = assert!(EVENT_RING_BYTES.is_power_of_two() && SAMPLE_RING_BYTES.is_power_of_two());
const _: () = assert!(ND_BYTES.is_multiple_of(8));

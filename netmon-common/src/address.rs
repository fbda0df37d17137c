//! MAC and IPv6 addresses as the judge sees them: integers, so that a comparison is one or two
//! instructions in the kernel and needs no `memcmp`.

use core::{fmt, net::Ipv6Addr, str::FromStr};

/// An Ethernet address, in the low 48 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mac(u64);

impl Mac {
    /// The address made of these six octets, in the order of the wire.
    #[inline(always)]
    pub const fn new(octets: [u8; 6]) -> Self {
        let [a, b, c, d, e, f] = octets;
        Self(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    /// The six octets in the order of the wire.
    #[inline(always)]
    pub const fn octets(self) -> [u8; 6] {
        let [_, _, a, b, c, d, e, f] = self.0.to_be_bytes();
        [a, b, c, d, e, f]
    }

    /// The address as a number below 2^48.
    #[inline(always)]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The address in the low 48 bits of `bits`.
    #[inline(always)]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & 0xffff_ffff_ffff)
    }

    /// All octets zero: no address at all.
    #[inline(always)]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The group bit of the first octet is set: a multicast or the broadcast address.
    #[inline(always)]
    pub const fn is_multicast(self) -> bool {
        self.0 & (1 << 40) != 0
    }

    /// Whether frames for `group` go to this address: 33:33 and the group's last four octets
    /// (RFC 2464 section 7).
    #[inline(always)]
    pub const fn is_group_of(self, group: Address) -> bool {
        self.0 == 0x3333_0000_0000 | (group.low & 0xffff_ffff)
    }
}

/// Six octets in hexadecimal with colons between: `02:fc:00:00:00:01`.
impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.octets();
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// No MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMac;

/// As it is displayed, in either case.
impl FromStr for Mac {
    type Err = NoMac;

    fn from_str(text: &str) -> Result<Self, NoMac> {
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts.next().filter(|part| part.len() == 2 && !part.starts_with('+'));
            *octet = u8::from_str_radix(part.ok_or(NoMac)?, 16).map_err(|_| NoMac)?;
        }
        if parts.next().is_none() { Ok(Self::new(octets)) } else { Err(NoMac) }
    }
}

/// An IPv6 address: two halves, in the byte order of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Address {
    high: u64,
    low: u64,
}

impl Address {
    /// `::`
    pub const UNSPECIFIED: Self = Self { high: 0, low: 0 };

    /// ff05::2: all routers of a site (RFC 4291 section 2.7.1).
    pub const SITE_ROUTERS: Self = Self { high: 0xff05_0000_0000_0000, low: 2 };

    /// The address made of these 16 octets, in the order of the wire.
    #[inline(always)]
    pub const fn new(octets: [u8; 16]) -> Self {
        let bits = u128::from_be_bytes(octets);
        Self { high: (bits >> 64) as u64, low: bits as u64 }
    }

    /// The address whose halves, read as big-endian numbers, are these.
    #[inline(always)]
    pub const fn from_halves(high: u64, low: u64) -> Self {
        Self { high, low }
    }

    /// The link-local address that is derived from a MAC: its modified EUI-64 (RFC 4291 appendix A).
    pub const fn link_local_of(mac: Mac) -> Self {
        let [a, b, c, d, e, f] = mac.octets();
        let low = u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
        Self { high: 0xfe80_0000_0000_0000, low }
    }

    /// The two halves as numbers.
    #[inline(always)]
    pub const fn halves(self) -> (u64, u64) {
        (self.high, self.low)
    }

    /// The 16 octets in the order of the wire.
    #[inline(always)]
    pub const fn octets(self) -> [u8; 16] {
        (((self.high as u128) << 64) | self.low as u128).to_be_bytes()
    }

    /// `::`
    #[inline(always)]
    pub const fn is_unspecified(self) -> bool {
        self.high == 0 && self.low == 0
    }

    /// ff00::/8
    #[inline(always)]
    pub const fn is_multicast(self) -> bool {
        self.high >> 56 == 0xff
    }

    /// fe80::/64: the link-local addresses as they are assigned. The remainder of fe80::/10, with
    /// bits 10 to 63 set, is reserved (RFC 4291 section 2.5.6).
    #[inline(always)]
    pub const fn is_link_local(self) -> bool {
        self.high == 0xfe80_0000_0000_0000
    }

    /// A multicast group of link-local scope, whatever its flags (RFC 4291 section 2.7).
    #[inline(always)]
    pub const fn is_link_local_group(self) -> bool {
        self.high >> 56 == 0xff && (self.high >> 48) & 0xf == 0x2
    }

    /// The group that asks for this address: ff02::1:ff and its last three octets (RFC 4291
    /// section 2.7.1).
    #[inline(always)]
    pub const fn solicited_node_group(self) -> Self {
        Self { high: 0xff02_0000_0000_0000, low: 0x0000_0001_ff00_0000 | (self.low & 0xff_ffff) }
    }
}

impl From<Ipv6Addr> for Address {
    fn from(address: Ipv6Addr) -> Self {
        Self::new(address.octets())
    }
}

impl From<Address> for Ipv6Addr {
    fn from(address: Address) -> Self {
        Self::from(address.octets())
    }
}

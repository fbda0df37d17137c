//! Why a frame is dropped, and what a passed frame was. Every name that people and programs see (CLI,
//! gRPC, JSON, metrics, docs) is derived from these two tables.

/// Declares an enum whose numbers, names and sentences stand in one table.
macro_rules! table {
    (
        $(#[$meta:meta])* $type:ident: $unknown:literal
        $($number:literal $variant:ident $name:literal $sentence:literal)+
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $type {
            $(#[doc = $sentence] $variant = $number,)+
        }

        impl $type {
            /// All of them, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name that people and programs see: lower case, words joined by `_`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// One sentence for people.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)+ }
            }

            /// The number, which never changes its meaning.
            #[inline(always)]
            pub const fn number(self) -> u8 {
                self as u8
            }
        }

        impl TryFrom<u8> for $type {
            type Error = &'static str;

            fn try_from(number: u8) -> Result<Self, Self::Error> {
                match number { $($number => Ok(Self::$variant),)+ _ => Err($unknown) }
            }
        }

        impl core::fmt::Display for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

table! {
    /// Why a frame was dropped. A number is never reused; a new reason takes the next one.
    Reason: "no such reason"
     1 Runt "runt" "shorter than its Ethernet or IPv6 header"
     2 Vlan "vlan" "carries a VLAN tag, be it VLAN 0 (VU#855201)"
     3 Llc "llc" "an 802.3 length where the ethertype belongs: LLC or SNAP"
     4 Ipv4 "ipv4" "IPv4"
     5 Arp "arp" "ARP"
     6 Ethertype "ethertype" "an ethertype that is not IPv6"
     7 SourceMac "src_mac" "source MAC is zero, multicast, the host's, or not this port's"
     8 DestinationMac "dst_mac" "a multicast destination MAC that is not the one of the IPv6 group"
     9 IpVersion "ip_version" "the version in the IPv6 header is not 6"
    10 PayloadLength "payload_len" "IPv6 payload length is zero with a payload behind it, or longer than the frame"
    11 SourceScope "src_scope" "source address is not in fe80::/64"
    12 DestinationScope "dst_scope" "destination address is neither in fe80::/64 nor a link-local group"
    13 UnspecifiedSource "unspecified_src" "source :: on something other than DAD, a router solicitation or an MLD report"
    14 ExtensionHeader "ext_header" "an extension header other than MLD's own Router Alert"
    15 Fragment "fragment" "a Fragment header, atomic or not: no link needs one (RFC 6980)"
    16 NextHeader "next_header" "the upper layer is not a whole ICMPv6, TCP or UDP header, or the policy does not allow it"
    17 RouterAdvertisement "router_advert" "a router advertisement: no guest is a router here (RFC 6105)"
    18 Redirect "redirect" "an ICMPv6 redirect"
    19 IcmpType "icmp_type" "an ICMPv6 type that no host on a link needs, or a truncated ICMPv6 header"
    20 Mld "mld" "MLD with hop limit other than 1, without Router Alert, or a query"
    21 NdHopLimit "nd_hop_limit" "neighbour discovery with a hop limit other than 255: it may come from off the link"
    22 NdCode "nd_code" "neighbour discovery with a code other than 0"
    23 NdLength "nd_length" "neighbour discovery shorter than its type needs, or over 512 bytes"
    24 NdOption "nd_option" "a neighbour discovery option of length 0, one past the end, or more than 8 of them"
    25 NdOptionMac "nd_option_mac" "a link-layer address option that is not the frame's source MAC"
    26 NdTarget "nd_target" "target is not a link-local unicast address, or an advertisement for an address that is not this guest's"
    27 NdDestination "nd_destination" "DAD not to its target's group, DAD with a source link-layer option, or a solicited advertisement to a group"
    28 NdChecksum "nd_checksum" "the ICMPv6 checksum of neighbour discovery is wrong"
    29 HostAddress "host_address" "claims an address that the host itself owns on this link"
    30 BindingConflict "binding_conflict" "the address belongs to another port of the link, or to another MAC"
    31 BindingQuota "binding_quota" "the port already holds its quota of addresses"
    32 NdRate "nd_rate" "the port has used up its rate of neighbour and listener discovery"
    33 HostService "host_service" "speaks to a port of the host, or answers from one of its own, that the policy does not list"
    34 PortUnknown "port_unknown" "the interface has no policy: it fails closed"
    35 BindingTable "binding_table" "the table of bindings of all ports is full"
    36 IcmpError "icmp_error" "an ICMPv6 error about a packet that the host cannot have sent to this guest over this link"
    37 DhcpServer "dhcp_server" "a DHCPv6 message of a server or a relay: no guest is one (RFC 7610)"
    38 MldRecord "mld_record" "an MLD report that is not whole, has sources, or names a group that is not of link-local scope, or too many"
    39 MldGroups "mld_groups" "the port already listens to as many multicast groups as it may"
    40 ErrorRate "error_rate" "the port has used up its rate of ICMPv6 errors"
    41 MacConflict "mac_conflict" "the source MAC is another's on the link: a guest's, the host's, a member's, or reserved"
    42 LinkAddress "link_address" "claims an address of a member of the link that is no guest: a router, a host behind the uplink, or a reserved one"
    43 BindingTentative "binding_tentative" "the link is being asked whether another has the address (RFC 6620)"
    44 Rarp "rarp" "RARP: a VMM announces a guest that it has restored or migrated"
}

table! {
    /// What a frame that passed was. Benign noise has a name of its own, so that nobody takes a booting
    /// guest for an attacker.
    Kind: "no such kind"
     0 Dad "dad" "duplicate address detection"
     1 NeighborSolicitation "neighbor_solicit" "a neighbour solicitation"
     2 NeighborAdvertisement "neighbor_advert" "a neighbour advertisement"
     3 RouterSolicitation "router_solicit" "a router solicitation"
     4 MulticastListener "mld" "a multicast listener report"
     5 Echo "echo" "an echo request or reply"
     6 IcmpError "icmp_error" "an ICMPv6 error"
     7 Tcp "tcp" "TCP"
     8 Udp "udp" "UDP"
     9 RouterAdvertisement "router_advert" "a router advertisement of the host"
    10 Other "other" "anything else that the host may send, or that the profile open lets pass"
}

impl Kind {
    /// Neighbour and listener discovery: what a port has a rate of.
    #[inline(always)]
    pub const fn is_discovery(self) -> bool {
        matches!(
            self,
            Self::Dad
                | Self::NeighborSolicitation
                | Self::NeighborAdvertisement
                | Self::RouterSolicitation
                | Self::MulticastListener
        )
    }
}

impl Reason {
    /// Whether a newcomer was refused for what its port holds already. The port's holders are asked then whether
    /// they are still there.
    #[inline(always)]
    pub const fn is_crowding(self) -> bool {
        matches!(self, Self::SourceMac | Self::BindingQuota)
    }
}

const _: () = assert!(Reason::ALL.len() < crate::limits::REASONS);
const _: () = assert!(Kind::ALL.len() <= crate::limits::KINDS);

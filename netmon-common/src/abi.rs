//! The treaty between kernel and user space: the values of the maps, and the ring buffer's records.
//!
//! Fixed-width integers and byte arrays only; padding is a field and is zero; sizes and offsets are
//! asserted beside each type. Numbers become enums by `try_from`. Any change here is a new
//! [`VERSION`].

/// Declares an enum that the maps hold as a number: an integer becomes one by `try_from`, and says so where it is none.
macro_rules! numbers {
    (
        $(#[$meta:meta])* $type:ident: $number:ident, $unknown:literal
        $($(#[$meaning:meta])* $variant:ident = $value:literal)+
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr($number)]
        pub enum $type {
            $($(#[$meaning])* $variant = $value,)+
        }

        impl $type {
            /// The number that stands for it.
            #[inline(always)]
            pub const fn number(self) -> $number {
                self as $number
            }
        }

        impl TryFrom<$number> for $type {
            type Error = &'static str;

            fn try_from(number: $number) -> Result<Self, Self::Error> {
                match number { $($value => Ok(Self::$variant),)+ _ => Err($unknown) }
            }
        }
    };
}

mod binding;
mod counter;
mod holder;
mod port;
mod record;

pub use self::{
    binding::{Binding, BindingKey, State},
    counter::{Count, Ledger, NO_PORT, PortCounters},
    holder::{Group, GroupKey, Holder, MacHolder, MacKey, Reserved},
    port::{
        ALLOW_DHCP_SERVER, ALLOW_GUEST_PORTS, ALLOW_HOST_PORTS, ALLOW_TCP, ALLOW_UDP, Mode,
        PortPolicy, PortState, Rate,
    },
    record::{Event, News, RingCount, Sample},
};

/// Version of everything in this file.
pub const VERSION: u32 = 2;

/// Tells layouts apart, be it that somebody forgot to raise [`VERSION`]: a number made of every field's name, type,
/// offset and size, and of every map's types and bounds, as `abi/layout.txt` and `abi/maps.txt` have them. Tests hold
/// these files to the source and to the object.
pub const DIGEST: u64 =
    digest(digest(BASIS, include_bytes!("abi/layout.txt")), include_bytes!("abi/maps.txt"));

/// Where FNV-1a begins (RFC 9923).
const BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// Goes on with FNV-1a over what stands before each `#`: what a field means to people may be said in other words.
const fn digest(mut hash: u64, mut text: &[u8]) -> u64 {
    let mut is_meaning = false;
    while let Some((byte, rest)) = text.split_first() {
        is_meaning = *byte != b'\n' && (is_meaning || *byte == b'#');
        if !is_meaning {
            hash = (hash ^ *byte as u64).wrapping_mul(0x0100_0000_01b3);
        }
        text = rest;
    }
    hash
}

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

//! The treaty between kernel and user space: the values of the maps, and the ring buffer's records.
//!
//! Fixed-width integers and byte arrays only; padding is a field and is zero; sizes and offsets are
//! asserted beside each type. Numbers become enums by `try_from`. Any change here is a new
//! [`VERSION`].

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
        ALLOW_GUEST_PORTS, ALLOW_HOST_PORTS, ALLOW_TCP, ALLOW_UDP, Mode, PortPolicy, PortState,
        Rate,
    },
    record::{Event, News, RingCount, Sample},
};

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

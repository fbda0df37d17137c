//! What is told of the ports: words only, which both those who say them and those who ask know.

use std::sync::Arc;

use netmon_common::{Mac, abi::Direction, outcome::Outcome};

use crate::policy::Policy;

/// A port as the kernel says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortStatus {
    /// The TAP's name.
    pub tap: Arc<str>,
    /// Its interface index.
    pub index: u32,
    /// The broadcast domain: its own index, or its bridge's.
    pub link: u32,
    /// How its frames from the guest are judged, if they are.
    pub ingress: Option<IngressHook>,
    /// How its frames to the guest are judged, if they are.
    pub egress: Option<EgressHook>,
    /// The guest's MAC, once it is known.
    pub mac: Option<Mac>,
    /// How many addresses it holds.
    pub bindings: u64,
    /// What its guest may do, as was asked for.
    pub policy: Policy,
    /// What of this protects.
    pub protection: Protection,
    /// The MAC that is refused behind it, because the guest has another ([`netmon_common::Reason::SourceMac`]).
    pub locked_out: Option<Mac>,
}

/// Where the ingress program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IngressHook {
    /// In the driver, on the bytes as written.
    XdpNative,
    /// On an skb, in front of the stack: native was refused.
    XdpGeneric,
}

/// Where the egress program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EgressHook {
    /// A TCX link, Linux 6.6.
    Tcx,
    /// A filter of the clsact qdisc: TCX was refused.
    Clsact,
}

/// What protects a port now, with the reason where it is less than was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Both directions are judged by our programs.
    Confined,
    /// Both are judged, and nothing is dropped: as was asked for, by mode observe.
    Observed,
    /// Both are counted, and nothing is judged: as was asked for, by profile open.
    Open,
    /// Only one of them is.
    Partial(String),
    /// None is.
    Unprotected(String),
}

impl IngressHook {
    /// The name that people and programs see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::XdpNative => "xdp-native",
            Self::XdpGeneric => "xdp-generic",
        }
    }
}

impl EgressHook {
    /// The name that people and programs see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
        }
    }
}

/// The kernel side's counters, zero rows left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// One row for each port, direction and verdict.
    pub rows: Vec<CounterRow>,
    /// Events that found the ring buffer full.
    pub events_lost: u64,
}

/// What became of some frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterRow {
    /// The TAP's name; empty for frames on an interface without policy.
    pub tap: Arc<str>,
    /// Its interface index; 0 likewise.
    pub index: u32,
    /// Which way they went.
    pub direction: Direction,
    /// Passed as what, or dropped why, or only observed.
    pub outcome: Outcome,
    /// Frames.
    pub packets: u64,
    /// Their bytes, Ethernet headers included.
    pub bytes: u64,
}

//! What is being refused: samples for people who watch. Totals come from the counters, never from here.
//!
//! The kernel side makes samples by a budget a port; each reader has a bounded place in one feed, and one
//! that is too slow is told how many it missed.

use std::{net::Ipv6Addr, sync::Arc};

use netmon_common::{
    Mac, Reason,
    abi::{Direction, Sample},
    limits,
};
use tokio::sync::broadcast;

use crate::time::Moment;

/// A frame that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When.
    pub time: Moment,
    /// The TAP's name.
    pub tap: Arc<str>,
    /// Its interface index.
    pub index: u32,
    /// Which way it went.
    pub direction: Direction,
    /// Why.
    pub reason: Reason,
    /// It passed all the same: the port's mode is observe.
    pub observed: bool,
    /// Bytes, Ethernet header included.
    pub length: u32,
    /// Ethernet source.
    pub source_mac: Mac,
    /// Ethernet destination.
    pub destination_mac: Mac,
    /// Ethertype.
    pub ethertype: u16,
    /// What its IPv6 header says, where it has one.
    pub ipv6: Option<Ipv6>,
}

/// An IPv6 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6 {
    /// Source.
    pub source: Ipv6Addr,
    /// Destination.
    pub destination: Ipv6Addr,
    /// Next header.
    pub next_header: u8,
    /// ICMPv6 type, where that is the next header.
    pub icmp_type: Option<u8>,
}

const ETHERTYPE_IPV6: u16 = 0x86dd;
const ICMPV6: u8 = 58;

impl Refused {
    /// Reads a sample; `None` where it has numbers that the kernel side never writes.
    fn read(sample: &Sample, tap: &Arc<str>) -> Option<Self> {
        let ipv6 = Ipv6 {
            source: sample.source.into(),
            destination: sample.destination.into(),
            next_header: sample.next_header,
            icmp_type: (sample.next_header == ICMPV6).then_some(sample.icmp_type),
        };
        Some(Self {
            time: Moment::from_nanos(sample.time),
            tap: Arc::clone(tap),
            index: sample.interface,
            direction: Direction::ALL
                .into_iter()
                .find(|direction| *direction as u8 == sample.direction)?,
            reason: Reason::try_from(sample.reason).ok()?,
            observed: sample.observed != 0,
            length: sample.length,
            source_mac: Mac::new(sample.source_mac),
            destination_mac: Mac::new(sample.destination_mac),
            ethertype: sample.ethertype,
            ipv6: (sample.ethertype == ETHERTYPE_IPV6).then_some(ipv6),
        })
    }
}

/// One writer, many readers.
#[derive(Clone, Debug)]
pub struct DropFeed(broadcast::Sender<Arc<Refused>>);

impl DropFeed {
    /// A feed without readers.
    #[expect(clippy::new_without_default, reason = "a feed of one's own is no default of anything")]
    pub fn new() -> Self {
        Self(broadcast::Sender::new(limits::SAMPLES_KEPT))
    }

    /// Tells the readers of a sample; of one whose TAP is gone, nobody.
    pub fn tell(&self, sample: &Sample, tap: Option<&Arc<str>>) {
        if self.0.receiver_count() == 0 {
            return;
        }
        if let Some(refused) = tap.and_then(|tap| Refused::read(sample, tap)) {
            let _readers = self.0.send(Arc::new(refused));
        }
    }

    /// A new reader; it gets what is told from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Refused>> {
        self.0.subscribe()
    }
}

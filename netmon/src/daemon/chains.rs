//! Who else is on the ports' egress hooks, as far as there is time to ask.
//!
//! A question takes microseconds, unless somebody holds the kernel's lock on interfaces: then it takes as long as
//! an attach, 8 ms, and a host of thousands of TAPs would hold up the loop for half a minute.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    time::{Duration, Instant},
};

use crate::kernel::chain::ChainReader;

/// How long the loop may be held up for one answer.
const LOOK: Duration = Duration::from_millis(50);

/// What is known of the chains.
#[derive(Debug)]
pub(super) struct Chains {
    reader: ChainReader,
    known: BTreeMap<u32, io::Result<Vec<u32>>>,
    /// The port that is next to be asked about.
    next: u32,
}

impl Chains {
    pub(super) const fn new(reader: ChainReader) -> Self {
        Self { reader, known: BTreeMap::new(), next: 0 }
    }

    /// The chains of these ports: read now, as far as the time allows, the rest as they were when they were
    /// read last. Each comes in its turn.
    pub(super) fn look(&mut self, ports: &BTreeSet<u32>) -> &BTreeMap<u32, io::Result<Vec<u32>>> {
        let start = Instant::now();
        self.known.retain(|port, _| ports.contains(port));
        for port in ports.range(self.next..).chain(ports.range(..self.next)) {
            if start.elapsed() > LOOK {
                self.next = *port;
                break;
            }
            self.known.insert(*port, self.reader.egress(*port));
        }
        &self.known
    }
}

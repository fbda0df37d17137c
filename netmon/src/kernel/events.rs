//! collect: ring buffer → [`Event`], checked, in batches.

use std::io;

use aya::maps::{MapData, RingBuf};
use netmon_common::abi::{self, Event};
use tokio::io::{Interest, unix::AsyncFd};
use zerocopy::FromBytes as _;

/// Records that are taken at one time, so that a guest that floods the ring does not keep the loop.
const BATCH: usize = 256;

/// The reader's side of the ring buffer.
pub struct Events {
    ring: AsyncFd<RingBuf<MapData>>,
    /// Records of another version or length than ours.
    unknown: u64,
}

impl Events {
    /// Reads from this ring buffer. Called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The descriptor cannot be polled.
    pub fn new(ring: RingBuf<MapData>) -> io::Result<Self> {
        // SAFETY: aya's ring buffer owns its descriptor and gives the same one as long as it lives.
        let ring = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) };
        Ok(Self { ring: ring.map_err(io::Error::from)?, unknown: 0 })
    }

    /// Waits for news, and takes up to [`BATCH`] of them. The future may be dropped at any point: what it
    /// has not returned is still in the ring.
    ///
    /// # Errors
    ///
    /// The descriptor cannot be polled.
    pub async fn next(&mut self) -> io::Result<Vec<Event>> {
        let mut guard = self.ring.readable_mut().await?;
        let mut events = Vec::new();
        let ring = guard.get_inner_mut();
        while events.len() < BATCH {
            let Some(record) = ring.next() else {
                // Empty, and only then: the kernel wakes us for the first record after that.
                guard.clear_ready();
                break;
            };
            match Event::read_from_bytes(&record) {
                Ok(event) if event.version == abi::VERSION => events.push(event),
                _ => self.unknown += 1,
            }
        }
        Ok(events)
    }

    /// How many records were of another version or length than ours.
    pub const fn unknown(&self) -> u64 {
        self.unknown
    }
}

//! collect: ring buffer → records, checked, in batches.

use std::{io, marker::PhantomData};

use aya::maps::{MapData, RingBuf};
use netmon_common::abi::{self, Event, Sample};
use tokio::io::{Interest, unix::AsyncFd};
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// Records that are taken at one time, so that a guest that floods the ring does not keep the loop.
const BATCH: usize = 256;

/// A record of a ring buffer.
pub trait Record: FromBytes + KnownLayout + Immutable {
    /// The writer's [`abi::VERSION`].
    fn version(&self) -> u32;
}

impl Record for Event {
    fn version(&self) -> u32 {
        self.version
    }
}

impl Record for Sample {
    fn version(&self) -> u32 {
        self.version
    }
}

/// The reader's side of a ring buffer of `T`.
pub struct Records<T> {
    ring: AsyncFd<RingBuf<MapData>>,
    /// Records of another version or length than ours.
    unknown: u64,
    of: PhantomData<T>,
}

impl<T: Record> Records<T> {
    /// Reads from this ring buffer. Called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The descriptor cannot be polled.
    pub fn new(ring: RingBuf<MapData>) -> io::Result<Self> {
        // SAFETY: aya's ring buffer owns its descriptor and gives the same one as long as it lives.
        let ring = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) };
        Ok(Self { ring: ring.map_err(io::Error::from)?, unknown: 0, of: PhantomData })
    }

    /// Waits for news, and takes up to [`BATCH`] of them. The future may be dropped at any point: what it
    /// has not returned is still in the ring.
    ///
    /// # Errors
    ///
    /// The descriptor cannot be polled.
    pub async fn next(&mut self) -> io::Result<Vec<T>> {
        let mut guard = self.ring.readable_mut().await?;
        let mut records = Vec::new();
        let ring = guard.get_inner_mut();
        while records.len() < BATCH {
            let Some(record) = ring.next() else {
                // Empty, and only then: the kernel wakes us for the first record after that.
                guard.clear_ready();
                break;
            };
            match T::read_from_bytes(&record) {
                Ok(record) if record.version() == abi::VERSION => records.push(record),
                _ => self.unknown += 1,
            }
        }
        Ok(records)
    }

    /// How many records were of another version or length than ours.
    pub const fn unknown(&self) -> u64 {
        self.unknown
    }
}

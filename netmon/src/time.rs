//! Two clocks: the one that ages are measured by, and the one that people read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// A point in time: nanoseconds of CLOCK_MONOTONIC, which the kernel side stamps bindings with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// From the kernel side's stamp.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// As the kernel side stamps.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// Now. The same coarse clock as the kernel side's, so that no stamp lies ahead of it.
    pub fn now() -> Self {
        // The clock exists since Linux 2.6.32; zero would only make things look young.
        clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE)
            .map(|now| Self(Duration::from(now).as_nanos() as u64))
            .unwrap_or_default()
    }

    /// How long ago `earlier` was; zero if it was not.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This moment, `time` later.
    pub const fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time.as_nanos() as u64))
    }

    /// What a clock on the wall showed at this moment, if it was not set since. Both clocks are coarse and tick
    /// together, so that the same moment has the same answer each time.
    pub fn on_the_wall(self) -> SystemTime {
        let (mut now, mut wall) = (Self::now(), real());
        // Not across a tick.
        while Self::now() != now {
            (now, wall) = (Self::now(), real());
        }
        UNIX_EPOCH + wall - now.since(self)
    }
}

/// CLOCK_REALTIME_COARSE, since 1970.
fn real() -> Duration {
    clock_gettime(ClockId::CLOCK_REALTIME_COARSE).map(Duration::from).unwrap_or_default()
}

//! A verdict under the port's mode → what is done with the frame, and where it is counted.

use crate::{Kind, Reason, abi::Mode};

/// What becomes of a frame; each has one counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passes.
    Passed(Kind),
    /// It is dropped.
    Dropped(Reason),
    /// It passes, and would have been dropped.
    Observed(Reason),
}

impl Outcome {
    /// What this mode makes of a verdict. On an interface without policy there is no mode: drop.
    #[inline(always)]
    pub const fn of(verdict: Result<Kind, Reason>, mode: Mode) -> Self {
        match (verdict, mode) {
            (Ok(kind), _) => Self::Passed(kind),
            (Err(Reason::PortUnknown), _) => Self::Dropped(Reason::PortUnknown),
            (Err(reason), Mode::Enforce) => Self::Dropped(reason),
            (Err(reason), Mode::Observe) => Self::Observed(reason),
            (Err(_), Mode::Open) => Self::Passed(Kind::Other),
        }
    }

    /// Whether the frame goes on.
    #[inline(always)]
    pub const fn passes(self) -> bool {
        matches!(self, Self::Passed(_) | Self::Observed(_))
    }

    /// Why it was refused, if it was.
    #[inline(always)]
    pub const fn refused(self) -> Option<Reason> {
        match self {
            Self::Passed(_) => None,
            Self::Dropped(reason) | Self::Observed(reason) => Some(reason),
        }
    }
}

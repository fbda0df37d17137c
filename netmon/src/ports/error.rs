//! Why a port cannot be had.

use std::sync::Arc;

use netmon_common::limits;

use crate::kernel::{attach::AttachError, maps::MapsError};

/// Why a port cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// No interface of this name.
    #[error("{0}: no such interface (is the VM running? netmon ports lists those attached)")]
    NotFound(Arc<str>),
    /// An interface, but no TAP.
    #[error("{0}: not a TAP (netmon confines TAP devices; ip -d link show type tun lists them)")]
    NotTap(Arc<str>),
    /// A TAP without our programs.
    #[error("{0}: not attached (netmon attach {0} does it)")]
    NotAttached(Arc<str>),
    /// The hook refuses.
    #[error("{tap}: {source}")]
    Refused {
        /// The TAP.
        tap: Arc<str>,
        /// Why.
        source: AttachError,
    },
    /// The maps refuse.
    #[error("{tap}: {source} (netmon protects up to {max} TAPs)", max = limits::PORTS)]
    Maps {
        /// The TAP.
        tap: Arc<str>,
        /// Why.
        source: MapsError,
    },
}

impl PortError {
    /// Whether it is for lack of descriptors or memory, and so may be had later.
    pub fn is_lack(&self) -> bool {
        matches!(self, Self::Refused { source, .. } if source.is_lack())
    }
}

//! Are the pinned maps those that this program was built for? Asked before any of them is read: aya takes a
//! pinned map for what the object says it is, and would write a larger value past the end of ours.

use std::{
    io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use aya_obj::{Object, generated::bpf_map_type};

use super::{
    pins::Pins,
    syscall::{self, MapLayout},
};

/// Why a pinned map is not ours.
#[derive(Debug, thiserror::Error)]
pub(super) enum LayoutError {
    /// It is gone, or no map.
    #[error("{}: {source}", path.display())]
    Io {
        /// Where it should be.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// It is another map.
    #[error("{}: type, key, value, entries and flags are {found}, and not {wanted}", path.display())]
    Other {
        /// Where it is.
        path: PathBuf,
        /// What the kernel says it is.
        found: String,
        /// What it should be.
        wanted: String,
    },
    /// The object has no such map.
    #[error("map {0}: not in the BPF object")]
    Missing(&'static str),
}

/// Compares a pinned map with the object's.
///
/// # Errors
///
/// It is missing, or another.
pub(super) fn check(object: &Object, name: &'static str, pins: &Pins) -> Result<(), LayoutError> {
    let map = object.maps.get(name).ok_or(LayoutError::Missing(name))?;
    let wanted = MapLayout {
        kind: map.map_type(),
        key: map.key_size(),
        value: map.value_size(),
        entries: map.max_entries(),
        flags: map.map_flags(),
    };
    compare(&pins.map(name), wanted)
}

fn compare(path: &Path, mut wanted: MapLayout) -> Result<(), LayoutError> {
    let found = syscall::open(path).and_then(|map| syscall::map_layout(map.as_fd()));
    let found = found.map_err(|source| LayoutError::Io { path: path.to_owned(), source })?;
    // A ring buffer has neither keys nor values; aya leaves what the object says out when it makes one.
    if wanted.kind == bpf_map_type::BPF_MAP_TYPE_RINGBUF as u32 {
        (wanted.key, wanted.value) = (0, 0);
    }
    if found == wanted {
        return Ok(());
    }
    let shown = |layout: MapLayout| {
        let MapLayout { kind, key, value, entries, flags } = layout;
        format!("{kind}, {key}, {value}, {entries}, {flags:#x}")
    };
    let (found, wanted) = (shown(found), shown(wanted));
    Err(LayoutError::Other { path: path.to_owned(), found, wanted })
}

#[cfg(test)]
#[allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics has failed"
)]
mod tests;

//! A host's state as a guest could change it: what an attack must leave alone.

use std::collections::BTreeSet;

use anyhow::ensure;

use crate::host::Host;

/// Routes, addresses and neighbours of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot(BTreeSet<String>);

impl Snapshot {
    /// As they are now.
    ///
    /// # Errors
    ///
    /// `ip` failed.
    pub fn of(host: &Host) -> anyhow::Result<Self> {
        let mut rows = BTreeSet::new();
        for words in ["-4 route show table all", "-6 route show table all", "-o addr show"] {
            rows.extend(host.ip(words)?.lines().map(str::to_owned));
        }
        // The last word is the state, which time alone changes.
        let neighbours = host.ip("neigh show")?;
        let rows_of = neighbours.lines().filter_map(|row| row.trim_end().rsplit_once(' '));
        rows.extend(rows_of.map(|(row, _state)| row.to_owned()));
        Ok(Self(rows))
    }

    /// Fails with what has changed until `after`.
    ///
    /// # Errors
    ///
    /// Something has.
    pub fn is_still(&self, after: &Self) -> anyhow::Result<()> {
        let changed: Vec<_> = self.0.symmetric_difference(&after.0).collect();
        ensure!(changed.is_empty(), "changed: {changed:?}");
        Ok(())
    }
}

//! A host's state as a guest could change it: what an attack must leave alone.

use std::collections::BTreeSet;

use anyhow::ensure;

use crate::host::Host;

/// Routes, addresses and neighbours of a host: a line each, which begins with what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot(BTreeSet<String>);

const SOURCES: [(&str, &str); 5] = [
    ("route", "-4 route show table all"),
    ("route", "-6 route show table all"),
    // What redirects and "packet too big" leave.
    ("route", "-6 route show cache"),
    ("address", "-o addr show"),
    ("neighbour", "neigh show"),
];

impl Snapshot {
    /// As they are now.
    ///
    /// # Errors
    ///
    /// `ip` failed.
    pub fn of(host: &Host) -> anyhow::Result<Self> {
        let mut rows = BTreeSet::new();
        for (what, words) in SOURCES {
            let shown = host.ip(words)?;
            rows.extend(shown.lines().map(|line| format!("{what} {}", timeless(what, line))));
        }
        Ok(Self(rows))
    }

    /// What has changed until `after`: what has gone with a `-`, what has come with a `+`.
    pub fn changes(&self, after: &Self) -> Vec<String> {
        let gone = self.0.difference(&after.0).map(|row| format!("-{row}"));
        let come = after.0.difference(&self.0).map(|row| format!("+{row}"));
        gone.chain(come).collect()
    }

    /// Fails with what has changed until `after`.
    ///
    /// # Errors
    ///
    /// Something has.
    pub fn is_still(&self, after: &Self) -> anyhow::Result<()> {
        let changed = self.changes(after);
        ensure!(changed.is_empty(), "changed: {changed:?}");
        Ok(())
    }
}

/// The line without what time alone changes: lifetimes, and the state at the end of a neighbour.
fn timeless(what: &str, line: &str) -> String {
    let is_time =
        |word: &&str| word.ends_with("sec") && word.starts_with(|c: char| c.is_ascii_digit());
    let mut words: Vec<_> = line.split_whitespace().filter(|word| !is_time(word)).collect();
    if what == "neighbour" {
        words.pop();
    }
    words.join(" ")
}

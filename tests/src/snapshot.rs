//! A host's state as a guest could change it: what an attack must leave alone.

use std::collections::BTreeSet;

use anyhow::ensure;

use crate::host::{Host, succeed};

/// Routes, addresses, neighbours and bridges of a host: a line each, which begins with what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot(BTreeSet<String>);

const SOURCES: [(&str, &str); 8] = [
    ("route", "ip -4 route show table all"),
    ("route", "ip -6 route show table all"),
    // What redirects and "packet too big" leave.
    ("route", "ip -6 route show cache"),
    ("address", "ip -o addr show"),
    ("neighbour", "ip neigh show"),
    // Which port has which MAC, and which group.
    ("fdb", "bridge fdb show"),
    ("mdb", "bridge mdb show"),
    ("bridge", "ip -d -o link show type bridge"),
];

impl Snapshot {
    /// As they are now.
    ///
    /// # Errors
    ///
    /// `ip` or `bridge` failed.
    pub fn of(host: &Host) -> anyhow::Result<Self> {
        let mut rows = BTreeSet::new();
        for (what, command) in SOURCES {
            let mut words = command.split_whitespace();
            let mut command = host.command(words.next().unwrap_or_default());
            let shown = succeed(command.args(words))?;
            rows.extend(shown.lines().filter_map(|line| row(what, line)));
        }
        Ok(Self(rows))
    }

    /// With further rows, which begin with what they are, too.
    #[must_use]
    pub fn with(mut self, rows: impl IntoIterator<Item = String>) -> Self {
        self.0.extend(rows);
        self
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

/// What a line tells of the state; `None`: nothing that a guest could change.
fn row(what: &str, line: &str) -> Option<String> {
    let words: Vec<_> = line.split_whitespace().collect();
    let after = |name: &str| words.iter().skip_while(|word| **word != name).nth(1);
    match what {
        // The others are the filters of each interface: its own groups.
        "fdb" if !words.contains(&"master") => None,
        // Of the rest of it much is time.
        "bridge" => {
            let name = words.get(1)?.trim_end_matches(':');
            Some(format!("{what} {name} mcast_snooping {}", after("mcast_snooping")?))
        }
        _ => Some(format!("{what} {}", timeless(what, &words))),
    }
}

/// The words without what time alone changes: lifetimes, and the state at the end of a neighbour.
fn timeless(what: &str, words: &[&str]) -> String {
    let is_time =
        |word: &&str| word.ends_with("sec") && word.starts_with(|c: char| c.is_ascii_digit());
    let mut words: Vec<_> = words.iter().copied().filter(|word| !is_time(word)).collect();
    if what == "neighbour" {
        words.pop();
    }
    words.join(" ")
}

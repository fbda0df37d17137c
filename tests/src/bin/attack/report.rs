//! What people see: a table on the terminal, at most 80 columns.

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use crate::verdict::{Verdict, by_count, short};

const RED: &str = "31";
const BOLD: &str = "1";

/// The table as it grows.
pub(crate) struct Report {
    is_colour: bool,
    rows: usize,
    failed: usize,
    sent: u64,
    bad: u64,
}

const LEGEND: &str = "
SENT: frames of the hostile guest. IN: those that the host's stack saw. BAD: those
of them that no guest may send. WITHOUT NETMON: what changed, and bad frames in.
";

/// How many of an attack's failures are shown; the file has all.
const FAILURES: usize = 3;

impl Report {
    pub(crate) fn begin(count: usize) -> anyhow::Result<Self> {
        let no_colour = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_colour = io::stdout().is_terminal() && !no_colour;
        let report = Self { is_colour, rows: 0, failed: 0, sent: 0, bad: 0 };
        let head = row("", "ATTACK", ["SENT", "IN", "BAD"], "STOPPED BY", "WITHOUT NETMON");
        let mut out = io::stdout();
        writeln!(out, "{count} attacks, each on a host with netmon and on one without.\n")?;
        writeln!(out, "{}", report.paint(BOLD, &head))?;
        Ok(report)
    }

    /// The next row.
    pub(crate) fn add(&mut self, verdict: &Verdict) -> anyhow::Result<()> {
        let failures = verdict.failures();
        let mark = if failures.is_empty() { "✓" } else { "✗" };
        let line = match &verdict.tried {
            Ok((guarded, _)) => {
                self.sent += guarded.sent;
                self.bad += guarded.arrived.forbidden();
                let counts = [guarded.sent, guarded.arrived.frames, guarded.arrived.forbidden()];
                let [sent, arrived, bad] = counts.map(short);
                let counts = [sent.as_str(), arrived.as_str(), bad.as_str()];
                row(mark, &verdict.attack.name, counts, &main_reasons(verdict), &main_harm(verdict))
            }
            Err(_) => row(mark, &verdict.attack.name, ["-"; 3], "-", "-"),
        };
        let line = if failures.is_empty() { line } else { self.paint(RED, &line) };
        writeln!(io::stdout(), "{line}")?;
        for failure in failures.iter().take(FAILURES) {
            let failure: String = failure.chars().take(74).collect();
            writeln!(io::stdout(), "      {failure}")?;
        }
        if let Some(more @ 1..) = failures.len().checked_sub(FAILURES) {
            writeln!(io::stdout(), "      … and {more} more")?;
        }
        self.rows += 1;
        self.failed += usize::from(!failures.is_empty());
        Ok(())
    }

    /// The last lines; whether all is well.
    pub(crate) fn end(&self, took: Duration) -> io::Result<bool> {
        let Self { rows, failed, sent, bad, .. } = self;
        let verdict = match failed {
            0 => "All of them got nothing".to_owned(),
            failed => format!("{failed} of them FAILED"),
        };
        let seconds = took.as_secs();
        writeln!(
            io::stdout(),
            "{LEGEND}\n{verdict}: {rows} attacks, {sent} frames, {bad} bad ones in ({seconds} s)."
        )?;
        Ok(*failed == 0)
    }

    fn paint(&self, how: &str, text: &str) -> String {
        if self.is_colour { format!("\x1b[{how}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn row(
    mark: &str,
    name: &str,
    [sent, arrived, bad]: [&str; 3],
    reasons: &str,
    control: &str,
) -> String {
    let row = format!("{mark:1} {name:20} {sent:>4} {arrived:>4} {bad:>4}  {reasons:19} {control}");
    row.chars().take(80).collect()
}

fn main_reasons(verdict: &Verdict) -> String {
    let reasons = by_count(verdict);
    match reasons.as_slice() {
        [] => "nothing".to_owned(),
        [(only, _)] => (*only).to_owned(),
        [(first, _), rest @ ..] => format!("{first} +{}", rest.len()),
    }
}

/// As much of the harm as fits.
fn main_harm(verdict: &Verdict) -> String {
    let mut shown = String::new();
    for harm in verdict.harm() {
        if shown.len() + harm.len() > 20 {
            break;
        }
        shown += if shown.is_empty() { "" } else { " " };
        shown += &harm;
    }
    shown
}

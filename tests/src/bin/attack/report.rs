//! What people read: a table on the terminal, at most 80 columns, and the same with more of it in a file.

use std::{
    env, fs,
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    time::Duration,
};

use anyhow::Context as _;

use crate::verdict::{Verdict, short};

const RED: &str = "31";
const BOLD: &str = "1";

/// The table as it grows.
pub(crate) struct Report {
    is_colour: bool,
    verdicts: Vec<Verdict>,
}

impl Report {
    pub(crate) fn begin(count: usize) -> anyhow::Result<Self> {
        let no_colour = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_colour = io::stdout().is_terminal() && !no_colour;
        let report = Self { is_colour, verdicts: Vec::new() };
        let head = row("", "ATTACK", ["SENT", "IN", "BAD"], "STOPPED BY", "WITHOUT NETMON");
        let mut out = io::stdout();
        writeln!(out, "{count} attacks, each on a host with netmon and on one without.\n")?;
        writeln!(out, "{}", report.paint(BOLD, &head))?;
        Ok(report)
    }

    /// The next row.
    pub(crate) fn add(&mut self, verdict: Verdict) -> anyhow::Result<()> {
        let failures = verdict.failures();
        let line = line(&verdict, !failures.is_empty());
        let line = if failures.is_empty() { line } else { self.paint(RED, &line) };
        writeln!(io::stdout(), "{line}")?;
        for failure in failures.iter().take(3) {
            let failure: String = failure.chars().take(73).collect();
            writeln!(io::stdout(), "      {failure}")?;
        }
        if failures.len() > 3 {
            writeln!(io::stdout(), "      … and {} more", failures.len() - 3)?;
        }
        self.verdicts.push(verdict);
        Ok(())
    }

    /// The last lines; whether all is well.
    pub(crate) fn end(&self, took: Duration, file: Option<&Path>) -> anyhow::Result<bool> {
        let failed = self.verdicts.iter().filter(|verdict| !verdict.failures().is_empty()).count();
        let sent: u64 = self.verdicts.iter().map(|verdict| verdict.guarded.sent).sum();
        let bad: u64 =
            self.verdicts.iter().map(|verdict| verdict.guarded.arrived.forbidden()).sum();
        let mut out = io::stdout();
        writeln!(
            out,
            "\nSENT: frames of the hostile guest. IN: those that the host's stack saw. BAD: those"
        )?;
        writeln!(
            out,
            "of them that no guest may send. WITHOUT NETMON: bad frames in, and what changed."
        )?;
        let verdict = if failed == 0 { "All of them got nothing" } else { "NOT all got nothing" };
        let seconds = took.as_secs();
        writeln!(
            out,
            "\n{verdict}: {} attacks, {failed} failed; {sent} frames, {bad} bad ones in ({seconds} s).",
            self.verdicts.len()
        )?;
        if let Some(file) = file {
            fs::write(file, self.markdown()).with_context(|| file.display().to_string())?;
            writeln!(out, "More of it: {}", file.display())?;
        }
        Ok(failed == 0)
    }

    fn markdown(&self) -> String {
        let mut text = String::from(
            "| attack | sent | in | bad | reasons | without netmon | |\n\
             |---|--:|--:|--:|---|---|---|\n",
        );
        for verdict in &self.verdicts {
            let outcome = &verdict.guarded;
            text += &format!(
                "| `{}` | {} | {} | {} | {} | {} | {} |\n",
                verdict.attack.name,
                outcome.sent,
                outcome.arrived.frames,
                outcome.arrived.forbidden(),
                all_reasons(verdict),
                verdict.control.harm().join(", "),
                if verdict.failures().is_empty() { "got nothing" } else { "**FAILED**" },
            );
        }
        for verdict in &self.verdicts {
            text += &format!("\n## {}\n\n    {}\n", verdict.attack.name, verdict.attack.command);
            let failures = verdict.failures();
            text += &listed("Failures", failures.iter().map(String::as_str));
            let came = verdict.control.arrived.forbidden.iter();
            let came = came.map(|(why, (count, _))| format!("{count} frames in: each {why}"));
            let changes = verdict.control.changes.iter().take(5).cloned();
            let more = verdict
                .control
                .changes
                .len()
                .checked_sub(6)
                .map(|more| format!("and {} more", more + 1));
            let all: Vec<_> = came.chain(changes).chain(more).collect();
            text += &listed("Without netmon", all.iter().map(String::as_str));
        }
        text
    }

    fn paint(&self, how: &str, text: &str) -> String {
        if self.is_colour { format!("\x1b[{how}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn listed<'a>(title: &str, items: impl Iterator<Item = &'a str>) -> String {
    let items: String = items.map(|item| format!("- {item}\n")).collect();
    if items.is_empty() { items } else { format!("\n{title}:\n\n{items}") }
}

fn line(verdict: &Verdict, failed: bool) -> String {
    let outcome = &verdict.guarded;
    let counts = [outcome.sent, outcome.arrived.frames, outcome.arrived.forbidden()].map(short);
    let counts = [counts[0].as_str(), counts[1].as_str(), counts[2].as_str()];
    let mark = if failed { "✗" } else { "✓" };
    row(mark, &verdict.attack.name, counts, &main_reasons(verdict), &main_harm(verdict))
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

/// The reasons of a guarded host, the most frequent first.
fn by_count(verdict: &Verdict) -> Vec<(&str, u64)> {
    let reasons = verdict.guarded.guarded.iter().flat_map(|guarded| &guarded.reasons);
    let mut reasons: Vec<_> = reasons.map(|(reason, count)| (reason.as_str(), *count)).collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    reasons
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
    for harm in verdict.control.harm() {
        if shown.len() + harm.len() > 20 {
            break;
        }
        shown += if shown.is_empty() { "" } else { " " };
        shown += &harm;
    }
    shown
}

fn all_reasons(verdict: &Verdict) -> String {
    let reasons = by_count(verdict);
    reasons.iter().map(|(reason, count)| format!("{reason} {count}")).collect::<Vec<_>>().join(", ")
}

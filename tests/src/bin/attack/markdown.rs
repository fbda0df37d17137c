//! The same for a file, with all that there is to tell.

use crate::verdict::{Verdict, by_count};

/// How many changes of an unprotected host are told: a flood makes tens of thousands.
const CHANGES: usize = 5;

/// A table, and a section for each attack.
pub(crate) fn report(verdicts: &[Verdict]) -> String {
    let mut text = String::from(
        "| attack | sent | in | bad | stopped by | without netmon | |\n\
         |---|--:|--:|--:|---|---|---|\n",
    );
    text.extend(verdicts.iter().map(row));
    text.extend(verdicts.iter().map(section));
    text
}

fn row(verdict: &Verdict) -> String {
    let mark = if verdict.failures().is_empty() { "✓" } else { "✗" };
    let name = &verdict.attack.name;
    let Ok((guarded, _)) = &verdict.tried else { return format!("| {name} ||||||{mark} |\n") };
    let reasons: Vec<_> =
        by_count(verdict).iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    format!(
        "| {name} | {} | {} | {} | {} | {} | {mark} |\n",
        guarded.sent,
        guarded.arrived.frames,
        guarded.arrived.forbidden(),
        reasons.join(", "),
        verdict.harm().join(", "),
    )
}

fn section(verdict: &Verdict) -> String {
    let mut text = format!("\n## {}\n\n    {}\n", verdict.attack.name, verdict.attack.command);
    text += &list("Failures", &verdict.failures());
    if let Ok((_, control)) = &verdict.tried {
        let came = control.arrived.forbidden.iter();
        let came = came.map(|(why, (count, _))| format!("{count} frames came in: each {why}"));
        let changes = control.changes.iter().take(CHANGES).cloned();
        let more = control.changes.len().saturating_sub(CHANGES);
        let more = (more > 0).then(|| format!("… and {more} more"));
        text += &list("Without netmon", &came.chain(changes).chain(more).collect::<Vec<_>>());
    }
    text
}

fn list(title: &str, items: &[String]) -> String {
    let lines: String = items.iter().map(|item| format!("- {item}\n")).collect();
    if lines.is_empty() { lines } else { format!("\n{title}:\n\n{lines}") }
}

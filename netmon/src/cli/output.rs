//! What people and programs get to read.

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
};

use serde::Serialize;
use tabled::{
    builder::Builder,
    settings::{Alignment, Padding, Style, object::Columns},
};

use super::failure::Failure;

/// How to print a list: for people, or for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
}

/// Prints rows for programs. None are `[]`.
pub(super) fn json(rows: &impl Serialize) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, rows)?;
    writeln!(out)?;
    Ok(out.flush()?)
}

/// Prints text for people.
pub(super) fn text(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// Says something to people only: that a list is empty, what to do next.
pub(super) fn note(sentence: &str) {
    // Where stderr is closed, nobody wants to know.
    writeln!(io::stderr(), "{sentence}").ok();
}

/// Prints a table, its head in bold on a terminal.
pub(super) fn table<const N: usize>(
    head: [&str; N],
    numbers: &[usize],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Result<(), Failure> {
    let table = aligned(head, numbers, rows);
    match table.split_once('\n') {
        Some((head, rows)) if colour() => text(&format!("\x1b[1m{head}\x1b[0m\n{rows}")),
        _ => text(&table),
    }
}

/// Columns two blanks apart, the `numbers` among them to the right; never wrapped, and no blanks at the
/// end of a line.
pub(super) fn aligned<const N: usize>(
    head: [&str; N],
    numbers: &[usize],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Builder::new();
    table.push_record(head);
    for row in rows {
        table.push_record(row.map(|cell| cell.replace(char::is_control, " ")));
    }
    let mut table = table.build();
    table.with(Style::empty()).with(Padding::new(0, 2, 0, 0));
    for column in numbers {
        table.modify(Columns::one(*column), Alignment::right());
    }
    table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Names with a sentence each: broken at `width` on a terminal, a line each for grep.
pub(super) fn glossary(entries: &[(&str, &str)], width: Option<usize>) -> String {
    let indent = entries.iter().map(|(name, _)| name.len()).max().unwrap_or_default() + 2;
    let mut lines = Vec::new();
    for (name, sentence) in entries {
        let mut line = format!("{name:indent$}");
        let mut is_first = true;
        for word in sentence.split(' ') {
            if !is_first && width.is_some_and(|width| line.len() + 1 + word.len() > width) {
                lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
                is_first = true;
            }
            if !is_first {
                line.push(' ');
            }
            line.push_str(word);
            is_first = false;
        }
        lines.push(line);
    }
    lines.join("\n")
}

/// Where lines end for people; a pipe has no width.
pub(super) fn width() -> Option<usize> {
    io::stdout().is_terminal().then_some(80)
}

/// Whether to mark text: on a terminal, unless <https://no-color.org>.
fn colour() -> bool {
    io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

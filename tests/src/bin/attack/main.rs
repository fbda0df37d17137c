//! The attackers, `cargo xtask attack`: third parties' tools in a hostile guest, against a host with netmon
//! and, to see that they are real, against one without.
//!
//! `catalog` lists them, `course` runs them all, `trial` one on one host; `verdict` says what came of it.

mod catalog;
mod course;
mod forbidden;
mod report;
mod scene;
mod tally;
mod tool;
mod trial;
mod verdict;

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::ensure;
use clap::Parser;
use netmon_tests::guard;
use report::Report;

/// Attacks a host from a guest, with netmon and without.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask attack")]
struct Arguments {
    /// Only the few that stand for all
    #[arg(long)]
    quick: bool,
    /// Lists the attacks instead
    #[arg(long)]
    list: bool,
    /// Writes all that there is to tell to this file, as Markdown
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only attacks whose name or command contains one of these
    filters: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    guard::alone("attack", || match attack(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the attacks cannot go on: {error:#}");
            ExitCode::FAILURE
        }
    })
    .unwrap_or_else(|error| {
        eprintln!("{error:#}");
        ExitCode::FAILURE
    })
}

fn attack(arguments: &Arguments) -> anyhow::Result<bool> {
    let mut attacks = catalog::all()?;
    attacks.retain(|attack| !arguments.quick || attack.is_core);
    let wanted = |text: &str| arguments.filters.iter().any(|filter| text.contains(filter.as_str()));
    attacks.retain(|attack| {
        arguments.filters.is_empty() || wanted(&attack.name) || wanted(&attack.command)
    });
    ensure!(!attacks.is_empty(), "no attack is called like that: --list lists them");
    if arguments.list {
        for attack in &attacks {
            println!("{:21} {}", attack.name, attack.command);
        }
        return Ok(true);
    }
    let start = Instant::now();
    let mut report = Report::begin(attacks.len())?;
    course::run(attacks, |verdict| report.add(verdict))?;
    report.end(start.elapsed(), arguments.output.as_deref())
}

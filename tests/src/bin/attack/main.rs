//! The attackers, `cargo xtask attack`: third parties' tools in a hostile guest, against a host with netmon
//! and, to see that they are real, against one without.
//!
//! `catalog` lists them, `course` runs them all, `trial` one on one host; `verdict` says what came of it.

mod catalog;
mod changes;
mod course;
mod forbidden;
mod markdown;
mod report;
mod scene;
mod tally;
mod tool;
mod trial;
mod verdict;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context as _, ensure};
use catalog::Attack;
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
    let attacks = match arguments.attacks() {
        Ok(attacks) => attacks,
        Err(error) => return failure(&error),
    };
    if arguments.list {
        for attack in attacks {
            println!("{:21} {}", attack.name, attack.command);
        }
        return ExitCode::SUCCESS;
    }
    let attack = || match attack(attacks, arguments.output.as_deref()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => failure(&error),
    };
    guard::alone("attack", attack).unwrap_or_else(|error| failure(&error))
}

fn failure(error: &anyhow::Error) -> ExitCode {
    eprintln!("the attacks cannot go on: {error:#}");
    ExitCode::FAILURE
}

impl Arguments {
    /// Those that are meant.
    fn attacks(&self) -> anyhow::Result<Vec<Attack>> {
        let Self { quick, filters, .. } = self;
        let named = |text: &str| filters.iter().any(|filter| text.contains(filter.as_str()));
        let mut attacks = catalog::all()?;
        attacks.retain(|attack| {
            let wanted = filters.is_empty() || named(&attack.name) || named(&attack.command);
            wanted && (!quick || attack.is_core)
        });
        ensure!(!attacks.is_empty(), "no attack is called like that: --list lists them");
        Ok(attacks)
    }
}

/// Whether all of them got nothing.
fn attack(attacks: Vec<Attack>, file: Option<&Path>) -> anyhow::Result<bool> {
    let start = Instant::now();
    let mut report = Report::begin(attacks.len())?;
    let mut verdicts = Vec::new();
    course::run(attacks, |verdict| {
        report.add(&verdict)?;
        verdicts.push(verdict);
        Ok(())
    })?;
    let all_well = report.end(start.elapsed())?;
    if let Some(file) = file {
        fs::write(file, markdown::report(&verdicts)).with_context(|| file.display().to_string())?;
        println!("More of it: {}", file.display());
    }
    Ok(all_well)
}

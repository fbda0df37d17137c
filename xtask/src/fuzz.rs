//! Frames that nobody thought of, for as long as one likes.

use std::{fs, process::Command, thread, time::Duration};

use anyhow::{Context, Result, anyhow, bail};

use crate::{
    build, exec,
    setup::{self, Work},
    test, workspace,
};

/// Searches frames on which the judge, a second judge and the loaded programs do not say the same.
///
/// Two searches at the same time: libFuzzer looks for new paths through the pure code of the judge and of the second
/// one, from the inputs in tests/fixtures/corpus; and random frames go through the loaded programs too. A frame that is
/// found is kept in tests/fixtures/cases, which the tests run from then on.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask fuzz --for 10m")]
pub(crate) struct Args {
    /// How long: 30s, 10m, 8h.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, default_value = "1m")]
    time: Duration,
}

/// Marks in the code for libFuzzer: which edges are taken, and what is compared with what. Stable rustc has them.
const COVERAGE: &str = "-Cpasses=sancov-module \
     -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
     -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares \
     -Ccodegen-units=1 -Cdebug-assertions";

pub(crate) fn main(args: &Args) -> Result<()> {
    exec::need_root("netmon's programs are part of the search", "fuzz")?;
    let built = build::build(
        &build::Args::default(),
        &setup::tools(&[Work::Build, Work::Test, Work::Fuzz])?,
    )?;
    let fuzzer = fuzzer()?;
    // Whoever waits for the programs' test to be built has the fuzzer wait, too.
    test::build(&built)?;
    thread::scope(|scope| {
        let coverage = scope.spawn(|| search(fuzzer, args.time));
        let programs = test::differential(&built, args.time);
        let coverage = coverage.join().unwrap_or_else(|_| bail!("the thread panicked"));
        coverage.and(programs)
    })
}

/// Builds the fuzzer; the command that runs it.
fn fuzzer() -> Result<Command> {
    let target = host()?;
    let folder = workspace::target().join("fuzz");
    let mut cargo = workspace::cargo();
    cargo
        .args(["build", "--package=netmon-tests", "--bin=fuzz", "--features=fuzz", "--release"])
        // With a target named, what runs while building is built without the marks.
        .args(["--target", &target, "--target-dir"])
        .arg(&folder)
        .env("RUSTFLAGS", COVERAGE);
    exec::run("builds the fuzzer", &mut cargo)?;
    Ok(Command::new(folder.join(target).join("release/fuzz")))
}

/// The name of this machine to rustc.
fn host() -> Result<String> {
    let said = exec::output(Command::new("rustc").arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV: no line `host:`")
}

fn search(mut fuzzer: Command, time: Duration) -> Result<()> {
    let folder = workspace::target().join("fuzz");
    let (corpus, found) = (folder.join("corpus"), folder.join("found/"));
    for folder in [&corpus, &found] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fuzzer
        .arg(corpus)
        .arg(workspace::root().join("tests/fixtures/corpus"))
        .arg(format!("-max_total_time={}", time.as_secs()))
        .arg(format!("-artifact_prefix={}", found.display()))
        .args(["-max_len=768", "-use_value_profile=1", "-verbosity=0", "-print_final_stats=1"]);
    exec::run("searches by coverage", &mut fuzzer)
}

fn duration(text: &str) -> Result<Duration> {
    let (number, unit) = text.split_at(text.len() - 1);
    let number: u64 = number.parse().with_context(|| format!("{text}: like 30s, 10m, 8h"))?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(anyhow!("{text}: like 30s, 10m, 8h")),
    };
    Ok(Duration::from_secs(number * seconds))
}

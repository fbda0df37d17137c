//! Frames that nobody thought of, for as long as one likes.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};

use crate::{
    build, exec,
    setup::{self, Work},
    test, workspace,
};

/// Searches frames on which the judge, a second judge and the loaded programs do not say the same.
///
/// Two searches at the same time: libFuzzer looks for new paths through the pure code of both judges,
/// and random frames go through the loaded programs too. A frame that is found is kept in
/// tests/fixtures/cases, and the tests run it from then on.
#[derive(clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example: sudo -E env PATH=\"$PATH\" cargo xtask fuzz --for 10m"
)]
pub(crate) struct Args {
    /// How long: 30s, 10m, 8h.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, default_value = "1m")]
    time: Duration,
    /// Keeps the inputs that reach new paths in tests/fixtures/corpus.txt, from which the next search
    /// begins, and which the tests run.
    #[arg(long)]
    bless: bool,
}

/// Marks in the code for libFuzzer: which edges are taken, and what is compared with what. No nightly: stable
/// rustc hands all of these on to LLVM.
const MARKS: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
];

/// The longest input: most are a few choices, some a frame.
const LONGEST: &str = "-max_len=768";

pub(crate) fn main(args: &Args) -> Result<()> {
    exec::need_root("netmon's programs are part of the search", "fuzz")?;
    let work = [Work::Build, Work::Test, Work::Fuzz];
    let built = build::build(&build::Args::default(), &setup::tools(&work)?)?;
    let fuzzer = fuzzer()?;
    // Both searches begin at the same time.
    test::build(&built)?;
    thread::scope(|scope| {
        let coverage = scope.spawn(|| search(&fuzzer, args));
        let programs = test::differential(&built, args.time);
        let coverage = coverage.join().unwrap_or_else(|_| bail!("the thread panicked"));
        coverage.and(programs)
    })
}

/// Builds the fuzzer.
fn fuzzer() -> Result<PathBuf> {
    let said = exec::output(Command::new("rustc").arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc -vV: no line `host:`")?;
    let mut cargo = workspace::cargo();
    cargo
        .args(["build", "--package=netmon-tests", "--bin=fuzz", "--features=fuzz", "--release"])
        // With a target named, what runs while building is built without the marks.
        .args(["--target", host, "--target-dir"])
        .arg(folder())
        .env("RUSTFLAGS", MARKS.join(" "));
    exec::run("builds the fuzzer", &mut cargo)?;
    Ok(folder().join(host).join("release/fuzz"))
}

/// A folder of its own: the marks are in all that is built there.
fn folder() -> PathBuf {
    workspace::target().join("fuzz")
}

fn search(fuzzer: &Path, args: &Args) -> Result<()> {
    let (corpus, kept) = (folder().join("corpus"), folder().join("kept"));
    for folder in [&corpus, &kept, &folder().join("found")] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    unpack(&kept)?;
    let mut search = Command::new(fuzzer);
    search
        .args([&corpus, &kept])
        .arg(format!("-artifact_prefix={}/", folder().join("found").display()))
        .arg(format!("-max_total_time={}", args.time.as_secs()))
        .args([LONGEST, "-use_value_profile=1", "-verbosity=0", "-print_final_stats=1"]);
    exec::run("searches by coverage", &mut search)?;
    if args.bless { pack(fuzzer, &[corpus, kept]) } else { Ok(()) }
}

fn file() -> PathBuf {
    workspace::root().join("tests/fixtures/corpus.txt")
}

/// The inputs of the file, each a file of its own as libFuzzer wants them.
fn unpack(folder: &Path) -> Result<()> {
    let text = fs::read_to_string(file()).with_context(|| file().display().to_string())?;
    for (number, line) in text.lines().filter(|line| !line.starts_with('#')).enumerate() {
        let octet = |at| u8::from_str_radix(line.get(at..at + 2).unwrap_or_default(), 16);
        let input = (0..line.len()).step_by(2).map(octet).collect::<Result<Vec<_>, _>>();
        let input = input.with_context(|| format!("{}: {line}", file().display()))?;
        fs::write(folder.join(number.to_string()), input)?;
    }
    Ok(())
}

/// The least inputs that reach every path of these folders, into the file.
fn pack(fuzzer: &Path, folders: &[PathBuf]) -> Result<()> {
    let least = folder().join("least");
    if least.is_dir() {
        fs::remove_dir_all(&least)?;
    }
    fs::create_dir_all(&least)?;
    let mut merge = Command::new(fuzzer);
    merge.args(["-merge=1", LONGEST, "-verbosity=0"]).arg(&least).args(folders);
    exec::run("chooses the inputs to keep", &mut merge)?;
    let mut lines = vec![];
    for entry in fs::read_dir(&least)? {
        let line = fs::read(entry?.path())?.iter().try_fold(String::new(), |mut line, octet| {
            write!(line, "{octet:02x}").map(|()| line)
        })?;
        lines.push(line);
    }
    lines.sort();
    let head = "# Inputs of the fuzzer, one a line, that reach each path it has found: `cargo xtask fuzz --bless` writes them.";
    fs::write(file(), format!("{head}\n{}\n", lines.join("\n")))
        .with_context(|| file().display().to_string())
}

fn duration(text: &str) -> Result<Duration> {
    let wrong = || anyhow!("`{text}` is no duration: 30s, 10m or 8h");
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        _ => return Err(wrong()),
    };
    let number = text.get(..text.len() - 1).and_then(|number| number.parse::<u64>().ok());
    let seconds = number.and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)?;
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit() {
        let seconds = |text| duration(text).map(|time| time.as_secs()).ok();
        assert_eq!(
            [seconds("30s"), seconds("10m"), seconds("8h")],
            [Some(30), Some(600), Some(28_800)]
        );
        assert_eq!(
            [seconds(""), seconds("10"), seconds("m"), seconds("-1s"), seconds("1µ")],
            [None; 5]
        );
    }
}

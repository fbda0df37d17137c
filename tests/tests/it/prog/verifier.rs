//! What the programs cost the verifier. It gives up at a million instructions processed, and how many there are
//! depends on the kernel and on the compiler: `fixtures/verifier.txt` keeps the number for those that were
//! tried, and `NETMON_BLESS=1 cargo xtask test prog verifier` puts this machine's in.

use std::{env, fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, ensure};
use netmon::kernel::load::CLASSIFIER;
use netmon_tests::golden;

use super::Programs;

/// What no kernel and no compiler may come to.
const BOUND: u32 = 150_000;

/// Per cent that a number may be off its line in the file: growth is to be seen, and what has become cheaper is
/// to stay so.
const SLACK: u32 = 10;

/// `linux 6.18, rustc 1.96.0`
fn machine() -> anyhow::Result<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let linux: Vec<_> = release.split('.').take(2).collect();
    let object = fs::read(env::var("NETMON_BPF").context("NETMON_BPF: cargo xtask test sets it")?)?;
    // The compiler's name is in the debug info.
    let object = String::from_utf8_lossy(&object);
    let (_, rustc) = object.split_once("(rustc version ").context("no debug info in the object")?;
    let rustc = rustc.split([' ', ')']).next().unwrap_or_default();
    Ok(format!("linux {}, rustc {rustc}", linux.join(".")))
}

#[test]
fn the_verifier_has_room_to_spare() -> anyhow::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/verifier.txt");
    let (kept, machine) = (fs::read_to_string(&path)?, machine()?);
    let mut programs = Programs::load();
    let mut lines =
        kept.lines().filter(|line| !line.starts_with(&machine)).collect::<Vec<_>>().join("\n");
    for name in ["guest_to_host", CLASSIFIER] {
        let program = programs.loaded.object.program_mut(name).context("no such program")?;
        let processed = program.info()?.verified_instruction_count().context("needs Linux 5.16")?;
        let row = format!("{machine}: {name} ");
        let known = kept.lines().find_map(|line| line.strip_prefix(&row)).map(str::parse::<u32>);
        let known = known.transpose().with_context(|| path.display().to_string())?;
        println!("{row}{processed} instructions processed, {known:?} in {}", path.display());
        ensure!(processed < BOUND, "{name}: {processed} instructions processed, bound {BOUND}");
        write!(lines, "\n{row}{processed}")?;
        if let (Some(known), false) = (known, golden::is_blessed()) {
            ensure!(
                processed.abs_diff(known) * 100 <= known * SLACK,
                "{name}: {processed} instructions processed, {known} in {} (if that is meant: \
                 NETMON_BLESS=1 cargo xtask test prog verifier)",
                path.display()
            );
        }
    }
    if golden::is_blessed() {
        fs::write(&path, lines + "\n")?;
    }
    Ok(())
}

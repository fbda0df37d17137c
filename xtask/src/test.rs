//! The tests, in four tiers.

use std::{process::Command, time::Duration};

use anyhow::{Result, ensure};
use clap::ValueEnum;

use crate::{
    attack,
    build::{self, Built},
    exec,
    setup::{self, Work},
    workspace,
};

/// Builds netmon and runs its tests: all tiers, or one.
///
/// The build is not `--release`. All tiers but `unit` need root.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask test
  cargo xtask test unit
  cargo xtask test net hostile -- --nocapture")]
pub(crate) struct Args {
    /// The tier; without one, all.
    tier: Option<Tier>,
    /// Runs the tests whose name contains one of these.
    filters: Vec<String>,
    /// Arguments of the test harness.
    #[arg(last = true)]
    harness: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tier {
    /// Pure code: parse, judge, the table, output. Without a kernel.
    Unit,
    /// The loaded programs, frame by frame (BPF_PROG_TEST_RUN).
    Prog,
    /// Real TAPs, guests in namespaces, the real daemon and CLI.
    Net,
    /// Third parties' tools: the few attacks that stand for all of `cargo xtask attack`.
    Attack,
}

/// The crates whose tests need no kernel.
const UNIT_CRATES: [&str; 4] = ["netmon-common", "netmon-api", "netmon", "xtask"];

pub(crate) fn main(args: &Args) -> Result<()> {
    let tiers = args.tier.map_or_else(|| Tier::value_variants().to_vec(), |tier| vec![tier]);
    if tiers != [Tier::Unit] {
        exec::need_root("netmon's tests make network namespaces and load BPF programs", "test")?;
    }
    let mut work = vec![Work::Build];
    work.extend((tiers != [Tier::Unit]).then_some(Work::Test));
    work.extend(tiers.contains(&Tier::Attack).then_some(Work::Attack));
    let built = build::build(&build::Args::default(), &setup::tools(&work)?)?;
    for tier in tiers {
        match tier {
            Tier::Unit => unit(args, &built)?,
            Tier::Prog => kernel("prog", args, &built)?,
            // What the tests say is worth what the harness is.
            Tier::Net => {
                if args.filters.is_empty() {
                    kernel("harness", args, &built)?;
                }
                kernel("net", args, &built)?;
            }
            Tier::Attack => attackers(args, &built)?,
        }
    }
    Ok(())
}

fn unit(args: &Args, built: &Built) -> Result<()> {
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--no-fail-fast"]);
    cargo.args(UNIT_CRATES.map(|name| format!("--package={name}")));
    cargo.arg("--").args(&args.filters).args(&args.harness).envs(build::environment(built));
    exec::run("tests what needs no kernel", &mut cargo)?;
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--package=netmon-tests", "--lib", "--"]);
    cargo.args(&args.filters).args(&args.harness).envs(build::environment(built));
    exec::run("tests the judge against a second one", &mut cargo)
}

fn kernel(tier: &str, args: &Args, built: &Built) -> Result<()> {
    let prefix = format!("{tier}::");
    let mut cargo = integration(built);
    if args.filters.is_empty() {
        cargo.arg(prefix);
    } else {
        let list = exec::output(integration(built).args(["--list", "--format=terse"]))?;
        let chosen = choose(&list, &prefix, &args.filters);
        ensure!(
            !chosen.is_empty(),
            "no test of {tier} is called like {}: `cargo xtask test {tier} -- --list` lists them",
            args.filters.join(" or ")
        );
        cargo.arg("--exact").args(chosen);
    }
    exec::run(&format!("tests against the kernel: {tier}"), cargo.args(&args.harness))
}

/// Builds what [`differential`] runs.
pub(crate) fn build(built: &Built) -> Result<()> {
    let mut cargo = integration(built);
    exec::output(cargo.args(["--list", "--format=terse"])).map(drop)
}

/// Frames through judge, oracle and loaded programs, for so long.
pub(crate) fn differential(built: &Built, time: Duration) -> Result<()> {
    let mut cargo = integration(built);
    cargo.args(["--exact", "--nocapture", "prog::differential::oracle_judge_and_programs_agree"]);
    cargo.env("NETMON_FUZZ_SECONDS", time.as_secs().to_string());
    exec::run("searches by frames through the loaded programs", &mut cargo)
}

fn attackers(args: &Args, built: &Built) -> Result<()> {
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--package=netmon-tests", "--bin=attack"]).envs(build::environment(built));
    exec::run("tests what judges the attackers", &mut cargo)?;
    let mut attack = attack::command(built)?;
    attack.args(args.filters.is_empty().then_some("--quick")).args(&args.filters);
    exec::run("runs the attackers", &mut attack)
}

fn integration(built: &Built) -> Command {
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--package=netmon-tests", "--test=it", "--"]);
    cargo.envs(build::environment(built));
    cargo
}

/// The harness joins its filters by "or": the tier *and* a filter are put together here. That no test
/// fits is then known, too, where the harness would run none and say ok.
fn choose<'a>(list: &'a str, prefix: &str, filters: &[String]) -> Vec<&'a str> {
    list.lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .filter(|name| name.starts_with(prefix))
        .filter(|name| filters.iter().any(|filter| name.contains(filter.as_str())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_chooses_within_its_tier() {
        let list =
            "net::vlan: test\nprog::ethernet::vlan: test\nnet::arp: test\nnet::x: benchmark\n";
        let chosen = |filters: &[&str]| {
            choose(list, "net::", &filters.iter().map(|&f| f.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(chosen(&["vlan"]), ["net::vlan"]);
        assert_eq!(chosen(&["vlan", "arp"]), ["net::vlan", "net::arp"]);
        assert!(chosen(&["no such"]).is_empty());
    }
}

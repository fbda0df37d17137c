//! The attackers: third parties' tools against a host with netmon, and against one without.

use std::process::Command;

use anyhow::Result;

use crate::{
    build::{self, Built},
    exec,
    setup::{self, Work},
    workspace,
};

/// Attacks a host from a hostile guest, with THC-IPv6, the SI6 toolkit and scapy; leaves nothing behind.
///
/// Does the set-up and the build first. All of it takes about two minutes, `--quick` half of one;
/// `--list` lists the attacks. docs/attacks.md tells how to read the table.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  sudo -E env PATH=\"$PATH\" cargo xtask attack
  cargo xtask attack --quick
  cargo xtask attack parasite6 fake_router26")]
pub(crate) struct Args {
    /// Arguments of the attackers.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    exec::need_root("the attackers make network namespaces and load BPF programs", "attack")?;
    let tools = setup::tools(&[Work::Build, Work::Test, Work::Attack])?;
    let mut attack = command(&build::build(&build::Args::default(), &tools)?)?;
    let own = |argument: &String| argument.starts_with("--output");
    if !args.arguments.iter().any(own) {
        attack.arg("--output").arg(workspace::target().join("attack.md"));
    }
    // In place of this program: Ctrl-C reaches the attackers alone, which clean up.
    Err(exec::become_it("runs the attackers", attack.args(&args.arguments)))
}

/// Builds the attackers; what runs them.
pub(crate) fn command(built: &Built) -> Result<Command> {
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--package=netmon-tests", "--bin=attack"]);
    exec::run("builds the attackers", cargo.envs(build::environment(built)))?;
    let mut attack = Command::new(workspace::target().join("debug/attack"));
    attack.envs(build::environment(built));
    Ok(attack)
}

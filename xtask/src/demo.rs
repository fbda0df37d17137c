//! The demo: guests in namespaces, the real daemon, and what it sees.

use std::process::Command;

use anyhow::Result;

use crate::{
    build, exec,
    setup::{self, Work},
    workspace,
};

/// Shows netmon at work, on guests that it makes itself; leaves nothing behind.
///
/// Does the set-up and the build first. The build is the one of the tests (not `--release`): whoever
/// runs both waits for one.
#[derive(clap::Args)]
#[command(after_help = "Example: sudo -E env PATH=\"$PATH\" cargo xtask demo")]
pub(crate) struct Args {
    /// Arguments of the demo.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    exec::need_root("netmon's demo makes network namespaces and loads BPF programs", "demo")?;
    let built = build::build(&build::Args::default(), &setup::tools(&[Work::Build, Work::Test])?)?;
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--package=netmon-tests", "--bin=demo"]);
    exec::run("builds the demo", cargo.envs(build::environment(&built)))?;
    // Not by `cargo run`, and in place of this program: Ctrl-C reaches the demo alone, which cleans up.
    let mut demo = Command::new(workspace::target().join("debug/demo"));
    demo.args(&args.arguments).envs(build::environment(&built));
    Err(exec::become_it("runs the demo", &mut demo))
}

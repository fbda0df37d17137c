//! Runs the daemon as built from this tree.

use std::process::Command;

use anyhow::Result;

use crate::{
    build::{self, Built},
    exec,
    setup::{self, Work},
};

const NEEDS_ROOT: &str = "netmon loads BPF programs and attaches them to TAPs";

/// Builds netmon and runs the daemon: `netmon run …`.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask run --tap 'vnet*'")]
pub(crate) struct RunArgs {
    /// Arguments of `netmon run`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds netmon and runs the daemon for one TAP: `netmon run --tap TAP`.
///
/// A daemon that runs already is told by `netmon attach TAP`.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask attach tap0")]
pub(crate) struct AttachArgs {
    /// The TAP's name.
    tap: String,
}

pub(crate) fn run(args: &RunArgs) -> Result<()> {
    exec::need_root(NEEDS_ROOT, "run")?;
    daemon(&args.arguments)
}

pub(crate) fn attach(args: &AttachArgs) -> Result<()> {
    exec::need_root(NEEDS_ROOT, &format!("attach {}", args.tap))?;
    daemon(&["--tap".to_owned(), args.tap.clone()])
}

fn daemon(arguments: &[String]) -> Result<()> {
    let Built { netmon, .. } =
        build::build(&build::Args::default(), &setup::tools(&[Work::Build])?)?;
    let mut daemon = Command::new(netmon);
    Err(exec::become_it("runs netmon", daemon.arg("run").args(arguments)))
}

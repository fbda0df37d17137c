//! `netmon check-config`: what is wrong with a configuration. It needs no daemon.

use std::path::PathBuf;

use super::{failure::Failure, output};
use crate::config::{Config, SAMPLE};

const EXAMPLES: &str = "\
Fails (64) with FILE:LINE: KEY: what is wrong, a line each. That includes a
[[reserved]] link that this host does not have.

Examples:
  netmon check-config /etc/netmon/netmon.toml
  netmon check-config --sample > netmon.toml    # every key, explained";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The configuration
    #[arg(required_unless_present = "sample")]
    file: Option<PathBuf>,
    /// Print one that explains every key, with its default
    #[arg(long, conflicts_with = "file")]
    sample: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let Some(file) = &args.file else { return output::text(SAMPLE.trim_end()) };
    Config::read(file)?;
    output::text(&format!("{}: good", file.display()))
}

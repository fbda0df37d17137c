//! `netmon teardown`: end enforcement.

use std::{fs, path::PathBuf};

use super::{failure::Failure, output};
use crate::kernel::{attach, instance::Instance, pins};

const EXAMPLES: &str = "\
A daemon that ends, or is killed, leaves its programs on the TAPs. This takes
them off, and removes all that it has pinned. It needs root, and no daemon.

Examples:
  systemctl stop netmon && netmon teardown
  netmon teardown --bpffs /sys/fs/bpf/second";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Where the instance has pinned
    #[arg(long, value_name = "DIR", default_value = "/sys/fs/bpf/netmon")]
    bpffs: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let shown = args.bpffs.display();
    if !args.bpffs.exists() {
        output::note(&format!("{shown}: nothing is pinned here"));
        return Ok(());
    }
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
    let _instance = Instance::take(&args.bpffs).map_err(|error| failed(&error))?;
    pins::teardown(&args.bpffs).map_err(|error| failed(&error))?;
    // Filters of clsact are pinned nowhere (Linux before 6.6).
    for interface in fs::read_dir("/sys/class/net").into_iter().flatten().flatten() {
        attach::remove_filter(&interface.file_name().to_string_lossy());
    }
    fs::remove_dir(&args.bpffs).map_err(|error| failed(&format!("{shown}: {error}")))
}

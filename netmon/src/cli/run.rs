//! `netmon run`: the daemon.

use std::{
    io::{self, IsTerminal as _},
    path::PathBuf,
};

use glob::Pattern;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use super::{client::Daemon, failure::Failure};
use crate::{
    daemon::{self, Options},
    kernel::tap::TapMaker,
};

const EXAMPLES: &str = "\
It needs root, or CAP_BPF and CAP_NET_ADMIN. SIGTERM and SIGINT end it (0).
RUST_LOG chooses what it logs: RUST_LOG=netmon=debug.

Examples:
  netmon run
  netmon run --tap 'vm*' --tap tap0 --log json";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Protect the TAPs that this names; may be given more than once
    #[arg(long = "tap", value_name = "GLOB", default_value = "*")]
    taps: Vec<Pattern>,
    /// Where this instance pins its maps: two need two
    #[arg(long, value_name = "DIR", default_value = "/sys/fs/bpf/netmon")]
    bpffs: PathBuf,
    /// How to log, on stderr
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log: Log,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Log {
    Text,
    Json,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    start_log(args.log)?;
    let options = Options { taps: args.taps, socket: args.daemon.socket, bpffs: args.bpffs };
    // Before there is a second thread.
    let maker = TapMaker::start().map_err(|error| {
        Failure::Failed(format!("cannot start the process that makes TAPs: {error}"))
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime
        .block_on(daemon::run(options, maker))
        .map_err(|error| Failure::Failed(format!("{error:#}")))
}

fn start_log(format: Log) -> Result<(), Failure> {
    let filter =
        EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env().map_err(
            |error| Failure::Usage(format!("RUST_LOG: {error} (as in RUST_LOG=netmon=debug)")),
        )?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        // NO_COLOR is respected there.
        Log::Text => log.with_target(false).with_ansi(io::stderr().is_terminal()).init(),
        Log::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}

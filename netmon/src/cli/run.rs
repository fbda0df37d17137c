//! `netmon run`: the daemon.

use std::{
    io::{self, IsTerminal as _},
    path::PathBuf,
    process,
};

use glob::Pattern;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use super::{client::Daemon, failure::Failure};
use crate::{
    daemon::{self, Options},
    kernel::{
        chain::ChainReader,
        privilege::{self, Kept},
    },
};

const EXAMPLES: &str = "\
It needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, and keeps none of it
once it has started. SIGTERM and SIGINT end it (0); enforcement stays until
`netmon teardown`.
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
    /// End enforcement with the daemon; without this, it stays
    #[arg(long)]
    detach_on_exit: bool,
    /// Keep CAP_NET_ADMIN after start, so that a TAP whose TCX chain is full gets a clsact filter; a kernel
    /// without TCX (before 6.6) implies it
    #[arg(long)]
    keep_capabilities: bool,
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
    let options = Options {
        taps: args.taps,
        socket: args.daemon.socket,
        bpffs: args.bpffs,
        detach_on_exit: args.detach_on_exit,
    };
    let failed = |error: privilege::PrivilegeError| Failure::Failed(error.to_string());
    privilege::check().map_err(failed)?;
    // A process of its own, and so before this one has threads.
    let chains = ChainReader::start().map_err(failed)?;
    let needs_clsact = args.keep_capabilities || chains.is_none();
    let kept = if needs_clsact { Kept::NetAdmin } else { Kept::Nothing };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    // Only this thread needs its capabilities, until all is set up.
    runtime.enable_all().on_thread_start(move || {
        if let Err(error) = privilege::drop_on_this_thread(kept) {
            tracing::error!("{error}");
            process::abort();
        }
    });
    let runtime = runtime.build()?;
    let result = runtime.block_on(daemon::run(options, kept, chains));
    // What has not ended by now never will.
    runtime.shutdown_timeout(daemon::DRAIN);
    result.map_err(|error| Failure::Failed(format!("{error:#}")))
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

//! `netmon run`: the daemon.

use std::{
    io::{self, IsTerminal as _},
    path::PathBuf,
    process,
    time::Duration,
};

use glob::Pattern;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use super::failure::Failure;
use crate::{
    config::{Config, Options, Source},
    daemon,
    endpoints::Timers,
    kernel::{
        chain::ChainReader,
        privilege::{self, Kept, PrivilegeError},
        tap::TapMaker,
    },
    policy::{Mode, Profile},
};

const EXAMPLES: &str = "\
It needs root, or CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW and CAP_PERFMON, and keeps
none of it once it has started. SIGTERM and SIGINT end it (0); enforcement stays
until `netmon teardown`.
Flags win over the configuration (netmon check-config --sample explains it);
SIGHUP reloads that, as a whole or, if it is bad, not at all. At start, a bad
one fails (64). RUST_LOG chooses what it logs: RUST_LOG=netmon=debug.

Examples:
  netmon run
  netmon run --tap 'vm*' --tap tap0 --log json";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The configuration; if not given, /etc/netmon/netmon.toml where it is there
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Protect the TAPs that this names, by default all; may be given more than once
    #[arg(long = "tap", value_name = "GLOB")]
    taps: Vec<Pattern>,
    /// What becomes of forbidden frames unless the TAP's own policy says it: enforce (they are
    /// dropped) or observe (they are only counted)
    #[arg(long)]
    mode: Option<Mode>,
    /// What guests may do unless the TAP's own policy says it: link-local, aurae or open
    #[arg(long, value_name = "NAME")]
    profile: Option<Profile>,
    /// The daemon's socket, by default /run/netmon/netmon.sock
    #[arg(long, value_name = "PATH", env = "NETMON_SOCKET", hide_env = true)]
    socket: Option<PathBuf>,
    /// Where this instance pins its maps, by default /sys/fs/bpf/netmon: two need two
    #[arg(long, value_name = "DIR")]
    bpffs: Option<PathBuf>,
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
    /// How long an address counts as reachable after it was heard; then it is asked
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = at_least_a_second)]
    reachable_time: Duration,
    /// How long an address that does not answer keeps its binding
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = at_least_a_second)]
    expire: Duration,
}

/// Less would be a burst of questions, not a look from time to time.
fn at_least_a_second(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if time >= Duration::from_secs(1) { Ok(time) } else { Err("at least 1s".to_owned()) }
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Log {
    Text,
    Json,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    start_log(args.log)?;
    raise_limit();
    let taps = Some(args.taps).filter(|taps| !taps.is_empty());
    let Args { mode, profile, socket, bpffs, detach_on_exit, .. } = args;
    let timers = Timers { reachable: args.reachable_time, expire: args.expire };
    let flags = Config { taps, socket, bpffs, mode, profile, ..Config::default() };
    let source = Source { flags, file: args.config };
    let options = Options { detach_on_exit, timers, ..source.load()? };
    let failed = |error: PrivilegeError| Failure::Failed(error.to_string());
    privilege::check().map_err(failed)?;
    // Processes of their own, and so before this one has threads.
    let maker = TapMaker::start().map_err(|error| {
        Failure::Failed(format!("cannot start the process that makes TAPs: {error}"))
    })?;
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
    let result = runtime.block_on(daemon::run(options, source, kept, chains, maker));
    // What has not ended by now never will.
    runtime.shutdown_timeout(daemon::DRAIN);
    result.map_err(|error| Failure::Failed(format!("{error:#}")))
}

/// Each TAP takes two descriptors, and 1,024, as many a system gives at first, are for 500.
fn raise_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        tracing::warn!("limit of open files: {error}");
    }
}

fn start_log(format: Log) -> Result<(), Failure> {
    let filter =
        EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env().map_err(
            |error| Failure::Usage(format!("RUST_LOG: {error} (as in RUST_LOG=netmon=debug)")),
        )?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // It would say so on stderr again, and panic where the disk behind that is full.
        .log_internal_errors(false);
    match format {
        // NO_COLOR is respected there.
        Log::Text => log.with_target(false).with_ansi(io::stderr().is_terminal()).init(),
        Log::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}

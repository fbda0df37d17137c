//! show: the command line, one verb a file. Translation only, as in [`api`](crate::api).

mod attach;
mod check_config;
mod client;
mod detach;
mod drops;
mod endpoints;
mod explain;
mod failure;
mod output;
mod policy;
mod ports;
mod resolve;
mod rows;
mod run;
mod status;
mod tap;
mod teardown;
mod wait;
mod watch;

#[cfg(test)]
#[allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics has failed"
)]
mod tests;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::failure::Failure;
use crate::api::{NoTapName, tap_name};

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 64 bad configuration,
            69 no daemon answers; wait also: 3 no such TAP, 124 timeout
NETMON_SOCKET stands for --socket. Each verb's --help has examples.";

/// Knows every IPv6 address behind every TAP, and lets nothing but link-local traffic pass
#[derive(Debug, Parser)]
#[command(name = "netmon", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the daemon: protect each matching TAP, now and as they appear
    Run(run::Args),
    /// List who is behind each TAP
    Endpoints(endpoints::Args),
    /// Show who is behind each TAP, then each change as it happens
    Watch(watch::Args),
    /// Print the one address that a name means, fit for aer, or with --url for curl
    Resolve(resolve::Args),
    /// Wait until a TAP's guest has come so far
    Wait(wait::Args),
    /// List what is attached, and how
    Ports(ports::Args),
    /// Say of each TAP whether it is protected, as the kernel has it now
    Status(status::Args),
    /// Count the dropped frames by TAP, direction and reason
    Drops(drops::Args),
    /// Protect a TAP that the daemon's globs do not name
    Attach(attach::Args),
    /// Take the protection off a TAP, until it is attached again or made anew
    Detach(detach::Args),
    /// Make a TAP that is confined before any guest can write, or remove one
    Tap(tap::Args),
    /// Take the programs off all TAPs that a daemon has left them on
    Teardown(teardown::Args),
    /// Show or change what a TAP's guest may do
    Policy(policy::Args),
    /// Say what is wrong with a configuration, without starting anything
    CheckConfig(check_config::Args),
    /// Explain why frames are dropped
    Explain(explain::Args),
}

/// Arguments → verb → exit code.
pub fn main() -> ExitCode {
    match run(Cli::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Run(args) => run::run(args),
        Verb::Endpoints(args) => block_on(endpoints::run(&args)),
        Verb::Watch(args) => block_on(watch::run(&args)),
        Verb::Resolve(args) => block_on(resolve::run(args)),
        Verb::Wait(args) => block_on(wait::run(&args)),
        Verb::Ports(args) => block_on(ports::run(&args)),
        Verb::Status(args) => block_on(status::run(&args)),
        Verb::Drops(args) => block_on(drops::run(&args)),
        Verb::Attach(args) => block_on(attach::run(args)),
        Verb::Detach(args) => block_on(detach::run(args)),
        Verb::Tap(args) => block_on(tap::run(args)),
        Verb::Teardown(args) => teardown::run(&args),
        Verb::Policy(args) => block_on(policy::run(args)),
        Verb::CheckConfig(args) => check_config::run(&args),
        Verb::Explain(args) => explain::run(&args),
    }
}

/// One thread is enough for a client.
fn block_on(verb: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(verb)
}

/// Reads a TAP's name.
fn tap(name: &str) -> Result<String, NoTapName> {
    tap_name(name).map(ToOwned::to_owned)
}

//! `netmon detach`: take the protection off a TAP.

use netmon_api::v0;

use super::{
    client::{Daemon, ask},
    failure::Failure,
    output, tap,
};

const EXAMPLES: &str = "\
Only root and the daemon's own user may. The TAP stays unprotected until it is
attached again or made anew.

Example:
  netmon detach tap0";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The TAP
    #[arg(value_parser = tap)]
    tap: String,
    #[command(flatten)]
    daemon: Daemon,
}

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let tap = args.tap;
    let request = v0::NetmonServiceDetachPortRequest { tap: tap.clone() };
    args.daemon.connect().await?.detach_port(ask(request)).await?;
    output::text(&format!("{tap}: unprotected (netmon attach {tap} protects it again)"))
}

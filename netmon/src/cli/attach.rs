//! `netmon attach`: protect a TAP by name.

use netmon_api::v0;

use super::{
    client::{Daemon, ask},
    failure::Failure,
    output, rows,
    status::how,
    tap,
};

const EXAMPLES: &str = "\
Only root and the daemon's own user may. It comes back when both directions
are attached, or fails (1) and says which is not.

Example:
  netmon attach tap0";

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
    let request = v0::NetmonServiceAttachPortRequest { tap: args.tap };
    let mut client = args.daemon.connect().await?;
    let port = client.attach_port(ask(request)).await?.into_inner().port.unwrap_or_default();
    let line = format!("{}: {} ({})", port.tap, rows::protection(port.protection()), how(&port));
    match port.protection() {
        v0::Protection::Confined | v0::Protection::Observed | v0::Protection::Open => {
            output::text(&line)
        }
        // What was asked for and cannot be had is an error.
        v0::Protection::Partial | v0::Protection::Unprotected | v0::Protection::Unspecified => {
            Err(Failure::Failed(line))
        }
    }
}

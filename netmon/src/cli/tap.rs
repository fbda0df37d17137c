//! `netmon tap`: TAPs that are confined from their first frame on.

use clap::Subcommand;
use netmon_api::v0;
use nix::unistd::User;

use super::{
    client::{Daemon, ask},
    failure::Failure,
    output, policy, rows,
    status::how,
    tap,
};

const EXAMPLES: &str = "\
Only root and the daemon's own user may. create comes back when the TAP is up,
confined and free for a VMM to open by its name; if it fails, there is no TAP.

Examples:
  netmon tap create vm1 --mac 02:fc:00:00:00:01 --owner vmm
  cloud-hypervisor --net tap=vm1,mac=02:fc:00:00:00:01 …
  netmon tap delete vm1";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a persistent TAP that is confined before any guest can write
    Create(Create),
    /// Remove a persistent TAP that no VMM has open
    Delete(Delete),
}

#[derive(Debug, clap::Args)]
struct Create {
    /// The new TAP's name
    #[arg(value_parser = tap)]
    tap: String,
    /// The MAC that the guest is to use; else it may choose, once
    #[arg(long, value_parser = policy::value("mac"))]
    mac: Option<String>,
    /// The user, by name or uid, that may open the TAP; root may anyway
    #[arg(long, value_name = "USER", default_value = "0", value_parser = user)]
    owner: u32,
    /// For a VMM that opens the TAP once for each pair of queues
    #[arg(long)]
    multi_queue: bool,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Debug, clap::Args)]
struct Delete {
    /// The TAP
    #[arg(value_parser = tap)]
    tap: String,
    #[command(flatten)]
    daemon: Daemon,
}

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    match args.verb {
        Verb::Create(args) => create(args).await,
        Verb::Delete(args) => delete(args).await,
    }
}

async fn create(args: Create) -> Result<(), Failure> {
    let Create { tap, mac, owner, multi_queue, daemon } = args;
    let mac = mac.unwrap_or_default();
    let request = v0::NetmonServiceCreateTapRequest { tap, mac, owner, multi_queue };
    let response = daemon.connect().await?.create_tap(ask(request)).await?;
    let port = response.into_inner().port.unwrap_or_default();
    let protection = rows::protection(port.protection());
    output::text(&format!("{}: {protection} ({}), ifindex {}", port.tap, how(&port), port.ifindex))
}

async fn delete(args: Delete) -> Result<(), Failure> {
    let Delete { tap, daemon } = args;
    let request = v0::NetmonServiceDeleteTapRequest { tap: tap.clone() };
    daemon.connect().await?.delete_tap(ask(request)).await?;
    output::text(&format!("{tap}: removed"))
}

/// Names are this machine's: the daemon hears a number.
fn user(text: &str) -> Result<u32, String> {
    if let Ok(uid) = text.parse() {
        return Ok(uid);
    }
    match User::from_name(text) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => Err("no such user (getent passwd lists them)".to_owned()),
        Err(errno) => Err(format!("the users cannot be read: {errno}")),
    }
}

//! `netmon ports`: what is attached, and how.

use netmon_api::{Client, v0};

use super::{
    client::{Daemon, ask},
    failure::Failure,
    output::{self, Format},
    rows,
};
use crate::policy::Profile;

const EXAMPLES: &str = "\
MODE is enforce, observe, or, by the profile of that name, open: netmon policy
tells more. INGRESS is guest to host, EGRESS host to guest; `-` means not
attached: netmon status says why. BINDINGS are the addresses that the port
holds, and how many it may.

Example:
  netmon ports -o json | jq '.[] | select(.hook.ingress == \"xdp-generic\").tap'";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
    #[command(flatten)]
    daemon: Daemon,
}

pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let ports = list(&mut args.daemon.connect().await?).await?;
    match args.output {
        Format::Json => output::json(&ports.iter().map(rows::Port::from).collect::<Vec<_>>()),
        Format::Table if ports.is_empty() => {
            output::note(NONE);
            Ok(())
        }
        Format::Table => output::table(HEAD, &[1], ports.iter().map(row)),
    }
}

/// For people, where there is no port at all.
pub(super) const NONE: &str = "nothing attached: there is no TAP that the daemon's globs name";

pub(super) async fn list(client: &mut Client) -> Result<Vec<v0::Port>, Failure> {
    Ok(client.list_ports(ask(v0::NetmonServiceListPortsRequest {})).await?.into_inner().ports)
}

pub(super) const HEAD: [&str; 7] =
    ["TAP", "IFINDEX", "MODE", "INGRESS", "EGRESS", "MAC", "BINDINGS"];

/// The profile under which a mode means nothing: nothing is judged.
const OPEN: &str = Profile::Open.name();

pub(super) fn row(port: &v0::Port) -> [String; 7] {
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    [
        port.tap.clone(),
        port.ifindex.to_string(),
        if port.profile == OPEN { OPEN.to_owned() } else { port.mode.clone() },
        or_dash(&port.ingress_hook),
        or_dash(&port.egress_hook),
        or_dash(&port.mac),
        format!("{}/{}", port.bindings, port.quota),
    ]
}

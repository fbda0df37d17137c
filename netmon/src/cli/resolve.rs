//! `netmon resolve`: a name → the one address that it means.

use netmon_api::v0;

use super::{
    client::{Daemon, ask},
    failure::Failure,
    output,
};

const EXAMPLES: &str = "\
NAME is a TAP, a MAC, or an address with its scope (fe80::2%tap0, fe80::2%12).
Of several addresses behind one TAP, it is the first that `netmon endpoints`
lists. Fails (1) if there is none, or if the name fits more than one TAP.

In a URL the % stands as %25 (RFC 6874): curl reads [fe80::2%253] as scope 3,
which is another guest. --url prints that form.

Examples:
  netmon resolve tap0                        # [fe80::2%12]:8080
  curl \"http://$(netmon resolve --url tap0 --port 80)/\"";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A TAP, a MAC, or an address with its scope
    name: String,
    /// The port to print; auraed's if not given
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Print it as it stands in a URL: [fe80::2%2512]:8080
    #[arg(long)]
    url: bool,
    #[command(flatten)]
    daemon: Daemon,
}

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let request = v0::NetmonServiceGetEndpointRequest { name: args.name };
    let mut client = args.daemon.connect().await?;
    let endpoint = client.get_endpoint(ask(request)).await?.into_inner().endpoint;
    let endpoint = endpoint
        .ok_or_else(|| Failure::Failed("the daemon answers without an endpoint".to_owned()))?;
    let text = if args.url { url_host } else { socket_address };
    output::text(&text(&endpoint, args.port))
}

/// Host and port of a URL (RFC 6874 section 2).
pub(super) fn url_host(endpoint: &v0::Endpoint, port: u16) -> String {
    socket_address(endpoint, port).replace('%', "%25")
}

/// Numeric scope: it holds for programs that cannot look up an interface's name.
pub(super) fn socket_address(endpoint: &v0::Endpoint, port: u16) -> String {
    format!("[{}]:{port}", endpoint.scoped)
}

//! `netmon status`: whether each TAP is protected, as the kernel has it now.

use netmon_api::v0;

use super::{
    client::Daemon,
    failure::Failure,
    output::{self, Format},
    ports, rows,
};

const EXAMPLES: &str = "\
confined     frames of both directions are judged
observed     both are judged, nothing is dropped: mode observe
open         both are counted, nothing is judged: profile open
partial      one direction is judged only, and why
unprotected  none is, and why

The first three are as asked for, by the configuration or netmon policy: with
them, --check succeeds.

Example:
  netmon status --check || mail -s 'a TAP is not as asked' ops < /dev/null";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Fail (1) if any port is not as asked for: partial or unprotected
    #[arg(long)]
    check: bool,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
    #[command(flatten)]
    daemon: Daemon,
}

pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let ports = ports::list(&mut args.daemon.connect().await?).await?;
    let printed = match args.output {
        Format::Json => output::json(&ports.iter().map(rows::Status::from).collect::<Vec<_>>()),
        Format::Table if ports.is_empty() => {
            output::note(ports::NONE);
            Ok(())
        }
        Format::Table => output::table(HEAD, &[], ports.iter().map(row)),
    };
    // The check holds, be its output read or not.
    if args.check { checked(&ports).and(printed) } else { printed }
}

/// Whether all are as asked for.
pub(super) fn checked(ports: &[v0::Port]) -> Result<(), Failure> {
    let is_as_asked = |port: &v0::Port| match port.protection() {
        v0::Protection::Confined | v0::Protection::Observed | v0::Protection::Open => true,
        v0::Protection::Partial | v0::Protection::Unprotected | v0::Protection::Unspecified => {
            false
        }
    };
    if ports.iter().all(is_as_asked) { Ok(()) } else { Err(Failure::Checked) }
}

const HEAD: [&str; 3] = ["TAP", "PROTECTION", "HOW"];

fn row(port: &v0::Port) -> [String; 3] {
    [port.tap.clone(), rows::protection(port.protection()).to_owned(), how(port)]
}

/// By which hooks, or why not.
pub(super) fn how(port: &v0::Port) -> String {
    if port.why.is_empty() {
        return format!("{} and {}", port.ingress_hook, port.egress_hook);
    }
    // The line begins with the TAP's name already.
    let named = format!("{}: ", port.tap);
    port.why.strip_prefix(&named).unwrap_or(&port.why).to_owned()
}

//! `netmon drops`: the kernel side's counters.

use std::collections::BTreeSet;

use netmon_api::v0;
use netmon_common::Reason;

use super::{
    client::{Daemon, ask},
    failure::Failure,
    output::{self, Format},
    rows, tap,
};

const EXAMPLES: &str = "\
ingress is guest to host, egress host to guest; bytes are with the Ethernet
header. A TAP named `-` stands for interfaces without policy. JSON has a row
{tap, direction, reason, action, packets, bytes} for each count that is not
zero, and with --passed such rows with `kind` in place of `reason` and `action`
after them. A frame whose ACTION is observed has passed: the port's mode is
observe. Each frame is in one row only.

Examples:
  netmon drops --tap tap0
  netmon drops -o json | jq 'map(.packets) | add'
  netmon explain router_advert";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Only of this TAP
    #[arg(long, value_parser = tap)]
    tap: Option<String>,
    /// Count also what passed, by kind
    #[arg(long)]
    passed: bool,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
    #[command(flatten)]
    daemon: Daemon,
}

pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let request = v0::NetmonServiceGetDropsRequest { tap: args.tap.clone().unwrap_or_default() };
    let mut client = args.daemon.connect().await?;
    let mut counts = client.get_drops(ask(request)).await?.into_inner();
    if !args.passed {
        counts.passes.clear();
    }
    match args.output {
        Format::Json => {
            let drops = counts.drops.iter().map(rows::Count::from);
            let passes = counts.passes.iter().map(rows::Count::from);
            output::json(&drops.chain(passes).collect::<Vec<_>>())
        }
        Format::Table => tables(args, &counts),
    }
}

fn tables(args: &Args, counts: &v0::NetmonServiceGetDropsResponse) -> Result<(), Failure> {
    if counts.drops.is_empty() {
        let of = args.tap.as_deref().map(|tap| format!(" of {tap}")).unwrap_or_default();
        output::note(&format!("no frame{of} was refused"));
    } else {
        output::table(DROPS, NUMBERS, counts.drops.iter().map(drop_row))?;
        output::text(&format!("\n{}", meanings(&counts.drops, output::width())))?;
    }
    if !counts.passes.is_empty() {
        let gap = if counts.drops.is_empty() { "" } else { "\n" };
        output::text(&format!("{gap}Passed:\n"))?;
        output::table(PASSES, PASS_NUMBERS, counts.passes.iter().map(pass_row))?;
    } else if args.passed {
        output::note("no frame has passed either");
    }
    if counts.events_lost > 0 {
        output::note(&format!(
            "\n{} events found the ring buffer full since the daemon began: nothing was forgotten, the \
             binding table was read instead",
            counts.events_lost
        ));
    }
    Ok(())
}

pub(super) const DROPS: [&str; 6] = ["TAP", "DIRECTION", "REASON", "ACTION", "PACKETS", "BYTES"];
const PASSES: [&str; 5] = ["TAP", "DIRECTION", "KIND", "PACKETS", "BYTES"];
pub(super) const NUMBERS: &[usize] = &[4, 5];
const PASS_NUMBERS: &[usize] = &[3, 4];

pub(super) fn drop_row(row: &v0::DropCount) -> [String; 6] {
    let direction = rows::direction(row.direction());
    [
        tap_or_none(&row.tap),
        direction.to_owned(),
        row.reason.clone(),
        rows::action(row.observed).to_owned(),
        row.packets.to_string(),
        row.bytes.to_string(),
    ]
}

fn pass_row(row: &v0::PassCount) -> [String; 5] {
    let direction = rows::direction(row.direction());
    [
        tap_or_none(&row.tap),
        direction.to_owned(),
        row.kind.clone(),
        row.packets.to_string(),
        row.bytes.to_string(),
    ]
}

fn tap_or_none(tap: &str) -> String {
    if tap.is_empty() { "-".to_owned() } else { tap.to_owned() }
}

/// What the reasons in the table mean, each once, below it: beside them, no sentence would fit.
pub(super) fn meanings(drops: &[v0::DropCount], width: Option<usize>) -> String {
    let seen: BTreeSet<&str> = drops.iter().map(|row| row.reason.as_str()).collect();
    let reasons = Reason::ALL.iter().filter(|reason| seen.contains(reason.name()));
    let entries: Vec<_> = reasons.map(|reason| (reason.name(), reason.sentence())).collect();
    output::glossary(&entries, width)
}

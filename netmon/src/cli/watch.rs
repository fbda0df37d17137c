//! `netmon watch`: the live map, then its changes.

pub(super) mod refused;

use std::io::{self, Write};

use jiff::Timestamp;
use netmon_api::v0::{self, netmon_service_watch_endpoints_response::Event};
use serde::Serialize;

use super::{client::Daemon, endpoints::scoped, failure::Failure, output, rows};

const EXAMPLES: &str = "\
Text, one line an endpoint: = is there already, + is new, ~ has changed,
- is gone; ! says how many changes this reader was too slow for, whereupon all
comes anew. JSON has one object a line: {event: \"snapshot\", revision,
endpoints}, then {event: \"added\", \"updated\" or \"removed\", revision, endpoint},
and {event: \"lost\", revision, changes, cause, remedy} before a new snapshot.
With --drops, x is a frame that was dropped, o one that would have been: some of
them, by a budget a TAP (netmon drops has the totals); in JSON {event:
\"refused\", …}, and {event: \"lost\"} without a revision.
The watch ends (69) when the daemon does. With --since, it fails (1) where the
changes since are not kept any more.

Examples:
  netmon watch
  netmon watch --drops
  netmon watch -o json | jq 'select(.event == \"added\").endpoint.scoped'
  netmon watch -o json --since 1764000000000000:42";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Go on from this revision, without a snapshot
    #[arg(long, value_name = "INSTANCE:NUMBER", value_parser = revision)]
    since: Option<v0::Revision>,
    /// Show frames that are refused, too
    #[arg(long)]
    drops: bool,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
}

fn revision(text: &str) -> Result<v0::Revision, &'static str> {
    let numbers = text.split_once(':').and_then(|(instance, number)| {
        Some(v0::Revision { instance: instance.parse().ok()?, number: number.parse().ok()? })
    });
    numbers.ok_or("not two numbers with a colon between, as in a revision of -o json")
}

pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let mut client = args.daemon.connect().await?;
    let mut refused = match args.drops {
        true => Some(
            client.watch_drops(v0::NetmonServiceWatchDropsRequest::default()).await?.into_inner(),
        ),
        false => None,
    };
    let request = v0::NetmonServiceWatchEndpointsRequest { since: args.since };
    let mut stream = client.watch_endpoints(request).await?.into_inner();
    loop {
        let goes_on = tokio::select! {
            message = stream.message() => match message? {
                Some(message) => show(&message, args.output).map(|()| true)?,
                None => false,
            },
            message = refused::next(&mut refused) => match message? {
                Some(message) => refused::show(&message, args.output).map(|()| true)?,
                None => false,
            },
        };
        if !goes_on {
            return Err(Failure::Unreachable("the daemon has ended the stream".to_owned()));
        }
    }
}

fn show(message: &v0::NetmonServiceWatchEndpointsResponse, format: Format) -> Result<(), Failure> {
    let is_empty = matches!(&message.event, Some(Event::Snapshot(all)) if all.endpoints.is_empty());
    if is_empty && format == Format::Text {
        output::note("no endpoints yet: each will be shown as it appears");
    }
    let mut out = io::stdout().lock();
    match format {
        Format::Text => write!(out, "{}", lines(message, Timestamp::now()))?,
        Format::Json => json(message, &mut out)?,
    }
    Ok(out.flush()?)
}

const CAUSE: &str = "this reader was too slow, and the daemon keeps the newest changes only";
const REMEDY: &str = "write to a file or a faster program; the snapshot that follows is complete";

/// One message for people.
pub(super) fn lines(message: &v0::NetmonServiceWatchEndpointsResponse, now: Timestamp) -> String {
    let line = |sign: char, one: &v0::Endpoint| {
        let v0::Endpoint { tap, mac, origin, .. } = one;
        format!(
            "{now:.0} {sign} {tap} {} {mac} {} ({origin})\n",
            scoped(one),
            rows::state(one.state())
        )
    };
    match &message.event {
        Some(Event::Snapshot(all)) => {
            let lost = lost(all.missed)
                .map(|changes| format!("{now:.0} ! {changes} changes lost: {CAUSE} ({REMEDY})\n"));
            let there = all.endpoints.iter().map(|one| line('=', one));
            lost.into_iter().chain(there).collect()
        }
        Some(Event::Added(one)) => line('+', one),
        Some(Event::Updated(one)) => line('~', one),
        Some(Event::Removed(one)) => line('-', one),
        None => String::new(),
    }
}

fn lost(missed: u64) -> Option<u64> {
    (missed > 0).then_some(missed)
}

/// One line of JSON.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Line<'a> {
    Lost { revision: Revision, changes: u64, cause: &'a str, remedy: &'a str },
    Snapshot { revision: Revision, endpoints: Vec<rows::Endpoint<'a>> },
    Added { revision: Revision, endpoint: rows::Endpoint<'a> },
    Updated { revision: Revision, endpoint: rows::Endpoint<'a> },
    Removed { revision: Revision, endpoint: rows::Endpoint<'a> },
}

#[derive(Clone, Copy, Serialize)]
struct Revision {
    instance: u64,
    number: u64,
}

/// One message for programs.
pub(super) fn json(
    message: &v0::NetmonServiceWatchEndpointsResponse,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let v0::Revision { instance, number } = message.revision.unwrap_or_default();
    let revision = Revision { instance, number };
    let mut print = |line: &Line<'_>| -> Result<(), Failure> {
        serde_json::to_writer(&mut *out, line)?;
        Ok(writeln!(out)?)
    };
    match &message.event {
        Some(Event::Snapshot(all)) => {
            if let Some(changes) = lost(all.missed) {
                print(&Line::Lost { revision, changes, cause: CAUSE, remedy: REMEDY })?;
            }
            let endpoints = all.endpoints.iter().map(Into::into).collect();
            print(&Line::Snapshot { revision, endpoints })
        }
        Some(Event::Added(one)) => print(&Line::Added { revision, endpoint: one.into() }),
        Some(Event::Updated(one)) => print(&Line::Updated { revision, endpoint: one.into() }),
        Some(Event::Removed(one)) => print(&Line::Removed { revision, endpoint: one.into() }),
        None => Ok(()),
    }
}

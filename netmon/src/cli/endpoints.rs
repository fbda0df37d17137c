//! `netmon endpoints`: the live map.

use std::time::{Duration, SystemTime};

use netmon_api::v0;

use super::{
    client::{Daemon, ask},
    failure::Failure,
    output::{self, Format},
    rows, tap,
};

const EXAMPLES: &str = "\
tentative    the guest asks whether somebody else has the address
reachable    heard within half a minute (netmon run --reachable-time)
stale        not heard since, nor asked yet: its TAP is down, or it must wait
probing      being asked, three times a second apart
unreachable  did not answer; asked once a minute, and forgotten after an hour
             (netmon run --expire)

Addresses behind one TAP come by rank: those that duplicate address detection
confirmed, then those only seen, then those still asked for, then those that do
not answer. In JSON, auraed and owner are null and path is the TAP alone: this
version asks for no more.

Examples:
  netmon endpoints
  netmon endpoints --tap tap0 --state reachable
  netmon endpoints -o json | jq -r '.[].scoped'";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Only behind this TAP
    #[arg(long, value_parser = tap)]
    tap: Option<String>,
    /// Only in this state, one of those below
    #[arg(long, hide_possible_values = true)]
    state: Option<State>,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum State {
    Tentative,
    Reachable,
    Stale,
    Probing,
    Unreachable,
}

impl From<State> for v0::EndpointState {
    fn from(state: State) -> Self {
        match state {
            State::Tentative => Self::Tentative,
            State::Reachable => Self::Reachable,
            State::Stale => Self::Stale,
            State::Probing => Self::Probing,
            State::Unreachable => Self::Unreachable,
        }
    }
}

pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let state = args.state.map_or(v0::EndpointState::Unspecified, Into::into);
    let request = v0::NetmonServiceListEndpointsRequest {
        tap: args.tap.clone().unwrap_or_default(),
        state: state.into(),
    };
    let mut client = args.daemon.connect().await?;
    let endpoints = client.list_endpoints(ask(request)).await?.into_inner().endpoints;
    match args.output {
        Format::Json => {
            output::json(&endpoints.iter().map(rows::Endpoint::from).collect::<Vec<_>>())
        }
        Format::Table if endpoints.is_empty() => {
            output::note(&nobody(args.tap.as_deref(), state));
            Ok(())
        }
        Format::Table => {
            let now = SystemTime::now();
            output::table(HEAD, &[], endpoints.iter().map(|one| row(one, now)))
        }
    }
}

pub(super) const HEAD: [&str; 5] = ["ADDRESS", "MAC", "STATE", "SEEN", "ORIGIN"];

/// The TAP is part of the address: 80 columns hold no more.
pub(super) fn row(one: &v0::Endpoint, now: SystemTime) -> [String; 5] {
    let seen = one.last_seen.and_then(|time| SystemTime::try_from(time).ok());
    let quiet = seen.map(|seen| now.duration_since(seen).unwrap_or_default());
    [
        scoped(one),
        one.mac.clone(),
        rows::state(one.state()).to_owned(),
        quiet.map(ago).unwrap_or_default(),
        one.origin.clone(),
    ]
}

/// The address as people name it: without a TAP it names nobody.
pub(super) fn scoped(one: &v0::Endpoint) -> String {
    format!("{}%{}", one.address, one.tap)
}

/// In the largest unit that fits.
fn ago(quiet: Duration) -> String {
    match quiet.as_secs() {
        0 => "now".to_owned(),
        seconds @ ..60 => format!("{seconds}s"),
        seconds @ ..3600 => format!("{}m", seconds / 60),
        seconds @ ..86_400 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

fn nobody(tap: Option<&str>, state: v0::EndpointState) -> String {
    let state_name = rows::state(state);
    match (tap, state) {
        (None, v0::EndpointState::Unspecified) => {
            "no endpoints yet: no guest has spoken behind the attached TAPs (netmon ports lists these)".to_owned()
        }
        (Some(tap), v0::EndpointState::Unspecified) => format!(
            "no endpoint behind {tap}: its guest has not spoken, or {tap} is not attached \
             (netmon ports lists those that are)"
        ),
        (None, _) => format!("no endpoint is {state_name}"),
        (Some(tap), _) => format!("no endpoint behind {tap} is {state_name}"),
    }
}

//! `netmon wait`: come back when a TAP's guest has come so far.

mod behind;

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use netmon_api::{Client, v0};
use tokio::time;

pub(super) use self::behind::Behind;
use super::{client::Daemon, failure::Failure, output, ports, tap};

const EXAMPLES: &str = "\
endpoint   the guest has an address
reachable  it has one, and was heard within half a minute
confined   frames of both directions are judged, and dropped where they are
           refused: never so in mode observe or profile open
gone       no address is known behind the TAP, be it that the TAP is gone

The TAP need not be there yet. If it is not in the end, the exit code is 3; if
it is, but has not come so far, 124.

Examples:
  netmon wait tap0 reachable && curl \"http://$(netmon resolve --url tap0)/\"
  netmon wait tap0 gone --timeout 5s";

/// How often to ask what protects a port: the kernel tells nobody of it, so the daemon reads it when asked.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// How long a wait that was in vain goes on to learn whether there is such a TAP at all.
const LAST_ASK: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The TAP
    #[arg(value_parser = tap)]
    tap: String,
    /// What to wait for
    #[arg(value_name = "STATE")]
    goal: Goal,
    /// How long: 500ms, 30s, 2m
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Goal {
    Endpoint,
    Confined,
    Reachable,
    Gone,
}

impl Goal {
    /// What it is called before it is reached.
    const fn missing(self) -> &'static str {
        match self {
            Self::Endpoint => "no endpoint",
            Self::Confined => "not confined",
            Self::Reachable => "not reachable",
            Self::Gone => "not gone",
        }
    }
}

pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let mut client = args.daemon.connect().await?;
    let mut behind = Behind::new(&args.tap);
    if io::stderr().is_terminal() {
        let timeout = humantime::format_duration(args.timeout);
        output::note(&format!(
            "{}: {} yet; waiting up to {timeout}",
            args.tap,
            args.goal.missing()
        ));
    }
    let reached = async {
        match args.goal {
            Goal::Confined => confined(&mut client, &mut behind).await,
            Goal::Endpoint | Goal::Reachable | Goal::Gone => {
                follow(&mut client, args.goal, &mut behind).await
            }
        }
    };
    if let Ok(result) = time::timeout(args.timeout, reached).await {
        return result;
    }
    let Ok(ports) = time::timeout(LAST_ASK, ports::list(&mut client)).await else {
        return Err(Failure::Unreachable("the daemon does not answer".to_owned()));
    };
    let ports = ports?.ports;
    let port = ports.iter().find(|port| port.tap == args.tap);
    let why = port.map(|port| port.why.as_str()).filter(|why| !why.is_empty());
    Err(too_late(args, behind.was_there || port.is_some(), why))
}

fn too_late(args: &Args, is_there: bool, why: Option<&str>) -> Failure {
    let Args { tap, goal, timeout, .. } = args;
    let timeout = humantime::format_duration(*timeout);
    if is_there {
        let missing = goal.missing();
        let more = why.unwrap_or("netmon status and netmon endpoints say how far it is");
        Failure::TimedOut(format!("{tap}: {missing} within {timeout} ({more})"))
    } else {
        Failure::NotFound(format!(
            "{tap}: no such TAP within {timeout} (is the VM running? netmon ports lists those attached)"
        ))
    }
}

/// Hears of each change from the daemon.
async fn follow(client: &mut Client, goal: Goal, behind: &mut Behind) -> Result<(), Failure> {
    let request = v0::NetmonServiceWatchEndpointsRequest { since: None };
    let mut stream = client.watch_endpoints(request).await?.into_inner();
    while let Some(message) = stream.message().await? {
        if let Some(event) = message.event {
            behind.hear(event);
        }
        if behind.is(goal) {
            return Ok(());
        }
    }
    Err(Failure::Unreachable("the daemon has ended the stream".to_owned()))
}

async fn confined(client: &mut Client, behind: &mut Behind) -> Result<(), Failure> {
    loop {
        if let Some(port) =
            ports::list(client).await?.ports.iter().find(|port| port.tap == behind.tap)
        {
            behind.was_there = true;
            if port.protection() == v0::Protection::Confined {
                return Ok(());
            }
        }
        time::sleep(ASK_AGAIN).await;
    }
}

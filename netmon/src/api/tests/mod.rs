//! The service over a real socket, as a client sees it.

mod answers;
mod watch;

use std::{net::Ipv6Addr, path::PathBuf};

use netmon_api::Client;
use netmon_common::{Kind, Reason, abi, outcome::Outcome};
use tokio::{
    net::UnixListener,
    sync::{mpsc, oneshot},
};

use super::Feeds;
use crate::{
    command::Command,
    drops::DropFeed,
    endpoints::{EndpointTable, Input},
    kernel::tap::TapMaker,
    policy::Policy,
    policy::PolicyOrder,
    ports::PortError,
    report::{CounterRow, Counters, IngressHook, PortStatus, Protection},
    time::Moment,
    view::{self, Publisher},
};

/// A service whose daemon is this test.
struct Daemon {
    socket: PathBuf,
    publisher: Publisher,
    drops: DropFeed,
    table: EndpointTable,
    shutdown: Option<oneshot::Sender<()>>,
}

impl Daemon {
    fn start(name: &str) -> Self {
        let socket = std::env::temp_dir().join(format!("netmon-api-{name}-{}", std::process::id()));
        std::fs::remove_file(&socket).ok();
        let listener = UnixListener::bind(&socket).expect("a socket");
        let (publisher, view) = view::new(77);
        let drops = DropFeed::new();
        let feeds = Feeds { view, drops: drops.clone() };
        let (commands, mut asked) = mpsc::channel(4);
        // Nobody makes TAPs here.
        let (nobody, _) = std::os::unix::net::UnixStream::pair().expect("sockets");
        let maker = TapMaker::over(nobody.into());
        let (shutdown, asked_to_end) = oneshot::channel();
        tokio::spawn(async move { while let Some(()) = asked.recv().await.map(answer) {} });
        tokio::spawn(super::serve(listener, feeds, commands, maker, async {
            asked_to_end.await.ok();
        }));
        Self { socket, publisher, drops, table: EndpointTable::default(), shutdown: Some(shutdown) }
    }

    async fn client(&self) -> Client {
        netmon_api::connect(&self.socket).await.expect("the daemon listens")
    }

    /// A guest behind `tap` speaks.
    fn guest(&mut self, port: u32, tap: &str, address: &str) {
        let now = Moment::now();
        let address: Ipv6Addr = address.parse().expect("an address");
        let key = abi::BindingKey::new(port, address.octets());
        let nanos = Moment::default();
        let binding = abi::Binding {
            port,
            mac: [2, 0xfc, 0, 0, 0, 1],
            state: abi::State::Valid.number(),
            origin: Kind::Dad.number(),
            last_seen: now.since(nanos).as_nanos() as u64,
            first_seen: now.since(nanos).as_nanos() as u64,
            ..Default::default()
        };
        self.apply(Input::Port { index: port, name: tap.into(), scope: port, epoch: 0, up: true });
        self.apply(Input::Binding(key, binding));
    }

    fn apply(&mut self, input: Input) {
        let changes = self.table.apply(input, Moment::now());
        self.publisher.publish(&self.table, changes);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        std::fs::remove_file(&self.socket).ok();
    }
}

/// tap0 is confined; there is no other.
fn answer(command: Command) {
    let port = PortStatus {
        tap: "tap0".into(),
        index: 7,
        link: 7,
        ingress: Some(IngressHook::XdpNative),
        egress: None,
        mac: None,
        bindings: 1,
        policy: Policy::default(),
        protection: Protection::Partial("egress: somebody detached our program".into()),
        locked_out: None,
    };
    let refused = |tap: &str| PortError::NotFound(tap.into());
    let row = |outcome| CounterRow {
        tap: "tap0".into(),
        index: 7,
        direction: abi::Direction::Ingress,
        outcome,
        packets: 2,
        bytes: 120,
    };
    match command {
        Command::ListPorts(answer) => answer.send(vec![port]).expect("somebody asked"),
        Command::Attach(tap, answer) if &*tap == "tap0" => {
            answer.send(Ok(port)).expect("somebody asked");
        }
        Command::Attach(tap, answer) => answer.send(Err(refused(&tap))).expect("somebody asked"),
        Command::SetPolicy(PolicyOrder { tap, reset, change }, answer) if &*tap == "tap0" => {
            assert!(reset);
            let port = PortStatus { policy: Policy::default().with(&change), ..port };
            answer.send(Ok(port)).expect("somebody asked");
        }
        Command::SetPolicy(order, answer) => {
            answer.send(Err(refused(&order.tap))).expect("somebody asked");
        }
        Command::Detach(tap, answer) => answer.send(Err(refused(&tap))).expect("somebody asked"),
        Command::Counters(_, answer) => {
            let rows = vec![
                row(Outcome::Passed(Kind::Dad)),
                row(Outcome::Dropped(Reason::Ipv4)),
                row(Outcome::Observed(Reason::Vlan)),
            ];
            answer.send(Ok(Counters { rows, events_lost: 3 })).expect("somebody asked");
        }
    }
}

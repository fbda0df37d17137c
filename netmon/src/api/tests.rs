//! The service over a real socket, as a client sees it.

use std::{net::Ipv6Addr, path::PathBuf};

use netmon_api::{Client, v0, v0::netmon_service_watch_endpoints_response::Event};
use netmon_common::{Kind, abi, limits};
use tokio::{
    net::UnixListener,
    sync::{mpsc, oneshot},
};
use tonic::{Code, Request, Status, Streaming};

use super::service::may_change;
use crate::{
    command::{Command, CounterRow, Counters, IngressHook, PortStatus, Protection},
    endpoints::{EndpointTable, Input},
    ports::PortError,
    time::Moment,
    view::{self, Publisher},
};

/// A service whose daemon is this test.
struct Daemon {
    socket: PathBuf,
    publisher: Publisher,
    table: EndpointTable,
    shutdown: Option<oneshot::Sender<()>>,
}

impl Daemon {
    fn start(name: &str) -> Self {
        let socket = std::env::temp_dir().join(format!("netmon-api-{name}-{}", std::process::id()));
        std::fs::remove_file(&socket).ok();
        let listener = UnixListener::bind(&socket).expect("a socket");
        let (publisher, view) = view::new(77);
        let (commands, mut asked) = mpsc::channel(4);
        let (shutdown, asked_to_end) = oneshot::channel();
        tokio::spawn(async move { while let Some(()) = asked.recv().await.map(answer) {} });
        tokio::spawn(super::serve(listener, view, commands, async {
            asked_to_end.await.ok();
        }));
        Self { socket, publisher, table: EndpointTable::default(), shutdown: Some(shutdown) }
    }

    async fn client(&self) -> Client {
        netmon_api::connect(&self.socket).await.expect("the daemon listens")
    }

    /// A guest behind `tap` speaks.
    fn guest(&mut self, port: u32, tap: &str, address: &str) {
        let now = Moment::now();
        let address: Ipv6Addr = address.parse().expect("an address");
        let key = abi::BindingKey { link: port, address: address.octets() };
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
        self.apply(Input::Port { index: port, name: tap.into(), epoch: 0 });
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
        quota: 8,
        protection: Protection::Partial("egress: somebody detached our program".into()),
    };
    let refused = |tap: &str| PortError::NotFound(tap.into());
    let row = |verdict| CounterRow {
        tap: "tap0".into(),
        index: 7,
        direction: abi::Direction::Ingress,
        verdict,
        packets: 2,
        bytes: 120,
    };
    match command {
        Command::ListPorts(answer) => answer.send(vec![port]).expect("somebody asked"),
        Command::Attach(tap, answer) if &*tap == "tap0" => {
            answer.send(Ok(port)).expect("somebody asked");
        }
        Command::Attach(tap, answer) => answer.send(Err(refused(&tap))).expect("somebody asked"),
        Command::Detach(tap, answer) => answer.send(Err(refused(&tap))).expect("somebody asked"),
        Command::Counters(_, answer) => {
            let rows = vec![row(Ok(Kind::Dad)), row(Err(netmon_common::Reason::Ipv4))];
            answer.send(Ok(Counters { rows, events_lost: 3 })).expect("somebody asked");
        }
    }
}

/// A message in short: "@2 + tap0 fe80::2%7".
async fn heard(stream: &mut Streaming<v0::NetmonServiceWatchEndpointsResponse>) -> String {
    let message = match stream.message().await {
        Ok(Some(message)) => message,
        Ok(None) => return "a clean end".to_owned(),
        Err(status) => return format!("{:?}: {}", status.code(), status.message()),
    };
    let short = |one: &v0::Endpoint| format!("{} {}", one.tap, one.scoped);
    let event = match message.event.expect("an event") {
        Event::Snapshot(all) => {
            format!("= {:?}", all.endpoints.iter().map(short).collect::<Vec<_>>())
        }
        Event::Added(one) => format!("+ {}", short(&one)),
        Event::Updated(one) => format!("~ {}", short(&one)),
        Event::Removed(one) => format!("- {}", short(&one)),
    };
    format!("@{} {event}", message.revision.expect("a revision").number)
}

async fn watch(
    client: &mut Client,
    since: Option<(u64, u64)>,
) -> Result<Streaming<v0::NetmonServiceWatchEndpointsResponse>, Status> {
    let since = since.map(|(instance, number)| v0::Revision { instance, number });
    let request = v0::NetmonServiceWatchEndpointsRequest { since };
    client.watch_endpoints(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_watcher_hears_the_map_then_each_change_then_why_it_ends() {
    let mut daemon = Daemon::start("watch");
    daemon.guest(7, "tap0", "fe80::2");
    let mut stream = watch(&mut daemon.client().await, None).await.expect("a stream");
    assert_eq!(heard(&mut stream).await, r#"@1 = ["tap0 fe80::2%7"]"#);
    daemon.guest(8, "tap1", "fe80::2");
    assert_eq!(heard(&mut stream).await, "@2 + tap1 fe80::2%8");
    daemon.apply(Input::Port { index: 8, name: "vm1".into(), epoch: 0 });
    assert_eq!(heard(&mut stream).await, "@3 ~ vm1 fe80::2%8");
    daemon.apply(Input::PortGone(7));
    assert_eq!(heard(&mut stream).await, "@4 - tap0 fe80::2%7");
    drop(daemon.shutdown.take());
    assert_eq!(heard(&mut stream).await, "Unavailable: the daemon is shutting down");
}

#[tokio::test]
async fn a_watcher_goes_on_from_the_revision_that_it_knows() {
    let mut daemon = Daemon::start("since");
    for address in ["fe80::2", "fe80::3", "fe80::4"] {
        daemon.guest(7, "tap0", address);
    }
    let mut client = daemon.client().await;
    let mut stream = watch(&mut client, Some((77, 1))).await.expect("a stream");
    assert_eq!(heard(&mut stream).await, "@2 + tap0 fe80::3%7");
    assert_eq!(heard(&mut stream).await, "@3 + tap0 fe80::4%7");
    for (unknown, why) in [((76, 1), "another daemon"), ((77, 4), "a revision to come")] {
        let refused = watch(&mut client, Some(unknown)).await.expect_err(why);
        assert_eq!(refused.code(), Code::OutOfRange, "{why}");
    }
}

#[tokio::test]
async fn there_is_an_end_to_how_many_may_watch() {
    let daemon = Daemon::start("watchers");
    let mut streams = Vec::new();
    while streams.len() < limits::WATCHERS {
        let mut client = daemon.client().await;
        streams.push(watch(&mut client, None).await.expect("a stream"));
    }
    let refused = watch(&mut daemon.client().await, None).await.expect_err("one too many");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    streams.pop();
    // The daemon hears that a reader has left a moment after it did.
    while watch(&mut daemon.client().await, None).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn endpoints_are_listed_by_tap_and_state_and_found_by_name() {
    let mut daemon = Daemon::start("endpoints");
    daemon.guest(7, "tap0", "fe80::2");
    daemon.guest(8, "tap1", "fe80::2");
    let mut client = daemon.client().await;
    let mut list = async |tap: &str, state: v0::EndpointState| {
        let request =
            v0::NetmonServiceListEndpointsRequest { tap: tap.into(), state: state.into() };
        let response = client.list_endpoints(request).await.expect("a list").into_inner();
        response.endpoints.into_iter().map(|one| one.scoped).collect::<Vec<_>>()
    };
    assert_eq!(list("", v0::EndpointState::Unspecified).await, ["fe80::2%7", "fe80::2%8"]);
    assert_eq!(list("tap1", v0::EndpointState::Reachable).await, ["fe80::2%8"]);
    assert!(list("tap1", v0::EndpointState::Tentative).await.is_empty());
    assert!(list("tap9", v0::EndpointState::Unspecified).await.is_empty());

    let mut get = async |name: &str| {
        let request = v0::NetmonServiceGetEndpointRequest { name: name.into() };
        let found = client.get_endpoint(request).await.map_err(|status| status.code());
        found.map(|response| response.into_inner().endpoint.expect("an endpoint").scoped)
    };
    assert_eq!(get("tap1").await, Ok("fe80::2%8".to_owned()));
    assert_eq!(get("tap9").await, Err(Code::NotFound));
    assert_eq!(get("02:fc:00:00:00:01").await, Err(Code::FailedPrecondition));
    assert_eq!(get("fe80::2").await, Err(Code::InvalidArgument));
}

#[tokio::test]
async fn the_daemons_answers_are_handed_on_whole() {
    let daemon = Daemon::start("daemon");
    let mut client = daemon.client().await;
    let ports = client.list_ports(v0::NetmonServiceListPortsRequest {}).await.expect("ports");
    let [port] = &ports.get_ref().ports[..] else { panic!("one port") };
    assert_eq!((&*port.ingress_hook, &*port.egress_hook, &*port.mac), ("xdp-native", "", ""));
    assert_eq!(
        (port.protection(), &*port.why),
        (v0::Protection::Partial, "egress: somebody detached our program")
    );

    let request = v0::NetmonServiceGetDropsRequest::default();
    let drops = client.get_drops(request).await.expect("drops").into_inner();
    assert_eq!((drops.drops.len(), drops.passes.len(), drops.events_lost), (1, 1, 3));
    assert_eq!((&*drops.drops[0].reason, &*drops.passes[0].kind), ("ipv4", "dad"));

    let request = v0::NetmonServiceDetachPortRequest { tap: "tap9".into() };
    let refused = client.detach_port(request).await.expect_err("no such TAP");
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::NotFound, &*PortError::NotFound("tap9".into()).to_string())
    );
    let request = v0::NetmonServiceAttachPortRequest { tap: "../tap0".into() };
    let refused = client.attach_port(request).await.expect_err("no name");
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[test]
fn only_root_and_the_daemons_user_may_change_anything() {
    for (caller, own, allowed) in [
        (Some(0), 990, true),
        (Some(990), 990, true),
        (Some(1000), 990, false),
        (Some(1000), 0, false),
        (None, 0, false),
    ] {
        let code = may_change(caller, own).map_err(|status| status.code());
        assert_eq!(code, if allowed { Ok(()) } else { Err(Code::PermissionDenied) }, "{caller:?}");
    }
}

#[tokio::test]
async fn standard_tools_find_their_way() {
    use tonic_health::pb::{
        HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
    };
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let daemon = Daemon::start("standard");
    let uri = format!("unix://{}", daemon.socket.display());
    let endpoint = tonic::transport::Endpoint::from_shared(uri).expect("a URI");
    let channel = endpoint.connect().await.expect("the daemon listens");
    for service in ["", "aurae.netmon.v0.NetmonService"] {
        let request = HealthCheckRequest { service: service.into() };
        let health = HealthClient::new(channel.clone()).check(request).await.expect("health");
        assert_eq!(health.into_inner().status(), ServingStatus::Serving);
    }
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileContainingSymbol(
            "aurae.netmon.v0.NetmonService".into(),
        )),
    };
    let mut client = ServerReflectionClient::new(channel);
    let request = Request::new(tokio_stream::once(request));
    let mut answers =
        client.server_reflection_info(request).await.expect("reflection").into_inner();
    let answer = answers.message().await.expect("an answer").expect("one");
    assert!(matches!(answer.message_response, Some(MessageResponse::FileDescriptorResponse(_))));
}

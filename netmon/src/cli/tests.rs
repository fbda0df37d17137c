//! What people type, and what they and their scripts get to read.

use clap::{CommandFactory as _, Parser as _};
use netmon_api::v0::{self, netmon_service_watch_endpoints_response::Event};
use netmon_common::{Kind, Reason};
use prost_types::Timestamp;

use super::{
    Cli, drops, endpoints, explain,
    failure::Failure,
    output::aligned,
    ports, resolve, rows, status,
    wait::{Behind, Goal},
    watch,
};

fn guest(tap: &str, ifindex: u32, address: &str, state: v0::EndpointState) -> v0::Endpoint {
    v0::Endpoint {
        tap: tap.to_owned(),
        ifindex,
        address: address.to_owned(),
        scoped: format!("{address}%{ifindex}"),
        mac: "02:fc:00:00:00:01".to_owned(),
        state: state.into(),
        origin: "dad".to_owned(),
        first_seen: Some(Timestamp { seconds: 1_795_510_701, nanos: 4_999_999 }),
        last_seen: Some(Timestamp { seconds: 1_795_510_713, nanos: 0 }),
    }
}

fn aurae(tap: &str, ifindex: u32) -> v0::Endpoint {
    guest(tap, ifindex, "fe80::2", v0::EndpointState::Reachable)
}

fn port(protection: v0::Protection) -> v0::Port {
    v0::Port {
        tap: "tap0".to_owned(),
        ifindex: 12,
        link: 12,
        mode: "enforce".to_owned(),
        profile: "link-local".to_owned(),
        ingress_hook: "xdp-native".to_owned(),
        egress_hook: "tcx".to_owned(),
        mac: String::new(),
        bindings: 1,
        quota: 8,
        protection: protection.into(),
        why: String::new(),
    }
}

fn drop_count(tap: &str, reason: Reason, packets: u64) -> v0::DropCount {
    v0::DropCount {
        tap: tap.to_owned(),
        ifindex: 12,
        direction: v0::Direction::Ingress.into(),
        reason: reason.name().to_owned(),
        packets,
        bytes: packets * 86,
    }
}

fn json(rows: &impl serde::Serialize) -> String {
    serde_json::to_string(rows).expect("JSON")
}

#[test]
fn the_arguments_are_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_verb_has_an_example() {
    for verb in Cli::command().get_subcommands() {
        let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.contains(&format!("\n  netmon {}", verb.get_name())), "{}", verb.get_name());
        assert!(help.lines().all(|line| line.len() <= 80), "{}", verb.get_name());
    }
}

#[test]
fn arguments_are_checked_before_anything_is_done() {
    for line in [
        "run",
        "run --tap vm* --tap tap[0-9] --log json --bpffs /sys/fs/bpf/other",
        "endpoints --tap tap0 --state stale -o json --socket /tmp/s",
        "watch --since 1764000000000000:42 -o json",
        "resolve tap0 --port 80",
        "wait tap0 reachable --timeout 1500ms",
        "wait tap0 gone",
        "ports -o table",
        "status --check",
        "drops --tap tap0 --passed",
        "attach tap0",
        "detach tap0",
        "explain",
        "explain nd_rate",
        "explain dad",
    ] {
        assert!(
            Cli::try_parse_from(["netmon"].into_iter().chain(line.split(' '))).is_ok(),
            "{line}"
        );
    }
    for line in [
        "run --tap vm[",
        "run --log xml",
        "endpoints --tap a/b",
        "endpoints --state well",
        "watch -o table",
        "watch --since 42",
        "watch --since -1:42",
        "resolve",
        "resolve tap0 --port 65536",
        "wait tap0",
        "wait tap0 ready",
        "wait tap0 gone --timeout 30",
        "attach sixteen_bytes_xx",
        "detach ..",
        "explain nothing",
        "nothing",
    ] {
        let refused = Cli::try_parse_from(["netmon"].into_iter().chain(line.split(' ')));
        assert_eq!(refused.map(|_| ()).map_err(|error| error.exit_code()), Err(2), "{line}");
    }
}

#[test]
fn an_endpoint_is_this_json() {
    assert_eq!(
        json(&rows::Endpoint::from(&aurae("tap0", 12))),
        concat!(
            r#"{"tap":"tap0","ifindex":12,"address":"fe80::2","scoped":"fe80::2%12","#,
            r#""mac":"02:fc:00:00:00:01","state":"reachable","origin":"dad","#,
            r#""first_seen":"2026-11-24T08:58:21.004Z","last_seen":"2026-11-24T08:58:33.000Z","#,
            r#""auraed":null,"owner":null,"path":["tap0"]}"#
        )
    );
}

#[test]
fn a_port_is_this_json() {
    let mut port = port(v0::Protection::Partial);
    port.egress_hook.clear();
    port.why = "egress: somebody detached our program".to_owned();
    assert_eq!(
        json(&rows::Port::from(&port)),
        concat!(
            r#"{"tap":"tap0","ifindex":12,"mode":"enforce","profile":"link-local","#,
            r#""hook":{"ingress":"xdp-native","egress":null},"mac":null,"bindings":1,"quota":8}"#
        )
    );
    assert_eq!(
        json(&rows::Status::from(&port)),
        concat!(
            r#"{"tap":"tap0","ifindex":12,"protection":"partial","#,
            r#""why":"egress: somebody detached our program"}"#
        )
    );
}

#[test]
fn a_count_is_this_json() {
    assert_eq!(
        json(&rows::Count::from(&drop_count("tap0", Reason::Ipv4, 3))),
        r#"{"tap":"tap0","direction":"ingress","reason":"ipv4","packets":3,"bytes":258}"#
    );
    assert_eq!(
        json(&rows::Count::from(&drop_count("", Reason::PortUnknown, 1))),
        r#"{"tap":null,"direction":"ingress","reason":"port_unknown","packets":1,"bytes":86}"#
    );
    let pass = v0::PassCount {
        tap: "tap0".to_owned(),
        ifindex: 12,
        direction: v0::Direction::Egress.into(),
        kind: Kind::Tcp.name().to_owned(),
        packets: 1,
        bytes: 74,
    };
    assert_eq!(
        json(&rows::Count::from(&pass)),
        r#"{"tap":"tap0","direction":"egress","kind":"tcp","packets":1,"bytes":74}"#
    );
}

#[test]
fn tables_are_aligned_and_fit_a_terminal() {
    let now = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_795_510_720);
    let random = "fe80::1234:5678:9abc:def0";
    let mut advertised = guest("tap1", 13, random, v0::EndpointState::Tentative);
    advertised.origin = "neighbor_solicit".to_owned();
    advertised.last_seen = Some(Timestamp { seconds: 1_795_410_720, nanos: 0 });
    let rows = [aurae("tap0", 12), advertised].map(|one| endpoints::row(&one, now));
    assert_eq!(
        aligned(endpoints::HEAD, &[], rows).lines().collect::<Vec<_>>(),
        [
            "ADDRESS                         MAC                STATE      SEEN  ORIGIN",
            "fe80::2%tap0                    02:fc:00:00:00:01  reachable  7s    dad",
            "fe80::1234:5678:9abc:def0%tap1  02:fc:00:00:00:01  tentative  1d    neighbor_solicit",
        ]
    );
    let mut known = port(v0::Protection::Confined);
    known.mac = "02:fc:00:00:00:01".to_owned();
    known.ingress_hook = "xdp-generic".to_owned();
    let ports =
        aligned(ports::HEAD, &[1], [port(v0::Protection::Confined), known].iter().map(ports::row));
    assert_eq!(
        ports.lines().collect::<Vec<_>>(),
        [
            "TAP   IFINDEX  MODE     INGRESS      EGRESS  MAC                BINDINGS",
            "tap0       12  enforce  xdp-native   tcx     -                  1/8",
            "tap0       12  enforce  xdp-generic  tcx     02:fc:00:00:00:01  1/8",
        ]
    );
    let counts = [
        drop_count("tap0", Reason::RouterAdvertisement, 1_000_000),
        drop_count("", Reason::PortUnknown, 1),
    ];
    let drops = aligned(drops::DROPS, drops::NUMBERS, counts.iter().map(drops::drop_row));
    assert_eq!(
        drops.lines().collect::<Vec<_>>(),
        [
            "TAP   DIRECTION  REASON         PACKETS     BYTES",
            "tap0  ingress    router_advert  1000000  86000000",
            "-     ingress    port_unknown         1        86",
        ]
    );
}

#[test]
fn nothing_from_outside_can_break_a_table() {
    let table = aligned(["TAP", "HOW"], &[], [["tap0".to_owned(), "a\nb\x1b[2J".to_owned()]]);
    assert_eq!(table, "TAP   HOW\ntap0  a b [2J");
}

#[test]
fn reasons_are_explained_to_the_width_of_a_terminal() {
    let drops = [Reason::NdDestination, Reason::Ipv4, Reason::Ipv4]
        .map(|reason| drop_count("tap0", reason, 1));
    assert_eq!(
        drops::meanings(&drops, Some(80)).lines().collect::<Vec<_>>(),
        [
            "ipv4            IPv4",
            "nd_destination  DAD not to its target's group, DAD with a source link-layer",
            "                option, or a solicited advertisement to a group",
        ]
    );
    assert_eq!(drops::meanings(&drops, None).lines().count(), 2, "a line each for grep");
    assert_eq!(
        explain::explained(Some("router_advert"), None),
        "dropped  a router advertisement: no guest is a router here (RFC 6105)\n\
         passed   a router advertisement of the host"
    );
    let all = explain::explained(None, Some(80));
    assert!(all.lines().all(|line| line.len() <= 80));
    for name in
        Reason::ALL.iter().map(|one| one.name()).chain(Kind::ALL.iter().map(|one| one.name()))
    {
        assert!(all.contains(&format!("\n{name} ")), "{name}");
    }
}

#[test]
fn resolve_prints_what_a_socket_address_parser_reads() {
    let printed = resolve::socket_address(&aurae("tap0", 12), 8080);
    assert_eq!(printed, "[fe80::2%12]:8080");
    let parsed: std::net::SocketAddrV6 = printed.parse().expect("a socket address");
    assert_eq!((parsed.scope_id(), parsed.port()), (12, 8080));
}

#[test]
fn status_says_by_which_hooks_or_why_not() {
    assert_eq!(status::how(&port(v0::Protection::Confined)), "xdp-native and tcx");
    let why = "tap0: a foreign XDP program is on it".to_owned();
    let refused = v0::Port { why, ..port(v0::Protection::Unprotected) };
    assert_eq!(
        status::how(&refused),
        "a foreign XDP program is on it",
        "without the TAP once more"
    );
    assert_eq!(status::checked(&[port(v0::Protection::Confined)]), Ok(()));
    for protection in
        [v0::Protection::Observed, v0::Protection::Partial, v0::Protection::Unprotected]
    {
        let ports = [port(v0::Protection::Confined), port(protection)];
        assert_eq!(status::checked(&ports), Err(Failure::Checked), "{protection:?}");
    }
}

fn message(event: Event) -> v0::NetmonServiceWatchEndpointsResponse {
    let revision = Some(v0::Revision { instance: 1_764_000_000_000_000, number: 3 });
    v0::NetmonServiceWatchEndpointsResponse { revision, event: Some(event) }
}

#[test]
fn watch_prints_a_line_for_each_endpoint() {
    let now = jiff::Timestamp::new(1_795_510_701, 900_000_000).expect("a time");
    let text = |event| watch::lines(&message(event), now);
    let told = "tap0 fe80::2%tap0 02:fc:00:00:00:01 reachable (dad)\n";
    for (sign, event) in [
        ('=', Event::Snapshot(v0::Snapshot { endpoints: vec![aurae("tap0", 12)], missed: 0 })),
        ('+', Event::Added(aurae("tap0", 12))),
        ('~', Event::Updated(aurae("tap0", 12))),
        ('-', Event::Removed(aurae("tap0", 12))),
    ] {
        assert_eq!(text(event), format!("2026-11-24T08:58:21Z {sign} {told}"));
    }
    let lost = text(Event::Snapshot(v0::Snapshot { endpoints: vec![], missed: 5000 }));
    assert!(lost.starts_with("2026-11-24T08:58:21Z ! 5000 changes lost: "), "{lost}");
}

#[test]
fn watch_prints_an_object_a_line() {
    let lines = |event| {
        let mut out = Vec::new();
        watch::json(&message(event), &mut out).expect("a Vec takes all");
        String::from_utf8(out).expect("JSON is UTF-8")
    };
    let revision = r#""revision":{"instance":1764000000000000,"number":3}"#;
    let endpoint = json(&rows::Endpoint::from(&aurae("tap0", 12)));
    let snapshot =
        |missed| Event::Snapshot(v0::Snapshot { endpoints: vec![aurae("tap0", 12)], missed });
    assert_eq!(
        lines(snapshot(0)),
        format!("{{\"event\":\"snapshot\",{revision},\"endpoints\":[{endpoint}]}}\n")
    );
    for (name, event) in [
        ("added", Event::Added(aurae("tap0", 12))),
        ("updated", Event::Updated(aurae("tap0", 12))),
        ("removed", Event::Removed(aurae("tap0", 12))),
    ] {
        assert_eq!(
            lines(event),
            format!("{{\"event\":\"{name}\",{revision},\"endpoint\":{endpoint}}}\n")
        );
    }
    let lost = lines(snapshot(5000));
    let (lost, rest) = lost.split_once('\n').expect("two lines");
    assert!(
        lost.starts_with(&format!("{{\"event\":\"lost\",{revision},\"changes\":5000,\"cause\":\"")),
        "{lost}"
    );
    assert_eq!(rest, lines(snapshot(0)), "then the snapshot");
}

#[test]
fn wait_knows_when_a_tap_has_come_so_far() {
    let check = |events: &[Event], expected: &[Goal]| {
        let mut tap = Behind::new("tap0");
        events.iter().cloned().for_each(|event| tap.hear(event));
        for goal in [Goal::Endpoint, Goal::Reachable, Goal::Gone] {
            assert_eq!(tap.is(goal), expected.contains(&goal), "{goal:?} after {events:?}");
        }
    };
    let quiet = guest("tap0", 12, "fe80::2", v0::EndpointState::Stale);
    let renamed = v0::Endpoint { tap: "vm0".to_owned(), ..quiet.clone() };
    let all = |endpoints: &[v0::Endpoint]| {
        Event::Snapshot(v0::Snapshot { endpoints: endpoints.to_vec(), missed: 0 })
    };
    check(&[all(&[])], &[Goal::Gone]);
    check(&[all(&[aurae("tap1", 13)])], &[Goal::Gone]);
    check(&[all(&[quiet.clone()])], &[Goal::Endpoint]);
    check(&[all(&[]), Event::Added(quiet.clone())], &[Goal::Endpoint]);
    check(
        &[Event::Added(quiet.clone()), Event::Updated(aurae("tap0", 12))],
        &[Goal::Endpoint, Goal::Reachable],
    );
    check(&[Event::Added(aurae("tap0", 12)), Event::Removed(aurae("tap0", 12))], &[Goal::Gone]);
    check(&[Event::Added(quiet.clone()), Event::Updated(renamed)], &[Goal::Gone]);
    check(&[Event::Added(quiet), all(&[])], &[Goal::Gone]);
}

#[test]
fn exit_codes_are_those_that_scripts_know() {
    let why = String::new;
    for (failure, code) in [
        (Failure::Unread, 0),
        (Failure::Failed(why()), 1),
        (Failure::Checked, 1),
        (Failure::Usage(why()), 2),
        (Failure::NotFound(why()), 3),
        (Failure::Unreachable(why()), 69),
        (Failure::TimedOut(why()), 124),
        (tonic::Status::not_found("").into(), 1),
        (tonic::Status::failed_precondition("").into(), 1),
        (tonic::Status::permission_denied("").into(), 1),
        (tonic::Status::out_of_range("").into(), 1),
        (tonic::Status::invalid_argument("").into(), 2),
        (tonic::Status::unavailable("").into(), 69),
        (tonic::Status::cancelled("").into(), 69),
        (
            tonic::Status::from_error(Box::new(std::io::Error::other("the connection broke")))
                .into(),
            69,
        ),
        (std::io::Error::from(std::io::ErrorKind::BrokenPipe).into(), 0),
        (std::io::Error::from(std::io::ErrorKind::StorageFull).into(), 1),
    ] {
        assert_eq!(failure.code(), code, "{failure:?}");
    }
}

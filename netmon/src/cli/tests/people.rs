//! What people read, and what `wait` makes of what it hears.

use std::time::{Duration, UNIX_EPOCH};

use netmon_api::v0::{self, netmon_service_watch_endpoints_response::Event};
use netmon_common::{Kind, Reason};
use prost_types::Timestamp;

use super::{
    super::{
        drops, endpoints, explain,
        failure::Failure,
        output::aligned,
        policy, ports, resolve, status,
        wait::{Behind, Goal},
        watch,
    },
    aurae, drop_count, guest, message, port,
};

#[test]
fn tables_are_aligned_and_fit_a_terminal() {
    let now = UNIX_EPOCH + Duration::from_secs(1_795_510_720);
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
    known.profile = "open".to_owned();
    let ports =
        aligned(ports::HEAD, &[1], [port(v0::Protection::Confined), known].iter().map(ports::row));
    assert_eq!(
        ports.lines().collect::<Vec<_>>(),
        [
            "TAP   IFINDEX  MODE     INGRESS      EGRESS  MAC                BINDINGS",
            "tap0       12  enforce  xdp-native   tcx     -                  1/8",
            "tap0       12  open     xdp-generic  tcx     02:fc:00:00:00:01  1/8",
        ]
    );
    let counts = [
        drop_count("tap0", Reason::RouterAdvertisement, 1_000_000),
        v0::DropCount { observed: true, ..drop_count("tap1", Reason::Vlan, 2) },
        drop_count("", Reason::PortUnknown, 1),
    ];
    let drops = aligned(drops::DROPS, drops::NUMBERS, counts.iter().map(drops::drop_row));
    assert_eq!(
        drops.lines().collect::<Vec<_>>(),
        [
            "TAP   DIRECTION  REASON         ACTION    PACKETS     BYTES",
            "tap0  ingress    router_advert  dropped   1000000  86000000",
            "tap1  ingress    vlan           observed        2       172",
            "-     ingress    port_unknown   dropped         1        86",
        ]
    );
}

#[test]
fn a_policy_is_shown_as_it_is_written() {
    let policy = port(v0::Protection::Confined).policy.expect("a policy");
    let rows = policy::rows(&policy).expect("one that there is");
    assert_eq!(
        aligned(["KEY", "VALUE"], &[], rows).lines().collect::<Vec<_>>(),
        [
            "KEY          VALUE",
            "mode         enforce",
            "profile      link-local",
            "mac          first",
            "quota        8",
            "nd_rate      100",
            "sample_rate  10",
            "protocols    tcp,udp",
            "host_ports   any",
            "guest_ports  any",
            "dhcp_server  false",
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
    assert_eq!(resolve::url_host(&aurae("tap0", 253), 80), "[fe80::2%25253]:80");
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
    for protection in [v0::Protection::Confined, v0::Protection::Observed, v0::Protection::Open] {
        assert_eq!(status::checked(&[port(protection)]), Ok(()), "{protection:?}");
    }
    for protection in [v0::Protection::Partial, v0::Protection::Unprotected] {
        let ports = [port(v0::Protection::Confined), port(protection)];
        assert_eq!(status::checked(&ports), Err(Failure::Checked), "{protection:?}");
    }
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
    check(&[all(std::slice::from_ref(&quiet))], &[Goal::Endpoint]);
    check(&[all(&[]), Event::Added(quiet.clone())], &[Goal::Endpoint]);
    check(
        &[Event::Added(quiet.clone()), Event::Updated(aurae("tap0", 12))],
        &[Goal::Endpoint, Goal::Reachable],
    );
    check(&[Event::Added(aurae("tap0", 12)), Event::Removed(aurae("tap0", 12))], &[Goal::Gone]);
    check(&[Event::Added(quiet.clone()), Event::Updated(renamed)], &[Goal::Gone]);
    check(&[Event::Added(quiet), all(&[])], &[Goal::Gone]);
    // On a bridge both have its scope: the address has come from tap1, which is told after that.
    let on_bridge = |tap, tap_ifindex| v0::Endpoint { tap_ifindex, ..aurae(tap, 3) };
    check(
        &[Event::Added(on_bridge("tap0", 12)), Event::Removed(on_bridge("tap1", 13))],
        &[Goal::Endpoint, Goal::Reachable],
    );
}

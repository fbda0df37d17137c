//! What programs read, whole: `tests/fixtures/json.txt` has every key of every list, of `watch` and of its end.

use std::path::Path;

use netmon_api::v0::{
    self, netmon_service_watch_drops_response::Event as DropEvent,
    netmon_service_watch_endpoints_response::Event,
};
use netmon_common::Reason;
use serde::Serialize;

use super::{
    super::{policy, rows, watch},
    aurae, drop_count, guest, message, pass_count, port,
};
use crate::golden;

/// As `-o json` prints it.
fn list(verb: &str, rows: &impl Serialize) -> String {
    format!("## {verb}\n{}\n", serde_json::to_string_pretty(rows).expect("JSON"))
}

/// A guest on a bridge: its scope is the bridge, with index 3.
fn on_bridge() -> v0::Endpoint {
    let mut one = guest("tap1", 13, "fe80::3", v0::EndpointState::Unreachable);
    (one.ifindex, one.scoped) = (3, "fe80::3%3".to_owned());
    one
}

fn counts() -> String {
    let observed = v0::DropCount { observed: true, ..drop_count("tap0", Reason::Ipv4, 3) };
    let pass = pass_count();
    let drops = [drop_count("tap0", Reason::Vlan, 2), observed, drop_count("", Reason::Runt, 1)];
    let rows: Vec<_> =
        drops.iter().map(rows::Count::from).chain([rows::Count::from(&pass)]).collect();
    list("drops --passed", &rows)
}

fn frames() -> String {
    let whole = v0::RefusedFrame {
        time: aurae("tap0", 12).last_seen,
        tap: "tap0".to_owned(),
        ifindex: 12,
        direction: v0::Direction::Ingress.into(),
        reason: Reason::RouterAdvertisement.name().to_owned(),
        observed: false,
        length: 86,
        source_mac: "02:fc:00:00:00:01".to_owned(),
        destination_mac: "33:33:00:00:00:01".to_owned(),
        ethertype: 0x86dd,
        source: "fe80::2".to_owned(),
        destination: "ff02::1".to_owned(),
        next_header: 58,
        icmp_type: Some(134),
    };
    let bare = v0::RefusedFrame {
        observed: true,
        reason: Reason::Arp.name().to_owned(),
        ethertype: 0x0806,
        source: String::new(),
        destination: String::new(),
        next_header: 0,
        icmp_type: None,
        ..whole.clone()
    };
    let events = [DropEvent::Refused(whole), DropEvent::Refused(bare), DropEvent::Missed(7)];
    let mut out = b"## watch --drops\n".to_vec();
    for event in events {
        let message = v0::NetmonServiceWatchDropsResponse { event: Some(event) };
        watch::refused::json(&message, &mut out).expect("a Vec takes all");
    }
    String::from_utf8(out).expect("JSON is UTF-8")
}

fn changes() -> String {
    let snapshot = v0::Snapshot { endpoints: vec![aurae("tap0", 12), on_bridge()], missed: 5000 };
    let events = [
        Event::Snapshot(snapshot),
        Event::Added(aurae("tap0", 12)),
        Event::Updated(on_bridge()),
        Event::Removed(on_bridge()),
    ];
    let mut out = b"## watch\n".to_vec();
    for event in events {
        watch::json(&message(event), &mut out).expect("a Vec takes all");
    }
    String::from_utf8(out).expect("JSON is UTF-8")
}

fn policies() -> String {
    let any = port(v0::Protection::Confined).policy.expect("a policy");
    let mut narrow = any.clone();
    narrow.mac = Some("02:fc:00:00:00:01".to_owned());
    narrow.host_ports = Some(v0::Services { any: false, ports: Vec::new() });
    narrow.guest_ports = Some(v0::Services { any: false, ports: vec![8080] });
    list("policy", &[policy::Row::new("tap0", &any), policy::Row::new("tap1", &narrow)])
}

#[test]
fn every_list_is_the_json_that_is_kept() {
    let mut known = port(v0::Protection::Confined);
    known.mac = "02:fc:00:00:00:01".to_owned();
    let mut half = port(v0::Protection::Partial);
    half.egress_hook.clear();
    half.why = "egress: somebody detached our program".to_owned();
    let (endpoints, ports) = ([aurae("tap0", 12), on_bridge()], [known, half]);
    let now = [
        list("endpoints", &endpoints.iter().map(rows::Endpoint::from).collect::<Vec<_>>()),
        changes(),
        frames(),
        list("ports", &ports.iter().map(rows::Port::from).collect::<Vec<_>>()),
        list("status", &ports.iter().map(rows::Status::from).collect::<Vec<_>>()),
        counts(),
        policies(),
    ];
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/json.txt");
    let checked = golden::check(&file, &now.join("\n"), |_| Ok(()));
    checked.unwrap_or_else(|why| panic!("{why}"));
}

//! What programs read: these are interfaces.

use netmon_api::v0::{self, netmon_service_watch_endpoints_response::Event};
use netmon_common::Reason;

use super::{
    super::{failure::Failure, policy, rows, watch},
    aurae, drop_count, message, pass_count, port,
};

fn json(rows: &impl serde::Serialize) -> String {
    serde_json::to_string(rows).expect("JSON")
}

#[test]
fn an_endpoint_is_this_json() {
    assert_eq!(
        json(&rows::Endpoint::from(&aurae("tap0", 12))),
        concat!(
            r#"{"tap":"tap0","ifindex":12,"tap_ifindex":12,"address":"fe80::2","scoped":"fe80::2%12","#,
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
fn a_policy_is_this_json() {
    let mut policy = port(v0::Protection::Confined).policy.expect("a policy");
    policy.guest_ports = Some(v0::Services { any: false, ports: vec![8080] });
    assert_eq!(
        json(&policy::Row::new("tap0", &policy)),
        concat!(
            r#"{"tap":"tap0","mode":"enforce","profile":"link-local","mac":"first","quota":8,"#,
            r#""nd_rate":100,"sample_rate":10,"protocols":["tcp","udp"],"host_ports":"any","#,
            r#""guest_ports":[8080],"dhcp_server":false}"#
        )
    );
}

#[test]
fn a_count_is_this_json() {
    assert_eq!(
        json(&rows::Count::from(&drop_count("tap0", Reason::Ipv4, 3))),
        r#"{"tap":"tap0","direction":"ingress","reason":"ipv4","action":"dropped","packets":3,"bytes":258}"#
    );
    assert_eq!(
        json(&rows::Count::from(&drop_count("", Reason::PortUnknown, 1))),
        r#"{"tap":null,"direction":"ingress","reason":"port_unknown","action":"dropped","packets":1,"bytes":86}"#
    );
    assert_eq!(
        json(&rows::Count::from(&pass_count())),
        r#"{"tap":"tap0","direction":"egress","kind":"tcp","packets":1,"bytes":74}"#
    );
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
fn exit_codes_are_those_that_scripts_know() {
    let why = String::new;
    for (failure, code) in [
        (Failure::Unread, 0),
        (Failure::Failed(why()), 1),
        (Failure::Checked, 1),
        (Failure::Usage(why()), 2),
        (Failure::Config(why()), 64),
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

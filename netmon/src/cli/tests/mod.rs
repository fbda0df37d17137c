//! What people type, and what they and their scripts get to read.

mod arguments;
mod golden;
mod people;
mod programs;

use netmon_api::v0::{self, netmon_service_watch_endpoints_response::Event};
use netmon_common::{Kind, Reason};
use prost_types::Timestamp;

use crate::{
    api::written_policy,
    policy::{Policy, Profile},
};

fn guest(tap: &str, ifindex: u32, address: &str, state: v0::EndpointState) -> v0::Endpoint {
    v0::Endpoint {
        tap: tap.to_owned(),
        ifindex,
        address: address.to_owned(),
        tap_ifindex: ifindex,
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
        policy: Some(written_policy(Policy::of(Profile::LinkLocal).into())),
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
        observed: false,
    }
}

fn pass_count() -> v0::PassCount {
    v0::PassCount {
        tap: "tap0".to_owned(),
        ifindex: 12,
        direction: v0::Direction::Egress.into(),
        kind: Kind::Tcp.name().to_owned(),
        packets: 1,
        bytes: 74,
    }
}

fn message(event: Event) -> v0::NetmonServiceWatchEndpointsResponse {
    let revision = Some(v0::Revision { instance: 1_764_000_000_000_000, number: 3 });
    v0::NetmonServiceWatchEndpointsResponse { revision, event: Some(event) }
}

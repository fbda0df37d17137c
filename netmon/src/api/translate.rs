//! The domain's words in the contract's.

use std::net::Ipv6Addr;

use netmon_api::v0;
use netmon_common::{Mac, abi::Direction, outcome::Outcome};
use tonic::{Code, Status};

use super::{names::NotOne, policy};
use crate::{
    drops::{Ipv6, Refused},
    endpoints::{Change, Endpoint, State},
    kernel::{attach::AttachError, privilege::Level},
    ports::PortError,
    report::{Counters, EgressHook, IngressHook, PortStatus, Protection},
    taps::TapError,
    view::Revision,
};

pub(super) fn endpoint(endpoint: &Endpoint) -> v0::Endpoint {
    v0::Endpoint {
        tap: endpoint.tap.to_string(),
        ifindex: endpoint.scope,
        address: endpoint.address.to_string(),
        scoped: format!("{}%{}", endpoint.address, endpoint.scope),
        mac: endpoint.mac.to_string(),
        state: state(endpoint.state).into(),
        origin: endpoint.origin.name().to_owned(),
        first_seen: Some(endpoint.first_seen.on_the_wall().into()),
        last_seen: Some(endpoint.last_seen.on_the_wall().into()),
        tap_ifindex: endpoint.port,
    }
}

pub(super) const fn state(state: State) -> v0::EndpointState {
    match state {
        State::Tentative => v0::EndpointState::Tentative,
        State::Reachable => v0::EndpointState::Reachable,
        State::Stale => v0::EndpointState::Stale,
        State::Probing => v0::EndpointState::Probing,
        State::Unreachable => v0::EndpointState::Unreachable,
    }
}

pub(super) const fn revision(revision: Revision) -> v0::Revision {
    v0::Revision { instance: revision.instance, number: revision.number }
}

pub(super) fn change(change: &Change) -> v0::netmon_service_watch_endpoints_response::Event {
    use v0::netmon_service_watch_endpoints_response::Event;
    match change {
        Change::Added(one) => Event::Added(endpoint(one)),
        Change::Updated(one) => Event::Updated(endpoint(one)),
        Change::Removed(one) => Event::Removed(endpoint(one)),
    }
}

pub(super) fn port(port: &PortStatus) -> v0::Port {
    let (protection, why) = match &port.protection {
        Protection::Confined => (v0::Protection::Confined, String::new()),
        Protection::Observed => (v0::Protection::Observed, String::new()),
        Protection::Open => (v0::Protection::Open, String::new()),
        Protection::Partial(why) => (v0::Protection::Partial, why.clone()),
        Protection::Unprotected(why) => (v0::Protection::Unprotected, why.clone()),
    };
    let mac = port.mac.as_ref().map(Mac::to_string).unwrap_or_default();
    let why = match (&port.locked_out, why.is_empty()) {
        (Some(newcomer), true) => {
            let held = if mac.is_empty() { "what its policy says" } else { &mac };
            format!("locked out: {newcomer} speaks behind it, but the guest is {held} (src_mac)")
        }
        _ => why,
    };
    v0::Port {
        tap: port.tap.to_string(),
        ifindex: port.index,
        link: port.link,
        mode: port.policy.mode.name().to_owned(),
        profile: port.policy.profile.name().to_owned(),
        ingress_hook: port.ingress.map(IngressHook::name).unwrap_or_default().to_owned(),
        egress_hook: port.egress.map(EgressHook::name).unwrap_or_default().to_owned(),
        mac,
        bindings: u32::try_from(port.bindings).unwrap_or(u32::MAX),
        quota: port.policy.quota,
        protection: protection.into(),
        why,
        policy: Some(policy::written(port.policy.clone().into())),
    }
}

pub(super) fn privileges(level: Level) -> v0::Privileges {
    v0::Privileges { capabilities: level.capabilities, seccomp: level.is_filtered }
}

pub(super) fn counters(counters: &Counters) -> v0::NetmonServiceGetDropsResponse {
    let mut response = v0::NetmonServiceGetDropsResponse {
        events_lost: counters.events_lost,
        ..Default::default()
    };
    for row in &counters.rows {
        let (tap, ifindex, packets, bytes) =
            (row.tap.to_string(), row.index, row.packets, row.bytes);
        let direction = direction(row.direction).into();
        match row.outcome {
            Outcome::Dropped(reason) | Outcome::Observed(reason) => {
                response.drops.push(v0::DropCount {
                    tap,
                    ifindex,
                    direction,
                    reason: reason.name().to_owned(),
                    packets,
                    bytes,
                    observed: row.outcome.passes(),
                });
            }
            Outcome::Passed(kind) => {
                let kind = kind.name().to_owned();
                response.passes.push(v0::PassCount {
                    tap,
                    ifindex,
                    direction,
                    kind,
                    packets,
                    bytes,
                });
            }
        }
    }
    response
}

pub(super) fn refused_frame(refused: &Refused) -> v0::RefusedFrame {
    let ipv6 = refused.ipv6;
    let text = |address: fn(&Ipv6) -> Ipv6Addr| {
        ipv6.as_ref().map(|header| address(header).to_string()).unwrap_or_default()
    };
    v0::RefusedFrame {
        time: Some(refused.time.on_the_wall().into()),
        tap: refused.tap.to_string(),
        ifindex: refused.index,
        direction: direction(refused.direction).into(),
        reason: refused.reason.name().to_owned(),
        observed: refused.observed,
        length: refused.length,
        source_mac: refused.source_mac.to_string(),
        destination_mac: refused.destination_mac.to_string(),
        ethertype: refused.ethertype.into(),
        source: text(|header| header.source),
        destination: text(|header| header.destination),
        next_header: ipv6.map(|header| header.next_header.into()).unwrap_or_default(),
        icmp_type: ipv6.and_then(|header| header.icmp_type).map(Into::into),
    }
}

const fn direction(direction: Direction) -> v0::Direction {
    match direction {
        Direction::Ingress => v0::Direction::Ingress,
        Direction::Egress => v0::Direction::Egress,
    }
}

pub(super) fn refused(error: &PortError) -> Status {
    let code = match error {
        PortError::NotFound(_) | PortError::Refused { source: AttachError::Gone, .. } => {
            Code::NotFound
        }
        PortError::NotTap(_)
        | PortError::NotAttached(_)
        | PortError::Refused { source: AttachError::Foreign { .. }, .. } => {
            Code::FailedPrecondition
        }
        PortError::Refused {
            source: AttachError::Kernel { .. } | AttachError::Pins(_), ..
        } => Code::Internal,
        PortError::Maps { .. } => Code::ResourceExhausted,
    };
    Status::new(code, error.to_string())
}

pub(super) fn no_tap(error: &TapError) -> Status {
    let code = match error {
        TapError::Port(error) => return refused(error),
        TapError::Ending => return shutting_down(),
        TapError::Name(_) => Code::InvalidArgument,
        TapError::Exists(_) => Code::AlreadyExists,
        TapError::Open(_) | TapError::NotConfined { .. } => Code::FailedPrecondition,
        TapError::Maker { .. } => Code::Internal,
    };
    Status::new(code, error.to_string())
}

pub(super) fn not_one(error: &NotOne) -> Status {
    let code = match error {
        NotOne::None(_) => Code::NotFound,
        NotOne::Many { .. } => Code::FailedPrecondition,
        NotOne::NoScope(_) | NotOne::NoName(_) => Code::InvalidArgument,
    };
    Status::new(code, error.to_string())
}

/// What every caller hears who still waits when the daemon ends.
pub(super) fn shutting_down() -> Status {
    Status::unavailable("the daemon is shutting down")
}

//! What programs read: the names and the order of the fields are an interface.

use jiff::Timestamp;
use netmon_api::v0;
use serde::Serialize;

/// An address behind a TAP.
#[derive(Debug, Serialize)]
pub(super) struct Endpoint<'a> {
    tap: &'a str,
    ifindex: u32,
    tap_ifindex: u32,
    address: &'a str,
    scoped: &'a str,
    mac: &'a str,
    state: &'static str,
    origin: &'a str,
    first_seen: Option<String>,
    last_seen: Option<String>,
    /// Always null: netmon does not ask yet whether auraed answers there.
    auraed: Option<()>,
    /// Always null: netmon does not look yet for the process that holds the TAP.
    owner: Option<()>,
    /// From this host to the guest. Only the TAP: netmon does not look yet into nested hosts.
    path: [&'a str; 1],
}

impl<'a> From<&'a v0::Endpoint> for Endpoint<'a> {
    fn from(one: &'a v0::Endpoint) -> Self {
        Self {
            tap: &one.tap,
            ifindex: one.ifindex,
            tap_ifindex: one.tap_ifindex,
            address: &one.address,
            scoped: &one.scoped,
            mac: &one.mac,
            state: state(one.state()),
            origin: &one.origin,
            first_seen: one.first_seen.as_ref().and_then(rfc3339),
            last_seen: one.last_seen.as_ref().and_then(rfc3339),
            auraed: None,
            owner: None,
            path: [&one.tap],
        }
    }
}

/// A TAP with our programs.
#[derive(Debug, Serialize)]
pub(super) struct Port<'a> {
    tap: &'a str,
    ifindex: u32,
    mode: &'a str,
    profile: &'a str,
    hook: Hook<'a>,
    mac: Option<&'a str>,
    bindings: u32,
    quota: u32,
}

#[derive(Debug, Serialize)]
struct Hook<'a> {
    ingress: Option<&'a str>,
    egress: Option<&'a str>,
}

impl<'a> From<&'a v0::Port> for Port<'a> {
    fn from(port: &'a v0::Port) -> Self {
        Self {
            tap: &port.tap,
            ifindex: port.ifindex,
            mode: &port.mode,
            profile: &port.profile,
            hook: Hook { ingress: some(&port.ingress_hook), egress: some(&port.egress_hook) },
            mac: some(&port.mac),
            bindings: port.bindings,
            quota: port.quota,
        }
    }
}

/// What protects a TAP.
#[derive(Debug, Serialize)]
pub(super) struct Status<'a> {
    tap: &'a str,
    ifindex: u32,
    protection: &'static str,
    why: Option<&'a str>,
}

impl<'a> From<&'a v0::Port> for Status<'a> {
    fn from(port: &'a v0::Port) -> Self {
        let protection = protection(port.protection());
        Self { tap: &port.tap, ifindex: port.ifindex, protection, why: some(&port.why) }
    }
}

/// Frames that were dropped for a reason, or passed as a kind.
#[derive(Debug, Serialize)]
pub(super) struct Count<'a> {
    /// Null: an interface without policy.
    tap: Option<&'a str>,
    direction: &'static str,
    #[serde(flatten)]
    verdict: Verdict<'a>,
    /// Of a reason: whether the frames were dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'static str>,
    packets: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict<'a> {
    Reason(&'a str),
    Kind(&'a str),
}

impl<'a> From<&'a v0::DropCount> for Count<'a> {
    fn from(row: &'a v0::DropCount) -> Self {
        Self {
            tap: some(&row.tap),
            direction: direction(row.direction()),
            verdict: Verdict::Reason(&row.reason),
            action: Some(action(row.observed)),
            packets: row.packets,
            bytes: row.bytes,
        }
    }
}

impl<'a> From<&'a v0::PassCount> for Count<'a> {
    fn from(row: &'a v0::PassCount) -> Self {
        Self {
            tap: some(&row.tap),
            direction: direction(row.direction()),
            verdict: Verdict::Kind(&row.kind),
            action: None,
            packets: row.packets,
            bytes: row.bytes,
        }
    }
}

/// A frame that was refused.
#[derive(Debug, Serialize)]
pub(super) struct Refused<'a> {
    time: Option<String>,
    tap: &'a str,
    ifindex: u32,
    direction: &'static str,
    reason: &'a str,
    /// "dropped", or "observed": it passed all the same.
    action: &'static str,
    length: u32,
    source_mac: &'a str,
    destination_mac: &'a str,
    ethertype: u32,
    /// Null, as the rest: the frame has no IPv6 header.
    source: Option<&'a str>,
    destination: Option<&'a str>,
    next_header: Option<u32>,
    icmp_type: Option<u32>,
}

impl<'a> From<&'a v0::RefusedFrame> for Refused<'a> {
    fn from(frame: &'a v0::RefusedFrame) -> Self {
        Self {
            time: frame.time.as_ref().and_then(rfc3339),
            tap: &frame.tap,
            ifindex: frame.ifindex,
            direction: direction(frame.direction()),
            reason: &frame.reason,
            action: action(frame.observed),
            length: frame.length,
            source_mac: &frame.source_mac,
            destination_mac: &frame.destination_mac,
            ethertype: frame.ethertype,
            source: some(&frame.source),
            destination: some(&frame.destination),
            next_header: some(&frame.source).map(|_| frame.next_header),
            icmp_type: frame.icmp_type,
        }
    }
}

/// The contract says "none" with an empty string.
fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// UTC, to the millisecond.
fn rfc3339(time: &prost_types::Timestamp) -> Option<String> {
    let time = Timestamp::new(time.seconds, time.nanos).ok()?;
    Some(format!("{time:.3}"))
}

pub(super) const fn state(state: v0::EndpointState) -> &'static str {
    match state {
        v0::EndpointState::Unspecified => "unknown",
        v0::EndpointState::Tentative => "tentative",
        v0::EndpointState::Reachable => "reachable",
        v0::EndpointState::Stale => "stale",
        v0::EndpointState::Probing => "probing",
        v0::EndpointState::Unreachable => "unreachable",
    }
}

pub(super) const fn protection(protection: v0::Protection) -> &'static str {
    match protection {
        v0::Protection::Unspecified => "unknown",
        v0::Protection::Confined => "confined",
        v0::Protection::Observed => "observed",
        v0::Protection::Open => "open",
        v0::Protection::Partial => "partial",
        v0::Protection::Unprotected => "unprotected",
    }
}

/// What was done with frames that were refused.
pub(super) const fn action(observed: bool) -> &'static str {
    if observed { "observed" } else { "dropped" }
}

pub(super) const fn direction(direction: v0::Direction) -> &'static str {
    match direction {
        v0::Direction::Unspecified => "unknown",
        v0::Direction::Ingress => "ingress",
        v0::Direction::Egress => "egress",
    }
}

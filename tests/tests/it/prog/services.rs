//! What a policy allows of TCP and UDP: protocols, services of the host, services of the guest.

use netmon::policy::{Policy, PolicyChange, Profile, Protocol, Services};
use netmon_common::{Kind, Reason, abi::Direction};
use netmon_tests::frame::{Frame, tcp, udp};

use super::{Programs, Verdict};

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// A segment from this port of the guest to this port of the host.
fn segment(from: u16, to: u16, flags: u8) -> Frame {
    tcp(to, flags).with(|f| f.payload.splice(..2, from.to_be_bytes()).for_each(drop))
}

fn check(policy: &Policy, cases: &[(&str, Frame, Verdict)]) {
    let mut programs = Programs::load();
    let entry = policy.entry();
    let (allowed, host_ports, guest_ports) = (entry.allowed, entry.host_ports, entry.guest_ports);
    programs.set_policy(|policy| {
        policy.allowed = allowed;
        policy.host_ports = host_ports;
        policy.guest_ports = guest_ports;
    });
    for (name, frame, expected) in cases {
        assert_eq!(programs.run(Direction::Ingress, &frame.bytes()), *expected, "{name}");
    }
}

#[test]
fn a_guest_of_aurae_answers_from_8080_and_opens_nothing() {
    let (passes, refused) = (Ok(Kind::Tcp), Err(Reason::HostService));
    check(
        &Policy::of(Profile::Aurae),
        &[
            ("SYN and ACK from 8080", segment(8080, 50_000, SYN | ACK), passes),
            ("ACK from 8080", segment(8080, 50_000, ACK), passes),
            ("RST from 8080", segment(8080, 50_000, 0x04), passes),
            ("SYN from 8080", segment(8080, 22, SYN), refused),
            ("SYN and FIN from 8080", segment(8080, 22, SYN | 0x01), refused),
            ("SYN", segment(50_000, 22, SYN), refused),
            ("ACK from another port", segment(8081, 50_000, ACK), refused),
            ("from port 0", segment(0, 0, ACK), refused),
            ("UDP", udp(53), Err(Reason::HostService)),
            ("UDP to port 0", udp(0), Err(Reason::HostService)),
        ],
    );
}

#[test]
fn a_listed_service_of_the_host_is_open() {
    let change = PolicyChange {
        host_ports: Some(Services::Listed(vec![53, 8000])),
        guest_ports: Some(Services::Listed(vec![])),
        ..PolicyChange::default()
    };
    check(
        &Policy::default().with(&change),
        &[
            ("SYN to it", segment(50_000, 8000, SYN), Ok(Kind::Tcp)),
            ("ACK to it", segment(50_000, 8000, ACK), Ok(Kind::Tcp)),
            ("UDP to it", udp(53), Ok(Kind::Udp)),
            ("SYN to another", segment(50_000, 8001, SYN), Err(Reason::HostService)),
            ("ACK to another", segment(8000, 8001, ACK), Err(Reason::HostService)),
            ("UDP to another", udp(54), Err(Reason::HostService)),
        ],
    );
}

#[test]
fn a_protocol_that_is_not_allowed_is_none() {
    let only =
        |protocol| PolicyChange { protocols: Some(vec![protocol]), ..PolicyChange::default() };
    let refused = Err(Reason::NextHeader);
    let tcp_only = Policy::default().with(&only(Protocol::Tcp));
    check(&tcp_only, &[("TCP", tcp(80, SYN), Ok(Kind::Tcp)), ("UDP", udp(53), refused)]);
    let udp_only = Policy::default().with(&only(Protocol::Udp));
    check(&udp_only, &[("TCP", tcp(80, SYN), refused), ("UDP", udp(53), Ok(Kind::Udp))]);
}

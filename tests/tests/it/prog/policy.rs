//! What a policy changes for the guest: services, protocols and the quota (the rest: `memory.rs`).

use netmon::policy::{Policy, PolicyChange};
use netmon_common::{
    Kind, Reason,
    abi::{Direction, PortPolicy},
};
use netmon_tests::frame::{Frame, GUEST, dad, echo, tcp, udp};

use super::{Programs, Verdict, ingress::address};

const INGRESS: Direction = Direction::Ingress;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// The policy that these words make of the default: `profile=aurae host_ports=22`.
fn policy(words: &str) -> PortPolicy {
    let mut change = PolicyChange::default();
    for word in words.split_whitespace() {
        let (key, text) = word.split_once('=').expect("key=value");
        change.set(key, text).expect("a value");
    }
    Policy::default().with(&change).entry()
}

impl Programs {
    /// With this policy from now on; its guest stays.
    fn with_policy(&mut self, words: &str) {
        let PortPolicy { link, epoch, host_mac, released, .. } = self.policy;
        self.set_policy(|old| {
            *old = PortPolicy { link, epoch, host_mac, released, ..policy(words) }
        });
    }
}

/// Runs frames by name under a policy, each against a new guest.
fn check(words: &str, cases: &[(&str, Frame, Verdict)]) {
    let mut programs = Programs::load();
    programs.with_policy(words);
    for (name, frame, expected) in cases {
        programs.new_guest();
        assert_eq!(programs.run(INGRESS, &frame.bytes()), *expected, "{words}: {name}");
    }
}

/// A segment from the guest's port to one of the host's.
fn segment(from: u16, to: u16, flags: u8) -> Frame {
    tcp(to, flags).with(|frame| frame.payload.splice(..2, from.to_be_bytes()).for_each(drop))
}

#[test]
fn under_aurae_the_guest_answers_and_opens_nothing() {
    check(
        "profile=aurae",
        &[
            ("auraed accepts", segment(8080, 40_000, SYN | ACK), Ok(Kind::Tcp)),
            ("auraed answers", segment(8080, 40_000, ACK), Ok(Kind::Tcp)),
            ("a connection", segment(40_000, 22, SYN), Err(Reason::HostService)),
            ("… from auraed's own port", segment(8080, 22, SYN), Err(Reason::HostService)),
            ("… by SYN with FIN", segment(8080, 22, SYN | 1), Err(Reason::HostService)),
            (
                "an answer from another port",
                segment(22, 40_000, SYN | ACK),
                Err(Reason::HostService),
            ),
            ("port 0, which fills up the lists", segment(0, 0, ACK), Err(Reason::HostService)),
            ("a datagram", udp(53), Err(Reason::HostService)),
            ("discovery", dad(GUEST), Ok(Kind::Dad)),
            ("echo", echo(address("fe80::1")), Ok(Kind::Echo)),
        ],
    );
}

#[test]
fn services_of_the_host_are_those_that_are_listed() {
    check(
        "host_ports=22,53 guest_ports=none",
        &[
            ("a listed one", segment(40_000, 22, SYN), Ok(Kind::Tcp)),
            ("… goes on", segment(40_000, 22, ACK), Ok(Kind::Tcp)),
            ("another", segment(40_000, 80, SYN), Err(Reason::HostService)),
            (
                "an answer from a port of its own",
                segment(8080, 40_000, ACK),
                Err(Reason::HostService),
            ),
            ("a listed one by UDP", udp(53), Ok(Kind::Udp)),
            ("another by UDP", udp(54), Err(Reason::HostService)),
        ],
    );
}

#[test]
fn a_protocol_that_is_not_allowed_does_not_pass() {
    let cases = |tcp_passes: Verdict, udp_passes| {
        [
            ("TCP", tcp(80, SYN), tcp_passes),
            ("UDP", udp(53), udp_passes),
            ("echo", echo(address("fe80::1")), Ok(Kind::Echo)),
        ]
    };
    let refused = Err(Reason::NextHeader);
    check("protocols=tcp", &cases(Ok(Kind::Tcp), refused));
    check("protocols=udp", &cases(refused, Ok(Kind::Udp)));
    check("protocols=none", &cases(refused, refused));
}

#[test]
fn the_quota_of_the_policy_is_the_ports_and_the_guest_keeps_what_it_holds() {
    let mut programs = Programs::load();
    let claim = |programs: &mut Programs, text| programs.run(INGRESS, &dad(address(text)).bytes());
    programs.with_policy("quota=2");
    assert_eq!(claim(&mut programs, "fe80::a"), Ok(Kind::Dad));
    assert_eq!(claim(&mut programs, "fe80::b"), Ok(Kind::Dad));
    assert_eq!(claim(&mut programs, "fe80::c"), Err(Reason::BindingQuota));
    programs.with_policy("quota=1");
    assert_eq!(claim(&mut programs, "fe80::b"), Ok(Kind::Dad), "it holds it already");
    programs.with_policy("quota=3");
    assert_eq!(claim(&mut programs, "fe80::c"), Ok(Kind::Dad));
    assert_eq!(programs.bindings().len(), 3);
}

//! What members of a link that are no ports say on their way to a guest, and what a guest answers.

use std::net::Ipv6Addr;

use netmon_common::{
    Kind, Reason,
    abi::{Direction, Holder, Rate, Reserved},
    limits::UNANSWERED,
};
use netmon_tests::frame::{
    ALL_NODES, Frame, GUEST, HOST, HOST_MAC, advertisement, dad, echo, listener_report,
    router_advertisement, router_solicitation, solicitation, tcp, udp,
};

use super::{
    Programs,
    links::{NEIGHBOR, key},
};

const INGRESS: Direction = Direction::Ingress;

/// An interface of the link that is no port: behind it are its other members.
const UPLINK: u32 = 3;

/// A member behind it.
const MEMBER_MAC: [u8; 6] = [2, 0xfc, 0, 0, 0, 3];

/// No second message of discovery.
const ONE: Rate = Rate { interval: 1 << 60, tolerance: 0 };

/// A member's frame.
fn of_member(frame: Frame) -> Vec<u8> {
    frame.with(|f| f.source_mac = MEMBER_MAC).bytes()
}

impl Programs {
    /// Who holds an address, as the reserved ones say: interface, holder, whether it only asks.
    fn had(&self, address: Ipv6Addr) -> Option<(u32, Holder, bool)> {
        self.reserved(&key(address)).map(|had| {
            let holder = Holder::try_from(had.holder).expect("a holder");
            (had.interface, holder, had.is_tentative == 1)
        })
    }
}

#[test]
fn what_a_member_says_is_its_own() {
    let member = || advertisement(HOST).with(|f| f.source = HOST);
    let of = |frame: Frame| frame.with(|f| f.source = HOST);
    let cases = [
        ("NA", member(), false),
        ("NS", of(solicitation(GUEST, &[])), false),
        ("RS", of(router_solicitation(&[])), false),
        ("RA", of(router_advertisement()), false),
        ("DAD", dad(HOST), true),
    ];
    for (name, frame, is_tentative) in cases {
        let mut programs = Programs::load_asking();
        assert!(programs.passed_on(UPLINK, &of_member(frame)), "{name}");
        assert_eq!(programs.had(HOST), Some((UPLINK, Holder::Member, is_tentative)), "{name}");
        let holder = programs.mac_holder(MEMBER_MAC).expect("it is entered");
        assert_eq!((holder.port, holder.holder), (0, Holder::Member.number()), "{name}");
        let spoofed = echo(ALL_NODES).with(|f| f.source = HOST).bytes();
        assert_eq!(programs.run(INGRESS, &spoofed), Err(Reason::LinkAddress), "{name}");
        let asked = if is_tentative { Err(Reason::LinkAddress) } else { Ok(Kind::Dad) };
        assert_eq!(programs.run(INGRESS, &dad(HOST).bytes()), asked, "{name}");
        assert_eq!(programs.run(INGRESS, &of_member(tcp(80, 2))), Err(Reason::MacConflict));
    }
    let silent = [
        ("traffic", of(udp(53))),
        ("MLD", of(listener_report())),
        ("RS from ::", router_solicitation(&[]).with(|f| f.source = Ipv6Addr::UNSPECIFIED)),
    ];
    for (name, frame) in silent {
        let mut programs = Programs::load_asking();
        assert!(programs.passed_on(UPLINK, &of_member(frame)), "{name}");
        assert_eq!((programs.had(HOST), programs.macs()), (None, 0), "{name}");
    }
}

#[test]
fn a_member_is_heard_again() {
    let mut programs = Programs::load_asking();
    let hear = |programs: &mut Programs, frame| {
        assert!(programs.passed_on(UPLINK, &of_member(frame)));
        programs.reserved(&key(HOST)).expect("it is known")
    };
    let first = hear(&mut programs, dad(HOST));
    let settled = hear(&mut programs, advertisement(HOST));
    assert_eq!((first.is_tentative, settled.is_tentative), (1, 0));
    let again = hear(&mut programs, dad(HOST));
    assert_eq!(again.is_tentative, 0, "who has it does not ask for it again");
    let unseen = Reserved { seen: 0, ..again };
    programs.loaded.maps.reserve(&key(HOST), unseen).expect("room");
    assert!(hear(&mut programs, advertisement(HOST)).seen >= first.seen && first.seen > 0);
    // What is known better stays: the host's own, and what the configuration lists.
    for holder in [Holder::Host, Holder::Listed, Holder::Router] {
        let known = Reserved { holder: holder.number(), ..Reserved::default() };
        programs.loaded.maps.reserve(&key(HOST), known).expect("room");
        assert_eq!(hear(&mut programs, advertisement(HOST)), known);
    }
}

#[test]
fn a_member_takes_no_address_that_a_guest_has() {
    let mut programs = Programs::load_asking();
    let claims = of_member(advertisement(GUEST));
    // A guest that has only asked gives way.
    programs.run(INGRESS, &dad(GUEST).bytes()).expect("it passes");
    assert!(programs.passed_on(UPLINK, &claims));
    assert_eq!(programs.had(GUEST), Some((UPLINK, Holder::Member, false)));
    assert_eq!(programs.run(INGRESS, &tcp(80, 2).bytes()), Err(Reason::LinkAddress));
    // One that has it keeps it.
    programs.loaded.maps.unreserve(&key(GUEST));
    programs.aged(0);
    programs.run(INGRESS, &tcp(80, 2).bytes()).expect("it passes");
    assert!(programs.passed_on(UPLINK, &claims));
    assert_eq!(programs.had(GUEST), None);
    assert_eq!(programs.run(INGRESS, &tcp(80, 2).bytes()), Ok(Kind::Tcp));
}

#[test]
fn neither_another_port_nor_the_host_is_a_member() {
    let mut programs = Programs::load_asking();
    let policy = programs.policy;
    programs.loaded.maps.add_port(NEIGHBOR, &policy).expect("a port");
    let frames = [advertisement(HOST), dad(HOST), router_solicitation(&[])];
    for frame in frames {
        assert!(programs.passed_on(NEIGHBOR, &frame.bytes()));
    }
    assert!(programs.passed_on(0, &advertisement(HOST).with(|f| f.source_mac = HOST_MAC).bytes()));
    assert_eq!((programs.had(HOST), programs.had(GUEST), programs.macs()), (None, None, 0));
    // Where nobody asks the link, there are no members to be heard.
    programs.set_policy(|policy| policy.asks_link = 0);
    assert!(programs.passed_on(UPLINK, &of_member(advertisement(HOST))));
    assert_eq!((programs.had(HOST), programs.macs()), (None, 0));
}

#[test]
fn an_answer_is_on_the_budget_of_who_asked() {
    let mut programs = Programs::load();
    programs.set_policy(|policy| policy.nd_rate = ONE);
    programs.run(INGRESS, &dad(GUEST).bytes()).expect("the budget is whole");
    let asks = solicitation(GUEST, &[]).with(|f| (f.source, f.source_mac) = (HOST, HOST_MAC));
    let answer = |programs: &mut Programs| programs.run(INGRESS, &advertisement(GUEST).bytes());
    for number in [1, 3, UNANSWERED, UNANSWERED + 9] {
        for _ in 0..number {
            assert!(programs.action(Direction::Egress, &asks.bytes()));
        }
        // No other message of discovery is an answer.
        let other = listener_report().bytes();
        assert_eq!(programs.run(INGRESS, &other), Err(Reason::NdRate));
        for _ in 0..number.min(UNANSWERED) {
            assert_eq!(answer(&mut programs), Ok(Kind::NeighborAdvertisement), "{number}");
        }
        assert_eq!(answer(&mut programs), Err(Reason::NdRate), "{number}");
    }
}

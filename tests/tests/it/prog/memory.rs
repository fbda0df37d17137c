//! What a port remembers besides its bindings: the host's addresses, budgets, modes, and what is told of
//! refused frames.

use netmon::policy::{Mode, Policy, PolicyChange, Profile};
use netmon_common::{
    Kind, Reason,
    abi::{BindingKey, Direction, PortPolicy, Rate, Reserved, Sample},
    outcome::Outcome,
};
use netmon_tests::frame::{
    ALL_NODES, GLOBAL, GUEST, GUEST_MAC, HOST, HOST_MAC, OTHER_MAC, advertisement, dad, echo,
    ethernet, listener_report, router_advertisement, router_solicitation, solicitation, tcp,
};

use super::{PORT, Programs};

const INGRESS: Direction = Direction::Ingress;

/// The samples in the ring.
fn samples(programs: &mut Programs) -> Vec<Sample> {
    let Programs { loaded, _runtime: runtime, .. } = programs;
    runtime.block_on(loaded.samples.next()).expect("samples")
}

#[test]
fn the_hosts_address_is_not_had() {
    let mut programs = Programs::load();
    let key = BindingKey::new(PORT, HOST.octets());
    programs
        .loaded
        .maps
        .reserve(&key, Reserved { interface: PORT, holder: 1, ..Reserved::default() })
        .expect("a place");
    let spoofed = [
        ("an advertisement", advertisement(HOST)),
        ("a solicitation", solicitation(GUEST, &[]).with(|f| f.source = HOST)),
        ("MLD", listener_report().with(|f| f.source = HOST)),
        ("echo", echo(ALL_NODES).with(|f| f.source = HOST)),
        ("TCP", tcp(80, 2).with(|f| f.source = HOST)),
    ];
    for (name, frame) in spoofed {
        assert_eq!(programs.run(INGRESS, &frame.bytes()), Err(Reason::HostAddress), "{name}");
    }
    // A question goes to the host, which answers it: unless it is still asking itself, and would give the address up.
    assert_eq!(programs.run(INGRESS, &dad(HOST).bytes()), Ok(Kind::Dad));
    let asked = Reserved { interface: PORT, holder: 1, is_tentative: 1, ..Reserved::default() };
    programs.loaded.maps.reserve(&key, asked).expect("a place");
    assert_eq!(programs.run(INGRESS, &dad(HOST).bytes()), Err(Reason::HostAddress));
    assert_eq!(programs.bindings().len(), 0);
    // Asking where it is is no claim.
    let asks = solicitation(HOST, &[]).bytes();
    assert_eq!(programs.run(INGRESS, &asks), Ok(Kind::NeighborSolicitation));
    programs.loaded.maps.unreserve(&key);
    assert_eq!(programs.run(INGRESS, &dad(HOST).bytes()), Ok(Kind::Dad));
}

#[test]
fn what_the_host_asks_for_is_its_own_before_the_guest_hears_of_it() {
    let mut programs = Programs::load();
    // Not even a guest that was there first may make the host's DAD fail.
    assert_eq!(
        programs.run(INGRESS, &advertisement(HOST).bytes()),
        Ok(Kind::NeighborAdvertisement)
    );
    let asks = dad(HOST).with(|f| f.source_mac = HOST_MAC).bytes();
    assert_eq!(programs.run(Direction::Egress, &asks), Ok(Kind::Dad));
    assert_eq!(programs.run(INGRESS, &advertisement(HOST).bytes()), Err(Reason::HostAddress));
    assert_eq!(programs.run(INGRESS, &dad(HOST).bytes()), Err(Reason::HostAddress));
    let reserved = programs.loaded.maps.reserved().expect("the table");
    assert_eq!(reserved, [BindingKey::new(PORT, HOST.octets())]);
}

#[test]
fn discovery_has_a_budget_and_what_is_over_it_claims_nothing() {
    let mut programs = Programs::load();
    programs.set_policy(|policy| policy.nd_rate = Rate { interval: 1 << 60, tolerance: 3 << 60 });
    let other = advertisement(HOST).bytes();
    for frame in [dad(GUEST), advertisement(GUEST), listener_report(), router_solicitation(&[])] {
        programs.run(INGRESS, &frame.bytes()).expect("within the budget");
    }
    assert_eq!(programs.run(INGRESS, &other), Err(Reason::NdRate));
    assert_eq!(programs.bindings().len(), 1);
    // Traffic goes on, and what is refused for another reason keeps that.
    assert_eq!(programs.run(INGRESS, &tcp(80, 2).bytes()), Ok(Kind::Tcp));
    assert_eq!(
        programs.run(INGRESS, &advertisement(GUEST).with(|f| f.hop_limit = 1).bytes()),
        Err(Reason::NdHopLimit)
    );
}

#[test]
fn a_refused_frame_uses_up_no_discovery() {
    let mut programs = Programs::load();
    programs.set_policy(|policy| policy.nd_rate = Rate { interval: 1 << 60, tolerance: 0 });
    for _ in 0..9 {
        let refused = advertisement(GUEST).with(|f| f.checksum_error = 1).bytes();
        assert_eq!(programs.run(INGRESS, &refused), Err(Reason::NdChecksum));
    }
    programs.run(INGRESS, &advertisement(GUEST).bytes()).expect("the budget is whole");
}

#[test]
fn observe_counts_and_drops_nothing() {
    let mut programs = Programs::load();
    let observe = PolicyChange { mode: Some(Mode::Observe), ..PolicyChange::default() };
    let entry = Policy::default().with(&observe).entry();
    programs.set_policy(|policy| policy.mode = entry.mode);
    let refused = [
        (router_advertisement().bytes(), Reason::RouterAdvertisement),
        (ethernet(0x0806), Reason::Arp),
        (vec![0; 14], Reason::Llc),
    ];
    for (frame, reason) in refused {
        assert_eq!(programs.outcome(INGRESS, &frame), Outcome::Observed(reason));
    }
    let global = tcp(80, 2).with(|f| f.source = GLOBAL).bytes();
    let outcome = programs.outcome(Direction::Egress, &global);
    assert_eq!(outcome, Outcome::Observed(Reason::SourceScope));
    // Addresses are learnt as ever, and stay when it is enforced again.
    assert_eq!(
        programs.run(INGRESS, &advertisement(GUEST).bytes()),
        Ok(Kind::NeighborAdvertisement)
    );
    let other = advertisement(GUEST).with(|f| f.source_mac = OTHER_MAC);
    assert_eq!(programs.outcome(INGRESS, &other.bytes()), Outcome::Observed(Reason::SourceMac));
    programs.set_policy(|policy| policy.mode = 0);
    assert_eq!(programs.run(INGRESS, &other.bytes()), Err(Reason::SourceMac));
    assert_eq!(programs.bindings().len(), 1);
}

#[test]
fn open_judges_nothing_and_learns() {
    let mut programs = Programs::load();
    programs.set_policy(|policy| policy.mode = Policy::of(Profile::Open).entry().mode);
    assert_eq!(programs.run(INGRESS, &ethernet(0x0800)), Ok(Kind::Other));
    assert_eq!(programs.run(INGRESS, &tcp(80, 2).bytes()), Ok(Kind::Tcp));
    assert_eq!(programs.bindings().len(), 1);
}

/// A guest with forwarding=1 says so in each advertisement (the R flag).
#[test]
fn who_routes_is_learnt_under_every_profile() {
    for profile in Profile::ALL {
        let mut programs = Programs::load();
        let PortPolicy { link, epoch, host_mac, .. } = programs.policy;
        programs.set_policy(|policy| {
            *policy = PortPolicy { link, epoch, host_mac, ..Policy::of(profile).entry() };
        });
        let routes = advertisement(GUEST).with(|f| f.payload[4] |= 0x80).bytes();
        assert_eq!(programs.run(INGRESS, &routes), Ok(Kind::NeighborAdvertisement), "{profile:?}");
        assert_eq!(programs.bindings().len(), 1, "{profile:?}");
    }
}

#[test]
fn a_refused_frame_is_told_by_a_budget() {
    let mut programs = Programs::load();
    programs
        .set_policy(|policy| policy.sample_rate = Rate { interval: 1 << 60, tolerance: 1 << 60 });
    let advert = router_advertisement().bytes();
    for _ in 0..5 {
        assert_eq!(programs.run(INGRESS, &advert), Err(Reason::RouterAdvertisement));
    }
    let told = samples(&mut programs);
    assert_eq!(told.len(), 2);
    assert_eq!(programs.counters()[0].unsampled, 3);
    let one = told[0];
    assert_eq!((one.interface, one.reason, one.observed), (PORT, 17, 0));
    assert_eq!((one.source_mac, one.destination_mac), (GUEST_MAC, [0x33, 0x33, 0, 0, 0, 1]));
    assert_eq!((one.source, one.destination), (GUEST.octets(), ALL_NODES.octets()));
    assert_eq!((one.ethertype, one.next_header, one.icmp_type), (0x86dd, 58, 134));
    assert_eq!(one.length as usize, advert.len());
}

#[test]
fn a_sample_has_what_the_frame_has() {
    let mut programs = Programs::load();
    assert_eq!(programs.run(INGRESS, &ethernet(0x0806)), Err(Reason::Arp));
    assert_eq!(programs.run(INGRESS, &tcp(80, 2).bytes()[..40]), Err(Reason::Runt));
    let egress = tcp(80, 2).with(|f| f.source = GLOBAL).bytes();
    assert_eq!(programs.run(Direction::Egress, &egress), Err(Reason::SourceScope));
    let told = samples(&mut programs);
    let brief: Vec<_> = told.iter().map(|one| (one.direction, one.ethertype, one.source)).collect();
    let cut = (0, 0x86dd, GUEST.octets());
    assert_eq!(brief, [(0, 0x0806, [0; 16]), cut, (1, 0x86dd, GLOBAL.octets())]);
}

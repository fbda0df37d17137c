//! Every counter that a step should move is named; all others of both ports, of no port and of the ring stand still.

use std::collections::BTreeMap;

use netmon_common::{
    abi::{BindingKey, Direction, NO_PORT, Rate, Reserved},
    outcome::Outcome,
};
use netmon_tests::frame::{
    Frame, GLOBAL, GUEST, HOST, HOST_MAC, OTHER_MAC, advertisement, dad, echo, ethernet,
    router_advertisement, tcp,
};

use super::{PORT, Programs, outcomes};

/// A port that nobody speaks on.
const QUIET: u32 = 2;

/// All there is, by name; zeros are left out.
type Ledger = BTreeMap<String, u64>;

fn ledger(programs: &Programs) -> Ledger {
    let maps = &programs.loaded.maps;
    let mut rows = Ledger::new();
    for (port, name) in [(PORT, "port"), (QUIET, "quiet"), (NO_PORT, "no port")] {
        let Some(counters) = maps.counters(port) else { continue };
        for (ledger, direction) in [(&counters.ingress, "ingress"), (&counters.egress, "egress")] {
            for (outcome, count) in outcomes(ledger) {
                let outcome = match outcome {
                    Outcome::Passed(kind) => format!("passed {kind}"),
                    Outcome::Dropped(reason) => format!("dropped {reason}"),
                    Outcome::Observed(reason) => format!("observed {reason}"),
                };
                rows.insert(format!("{name}: {direction} {outcome}"), count.packets);
            }
        }
        rows.insert(format!("{name}: unsampled"), counters.unsampled);
        let state = maps.state(port).unwrap_or_default();
        rows.insert(format!("{name}: claimed"), state.claimed);
        rows.insert(format!("{name}: unanswered"), state.unanswered);
    }
    let ring = maps.ring().expect("the ring's ledger");
    rows.insert("ring: wanted".to_owned(), ring.wanted);
    rows.insert("ring: lost".to_owned(), ring.lost);
    rows.insert("bindings".to_owned(), programs.bindings().len() as u64);
    rows.insert("reserved".to_owned(), maps.reserved().expect("the host's addresses").len() as u64);
    rows.insert("MACs".to_owned(), programs.macs() as u64);
    rows
}

/// A frame moves these by one each.
fn step(programs: &mut Programs, direction: Direction, frame: &[u8], expected: &[&str]) {
    let before = ledger(programs);
    programs.action(direction, frame);
    let was = |name: &String| before.get(name).copied().unwrap_or_default();
    let after = ledger(programs);
    let moved = after.iter().filter(|(name, count)| was(name) != **count);
    let moved: Vec<_> = moved.map(|(name, count)| (name.as_str(), count - was(name))).collect();
    let mut expected: Vec<_> = expected.iter().map(|name| (*name, 1)).collect();
    expected.sort_unstable();
    assert_eq!(moved, expected, "{frame:02x?}");
}

#[test]
fn a_step_moves_what_it_should_and_nothing_else() {
    use Direction::{Egress, Ingress};
    let mut programs = Programs::load();
    let policy = programs.policy;
    programs.loaded.maps.add_port(QUIET, &policy).expect("a port");
    let host = |frame: Frame| frame.with(|f| f.source_mac = HOST_MAC).bytes();
    let mut step = |direction, frame: &[u8], moved: &[&str]| {
        step(&mut programs, direction, frame, moved);
    };
    let new = ["port: claimed", "ring: wanted", "bindings"];
    let first = ["port: ingress passed dad", "MACs"];
    step(Ingress, &dad(GUEST).bytes(), &[new.as_slice(), &first].concat());
    step(Ingress, &dad(GUEST).bytes(), &["port: ingress passed dad"]);
    step(Ingress, &echo(HOST).bytes(), &["port: ingress passed echo", "ring: wanted"]);
    step(Ingress, &tcp(80, 2).bytes(), &["port: ingress passed tcp"]);
    step(Ingress, &ethernet(0x0800), &["port: ingress dropped ipv4"]);
    let other = tcp(80, 2).with(|f| f.source_mac = OTHER_MAC);
    step(Ingress, &other.bytes(), &["port: ingress dropped src_mac", "ring: wanted"]);
    step(Egress, &host(router_advertisement()), &["port: egress passed router_advert"]);
    let asked = ["port: egress passed dad", "port: unanswered"];
    step(Egress, &host(dad(HOST)), &[asked.as_slice(), &["reserved"]].concat());
    step(Egress, &host(dad(HOST)), &asked);
    step(Ingress, &advertisement(HOST).bytes(), &["port: ingress dropped host_address"]);
    let global = tcp(80, 2).with(|f| f.source = GLOBAL);
    step(Egress, &host(global), &["port: egress dropped src_scope"]);
}

#[test]
fn what_a_policy_changes_moves_another_counter() {
    let mut programs = Programs::load();
    let policy = programs.policy;
    programs.loaded.maps.add_port(QUIET, &policy).expect("a port");
    let advert = router_advertisement().bytes();
    programs.set_policy(|policy| policy.sample_rate = Rate::per_second(0));
    let unseen = ["port: ingress dropped router_advert", "port: unsampled"];
    step(&mut programs, Direction::Ingress, &advert, &unseen);
    programs.set_policy(|policy| policy.mode = 1);
    let observed = ["port: ingress observed router_advert", "port: unsampled"];
    step(&mut programs, Direction::Ingress, &advert, &observed);
    programs.set_policy(|policy| policy.mode = 2);
    step(&mut programs, Direction::Ingress, &advert, &["port: ingress passed other"]);
    let key = BindingKey::new(PORT, GUEST.octets());
    programs
        .loaded
        .maps
        .reserve(&key, Reserved { interface: PORT, holder: 1, ..Reserved::default() })
        .expect("a place");
    let had = advertisement(GUEST).bytes();
    step(&mut programs, Direction::Ingress, &had, &["port: ingress passed other"]);
    step(&mut programs, Direction::Ingress, &dad(GUEST).bytes(), &["port: ingress passed dad"]);
    programs.loaded.maps.remove_port(PORT);
    step(&mut programs, Direction::Ingress, &advert, &["no port: ingress dropped port_unknown"]);
}

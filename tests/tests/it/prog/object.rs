//! The object as a whole.

use netmon::kernel::load::CLASSIFIER;
use netmon_common::Reason;

use super::Programs;

/// The verifier gives up at a million.
const VERIFIER_BOUND: u32 = 150_000;

#[test]
fn the_verifier_has_room_to_spare() {
    let mut programs = Programs::load();
    for name in ["guest_to_host", CLASSIFIER] {
        let program = programs.loaded.object.program_mut(name).expect("the program");
        let processed =
            program.info().expect("its info").verified_instruction_count().expect("Linux 5.16");
        println!("{name}: {processed} instructions processed");
        assert!(processed < VERIFIER_BOUND, "{name}: {processed}");
    }
}

/// These tables are the contract's: a reason that no case moves is a promise that nobody keeps.
#[test]
fn every_reason_has_a_case() {
    let cases = concat!(
        include_str!("ingress.rs"),
        include_str!("neighbor_discovery.rs"),
        include_str!("egress.rs"),
        include_str!("bindings.rs"),
        include_str!("memory.rs"),
        include_str!("policy.rs")
    );
    for reason in Reason::ALL {
        let named = cases.contains(&format!("Reason::{reason:?}"));
        assert!(named, "{reason}");
    }
}

//! The object as a whole.

use netmon_common::Reason;

/// These tables are the contract's: a reason that no case moves is a promise that nobody keeps.
#[test]
fn every_reason_has_a_case() {
    let cases = concat!(
        include_str!("ingress.rs"),
        include_str!("inside.rs"),
        include_str!("neighbor_discovery.rs"),
        include_str!("egress.rs"),
        include_str!("bindings.rs"),
        include_str!("memory.rs"),
        include_str!("policy.rs"),
        include_str!("evasion.rs"),
        include_str!("links.rs"),
        include_str!("members.rs")
    );
    for reason in Reason::ALL {
        let named = cases.contains(&format!("Reason::{reason:?}"));
        assert!(named, "{reason}");
    }
}

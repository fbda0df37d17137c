//! Policies, their changes, and what each means to the kernel side.

use glob::Pattern;
use netmon_common::abi::{self, ALLOW_GUEST_PORTS, ALLOW_HOST_PORTS, ALLOW_TCP, ALLOW_UDP};

use super::*;

/// The change that these words make: `mode=observe quota=2`.
fn change(words: &str) -> PolicyChange {
    let mut change = PolicyChange::default();
    for word in words.split_whitespace() {
        let (key, text) = word.split_once('=').expect("key=value");
        change.set(key, text).unwrap_or_else(|refused| panic!("{key} {refused}"));
    }
    change
}

/// The policy that these words make of the default.
fn policy(words: &str) -> Policy {
    Policy::default().with(&change(words))
}

#[test]
fn a_value_is_written_as_it_is_read() {
    for words in [
        "mode=observe profile=aurae mac=02:fc:00:00:00:01 quota=1 nd_rate=1 sample_rate=0",
        "quota=16 nd_rate=1000000 sample_rate=1000 protocols=none host_ports=none guest_ports=any",
        "protocols=udp host_ports=22,80 guest_ports=1,65535 dhcp_server=true",
        "profile=open",
    ] {
        let policy = policy(words);
        let mut again = PolicyChange::default();
        for (key, text) in KEYS.iter().zip(policy.written()) {
            again.set(key, &text).unwrap_or_else(|refused| panic!("{key} {refused}"));
        }
        assert_eq!(again, policy.into(), "{words}");
    }
}

#[test]
fn a_bad_value_is_refused_with_what_would_be_right() {
    let nine = "1,2,3,4,5,6,7,8,9";
    for (key, text, right) in [
        ("mode", "block", "enforce or observe"),
        ("profile", "", "link-local, aurae or open"),
        ("mac", "00:00:00:00:00:00", "a unicast MAC"),
        ("mac", "33:33:00:00:00:01", "a unicast MAC"),
        ("mac", "02:fc:00:00:01", "a unicast MAC"),
        ("quota", "0", "a number from 1 to 16"),
        ("quota", "17", "a number from 1 to 16"),
        ("nd_rate", "0", "a number from 1 to 1000000"),
        ("nd_rate", "1000001", "a number from 1 to 1000000"),
        ("sample_rate", "-1", "a number from 0 to 1000"),
        ("sample_rate", "1001", "a number from 0 to 1000"),
        ("protocols", "icmp", "tcp or udp"),
        ("host_ports", "0", "a number from 1 to 65535"),
        ("host_ports", "65536", "a number from 1 to 65535"),
        ("guest_ports", nine, "any, or up to 8 ports"),
        ("dhcp_server", "yes", "true or false"),
        ("colour", "red", "one of mode, profile, mac"),
    ] {
        let refused = PolicyChange::default().set(key, text).expect_err(text).to_string();
        assert!(refused.starts_with(&format!("must be {right}")), "{key}={text}: {refused}");
    }
}

#[test]
fn a_profile_brings_its_own_protocols_and_ports() {
    assert_eq!(policy("profile=aurae"), Policy::of(Profile::Aurae));
    assert_eq!(policy("host_ports=22").with(&change("profile=aurae")), Policy::of(Profile::Aurae));
    let excepted = policy("profile=aurae host_ports=22");
    assert_eq!(excepted.host_ports, Services::Listed(vec![22]));
    assert_eq!(excepted.guest_ports, Services::Listed(vec![8080]));
}

#[test]
fn one_change_after_another_is_both_at_once() {
    for (first, then) in [
        ("mode=observe quota=2", "quota=3"),
        ("host_ports=22", "profile=aurae"),
        ("profile=aurae", "host_ports=22"),
        ("profile=open mac=02:fc:00:00:00:01", "mac=first"),
    ] {
        let (first, then) = (change(first), change(then));
        let both = Policy::default().with(&first).with(&then);
        assert_eq!(
            Policy::default().with(&first.clone().then(then.clone())),
            both,
            "{first:?} {then:?}"
        );
    }
}

#[test]
fn the_first_rule_that_names_a_tap_is_the_only_one() {
    let rule = |glob: &str, words| Rule {
        taps: Pattern::new(glob).expect("a glob"),
        change: change(words),
    };
    let policies = Policies {
        all: policy("mode=observe"),
        rules: vec![rule("vm-1", "quota=1"), rule("vm-*", "quota=2 profile=aurae")],
    };
    assert_eq!(policies.of("vm-1"), policy("mode=observe quota=1"));
    assert_eq!(policies.of("vm-2"), policy("mode=observe quota=2 profile=aurae"));
    assert_eq!(policies.of("tap0"), policy("mode=observe"));
}

#[test]
fn the_kernel_side_is_told_all_of_it() {
    let entry = policy("mac=02:fc:00:00:00:01 quota=2 nd_rate=10 host_ports=22,80").entry();
    assert_eq!((entry.mac, entry.quota), ([2, 0xfc, 0, 0, 0, 1], 2));
    assert_eq!(entry.nd_rate.interval, 100_000_000, "nanoseconds");
    assert_eq!(entry.allowed, ALLOW_TCP | ALLOW_UDP | ALLOW_GUEST_PORTS);
    assert_eq!(entry.host_ports, [22, 80, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        policy("protocols=udp").entry().allowed,
        ALLOW_UDP | ALLOW_HOST_PORTS | ALLOW_GUEST_PORTS
    );
    for (words, mode) in [
        ("mode=enforce", abi::Mode::Enforce),
        ("mode=observe", abi::Mode::Observe),
        ("profile=open", abi::Mode::Open),
        ("profile=open mode=observe", abi::Mode::Open),
    ] {
        assert_eq!(policy(words).entry().mode, mode.number(), "{words}");
    }
}

#[test]
fn what_was_ordered_is_read_back_from_the_kernels_form() {
    for words in [
        "mode=observe profile=aurae mac=02:fc:00:00:00:01 quota=1 nd_rate=1 sample_rate=0",
        "quota=16 nd_rate=1000000 sample_rate=1000 protocols=none host_ports=none guest_ports=any",
        "protocols=udp host_ports=22,80 guest_ports=1,65535 dhcp_server=true",
        "profile=open mode=observe",
    ] {
        let policy = policy(words);
        let entry = PortPolicy { ordered: 1, ..policy.entry() };
        assert_eq!(Policy::kept(&entry), Some(policy), "{words}");
    }
    assert_eq!(Policy::kept(&Policy::default().entry()), None, "nobody has ordered it");
}

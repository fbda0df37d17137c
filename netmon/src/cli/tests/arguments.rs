//! What people type.

use clap::{CommandFactory as _, Parser as _};

use super::super::Cli;

#[test]
fn the_arguments_are_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_verb_has_an_example() {
    for verb in Cli::command().get_subcommands() {
        let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.contains(&format!("\n  netmon {}", verb.get_name())), "{}", verb.get_name());
        assert!(help.lines().all(|line| line.len() <= 80), "{}", verb.get_name());
    }
}

#[test]
fn arguments_are_checked_before_anything_is_done() {
    for line in [
        "run",
        "run --tap vm* --tap tap[0-9] --log json --bpffs /sys/fs/bpf/other",
        "run --config netmon.toml --mode observe --profile aurae",
        "policy tap0",
        "policy tap0 --mode observe --profile open --mac first --quota 16 -o json",
        "policy tap0 --protocols none --host-ports any --guest-ports 22,80 --reset",
        "check-config netmon.toml",
        "check-config --sample",
        "run --reachable-time 1s --expire 1d",
        "endpoints --tap tap0 --state stale -o json --socket /tmp/s",
        "watch --since 1764000000000000:42 -o json",
        "resolve tap0 --port 80",
        "wait tap0 reachable --timeout 1500ms",
        "wait tap0 gone",
        "ports -o table",
        "status --check",
        "drops --tap tap0 --passed",
        "attach tap0",
        "detach tap0",
        "tap create vm1",
        "tap create vm1 --mac 02:fc:00:00:00:01 --owner 0 --multi-queue",
        "tap delete vm1",
        "explain",
        "explain nd_rate",
        "explain dad",
    ] {
        assert!(
            Cli::try_parse_from(["netmon"].into_iter().chain(line.split(' '))).is_ok(),
            "{line}"
        );
    }
    for line in [
        "run --tap vm[",
        "run --log xml",
        "run --mode watch",
        "run --profile closed",
        "policy",
        "policy tap0 --mode block",
        "policy tap0 --quota 17",
        "policy tap0 --nd-rate 0",
        "policy tap0 --protocols tcp,sctp",
        "policy tap0 --host-ports 0",
        "policy tap0 --guest-ports 1,2,3,4,5,6,7,8,9",
        "policy tap0 --mac 01:00:5e:00:00:01",
        "check-config",
        "check-config netmon.toml --sample",
        "run --reachable-time 100ms",
        "run --expire soon",
        "endpoints --tap a/b",
        "endpoints --state well",
        "watch -o table",
        "watch --since 42",
        "watch --since -1:42",
        "resolve",
        "resolve tap0 --port 65536",
        "wait tap0",
        "wait tap0 ready",
        "wait tap0 gone --timeout 30",
        "attach sixteen_bytes_xx",
        "detach ..",
        "tap",
        "tap create",
        "tap create sixteen_bytes_xx",
        "tap create vm1 --mac 33:33:00:00:00:01",
        "tap create vm1 --owner no_such_user",
        "tap delete",
        "explain nothing",
        "nothing",
    ] {
        let refused = Cli::try_parse_from(["netmon"].into_iter().chain(line.split(' ')));
        assert_eq!(refused.map(|_| ()).map_err(|error| error.exit_code()), Err(2), "{line}");
    }
}

//! The daemon has what the unit gives it, and nothing any more once it has started; and still protects.

use std::{collections::BTreeSet, fs, process::Command};

use anyhow::{Context as _, ensure};
use netmon_tests::{
    daemon::{Daemon, binary},
    host::{Host, succeed},
    unit,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{confined, up};

/// Whoever is nobody.
const NOBODY: &str = "65534";

/// `CapEff`, `Seccomp` …: the values that the threads of a process have there.
fn of_threads(pid: Pid, field: &str) -> anyhow::Result<BTreeSet<String>> {
    let mut values = BTreeSet::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t"));
        values.insert(value.with_context(|| format!("{field} in {status}"))?.to_owned());
    }
    Ok(values)
}

/// No thread of it has, or can get, any capability; and the kernel filters each one's system calls.
fn has_nothing(daemon: &Daemon<'_>) -> anyhow::Result<()> {
    for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        let held = of_threads(daemon.pid(), set)?;
        assert_eq!(held, BTreeSet::from(["0000000000000000".to_owned()]), "{set}");
    }
    assert_eq!(of_threads(daemon.pid(), "NoNewPrivs")?, BTreeSet::from(["1".to_owned()]));
    assert_eq!(of_threads(daemon.pid(), "Seccomp")?, BTreeSet::from(["2".to_owned()]));
    let said = daemon.netmon("status")?.out;
    assert!(said.ends_with("daemon  capabilities: none; seccomp: on\n"), "{said}");
    Ok(())
}

/// The process that asks for chains.
fn reader(daemon: &Daemon<'_>) -> anyhow::Result<Pid> {
    daemon.child("netmon-chain")
}

/// `netmon run` as this user, with no capabilities but these.
fn run_as(host: &Host, uid: &str, capabilities: &[&str]) -> Command {
    let set: String = capabilities
        .iter()
        .map(|name| format!(",+{}", name.trim_start_matches("CAP_").to_lowercase()))
        .collect();
    let mut command = host.command("setpriv");
    command.args([format!("--reuid={uid}"), format!("--regid={uid}"), "--clear-groups".to_owned()]);
    for sets in ["bounding-set", "inh-caps", "ambient-caps"] {
        command.arg(format!("--{sets}=-all{set}"));
    }
    command.args(["--no-new-privs", "--pdeathsig=KILL", "/run/netmon-daemon", "run"]);
    command
}

/// What set-up does for a daemon that is not root: a bpffs and a runtime directory of its own. And the daemon
/// where everybody can reach it.
fn set_up_for(host: &Host, uid: &str) -> anyhow::Result<()> {
    let script = format!(
        "touch /run/netmon-daemon && mount --bind {} /run/netmon-daemon && chmod 0711 /sys/fs/bpf && \
         install -d -m 0700 -o {uid} -g {uid} /sys/fs/bpf/netmon /run/netmon",
        binary().display()
    );
    succeed(host.command("sh").args(["-c", &script])).map(drop)
}

#[test]
fn a_started_daemon_has_nothing_and_protects_what_comes() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    has_nothing(&daemon)?;
    let _tap = up(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    for verb in ["detach", "attach", "status --check"] {
        let words =
            if verb.starts_with("status") { verb.to_owned() } else { format!("{verb} tap0") };
        let said = daemon.netmon(&words)?;
        assert_eq!(said.code, Some(0), "{words}: {}", said.err);
    }
    has_nothing(&daemon)
}

#[test]
fn the_units_capabilities_are_enough_for_any_user() -> anyhow::Result<()> {
    assert_eq!(unit::words("CapabilityBoundingSet"), unit::words("AmbientCapabilities"));
    for uid in ["0", NOBODY] {
        let host = Host::new()?;
        set_up_for(&host, uid)?;
        let daemon = Daemon::of(&host, run_as(&host, uid, &unit::words("CapabilityBoundingSet")))?;
        let _tap = up(&host, "tap0")?;
        confined(&daemon, "tap0")?;
        has_nothing(&daemon)?;
    }
    Ok(())
}

#[test]
fn each_of_the_units_capabilities_is_needed_and_is_named_where_it_lacks() -> anyhow::Result<()> {
    let all = unit::words("CapabilityBoundingSet");
    for missing in &all {
        let rest: Vec<_> = all.iter().copied().filter(|name| name != missing).collect();
        let host = Host::new()?;
        set_up_for(&host, NOBODY)?;
        let output = run_as(&host, NOBODY, &rest).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("netmon lacks {missing} (uid {NOBODY})")), "{said}");
    }
    Ok(())
}

#[test]
fn one_capability_is_kept_where_that_is_asked_for() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "--keep-capabilities")?;
    assert_eq!(
        of_threads(daemon.pid(), "CapEff")?,
        BTreeSet::from(["0000000000001000".to_owned()])
    );
    assert_eq!(of_threads(daemon.pid(), "Seccomp")?, BTreeSet::from(["2".to_owned()]));
    let said = daemon.netmon("status")?.out;
    assert!(said.contains("daemon  capabilities: CAP_NET_ADMIN; seccomp: on"), "{said}");
    Ok(())
}

#[test]
fn a_full_chain_is_said_to_be_one_where_no_capability_is_kept() -> anyhow::Result<()> {
    let host = Host::new()?;
    let _tap = up(&host, "tap0")?;
    let _links = super::bad_input::fill_tcx(&host, "tap0")?;
    let daemon = Daemon::start(&host, "")?;
    let why = daemon.wait_json("status", |rows| {
        let row = rows.iter().find(|row| row["tap"] == "tap0" && row["protection"] == "partial")?;
        row["why"].as_str().filter(|why| !why.contains("being attached")).map(ToOwned::to_owned)
    })?;
    ensure!(why.contains("host to guest is not confined"), "{why}");
    Ok(())
}

#[test]
fn the_process_that_asks_for_chains_can_do_nothing_else() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let reader = reader(&daemon)?;
    for set in ["CapEff", "CapPrm"] {
        let held = of_threads(reader, set)?;
        assert_eq!(held, BTreeSet::from(["0000000000001000".to_owned()]), "{set}: CAP_NET_ADMIN");
    }
    assert_eq!(of_threads(reader, "Seccomp")?, BTreeSet::from(["2".to_owned()]));
    Ok(())
}

#[test]
fn a_daemon_whose_part_ends_unasked_ends_with_a_failure() -> anyhow::Result<()> {
    let host = Host::new()?;
    let mut daemon = Daemon::start(&host, "")?;
    kill(reader(&daemon)?, Signal::SIGKILL)?;
    assert_eq!(daemon.wait()?.code(), Some(1));
    assert!(daemon.log().contains("reads egress chains ended"), "{}", daemon.log());
    Ok(())
}

/// Whatever it is that has ended, what is pinned goes on: a daemon that is half alive is worse than another one.
#[test]
fn a_thread_that_panics_ends_the_daemon_with_a_failure() -> anyhow::Result<()> {
    for (point, code) in [("egress/created", 1), ("ingress/created", 101)] {
        let host = Host::new()?;
        let mut daemon = Daemon::spawn(&host, "", &[("NETMON_PANIC_AT", point)])?;
        let _tap = up(&host, "tap0")?;
        assert_eq!(daemon.wait()?.code(), Some(code), "{point}: {}", daemon.log());
    }
    Ok(())
}

#[test]
fn pins_are_their_owners_alone() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let _tap = up(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    let listed =
        succeed(host.command("find").args(["/sys/fs/bpf/netmon", "-printf", "%y %m %u %f\n"]))?;
    let (folders, pins): (Vec<_>, Vec<_>) = listed.lines().partition(|line| line.starts_with('d'));
    assert!(pins.iter().any(|pin| pin.ends_with("_tcx")), "{listed}");
    assert_eq!(pins.iter().find(|pin| !pin.starts_with("f 600 root ")), None);
    assert_eq!(folders.iter().find(|folder| !folder.starts_with("d 700 root ")), None);
    Ok(())
}

#[test]
fn no_process_is_left_of_a_daemon_that_is_killed() -> anyhow::Result<()> {
    let host = Host::new()?;
    let mut daemon = Daemon::start(&host, "")?;
    let reader = reader(&daemon)?;
    daemon.signal(Signal::SIGKILL)?;
    daemon.wait()?;
    netmon_tests::wait::until("the reader's end", || {
        let is_left = fs::exists(format!("/proc/{reader}/ns/net"))?;
        Ok((!is_left).then_some(()))
    })
}

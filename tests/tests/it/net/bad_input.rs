//! Each thing that can be wrong gets one sentence that names it and the remedy, and nothing half-attached.

use std::{collections::HashMap, fs};

use anyhow::Context as _;
use aya::{
    EbpfLoader,
    programs::{LinkOrder, SchedClassifier, TcAttachType, Xdp, XdpMode, tc::TcAttachOptions},
};
use netmon_tests::{
    daemon::{Daemon, netmon},
    host::Host,
    tap::Tap,
};

use super::{confined, up};

/// The object under test serves as somebody else's, too.
pub(super) fn foreign() -> anyhow::Result<aya::Ebpf> {
    let path = std::env::var("NETMON_BPF").context("NETMON_BPF: cargo xtask test sets it")?;
    Ok(EbpfLoader::new().load(&fs::read(path)?)?)
}

/// Attaches as many foreign programs to the egress chain as it takes.
pub(super) fn fill_tcx(host: &Host, tap: &str) -> anyhow::Result<Vec<aya::Ebpf>> {
    host.run(|| {
        let mut objects = Vec::new();
        loop {
            let mut object = foreign()?;
            let program: &mut SchedClassifier =
                object.program_mut("host_to_guest").context("program")?.try_into()?;
            program.load()?;
            let options = TcAttachOptions::TcxOrder(LinkOrder::default());
            let attached = program.attach_with_options(tap, TcAttachType::Egress, options);
            objects.push(object);
            if attached.is_err() {
                return Ok(objects);
            }
        }
    })
}

/// The verb fails with this code, and says one sentence with all of these in it.
pub(super) fn refuses(
    host: &Host,
    words: &str,
    code: i32,
    sentence: &[&str],
) -> anyhow::Result<()> {
    let said = netmon(host, words)?;
    assert_eq!(said.code, Some(code), "netmon {words}: {}{}", said.out, said.err);
    for part in sentence {
        assert!(said.err.contains(part), "netmon {words}: {:?} has no {part:?}", said.err);
    }
    assert!(!said.err.contains("panicked"), "{}", said.err);
    Ok(())
}

#[test]
fn names_that_are_no_tap() -> anyhow::Result<()> {
    let host = Host::new()?;
    let _daemon = Daemon::start(&host, "--tap vm-*")?;
    let _tun = Tap::tun(&host, "tun0")?;
    refuses(&host, "attach nosuch", 1, &["nosuch: no such interface", "netmon ports"])?;
    refuses(&host, "attach lo", 1, &["lo: not a TAP"])?;
    refuses(&host, "attach tun0", 1, &["tun0: not a TAP"])?;
    refuses(&host, "detach nosuch", 1, &["nosuch: no such interface"])?;
    refuses(&host, "resolve nosuch", 1, &["nosuch"])?;
    refuses(&host, "drops --tap nosuch", 1, &["nosuch"])?;
    refuses(&host, "attach a/b", 2, &["a/b"])?;
    refuses(&host, "attach sixteen-bytes-ab", 2, &["sixteen-bytes-ab"])?;
    refuses(&host, "run --tap [", 2, &["["])?;
    refuses(&host, "nosuchverb", 2, &["nosuchverb"])
}

#[test]
fn no_daemon() -> anyhow::Result<()> {
    let host = Host::new()?;
    for verb in [
        "endpoints",
        "watch",
        "resolve tap0",
        "wait tap0 gone",
        "ports",
        "status",
        "drops",
        "attach tap0",
        "detach tap0",
        "tap create vm1",
        "tap delete vm1",
    ] {
        refuses(&host, verb, 69, &["/run/netmon/netmon.sock", "netmon run"])?;
    }
    Ok(())
}

#[test]
fn a_second_daemon() -> anyhow::Result<()> {
    let host = Host::new()?;
    let _tap = up(&host, "tap0")?;
    let daemon = Daemon::start(&host, "")?;
    confined(&daemon, "tap0")?;
    refuses(&host, "run --socket /run/other.sock", 1, &["/sys/fs/bpf/netmon: another netmon"])?;
    refuses(
        &host,
        "run --bpffs /sys/fs/bpf/other",
        1,
        &["/run/netmon/netmon.sock: another daemon"],
    )?;
    confined(&daemon, "tap0")
}

#[test]
fn a_directory_that_is_no_bpffs() -> anyhow::Result<()> {
    let host = Host::new()?;
    refuses(
        &host,
        "run --bpffs /run/netmon",
        1,
        &["/run/netmon: not in a BPF filesystem", "mount -t bpf"],
    )
}

#[test]
fn no_permission() -> anyhow::Result<()> {
    let host = Host::new()?;
    for (without, remedy) in [
        ("-bpf,-sys_admin", "as root, or with CAP_BPF"),
        ("-net_raw", "netmon lacks CAP_NET_RAW (uid 0)"),
    ] {
        let mut command = host.command("setpriv");
        command.args(["--inh-caps=-all", &format!("--bounding-set={without}")]);
        let output = command.arg(netmon_tests::daemon::binary()).args(["run"]).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(remedy), "{said}");
    }
    Ok(())
}

#[test]
fn a_foreign_xdp_program_is_named_and_left_alone() -> anyhow::Result<()> {
    let host = Host::new()?;
    let _tap = up(&host, "tap0")?;
    let mut object = foreign()?;
    host.run(|| {
        let program: &mut Xdp =
            object.program_mut("guest_to_host").context("program")?.try_into()?;
        program.load()?;
        program.attach("tap0", XdpMode::Driver)?;
        Ok(())
    })?;
    let daemon = Daemon::start(&host, "")?;
    refuses(&host, "attach tap0", 1, &["tap0: a foreign XDP program is on it"])?;
    assert_eq!(daemon.netmon("status --check")?.code, Some(1));
    let said = daemon.netmon("status")?;
    assert!(said.out.contains("unprotected"), "{}", said.out);
    drop(object);
    assert_eq!(daemon.netmon("attach tap0")?.code, Some(0));
    confined(&daemon, "tap0")
}

#[test]
fn a_socket_that_a_killed_daemon_left_is_replaced() -> anyhow::Result<()> {
    let host = Host::new()?;
    for _ in 0..3 {
        let daemon = Daemon::start(&host, "")?;
        daemon.signal(nix::sys::signal::Signal::SIGKILL)?;
    }
    Ok(())
}

#[test]
fn a_tap_that_vanishes_between_two_calls() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "--tap vm-*")?;
    let mut seen = HashMap::<Option<i32>, u32>::new();
    for _ in 0..20 {
        std::thread::scope(|scope| {
            let attach = scope.spawn(|| daemon.netmon("attach tap0"));
            drop(Tap::new(&host, "tap0")?);
            let said = attach.join().expect("no panic")?;
            assert!(matches!(said.code, Some(0 | 1)), "{said:?}");
            *seen.entry(said.code).or_default() += 1;
            anyhow::Ok(())
        })?;
    }
    assert_eq!(daemon.netmon("status")?.code, Some(0), "it lives, after {seen:?}");
    Ok(())
}

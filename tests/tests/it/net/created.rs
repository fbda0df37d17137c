//! `netmon tap`: TAPs that are confined from their first frame on.

use std::fs;

use anyhow::Context as _;
use netmon_tests::{
    daemon::Daemon,
    frame::{GUEST, OTHER_MAC, advertisement},
    host::Host,
    tap::Tap,
    wait,
};
use nix::sys::signal::{Signal, kill};

use super::{bad_input::refuses, confined, drops, endpoints};

/// Removes vm1 as soon as nobody has it open: a child that another test is starting may for a moment longer than
/// the test itself. What was said.
fn removed(daemon: &Daemon<'_>) -> anyhow::Result<String> {
    wait::until("the removal of vm1", || {
        let said = daemon.netmon("tap delete vm1")?;
        Ok((said.code == Some(0)).then_some(said.out))
    })
}

#[test]
fn it_is_up_confined_and_the_vmms_to_open() -> anyhow::Result<()> {
    let host = Host::new()?;
    // No glob names it: it is protected because it was asked for.
    let daemon = Daemon::start(&host, "--tap nothing")?;
    let said = daemon.netmon("tap create vm1 --owner 1234")?;
    assert_eq!(said.code, Some(0), "{}{}", said.err, daemon.log());
    assert!(said.out.starts_with("vm1: confined (xdp-native and tcx), ifindex "), "{}", said.out);
    assert_eq!(daemon.netmon("status --check")?.code, Some(0));
    let link = host.ip("-d link show vm1")?;
    for part in ["<BROADCAST,MULTICAST,UP>", "persist on", "user 1234"] {
        assert!(link.contains(part) || part.starts_with('<') && link.contains("UP"), "{link}");
    }
    let vmm = Tap::new(&host, "vm1")?;
    drop(vmm);
    confined(&daemon, "vm1")?;
    assert_eq!(removed(&daemon)?, "vm1: removed\n");
    assert!(host.ip("link show vm1").is_err());
    Ok(())
}

/// The first thing that a guest says is kept: nothing of the making comes after it.
#[test]
fn its_guest_is_learnt_at_once_and_has_the_mac_that_was_ordered() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    for round in 0..10 {
        let said = daemon.netmon("tap create vm1 --mac 02:fc:00:00:00:01")?;
        assert_eq!(said.code, Some(0), "{}", said.err);
        let vmm = Tap::new(&host, "vm1")?;
        vmm.send(&advertisement(GUEST).with(|frame| frame.source_mac = OTHER_MAC).bytes())?;
        vmm.send(&advertisement(GUEST).bytes())?;
        wait::until("the guest", || {
            Ok((endpoints(&daemon)? == ["vm1 fe80::2 reachable"]).then_some(()))
        })?;
        assert_eq!(drops(&daemon)?, ["vm1 ingress src_mac 1"], "round {round}");
        // Once more read from the table, and not from news.
        assert_eq!(daemon.netmon("attach vm1")?.code, Some(0));
        assert_eq!(endpoints(&daemon)?, ["vm1 fe80::2 reachable"], "round {round}");
        drop(vmm);
        removed(&daemon)?;
    }
    Ok(())
}

#[test]
fn what_cannot_be_made_or_removed_is_refused_and_left_alone() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let _vmm = Tap::new(&host, "tap0")?;
    let _tun = Tap::tun(&host, "tun0")?;
    refuses(
        &host,
        "tap create tap0",
        1,
        &["tap0: there is an interface of this name", "netmon tap delete tap0"],
    )?;
    refuses(&host, "tap create lo", 1, &["lo: there is an interface of this name"])?;
    refuses(&host, "tap create vm%d", 2, &["vm%d", "no '%'"])?;
    refuses(&host, "tap create a/b", 2, &["a/b"])?;
    refuses(&host, "tap delete tap0", 1, &["tap0: a VMM has it open", "stop that first"])?;
    refuses(&host, "tap delete nosuch", 1, &["nosuch: no such interface"])?;
    refuses(&host, "tap delete lo", 1, &["lo: not a TAP"])?;
    refuses(&host, "tap delete tun0", 1, &["tun0: "])?;
    for name in ["tap0", "tun0", "lo"] {
        host.ip(&format!("link show {name}"))?;
    }
    confined(&daemon, "tap0")
}

#[test]
fn one_of_several_queues_is_removed_when_the_last_is_closed() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    assert_eq!(daemon.netmon("tap create vm1 --multi-queue")?.code, Some(0), "{}", daemon.log());
    let queue = || host.run(|| Tap::try_open("vm1", libc::IFF_TAP | libc::IFF_MULTI_QUEUE, None));
    let queues = [queue()?.context("first")?, queue()?.context("second")?];
    refuses(&host, "tap delete vm1", 1, &["vm1: a VMM has it open"])?;
    confined(&daemon, "vm1")?;
    drop(queues);
    assert_eq!(removed(&daemon)?, "vm1: removed\n");
    assert!(host.ip("link show vm1").is_err());
    Ok(())
}

#[test]
fn what_makes_taps_can_do_nothing_else_and_has_no_life_of_its_own() -> anyhow::Result<()> {
    let host = Host::new()?;
    let mut daemon = Daemon::start(&host, "")?;
    let maker = daemon.child("netmon-taps")?;
    let status = fs::read_to_string(format!("/proc/{maker}/status"))?;
    for line in [
        "Name:\tnetmon-taps",
        "CapEff:\t0000000000001000",
        "CapPrm:\t0000000000001000",
        "NoNewPrivs:\t1",
        "Threads:\t1",
    ] {
        assert!(status.lines().any(|one| one == line), "{line}: {status}");
    }
    // An interrupt of the whole group is for the daemon to see to.
    kill(maker, Signal::SIGINT)?;
    assert_eq!(daemon.netmon("tap create vm1")?.code, Some(0), "{}", daemon.log());
    assert_eq!(daemon.netmon("tap delete vm1")?.code, Some(0));
    // Without it no TAP is made, and all else goes on.
    kill(maker, Signal::SIGKILL)?;
    refuses(&host, "tap create vm1", 1, &["vm1: the process that makes TAPs has ended"])?;
    assert!(host.ip("link show vm1").is_err());
    let _tap = Tap::new(&host, "tap0")?;
    confined(&daemon, "tap0")?;

    daemon.signal(Signal::SIGTERM)?;
    daemon.wait()?;
    let daemon = Daemon::start(&host, "")?;
    let maker = daemon.child("netmon-taps")?;
    daemon.signal(Signal::SIGKILL)?;
    wait::until("the end of the process that makes TAPs", || {
        let status = fs::read_to_string(format!("/proc/{maker}/status"));
        Ok(status.is_ok_and(|status| !status.contains("State:\tZ")).then_some(()).xor(Some(())))
    })
}

//! TAPs come and go in every way that the kernel knows.

use netmon_tests::{
    daemon::Daemon,
    frame::{GUEST, OTHER_MAC, advertisement, tcp},
    host::Host,
    tap::Tap,
    wait,
};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{confined, drops, endpoints, up};

/// Waits until the endpoints are these.
fn wait_endpoints(daemon: &Daemon<'_>, expected: &[&str]) -> anyhow::Result<()> {
    let mut last = Vec::new();
    wait::until("the endpoints", || {
        last = endpoints(daemon)?;
        Ok((last == expected).then_some(()))
    })
    .map_err(|error| error.context(format!("{last:?} and not {expected:?}; {}", daemon.log())))
}

fn wait_ports(daemon: &Daemon<'_>, expected: &[&str]) -> anyhow::Result<()> {
    let name = |row: &Value| row["tap"].as_str().map(str::to_owned);
    daemon.wait_json("ports", |rows| {
        (rows.iter().filter_map(name).collect::<Vec<_>>() == expected).then_some(())
    })
}

#[test]
fn a_tap_that_appears_is_attached_and_one_that_goes_is_forgotten() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let tap = up(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    tap.send(&advertisement(GUEST).bytes())?;
    wait_endpoints(&daemon, &["tap0 fe80::2 reachable"])?;
    drop(tap);
    wait_endpoints(&daemon, &[])?;
    wait_ports(&daemon, &[])
}

#[test]
fn taps_of_before_the_daemon_are_attached() -> anyhow::Result<()> {
    let host = Host::new()?;
    let _taps = [up(&host, "tap0")?, up(&host, "tap1")?];
    let daemon = Daemon::start(&host, "")?;
    wait_ports(&daemon, &["tap0", "tap1"])?;
    confined(&daemon, "tap1")
}

#[test]
fn only_taps_and_only_those_that_are_wanted() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "--tap vm-* --tap auraed-??")?;
    let _tun = Tap::tun(&host, "vm-tun")?;
    let _taps = [up(&host, "tap0")?, up(&host, "auraed-1x")?, up(&host, "vm-1")?];
    wait_ports(&daemon, &["auraed-1x", "vm-1"])
}

#[test]
fn a_tap_of_the_same_name_is_another_one() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    for mac in [[2, 0xfc, 0, 0, 0, 1], OTHER_MAC] {
        let tap = up(&host, "tap0")?;
        confined(&daemon, "tap0")?;
        tap.send(&tcp(80, 2).with(|f| f.source_mac = mac).bytes())?;
        wait_endpoints(&daemon, &["tap0 fe80::2 reachable"])?;
        drop(tap);
        wait_endpoints(&daemon, &[])?;
    }
    Ok(())
}

#[test]
fn an_index_that_is_used_again_is_another_tap() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    for number in 0..20_u8 {
        let tap = up(&host, "tap0")?;
        confined(&daemon, "tap0")?;
        tap.send(&tcp(80, 2).with(|f| f.source_mac = [2, 0, 0, 0, 0, number]).bytes())?;
        wait_endpoints(&daemon, &["tap0 fe80::2 reachable"])?;
    }
    Ok(())
}

#[test]
fn a_renamed_tap_is_the_same_port() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let tap = up(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    tap.send(&advertisement(GUEST).bytes())?;
    wait_endpoints(&daemon, &["tap0 fe80::2 reachable"])?;
    host.ip("link set tap0 down")?;
    host.ip("link set tap0 name vm1")?;
    host.ip("link set vm1 up")?;
    wait_endpoints(&daemon, &["vm1 fe80::2 reachable"])?;
    confined(&daemon, "vm1")
}

#[test]
fn a_tap_that_moves_to_another_namespace_is_gone_from_here() -> anyhow::Result<()> {
    let (host, elsewhere) = (Host::new()?, Host::new()?);
    let daemon = Daemon::start(&host, "")?;
    let tap = up(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    tap.send(&advertisement(GUEST).bytes())?;
    wait_endpoints(&daemon, &["tap0 fe80::2 reachable"])?;
    let mut sleeper = elsewhere.command("sleep").arg("60").spawn()?;
    host.ip(&format!("link set tap0 netns {}", sleeper.id()))?;
    wait_endpoints(&daemon, &[])?;
    wait_ports(&daemon, &[])?;
    sleeper.kill()?;
    sleeper.wait()?;
    Ok(())
}

#[test]
fn the_next_guest_of_a_persistent_tap_starts_anew() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let tap = up(&host, "tap0")?;
    tap.persist(true)?;
    confined(&daemon, "tap0")?;
    tap.send(&advertisement(GUEST).bytes())?;
    wait_endpoints(&daemon, &["tap0 fe80::2 reachable"])?;
    drop(tap);
    wait_endpoints(&daemon, &[])?;
    let tap = Tap::new(&host, "tap0")?;
    tap.persist(false)?;
    let frame = tcp(80, 2).with(|f| f.source_mac = OTHER_MAC).bytes();
    wait::until("the new guest", || {
        // The kernel tells of the carrier a moment later, and until then the TAP takes nothing.
        let _down = tap.send(&frame);
        Ok((endpoints(&daemon)? == ["tap0 fe80::2 reachable"]).then_some(()))
    })?;
    assert_eq!(drops(&daemon)?, [""; 0]);
    Ok(())
}

#[test]
fn attach_and_detach_by_hand() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "--tap vm-*")?;
    let tap = up(&host, "tap0")?;
    assert_eq!(daemon.netmon("attach tap0")?.code, Some(0));
    // It answers when both directions are on.
    assert_eq!(daemon.netmon("status --check")?.code, Some(0));
    assert_eq!(daemon.netmon("attach tap0")?.code, Some(0), "again is no error");
    tap.send(&advertisement(GUEST).bytes())?;
    wait_endpoints(&daemon, &["tap0 fe80::2 reachable"])?;
    assert_eq!(daemon.netmon("detach tap0")?.code, Some(0));
    wait_endpoints(&daemon, &[])?;
    wait_ports(&daemon, &[])?;
    assert_eq!(daemon.netmon("detach tap0")?.code, Some(1));
    Ok(())
}

#[test]
fn a_detached_tap_stays_so_until_it_is_attached() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let _tap = up(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    assert_eq!(daemon.netmon("detach tap0")?.code, Some(0));
    host.ip("link set tap0 down")?;
    host.ip("link set tap0 up")?;
    wait_ports(&daemon, &[])?;
    assert_eq!(daemon.netmon("attach tap0")?.code, Some(0));
    confined(&daemon, "tap0")
}

#[test]
fn many_taps_at_once_are_all_attached() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let taps =
        (0..100).map(|number| up(&host, &format!("tap{number}"))).collect::<Result<Vec<_>, _>>()?;
    for tap in &taps {
        confined(&daemon, &tap.name)?;
        tap.send(&advertisement(GUEST).bytes())?;
    }
    wait::until("100 endpoints", || Ok((endpoints(&daemon)?.len() == taps.len()).then_some(())))?;
    drop(taps);
    wait_endpoints(&daemon, &[])
}

#[test]
fn guests_that_come_while_their_taps_are_being_attached_are_confined() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    // Jobs for the slow egress side queue up, and meanwhile each TAP comes up: a guest with an epoch of its own.
    let batch =
        (0..30).map(|n| format!("tuntap add dev tap{n} mode tap\nlink set dev tap{n} up\n"));
    let batch = batch.collect::<String>();
    let script = format!("ip -batch - << end\n{batch}end\n");
    netmon_tests::host::succeed(host.command("sh").args(["-c", &script]))?;
    for number in 0..30 {
        confined(&daemon, &format!("tap{number}"))?;
    }
    Ok(())
}

#[test]
fn the_daemon_ends_when_it_is_asked_to() -> anyhow::Result<()> {
    let host = Host::new()?;
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut daemon = Daemon::start(&host, "")?;
        let _watch = daemon.lines("watch")?;
        daemon.signal(signal)?;
        assert_eq!(daemon.wait()?.code(), Some(0), "{}", daemon.log());
    }
    Ok(())
}

#[test]
fn a_chain_without_room_for_tcx_gets_a_clsact_filter() -> anyhow::Result<()> {
    let host = Host::new()?;
    let _tap = up(&host, "tap0")?;
    let _links = super::bad_input::fill_tcx(&host, "tap0")?;
    let daemon = Daemon::start(&host, "--keep-capabilities")?;
    confined(&daemon, "tap0")?;
    let ports = daemon.json("ports")?;
    assert_eq!(ports[0]["hook"]["egress"], "clsact", "{ports}");
    // Read back from the kernel, not remembered.
    netmon_tests::host::succeed(
        host.command("tc").args(["filter", "del", "dev", "tap0", "egress"]),
    )?;
    assert_eq!(daemon.netmon("status --check")?.code, Some(1));
    Ok(())
}

//! Nobody is forgotten: who is silent is found, asked, and only then given up.

use std::time::{Duration, Instant};

use netmon_tests::{
    daemon::Daemon,
    frame::{GUEST, HOST, advertisement, echo},
    guest::{Guest, INTERFACE},
    host::{Host, succeed},
    lines::Lines,
    tap::Tap,
    wait,
    witness::Witness,
};
use serde_json::Value;

use super::{endpoints, up};

/// A guest that has been up for so long that it says nothing any more, unless it is asked.
fn silent(host: &Host) -> anyhow::Result<Guest> {
    let guest = Guest::boot(host, "tap0", "02:fc:00:00:00:01")?;
    // The one thing that a guest says again and again when nobody answers it.
    set(guest.stack(), &format!("net/ipv6/conf/{INTERFACE}/router_solicitations"), 0)?;
    guest.add("fe80::2")?;
    let witness = Witness::new(host, guest.tap().index)?;
    let mut heard = Instant::now();
    wait::until("a silent guest", || {
        if !witness.seen()?.is_empty() {
            heard = Instant::now();
        }
        Ok((heard.elapsed() > Duration::from_secs(2)).then_some(()))
    })?;
    Ok(guest)
}

fn set(host: &Host, sysctl: &str, value: u32) -> anyhow::Result<()> {
    let set = format!("echo {value} > /proc/sys/{sysctl}");
    succeed(host.command("sh").args(["-c", &set])).map(|_| ())
}

/// Its chosen address, and the one that it derived from its MAC.
fn is_found(host: &Host) -> anyhow::Result<()> {
    let daemon = Daemon::start(host, "")?;
    let start = Instant::now();
    daemon.wait_json("endpoints", |rows| {
        (rows.iter().filter(|row| row["state"] == "reachable").count() == 2).then_some(())
    })?;
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let mut drops = super::drops(&daemon)?;
    drops.retain(|drop| drop.contains("ingress"));
    assert_eq!(drops, [""; 0]);
    Ok(())
}

#[test]
fn a_silent_guest_of_before_the_daemon_is_found() -> anyhow::Result<()> {
    let host = Host::new()?;
    let _guest = silent(&host)?;
    is_found(&host)
}

#[test]
fn a_silent_guest_that_answers_no_echo_is_found() -> anyhow::Result<()> {
    let host = Host::new()?;
    let guest = silent(&host)?;
    set(guest.stack(), "net/ipv6/icmp/echo_ignore_multicast", 1)?;
    is_found(&host)
}

#[test]
fn a_silent_guest_is_found_by_a_host_without_ipv6() -> anyhow::Result<()> {
    let host = Host::new()?;
    set(&host, "net/ipv6/conf/default/disable_ipv6", 1)?;
    let _guest = silent(&host)?;
    is_found(&host)
}

#[test]
fn a_silent_guest_is_found_in_a_bridge() -> anyhow::Result<()> {
    let host = Host::new()?;
    let _guest = silent(&host)?;
    host.ip("link add br0 type bridge")?;
    host.ip("link set tap0 master br0")?;
    host.ip("link set br0 up")?;
    is_found(&host)
}

#[test]
fn a_silent_guest_is_found_when_its_tap_comes_up() -> anyhow::Result<()> {
    let host = Host::new()?;
    let _guest = silent(&host)?;
    host.ip("link set tap0 down")?;
    let daemon = Daemon::start(&host, "")?;
    assert_eq!(endpoints(&daemon)?, [""; 0]);
    host.ip("link set tap0 up")?;
    daemon.wait_json("endpoints", |rows| (rows.len() == 2).then_some(()))
}

/// A watcher that has begun to hear.
fn watch(daemon: &Daemon<'_>) -> anyhow::Result<Lines> {
    let watch = daemon.lines("watch -o json")?;
    watch.find("the snapshot", |line| line.contains("snapshot").then_some(()))?;
    Ok(watch)
}

/// Waits for a change of the one endpoint into this state, as a watcher sees it.
fn becomes(watch: &Lines, state: &str) -> anyhow::Result<()> {
    watch.find(state, |line| line.contains(&format!(r#""state":"{state}""#)).then_some(()))
}

/// The solicitations for [`GUEST`] that came to the guest since the last time.
fn solicitations(tap: &Tap) -> anyhow::Result<usize> {
    let mut count = 0;
    while let Some(frame) = tap.receive()? {
        let target = frame.get(62..78) == Some(&GUEST.octets());
        count += usize::from(frame.get(20) == Some(&58) && frame.get(54) == Some(&135) && target);
    }
    Ok(count)
}

#[test]
fn one_that_falls_silent_is_asked_three_times_and_stays_listed() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "--reachable-time 1s")?;
    let tap = up(&host, "tap0")?;
    super::confined(&daemon, "tap0")?;
    let watch = watch(&daemon)?;
    tap.send(&advertisement(GUEST).bytes())?;
    becomes(&watch, "reachable")?;
    becomes(&watch, "stale")?;
    becomes(&watch, "probing")?;
    becomes(&watch, "unreachable")?;
    assert_eq!(solicitations(&tap)?, 3);
    let said = daemon.netmon("endpoints --state unreachable")?.out;
    assert!(said.contains("fe80::2%tap0") && !said.contains("now"), "with its age: {said}");
    tap.send(&advertisement(GUEST).bytes())?;
    becomes(&watch, "reachable")
}

#[test]
fn a_guest_that_is_cut_off_is_unreachable_until_it_is_back() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "--reachable-time 1s")?;
    let guest = Guest::boot(&host, "tap0", "02:fc:00:00:00:01")?;
    guest.add("fe80::2")?;
    assert_eq!(daemon.netmon("wait tap0 reachable --timeout 20s")?.code, Some(0));
    let all_are = |state: &str| {
        daemon.wait_json("endpoints", |rows| {
            (rows.len() == 2 && rows.iter().all(|row| row["state"] == state)).then_some(())
        })
    };
    guest.stack().ip(&format!("link set {INTERFACE} down"))?;
    all_are("unreachable")?;
    guest.stack().ip(&format!("link set {INTERFACE} up"))?;
    guest.add("fe80::2")?;
    all_are("reachable")
}

#[test]
fn a_binding_expires_only_if_nobody_answers_for_it() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "--reachable-time 1s --expire 1s")?;
    let guest = Guest::boot(&host, "tap0", "02:fc:00:00:00:01")?;
    guest.add("fe80::2")?;
    let tap = up(&host, "tap1")?;
    super::confined(&daemon, "tap1")?;
    let watch = watch(&daemon)?;
    tap.send(&advertisement(GUEST).bytes())?;
    let bindings = |expected: [u64; 2]| {
        daemon.wait_json("ports", |rows| {
            rows.iter().map(|row| row["bindings"].as_u64()).eq(expected.map(Some)).then_some(())
        })
    };
    bindings([2, 1])?;
    // By then the silent guest was asked several times, and has answered.
    let gone = watch.find("the end of one", |line| {
        let line: Value = serde_json::from_str(line).ok()?;
        (line["event"] == "removed").then_some(line)
    })?;
    assert_eq!(gone["endpoint"]["tap"], "tap1");
    assert_eq!(gone["endpoint"]["state"], "unreachable");
    bindings([2, 0])
}

#[test]
fn while_traffic_flows_nobody_is_asked() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "--reachable-time 2s")?;
    let tap = up(&host, "tap0")?;
    super::confined(&daemon, "tap0")?;
    let watch = watch(&daemon)?;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        tap.send(&echo(HOST).bytes())?;
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(endpoints(&daemon)?, ["tap0 fe80::2 reachable"]);
    assert_eq!(solicitations(&tap)?, 0);
    // It would have been seen.
    becomes(&watch, "probing")?;
    wait::until("a solicitation", || Ok((solicitations(&tap)? > 0).then_some(())))
}

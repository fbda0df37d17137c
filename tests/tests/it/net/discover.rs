//! Nobody is missed: what a guest says becomes an endpoint, at once, for those who ask and those who watch.

use netmon_tests::{
    daemon::Daemon,
    frame::{
        GUEST, GUEST_MAC, HOST, OTHER_MAC, advertisement, dad, listener_report, solicitation, tcp,
    },
    guest::Guest,
    host::Host,
    tap::Tap,
    wait,
};

use super::{confined, endpoints, up};

/// A frame that tells of an address: it is listed, and a watcher that runs already prints it.
fn is_told(frame: &[u8], state: &str, origin: &str) -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let tap = up(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    let watch = daemon.lines("watch -o json")?;
    watch.find("the snapshot", |line| line.contains("snapshot").then_some(()))?;
    tap.send(frame)?;
    watch.find("the change", |line| {
        let found =
            line.contains(r#""event":"added""#) && line.contains(&format!("fe80::2%{}", tap.index));
        found.then_some(())
    })?;
    let rows = daemon.json("endpoints")?;
    let row = &rows[0];
    assert_eq!(rows.as_array().map(Vec::len), Some(1), "{rows}");
    assert_eq!((row["tap"].as_str(), row["address"].as_str()), (Some("tap0"), Some("fe80::2")));
    assert_eq!((row["state"].as_str(), row["origin"].as_str()), (Some(state), Some(origin)));
    assert_eq!(row["mac"].as_str(), Some("02:fc:00:00:00:01"));
    assert_eq!(row["ifindex"].as_u64(), Some(tap.index.into()));
    Ok(())
}

#[test]
fn by_an_advertisement() -> anyhow::Result<()> {
    is_told(&advertisement(GUEST).bytes(), "reachable", "neighbor_advert")
}

#[test]
fn by_dad() -> anyhow::Result<()> {
    is_told(&dad(GUEST).bytes(), "tentative", "dad")
}

#[test]
fn by_a_solicitation() -> anyhow::Result<()> {
    is_told(&solicitation(HOST, &[]).bytes(), "reachable", "neighbor_solicit")
}

#[test]
fn by_an_mld_report() -> anyhow::Result<()> {
    is_told(&listener_report().bytes(), "reachable", "mld")
}

#[test]
fn by_tcp_of_a_guest_that_was_up_before() -> anyhow::Result<()> {
    is_told(&tcp(8080, 2).bytes(), "reachable", "tcp")
}

#[test]
fn a_real_guest_that_boots_is_found_and_nothing_of_it_is_dropped() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let guest = Guest::boot(&host, "tap0", "02:fc:00:00:00:01")?;
    guest.add("fe80::2")?;
    assert_eq!(daemon.netmon("wait tap0 reachable --timeout 20s")?.code, Some(0));
    daemon.wait_json("endpoints", |rows| (rows.len() == 2).then_some(()))?;
    assert_eq!(super::drops(&daemon)?, [""; 0]);
    Ok(())
}

#[test]
fn two_taps_with_the_same_address_are_two_endpoints() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let taps = [up(&host, "tap0")?, up(&host, "tap1")?];
    for (tap, mac) in taps.iter().zip([GUEST_MAC, OTHER_MAC]) {
        confined(&daemon, &tap.name)?;
        tap.send(&tcp(8080, 2).with(|f| f.source_mac = mac).bytes())?;
    }
    daemon.wait_json("endpoints", |rows| (rows.len() == 2).then_some(()))?;
    assert_eq!(endpoints(&daemon)?, ["tap0 fe80::2 reachable", "tap1 fe80::2 reachable"]);
    for tap in &taps {
        let said = daemon.netmon(&format!("resolve {}", tap.name))?;
        assert_eq!((said.code, said.out), (Some(0), format!("[fe80::2%{}]:8080\n", tap.index)));
    }
    let said = daemon.netmon("resolve 02:fc:00:00:00:02")?;
    assert_eq!(said.out, format!("[fe80::2%{}]:8080\n", taps[1].index));
    Ok(())
}

#[test]
fn the_socket_that_resolve_prints_is_the_guests() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let guest = Guest::boot(&host, "tap0", "02:fc:00:00:00:01")?;
    guest.add("fe80::2")?;
    daemon.wait_json("endpoints", |rows| {
        rows.iter().all(|row| row["state"] == "reachable").then_some(())
    })?;
    let said = daemon.netmon("resolve tap0 --port 7")?;
    let index = guest.tap().index;
    // The address that was chosen comes before the one that the guest derived from its MAC.
    assert_eq!(said.out, format!("[fe80::2%{index}]:7\n"));
    Ok(())
}

#[test]
fn a_guest_of_before_the_daemon_is_found_when_it_speaks() -> anyhow::Result<()> {
    let host = Host::new()?;
    let guest = Guest::boot(&host, "tap0", "02:fc:00:00:00:01")?;
    guest.add("fe80::2")?;
    host.ip(&format!("-6 addr add {HOST}/64 dev tap0 nodad"))?;
    let daemon = Daemon::start(&host, "")?;
    confined(&daemon, "tap0")?;
    assert!(guest.pings(HOST));
    daemon.wait_json("endpoints", |rows| {
        rows.iter().any(|row| row["address"] == "fe80::2").then_some(())
    })?;
    Ok(())
}

#[test]
fn wait_ends_when_it_is_so() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    assert_eq!(
        daemon.netmon("wait tap0 endpoint --timeout 100ms")?.code,
        Some(3),
        "there never was a tap0"
    );
    let tap = up(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    assert_eq!(daemon.netmon("wait tap0 endpoint --timeout 100ms")?.code, Some(124));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| daemon.netmon("wait tap0 reachable --timeout 20s"));
        tap.send(&dad(GUEST).bytes())?;
        wait::until(
            "a tentative endpoint",
            || Ok((!endpoints(&daemon)?.is_empty()).then_some(())),
        )?;
        tap.send(&advertisement(GUEST).bytes())?;
        let said = waiting.join().expect("no panic")?;
        assert_eq!(said.code, Some(0), "{}", said.err);
        let waiting = scope.spawn(|| daemon.netmon("wait tap0 gone --timeout 20s"));
        drop::<Tap>(tap);
        assert_eq!(waiting.join().expect("no panic")?.code, Some(0));
        anyhow::Ok(())
    })
}

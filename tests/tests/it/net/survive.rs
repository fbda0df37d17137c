//! The daemon may die at any instruction and come back: enforcement does not pause for one frame, and no guest
//! that spoke is lost.

use std::{net::Ipv6Addr, thread};

use netmon::crash;
use netmon_tests::{
    daemon::Daemon,
    frame::{GUEST, OTHER_MAC, advertisement, ethernet, tcp},
    guest::wait_for_dad,
    host::Host,
    tap::Tap,
    wait,
};
use nix::sys::signal::Signal;

use super::{
    attack::{PINS, killed, ls, protected, under_attack},
    confined, drops, endpoints, up,
};

/// Whether the daemon dies before it has done all that a start has to do.
fn dies(daemon: &mut Daemon<'_>) -> anyhow::Result<bool> {
    wait::until("the daemon's end, or that of its start", || {
        let is_done = daemon.log().contains("all is taken over");
        Ok(if daemon.is_alive()? { is_done.then_some(false) } else { Some(true) })
    })
}

#[test]
fn a_killed_daemon_leaves_its_programs_and_the_next_one_goes_on() -> anyhow::Result<()> {
    let host = Host::new()?;
    let (tap, mut daemon) = protected(&host)?;
    tap.send(&ethernet(0x0806))?;
    let rows = daemon.json("endpoints")?;
    under_attack(&host, &tap, || {
        for how in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGKILL] {
            daemon.signal(how)?;
            daemon.wait()?;
            // What the guest says while nobody listens is not lost either.
            tap.send(&tcp(80, 2).bytes())?;
            daemon = Daemon::start(&host, "")?;
            confined(&daemon, "tap0")?;
            assert_eq!(daemon.json("endpoints")?[0]["first_seen"], rows[0]["first_seen"]);
        }
        Ok(())
    })?;
    assert_eq!(endpoints(&daemon)?, ["tap0 fe80::2 reachable"]);
    assert!(daemon.log().contains("taken over"), "{}", daemon.log());
    assert!(drops(&daemon)?.iter().any(|row| row.starts_with("tap0 ingress arp ")));
    Ok(())
}

#[test]
fn a_death_at_any_step_of_a_start_is_made_good_by_the_next() -> anyhow::Result<()> {
    let mut reached = Vec::new();
    for point in crash::POINTS {
        let host = Host::new()?;
        let tap = up(&host, "tap0")?;
        let mut daemon = Daemon::spawn(&host, "", &[("NETMON_CRASH_AT", point)])?;
        let dies = dies(&mut daemon).map_err(|error| error.context(point))?;
        reached.extend(dies.then_some(point));
        killed(&mut daemon)?;
        let daemon = Daemon::start(&host, "")?;
        confined(&daemon, "tap0").map_err(|error| error.context(point))?;
        wait_for_dad(&host, "tap0")?;
        tap.send(&advertisement(GUEST).bytes())?;
        under_attack(&host, &tap, || {
            daemon.wait_json("endpoints", |rows| (rows.len() == 1).then_some(()))
        })?;
        assert_eq!(ls(&host, PINS)?, ["v2"], "{point}");
    }
    let never = ["upgrade/linked", "ingress/unpinned", "port/released"];
    let expected: Vec<_> =
        crash::POINTS.into_iter().filter(|point| !never.contains(point)).collect();
    assert_eq!(reached, expected, "the points of a first start");
    Ok(())
}

#[test]
fn a_death_at_any_step_of_an_upgrade_opens_nothing() -> anyhow::Result<()> {
    let mut reached = Vec::new();
    for point in crash::POINTS {
        let host = Host::new()?;
        let (tap, mut daemon) = protected(&host)?;
        under_attack(&host, &tap, || {
            killed(&mut daemon)?;
            let other = [("NETMON_CRASH_AT", point), ("NETMON_OTHER_BUILD", "1")];
            let mut daemon = Daemon::spawn(&host, "", &other)?;
            let dies = dies(&mut daemon).map_err(|error| error.context(point))?;
            reached.extend(dies.then_some(point));
            killed(&mut daemon)?;
            let daemon = Daemon::start(&host, "")?;
            confined(&daemon, "tap0")?;
            assert_eq!(endpoints(&daemon)?, ["tap0 fe80::2 reachable"], "{point}");
            wait::until("the former build's programs to go", || {
                Ok((ls(&host, &format!("{PINS}/v2/programs"))?.len() == 2).then_some(()))
            })
        })
        .map_err(|error| error.context(point))?;
    }
    for point in ["upgrade/pinned", "upgrade/linked", "port/entries", "adopt/finished"] {
        assert!(reached.contains(&point), "{point} is not in {reached:?}");
    }
    Ok(())
}

#[test]
fn an_upgrade_replaces_the_program_in_the_live_link() -> anyhow::Result<()> {
    let host = Host::new()?;
    let (tap, mut daemon) = protected(&host)?;
    let program = |host: &Host| -> anyhow::Result<String> {
        let link = host.ip("-d link show dev tap0")?;
        let id = link.split("prog/xdp id ").nth(1).and_then(|rest| rest.split_whitespace().next());
        Ok(id.unwrap_or_default().to_owned())
    };
    let before = program(&host)?;
    under_attack(&host, &tap, || {
        killed(&mut daemon)?;
        daemon = Daemon::start(&host, "")?;
        confined(&daemon, "tap0")?;
        assert_eq!(program(&host)?, before, "the same build changes nothing");
        killed(&mut daemon)?;
        let upgraded = Daemon::spawn(&host, "", &[("NETMON_OTHER_BUILD", "1")])?;
        wait::until("the new program", || Ok((program(&host)? != before).then_some(())))?;
        confined(&upgraded, "tap0")?;
        assert_eq!(endpoints(&upgraded)?, ["tap0 fe80::2 reachable"]);
        Ok(())
    })
}

#[test]
fn a_corpse_is_no_protection() -> anyhow::Result<()> {
    let host = Host::new()?;
    let (tap, mut daemon) = protected(&host)?;
    killed(&mut daemon)?;
    drop(tap);
    let tap = up(&host, "tap0")?;
    wait_for_dad(&host, "tap0")?;
    assert!(ls(&host, &format!("{PINS}/v2/links"))?.len() >= 2, "the corpses are there");
    let daemon = Daemon::start(&host, "")?;
    confined(&daemon, "tap0")?;
    assert_eq!(endpoints(&daemon)?, [""; 0], "another guest");
    tap.send(&advertisement(GUEST).bytes())?;
    under_attack(&host, &tap, || {
        daemon.wait_json("endpoints", |rows| (rows.len() == 1).then_some(()))
    })?;
    wait::until("the corpses to go", || {
        Ok((ls(&host, &format!("{PINS}/v2/links"))?.len() == 2).then_some(()))
    })
}

#[test]
fn the_next_guest_of_a_tap_that_the_daemon_did_not_see_starts_anew() -> anyhow::Result<()> {
    let host = Host::new()?;
    let (tap, mut daemon) = protected(&host)?;
    tap.persist(true)?;
    killed(&mut daemon)?;
    drop(tap);
    let tap = Tap::new(&host, "tap0")?;
    tap.persist(false)?;
    let daemon = Daemon::start(&host, "")?;
    confined(&daemon, "tap0")?;
    assert_eq!(endpoints(&daemon)?, [""; 0]);
    tap.send(&tcp(80, 2).with(|f| f.source_mac = OTHER_MAC).bytes())?;
    daemon.wait_json("endpoints", |rows| (rows.len() == 1).then_some(()))
}

/// Maps of another layout, of which not one byte must be read; a missing one; a set that is but half.
/// What a former version has learnt is learnt anew; what it enforced is enforced all the while.
#[test]
fn what_the_guests_claim_while_the_daemon_dies_again_and_again_is_all_there_in_the_end()
-> anyhow::Result<()> {
    let host = Host::new()?;
    let (tap, mut daemon) = protected(&host)?;
    let rounds = std::env::var("NETMON_KILLS").map_or(Ok(12), |kills| kills.parse::<u16>())?;
    let address = |number: u16| Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x100 + number);
    // One more of the guest's seven other addresses each few deaths, at whatever moment of the daemon's life.
    let spoken = |round: u16| round * 7 / rounds;
    under_attack(&host, &tap, || {
        for round in 0..rounds {
            killed(&mut daemon)?;
            daemon = Daemon::spawn(&host, "", &[])?;
            thread::sleep(std::time::Duration::from_millis(u64::from(round) * 37 % 300));
            tap.send(&tcp(80, 2).with(|f| f.source = address(spoken(round))).bytes())?;
        }
        killed(&mut daemon)
    })?;
    let daemon = Daemon::start(&host, "")?;
    confined(&daemon, "tap0")?;
    let expected = usize::from(spoken(rounds - 1)) + 2;
    daemon.wait_json("endpoints", |rows| (rows.len() == expected).then_some(()))
}

#[test]
fn what_was_ordered_for_a_tap_outlives_the_daemon() -> anyhow::Result<()> {
    let host = Host::new()?;
    let (_tap, mut daemon) = protected(&host)?;
    let said = daemon.netmon("policy tap0 --mac 02:fc:00:00:00:01 --quota 3 --host-ports 53")?;
    assert_eq!(said.code, Some(0), "{}", said.err);
    let ordered = daemon.json("policy tap0")?;
    killed(&mut daemon)?;
    let daemon = Daemon::start(&host, "")?;
    confined(&daemon, "tap0")?;
    assert_eq!(daemon.json("policy tap0")?, ordered);
    assert_eq!(daemon.netmon("policy tap0 --reset")?.code, Some(0));
    assert_ne!(daemon.json("policy tap0")?, ordered);
    Ok(())
}

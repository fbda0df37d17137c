//! Duplicate address detection works: who asks for what another has learns it; and who is asked stays reachable.

use std::{
    net::Ipv6Addr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::ensure;
use netmon_tests::{
    daemon::Daemon,
    frame::{Frame, GUEST, HOST, mac_option, solicitation},
    guest::{Dad, Guest, dad, reaches_anew},
    host::Host,
    members::BRIDGE,
    tap::Tap,
    wait,
};

use super::{A, B, bridge, guest, has, port, talks};
use crate::net::{confined, drops, up};

/// The guest adds an address that somebody else has, and learns it.
fn learns_that_it_is_taken(guest: &Guest, address: Ipv6Addr) -> anyhow::Result<()> {
    ensure!(guest.add(&address.to_string()).is_err(), "it believes that it has {address}");
    let states = dad(guest.stack(), "eth0")?;
    ensure!(states.contains(&(address, Dad::Failed)), "no DAD has failed: {states:?}");
    Ok(())
}

#[test]
fn the_second_guest_of_a_bridge_learns_that_an_address_is_the_firsts() -> anyhow::Result<()> {
    let host = Host::new()?;
    bridge(&host, BRIDGE)?;
    let daemon = Daemon::start(&host, "")?;
    let (first, second) = (guest(&host, &daemon, "tap0", A)?, guest(&host, &daemon, "tap1", B)?);
    first.add("fe80::2")?;
    wait::until("the first to be listed", || Ok(has(&daemon, "tap0", GUEST)?.then_some(())))?;
    learns_that_it_is_taken(&second, GUEST)?;
    super::never_has(&daemon, "tap1", GUEST)?;
    talks(&host, GUEST)?;
    assert_eq!(super::lladdr(&host, GUEST)?, Some(netmon_tests::members::text(A)));
    Ok(())
}

#[test]
fn a_guest_of_a_bridge_learns_that_an_address_is_the_hosts() -> anyhow::Result<()> {
    let host = Host::new()?;
    bridge(&host, BRIDGE)?;
    let daemon = Daemon::start(&host, "")?;
    let guest = guest(&host, &daemon, "tap0", A)?;
    learns_that_it_is_taken(&guest, HOST)
}

#[test]
fn a_guest_on_a_tap_alone_learns_that_an_address_is_the_hosts() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let tap = up(&host, "tap0")?;
    host.ip(&format!("-6 addr add {HOST}/64 dev tap0 nodad"))?;
    confined(&daemon, "tap0")?;
    let guest = Guest::behind(tap, "02:fc:00:00:00:0a")?;
    guest.add("fe80::a")?;
    guest.stack().ip(&format!("-6 addr add {HOST}/64 dev eth0"))?;
    wait::until("DAD to fail", || {
        let states = dad(guest.stack(), "eth0")?;
        ensure!(!states.contains(&(HOST, Dad::Done)), "it believes that it has {HOST}");
        Ok(states.contains(&(HOST, Dad::Failed)).then_some(()))
    })
}

/// The last byte of an asker's MAC and address.
fn asker(number: u8) -> impl FnOnce(&mut Frame) {
    move |frame| {
        frame.source_mac = [2, 0xfc, 0, 0, 1, number];
        frame.source = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, number.into());
    }
}

#[test]
fn a_guest_that_four_others_ask_all_the_time_is_reached_each_time() -> anyhow::Result<()> {
    const TIMES: usize = 10;
    let host = Host::new()?;
    bridge(&host, BRIDGE)?;
    let daemon = Daemon::start(&host, "")?;
    let asked = guest(&host, &daemon, "tap9", A)?;
    asked.add("fe80::2")?;
    talks(&host, GUEST)?;
    let names = ["tap0", "tap1", "tap2", "tap3"];
    let askers: Vec<Tap> =
        names.iter().map(|name| port(&host, &daemon, name)).collect::<Result<_, _>>()?;
    let stop = AtomicBool::new(false);
    let reached = thread::scope(|scope| {
        for (number, tap) in (0_u8..).zip(&askers) {
            let stop = &stop;
            let option = mac_option(1, [2, 0xfc, 0, 0, 1, number]);
            let question = solicitation(GUEST, &option).with(asker(number)).bytes();
            scope.spawn(move || {
                // A hundred times a second; what it is answered nobody reads.
                while !stop.load(Ordering::Relaxed) && tap.send(&question).is_ok() {
                    while let Ok(Some(_)) = tap.receive() {}
                    thread::sleep(Duration::from_millis(10));
                }
            });
        }
        // The bursts that budgets allow are over by then.
        thread::sleep(Duration::from_secs(3));
        let reached = (0..TIMES).filter(|_| reaches_anew(&host, GUEST, BRIDGE)).count();
        stop.store(true, Ordering::Relaxed);
        reached
    });
    assert_eq!(reached, TIMES, "{:?}", drops(&daemon)?);
    Ok(())
}

//! What a guest does not use any more is free: for itself, for the next on its TAP, for another of the bridge. What
//! it does use is nobody else's.

use std::{net::Ipv6Addr, time::Duration};

use anyhow::ensure;
use netmon_tests::{
    daemon::Daemon,
    frame::{ALL_NODES, GUEST, tcp},
    guest::{Guest, INTERFACE, pings_for},
    host::Host,
    members::{BRIDGE, text},
    wait,
    witness::Witness,
};
use nix::net::if_::if_nametoindex;

use super::{A, B, OWN, bridge, claim, guest, has, insists, never_has, port, talks, within};
use crate::net::confined;

#[test]
fn a_guest_that_boots_for_the_ninth_time_is_found() -> anyhow::Result<()> {
    const BOOTS: u16 = 9;
    let host = Host::new()?;
    // It is asked after a second, and not after half a minute; three seconds later it is unreachable.
    let daemon = Daemon::start(&host, "--reachable-time 1s")?;
    let guest = Guest::boot(&host, "tap0", &text(A))?;
    confined(&daemon, "tap0")?;
    guest.stack().ip("link set eth0 addrgenmode none")?;
    for boot in 1..=BOOTS {
        // Each time it has another address, and answers for no other.
        let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0xb007, 0, 0, boot);
        guest.stack().ip("-6 addr flush dev eth0")?;
        guest.add(&address.to_string())?;
        let listed = || {
            // It speaks, and whoever hears that need not answer.
            let _answer = pings_for(guest.stack(), ALL_NODES, INTERFACE, 1);
            Ok(has(&daemon, "tap0", address)?.then_some(()))
        };
        within(Duration::from_secs(5), &format!("boot {boot}"), listed)?;
    }
    let live = Ipv6Addr::new(0xfe80, 0, 0, 0, 0xb007, 0, 0, BOOTS);
    let printed = format!("[{live}%{}]:7\n", guest.tap().index);
    // The address of the boot before counts as reachable until it has been quiet for the reachable time.
    within(Duration::from_secs(5), "resolve to print the live one", || {
        Ok((daemon.netmon("resolve tap0 --port 7")?.out == printed).then_some(()))
    })?;
    guest.echoes(&host, live)
}

/// Whether `netmon status` says that somebody is locked out because of the MAC.
fn says_why(daemon: &Daemon<'_>) -> anyhow::Result<bool> {
    let says = |text: &str| text.contains("src_mac") || text.contains("locked out");
    let json = daemon.netmon("status -o json")?.out;
    Ok(says(&daemon.netmon("status")?.out) && (says(&json) || json.contains("locked_out")))
}

#[test]
fn another_mac_may_come_when_the_first_ones_guest_is_gone_and_not_before() -> anyhow::Result<()> {
    let host = Host::new()?;
    // It is asked after a second, and not after half a minute; three seconds later it is unreachable.
    let daemon = Daemon::start(&host, "--reachable-time 1s")?;
    let guest = Guest::boot(&host, "tap0", &text(A))?;
    confined(&daemon, "tap0")?;
    guest.add("fe80::2")?;
    wait::until("the first", || Ok(has(&daemon, "tap0", GUEST)?.then_some(())))?;
    // Another speaks behind the same TAP, while the first answers.
    let index = guest.stack().run(|| Ok(if_nametoindex(INTERFACE)?))?;
    let other = Witness::new(guest.stack(), index)?;
    let by_other = [claim(OWN, B), tcp(80, 2).with(|f| (f.source, f.source_mac) = (OWN, B))];
    let mut said = false;
    insists(|| {
        for frame in &by_other {
            other.send(&frame.bytes())?;
        }
        said |= says_why(&daemon)?;
        never_has(&daemon, "tap0", OWN)
    })?;
    assert!(said, "status says nothing of it: {}", daemon.netmon("status")?.out);
    // It stops answering: another guest runs behind this TAP.
    guest.stack().ip("link set eth0 down")?;
    guest.stack().ip("link set eth0 addrgenmode none")?;
    guest.stack().ip(&format!("link set eth0 address {} up", text(B)))?;
    guest.stack().ip(&format!("-6 addr add {OWN}/64 dev eth0 nodad"))?;
    // The former socket has heard that the interface went down.
    let other = Witness::new(guest.stack(), index)?;
    within(Duration::from_secs(10), "the other", || {
        other.send(&by_other[0].bytes())?;
        Ok(has(&daemon, "tap0", OWN)?.then_some(()))
    })?;
    guest.echoes(&host, OWN)
}

#[test]
fn an_address_moves_when_its_holder_is_silent_and_not_before() -> anyhow::Result<()> {
    let host = Host::new()?;
    bridge(&host, BRIDGE)?;
    let daemon = Daemon::start(&host, "")?;
    let holder = guest(&host, &daemon, "tap0", A)?;
    holder.add("fe80::2")?;
    wait::until("the holder", || Ok(has(&daemon, "tap0", GUEST)?.then_some(())))?;
    let tap = port(&host, &daemon, "tap1")?;
    let by_other = claim(GUEST, B).bytes();
    insists(|| {
        tap.send(&by_other)?;
        never_has(&daemon, "tap1", GUEST)
    })?;
    ensure!(has(&daemon, "tap0", GUEST)?, "its holder has lost it");
    talks(&host, GUEST)?;
    holder.stack().ip("-6 addr flush dev eth0")?;
    within(Duration::from_secs(3), "the address to move", || {
        tap.send(&by_other)?;
        Ok(has(&daemon, "tap1", GUEST)?.then_some(()))
    })?;
    never_has(&daemon, "tap0", GUEST)
}

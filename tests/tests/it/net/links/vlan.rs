//! A bridge that filters VLANs is as many links as it has VLANs.

use std::net::Ipv6Addr;

use netmon_tests::{
    daemon::Daemon,
    frame::{GUEST, HOST},
    guest::Guest,
    host::{Host, succeed},
    members::text,
    tap::Tap,
    wait,
};
use nix::net::if_::if_nametoindex;
use serde_json::Value;

use super::{A, B, answer, claim, confined, has_drops, never_has, passed};

/// A bridge that filters VLANs, with the host's address in VLANs 10 and 20, and a TAP in each. `None`: this kernel
/// has no such thing, and says why.
fn vlans(host: &Host) -> anyhow::Result<Option<[Tap; 2]>> {
    let tried = host
        .ip("link add br0 type bridge vlan_filtering 1 mcast_snooping 0")
        .and_then(|_| host.ip("link add link br0 name br0.10 type vlan id 10"));
    if let Err(error) = tried {
        eprintln!("not tested here, but in the VMs: {error:#}");
        return Ok(None);
    }
    let vlan = |words: &str| {
        let mut command = host.command("bridge");
        succeed(command.arg("vlan").args(words.split_whitespace())).map(drop)
    };
    host.ip("link add link br0 name br0.20 type vlan id 20")?;
    host.ip("link set br0 up")?;
    for id in [10, 20] {
        vlan(&format!("add vid {id} dev br0 self"))?;
        host.ip(&format!("link set br0.{id} addrgenmode none"))?;
        host.ip(&format!("link set br0.{id} up"))?;
        host.ip(&format!("-6 addr add {HOST}/64 dev br0.{id} nodad"))?;
    }
    let taps = [Tap::new(host, "tap10")?, Tap::new(host, "tap20")?];
    for (tap, id) in taps.iter().zip([10, 20]) {
        host.ip(&format!("link set {} addrgenmode none", tap.name))?;
        host.ip(&format!("link set {} master br0 up", tap.name))?;
        vlan(&format!("del vid 1 dev {}", tap.name))?;
        vlan(&format!("add vid {id} dev {} pvid untagged", tap.name))?;
    }
    Ok(Some(taps))
}

#[test]
fn the_same_address_in_two_vlans_is_two_guests() -> anyhow::Result<()> {
    let host = Host::new()?;
    let Some(taps) = vlans(&host)? else { return Ok(()) };
    let daemon = Daemon::start(&host, "")?;
    let mut guests = Vec::new();
    for (tap, mac) in taps.into_iter().zip([A, B]) {
        confined(&daemon, &tap.name)?;
        let guest = Guest::behind(tap, &text(mac))?;
        guest.add("fe80::2")?;
        guests.push(guest);
    }
    for (guest, vlan) in guests.iter().zip(["br0.10", "br0.20"]) {
        let index = host.run(|| Ok(if_nametoindex(vlan)?))?;
        let tap = &guest.tap().name;
        let scoped = format!("fe80::2%{index}");
        daemon.wait_json("endpoints", |rows| {
            let is_it = |row: &&Value| row["tap"] == **tap && row["scoped"] == *scoped;
            rows.iter().any(|row| is_it(&row)).then_some(())
        })?;
        guest.echoes_over(&host, index, GUEST, 0)?;
    }
    Ok(())
}

#[test]
fn the_hosts_address_in_a_vlan_is_no_guests_of_it() -> anyhow::Result<()> {
    let host = Host::new()?;
    let Some(taps) = vlans(&host)? else { return Ok(()) };
    let daemon = Daemon::start(&host, "")?;
    for tap in &taps {
        confined(&daemon, &tap.name)?;
        let lies = [claim(HOST, B).bytes(), answer(HOST, B).bytes()];
        assert_eq!(passed(&host, tap, &lies)?, 0, "{}: claims of the host's address", tap.name);
        never_has(&daemon, &tap.name, HOST)?;
        assert!(has_drops(&daemon, &tap.name)?);
    }
    Ok(())
}

/// A port that goes to another VLAN is of that link, and what it held in the former binds nobody there.
#[test]
fn a_port_that_goes_to_another_vlan_takes_nothing_along() -> anyhow::Result<()> {
    let host = Host::new()?;
    let Some([first, second]) = vlans(&host)? else { return Ok(()) };
    let daemon = Daemon::start(&host, "")?;
    let address: Ipv6Addr = "fe80::99".parse()?;
    for tap in [&first, &second] {
        confined(&daemon, &tap.name)?;
    }
    first.send(&claim(address, A).bytes())?;
    wait::until("the first", || Ok(super::has(&daemon, "tap10", address)?.then_some(())))?;
    for words in ["vlan del vid 10 dev tap10", "vlan add vid 20 dev tap10 pvid untagged"] {
        succeed(host.command("bridge").args(words.split_whitespace()))?;
    }
    wait::until("the other link's scope", || {
        second.send(&claim(GUEST, B).bytes())?;
        first.send(&claim(GUEST, A).bytes())?;
        let listed = [super::has(&daemon, "tap10", GUEST)?, super::has(&daemon, "tap20", GUEST)?];
        Ok((listed == [false, true]).then_some(()))
    })
}

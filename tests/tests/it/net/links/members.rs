//! Members of the bridge that are no guests: a router, the host's other interfaces, containers.

use std::net::Ipv6Addr;

use anyhow::ensure;
use netmon_tests::{
    daemon::Daemon,
    frame::{HOST, dad},
    host::Host,
    members::{
        BRIDGE, CONTAINER, CONTAINER_ADDRESS, CONTAINER_MAC, Member, ROUTER, ROUTER_MAC, Router,
        UPLINK, VETH, VETH_ADDRESS, VETH_MAC, own_veth, text,
    },
    tap::Tap,
    witness::Witness,
};

use super::{
    A, B, answer, bridge, claim, confined, guest, has_drops, home, insists, lladdr, never_has,
    passed, port,
};
use crate::net::{endpoints, policy::Config};

#[test]
fn nobody_becomes_the_router_by_saying_so() -> anyhow::Result<()> {
    let host = Host::new()?;
    bridge(&host, BRIDGE)?;
    let router = Router::join(&host)?;
    router.announce(&host)?;
    let flow = router.flow(&host)?;
    let daemon = Daemon::start(&host, "")?;
    let tap = port(&host, &daemon, "tap0")?;
    let lies = [claim(ROUTER, B).bytes(), answer(ROUTER, B).bytes()];
    assert_eq!(passed(&host, &tap, &lies)?, 0, "claims of the router's address came through");
    assert_eq!(lladdr(&host, ROUTER)?, Some(text(ROUTER_MAC)));
    assert!(has_drops(&daemon, "tap0")?, "they are counted");
    never_has(&daemon, "tap0", ROUTER)?;
    router.answers(&flow)
}

#[test]
fn the_default_router_is_nobodys_from_the_first_frame_after_a_start() -> anyhow::Result<()> {
    let host = Host::new()?;
    bridge(&host, BRIDGE)?;
    let router = Router::join(&host)?;
    router.announce(&host)?;
    // The host knows it by its route alone.
    host.ip(&format!("-6 neigh del {ROUTER} dev {BRIDGE}"))?;
    let taps = ["tap0", "tap1", "tap2"].map(|name| crate::net::up(&host, name));
    for name in ["tap0", "tap1", "tap2"] {
        host.ip(&format!("link set {name} master {BRIDGE}"))?;
    }
    let daemon = Daemon::start(&host, "")?;
    let firsts = [claim(ROUTER, B), answer(ROUTER, B), dad(ROUTER).with(|f| f.source_mac = B)];
    for (tap, first) in taps.into_iter().zip(firsts) {
        let tap = tap?;
        confined(&daemon, &tap.name)?;
        let witness = Witness::new(&host, tap.index)?;
        tap.send(&first.bytes())?;
        insists(|| {
            never_has(&daemon, &tap.name, ROUTER)?;
            // It may ask: the router answers. It may not say that it has it.
            let seen = witness.seen()?;
            let asks = |frame: &Vec<u8>| frame.get(54) == Some(&135);
            ensure!(seen.iter().all(asks), "its first frame came through: {seen:02x?}");
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn a_silent_guest_does_not_begin_with_anothers_mac() -> anyhow::Result<()> {
    let host = Host::new()?;
    bridge(&host, BRIDGE)?;
    let daemon = Daemon::start(&host, "")?;
    let good = guest(&host, &daemon, "tap0", A)?;
    good.add("fe80::a")?;
    ensure!(good.pings(HOST), "it gets an answer");
    let tap = port(&host, &daemon, "tap1")?;
    is_not_taken(&host, &daemon, &tap, A, "tap0")
}

/// The guest behind `tap` speaks for the first time, with the MAC of somebody who is at another port.
fn is_not_taken(
    host: &Host,
    daemon: &Daemon<'_>,
    tap: &Tap,
    mac: [u8; 6],
    port: &str,
) -> anyhow::Result<()> {
    assert_eq!(home(host, mac)?.as_deref(), Some(port), "it is there before");
    let theft = claim(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99), mac).bytes();
    tap.send(&theft)?;
    assert_eq!(home(host, mac)?.as_deref(), Some(port), "the bridge takes it for the guest's");
    assert_eq!(passed(host, tap, &[theft])?, 0, "frames with another's MAC came through");
    assert_eq!(home(host, mac)?.as_deref(), Some(port));
    ensure!(has_drops(daemon, &tap.name)?, "they are not counted");
    Ok(())
}

/// Neither the address nor the MAC of a member of the bridge is to be had by a guest, whether it knows nothing of it
/// (`tap0`) or has not spoken at all (`tap1`).
fn is_not_to_be_had(
    host: &Host,
    address: Ipv6Addr,
    mac: [u8; 6],
    port_of_it: Option<&str>,
) -> anyhow::Result<()> {
    let daemon = Daemon::start(host, "")?;
    let tap = port(host, &daemon, "tap0")?;
    let lies = [claim(address, B).bytes(), answer(address, B).bytes()];
    assert_eq!(passed(host, &tap, &lies)?, 0, "claims of {address} came through");
    insists(|| {
        tap.send(&lies[0])?;
        never_has(&daemon, "tap0", address)?;
        ensure!(lladdr(host, address)? != Some(text(B)), "the host takes the guest for it");
        Ok(())
    })?;
    ensure!(has_drops(&daemon, "tap0")?, "they are not counted");
    drop(tap);
    let tap = port(host, &daemon, "tap1")?;
    if let Some(port) = port_of_it {
        return is_not_taken(host, &daemon, &tap, mac, port);
    }
    let own = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99);
    assert_eq!(passed(host, &tap, &[claim(own, mac).bytes()])?, 0, "its MAC came through");
    Ok(())
}

#[test]
fn a_veth_of_the_hosts_is_no_guests() -> anyhow::Result<()> {
    let host = Host::new()?;
    bridge(&host, BRIDGE)?;
    own_veth(&host)?;
    super::talks(&host, VETH_ADDRESS)?;
    is_not_to_be_had(&host, VETH_ADDRESS, VETH_MAC, Some(VETH))
}

#[test]
fn a_macvlan_on_the_bridge_is_no_guests() -> anyhow::Result<()> {
    const ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x3a);
    const MAC: [u8; 6] = [2, 0xfc, 0, 0, 0, 0x3a];
    let host = Host::new()?;
    bridge(&host, BRIDGE)?;
    let mac = text(MAC);
    host.ip(&format!("link add mv0 link {BRIDGE} address {mac} type macvlan mode bridge"))?;
    host.ip("link set mv0 addrgenmode none")?;
    host.ip("link set mv0 up")?;
    host.ip(&format!("-6 addr add {ADDRESS}/64 dev mv0 nodad"))?;
    is_not_to_be_had(&host, ADDRESS, MAC, None)
}

#[test]
fn a_container_that_has_spoken_is_no_guests() -> anyhow::Result<()> {
    let host = Host::new()?;
    bridge(&host, BRIDGE)?;
    let _container = Member::container(&host)?;
    super::talks(&host, CONTAINER_ADDRESS)?;
    is_not_to_be_had(&host, CONTAINER_ADDRESS, CONTAINER_MAC, Some(CONTAINER))
}

#[test]
fn a_container_that_is_silent_but_answers_is_no_guests() -> anyhow::Result<()> {
    let host = Host::new()?;
    bridge(&host, BRIDGE)?;
    let _container = Member::container(&host)?;
    let daemon = Daemon::start(&host, "")?;
    let tap = port(&host, &daemon, "tap0")?;
    let lies = [claim(CONTAINER_ADDRESS, B).bytes(), answer(CONTAINER_ADDRESS, B).bytes()];
    assert_eq!(passed(&host, &tap, &lies)?, 0, "nobody knows of it, and so it is asked for");
    insists(|| {
        tap.send(&lies[0])?;
        never_has(&daemon, "tap0", CONTAINER_ADDRESS)
    })?;
    assert!(has_drops(&daemon, "tap0")?);
    Ok(())
}

#[test]
fn the_routers_mac_is_no_guests() -> anyhow::Result<()> {
    let host = Host::new()?;
    bridge(&host, BRIDGE)?;
    let router = Router::join(&host)?;
    router.announce(&host)?;
    let daemon = Daemon::start(&host, "")?;
    let tap = port(&host, &daemon, "tap0")?;
    is_not_taken(&host, &daemon, &tap, ROUTER_MAC, UPLINK)
}

#[test]
fn what_the_configuration_reserves_is_no_guests_though_nobody_has_it() -> anyhow::Result<()> {
    const ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x53);
    const MAC: [u8; 6] = [2, 0xfc, 0, 0, 0, 0x53];
    let host = Host::new()?;
    bridge(&host, BRIDGE)?;
    let (address, mac) = (ADDRESS.to_string(), text(MAC));
    let config = Config::new(
        "reserved",
        &format!("[[reserved]]\nlink = \"br0\"\naddresses = [\"{address}\"]\nmacs = [\"{mac}\"]\n"),
    )?;
    let daemon = Daemon::start(&host, &config.flag())?;
    let tap = port(&host, &daemon, "tap0")?;
    let own = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99);
    let lies = [claim(own, MAC).bytes(), claim(ADDRESS, B).bytes(), answer(ADDRESS, B).bytes()];
    assert_eq!(passed(&host, &tap, &lies)?, 0, "what is reserved came through");
    insists(|| {
        tap.send(&lies[1])?;
        never_has(&daemon, "tap0", ADDRESS)
    })?;
    assert!(has_drops(&daemon, "tap0")?);
    assert_eq!(home(&host, MAC)?, None);
    assert!(endpoints(&daemon)?.iter().any(|row| row.contains("fe80::b ")), "its own is its own");
    Ok(())
}

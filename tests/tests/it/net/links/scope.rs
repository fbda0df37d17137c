//! The scope by which a guest is dialled is the interface by which the host reaches it.

use netmon_tests::{
    daemon::Daemon,
    frame::{GUEST, GUEST_MAC},
    host::Host,
    members::BRIDGE,
    wait,
    witness::Witness,
};
use nix::net::if_::if_nametoindex;

use super::{A, B, bridge, claim, guest, has, within};
use crate::net::{attack::forbidden, confined, drops, up};

#[test]
fn what_resolve_prints_for_a_tap_in_a_bridge_can_be_dialled() -> anyhow::Result<()> {
    let host = Host::new()?;
    bridge(&host, BRIDGE)?;
    let daemon = Daemon::start(&host, "")?;
    let guest = guest(&host, &daemon, "tap0", A)?;
    guest.add("fe80::2")?;
    wait::until("the guest", || Ok(has(&daemon, "tap0", GUEST)?.then_some(())))?;
    let index = host.run(|| Ok(if_nametoindex(BRIDGE)?))?;
    let said = daemon.netmon("resolve tap0 --port 7")?;
    assert_eq!((said.code, said.out), (Some(0), format!("[fe80::2%{index}]:7\n")));
    guest.echoes_over(&host, index, GUEST, 0)?;
    let rows = daemon.json("endpoints")?;
    assert_eq!(rows[0]["ifindex"].as_u64(), Some(index.into()), "{rows}");
    assert_eq!(rows[0]["scoped"].as_str(), Some(format!("fe80::2%{index}").as_str()), "{rows}");
    Ok(())
}

/// A TAP moves to another bridge, and the bridge goes, while its guest never stops attacking.
#[test]
fn a_tap_that_moves_is_of_its_new_link_within_a_second() -> anyhow::Result<()> {
    const SECOND: std::time::Duration = std::time::Duration::from_secs(1);
    let host = Host::new()?;
    for name in ["br0", "br1"] {
        host.ip(&format!("link add {name} type bridge mcast_snooping 0"))?;
        host.ip(&format!("link set {name} up"))?;
    }
    let taps = [up(&host, "tap0")?, up(&host, "tap1")?];
    let [good, evil] = &taps;
    host.ip("link set tap0 master br0")?;
    host.ip("link set tap1 master br1")?;
    let daemon = Daemon::start(&host, "")?;
    confined(&daemon, "tap0")?;
    confined(&daemon, "tap1")?;
    let (by_good, by_evil) = (claim(GUEST, A).bytes(), claim(GUEST, B).bytes());
    let both = || -> anyhow::Result<Option<()>> {
        good.send(&by_good)?;
        evil.send(&by_evil)?;
        Ok((has(&daemon, "tap0", GUEST)? && has(&daemon, "tap1", GUEST)?).then_some(()))
    };
    wait::until("two links with an address each", both)?;
    let witness = Witness::new(&host, evil.index)?;
    // Not what another MAC says: on a new link that may be a new guest.
    let is_of_any = |frame: &Vec<u8>| frame.get(6..12) == Some(&GUEST_MAC);
    let forbidden: Vec<_> = forbidden().into_iter().filter(is_of_any).collect();
    let attack = || -> anyhow::Result<()> {
        for frame in &forbidden {
            evil.send(frame)?;
        }
        let seen = witness.seen()?;
        assert!(!seen.iter().any(|frame| forbidden.contains(frame)), "a frame came through");
        Ok(())
    };
    host.ip("link set tap1 master br0")?;
    within(SECOND, "one link with one holder", || {
        attack()?;
        evil.send(&by_evil)?;
        let refused = drops(&daemon)?.iter().any(|row| row.starts_with("tap1 ingress binding_"));
        Ok((refused && !has(&daemon, "tap1", GUEST)?).then_some(()))
    })?;
    host.ip("link del br0")?;
    within(SECOND, "two links again", || {
        attack()?;
        both()
    })
}

//! A link is a bridge with all its members, and no guest takes what belongs to any of them.
//!
//! Each test says what is right. The helpers make the bridge and its ports; `netmon_tests::members` makes who
//! else is on it.

mod dad;
mod members;
mod moves;
mod scope;
mod vlan;

use std::{
    net::Ipv6Addr,
    time::{Duration, Instant},
};

use anyhow::ensure;
use netmon_tests::{
    daemon::Daemon,
    frame::{Frame, HOST, HOST_MAC, advertisement, echo, mac_option},
    guest::{Guest, pings_for},
    host::{Host, succeed},
    members::{BRIDGE, text},
    tap::Tap,
    wait,
    witness::Witness,
};

use super::{confined, drops, endpoints};

/// The guests' MACs.
const A: [u8; 6] = [2, 0xfc, 0, 0, 0, 0xa];
const B: [u8; 6] = [2, 0xfc, 0, 0, 0, 0xb];

/// An address that is nobody's but the guest's that says so.
const OWN: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xb);

/// How long somebody who must not get a thing goes on trying.
const INSISTS: Duration = Duration::from_secs(3);

/// The host's bridge, with the host's address on it.
fn bridge(host: &Host, name: &str) -> anyhow::Result<()> {
    host.ip(&format!("link add {name} type bridge mcast_snooping 0"))?;
    host.ip(&format!("link set {name} addrgenmode none"))?;
    host.ip(&format!("link set {name} address {} up", text(HOST_MAC)))?;
    host.ip(&format!("-6 addr add {HOST}/64 dev {name} nodad")).map(drop)
}

/// A TAP in the bridge, confined before it is up.
fn port(host: &Host, daemon: &Daemon<'_>, name: &str) -> anyhow::Result<Tap> {
    let tap = Tap::new(host, name)?;
    host.ip(&format!("link set {name} addrgenmode none"))?;
    host.ip(&format!("link set {name} master {BRIDGE}"))?;
    confined(daemon, name)?;
    host.ip(&format!("link set {name} up"))?;
    Ok(tap)
}

/// A real guest behind one, with no address yet.
fn guest(host: &Host, daemon: &Daemon<'_>, name: &str, mac: [u8; 6]) -> anyhow::Result<Guest> {
    let guest = Guest::behind(port(host, daemon, name)?, &text(mac))?;
    guest.stack().ip("link set eth0 addrgenmode none")?;
    guest.stack().ip("-6 addr flush dev eth0")?;
    Ok(guest)
}

/// "`target` is here, at `mac`": to everybody.
fn claim(target: Ipv6Addr, mac: [u8; 6]) -> Frame {
    advertisement(target).with(|frame| {
        frame.source_mac = mac;
        frame.payload.truncate(24);
        frame.payload.extend(mac_option(2, mac));
    })
}

/// The same as if the host had asked: solicited, override.
fn answer(target: Ipv6Addr, mac: [u8; 6]) -> Frame {
    claim(target, mac).with(|frame| {
        frame.destination = HOST;
        frame.payload.splice(4..=4, [0x60]).for_each(drop);
    })
}

/// What of these frames the host's stack sees, though they are sent until a frame from `B`'s own address has
/// come through: that shows, too, that a guest that lies is not locked out for it.
fn passed(host: &Host, tap: &Tap, frames: &[Vec<u8>]) -> anyhow::Result<usize> {
    let witness = Witness::new(host, tap.index)?;
    let honest = echo(HOST).with(|f| (f.source, f.source_mac) = (OWN, B)).bytes();
    let (mut passed, start) = (0, Instant::now());
    wait::until("an honest frame behind the lies", || {
        for frame in frames {
            tap.send(frame)?;
        }
        if start.elapsed() > Duration::from_millis(500) {
            tap.send(&honest)?;
        }
        let seen = witness.seen()?;
        passed += seen.iter().filter(|frame| frames.contains(frame)).count();
        Ok(seen.contains(&honest).then_some(passed))
    })
}

/// Waits until the host gets an answer of this address on the bridge.
fn talks(host: &Host, address: Ipv6Addr) -> anyhow::Result<()> {
    let answers = || Ok(pings_for(host, address, BRIDGE, 1).then_some(()));
    wait::until(&format!("an answer of {address}"), answers)
}

/// Whether any frame of the guest's has been dropped, and counted.
fn has_drops(daemon: &Daemon<'_>, tap: &str) -> anyhow::Result<bool> {
    let ingress = format!("{tap} ingress ");
    Ok(drops(daemon)?.iter().any(|row| row.starts_with(&ingress)))
}

/// Whether the address is listed as this guest's and counts as reached.
fn has(daemon: &Daemon<'_>, tap: &str, address: Ipv6Addr) -> anyhow::Result<bool> {
    Ok(endpoints(daemon)?.contains(&format!("{tap} {address} reachable")))
}

/// Fails if the address is listed as this guest's in any way but as one that is asked for.
fn never_has(daemon: &Daemon<'_>, tap: &str, address: Ipv6Addr) -> anyhow::Result<()> {
    let listed = endpoints(daemon)?;
    let row = format!("{tap} {address} ");
    let bound = listed.iter().find(|line| line.starts_with(&row) && !line.ends_with(" tentative"));
    ensure!(bound.is_none(), "it is the guest's: {listed:?}");
    Ok(())
}

/// The MAC by which the host reaches an address.
fn lladdr(host: &Host, address: Ipv6Addr) -> anyhow::Result<Option<String>> {
    let shown = host.ip(&format!("-6 neigh show {address} dev {BRIDGE}"))?;
    let mac = shown.split_whitespace().skip_while(|word| *word != "lladdr").nth(1);
    Ok(mac.map(str::to_owned))
}

/// The port of the bridge behind which it believes this MAC to be.
fn home(host: &Host, mac: [u8; 6]) -> anyhow::Result<Option<String>> {
    let shown = succeed(host.command("bridge").args(["fdb", "show", "br", BRIDGE]))?;
    let row = shown.lines().find(|row| row.starts_with(&text(mac)) && row.contains(" master "));
    Ok(row.and_then(|row| row.split_whitespace().nth(2)).map(str::to_owned))
}

/// Tries again and again for a while, and fails as soon as `check` does.
fn insists(mut check: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let start = Instant::now();
    while start.elapsed() < INSISTS {
        check()?;
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// How long it takes until `done`, and that this is no longer than `limit`.
fn within(
    limit: Duration,
    what: &str,
    done: impl FnMut() -> anyhow::Result<Option<()>>,
) -> anyhow::Result<()> {
    let start = Instant::now();
    wait::until(what, done)?;
    let took = start.elapsed();
    ensure!(took <= limit, "{what}: it took {took:?}, more than {limit:?}");
    Ok(())
}

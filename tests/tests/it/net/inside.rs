//! What a frame carries inside: a guest touches no flow of the host's to elsewhere and no table of its bridge, and an
//! honest guest that routes, or answers from another address of its own, is reached. Each with its control.

use std::{
    io::ErrorKind,
    net::{Ipv6Addr, SocketAddrV6, UdpSocket},
    time::Duration,
};

use netmon_tests::{
    daemon::Daemon,
    frame::{
        ALL_NODES, GUEST, HOST, OTHER_MAC, SECOND, advertisement, dad, dhcp, echo, error, ethernet,
        records,
    },
    guest::{Guest, INTERFACE, wait_for_dad},
    host::Host,
    tap::Tap,
    wait,
    witness::Witness,
};

use super::{confined, drops, sent_and_seen, up};

const HOSTS_GLOBAL: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1);
const RESOLVER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x53, 0, 0, 0, 0, 0x53);

/// A host with a way to the Internet, over an interface that is not the guest's, and a TAP.
fn connected() -> anyhow::Result<(Host, Tap, Tap)> {
    let host = Host::new()?;
    let uplink = up(&host, "up0")?;
    host.ip(&format!("-6 addr add {HOSTS_GLOBAL}/64 dev up0 nodad"))?;
    host.ip("-6 route add default dev up0")?;
    let tap = up(&host, "tap0")?;
    host.ip(&format!("-6 addr add {HOST}/64 dev tap0 nodad"))?;
    wait_for_dad(&host, "tap0")?;
    Ok((host, tap, uplink))
}

/// A socket of the host's that speaks to the resolver.
fn asking(host: &Host) -> anyhow::Result<UdpSocket> {
    let socket = host.run(|| {
        let socket = UdpSocket::bind(SocketAddrV6::new(HOSTS_GLOBAL, 4053, 0, 0))?;
        socket.connect(SocketAddrV6::new(RESOLVER, 53, 0, 0))?;
        Ok(socket)
    })?;
    socket.set_read_timeout(Some(Duration::from_millis(300)))?;
    Ok(socket)
}

/// Errors about that socket's datagrams: its port is unreachable, and too big.
fn forged(kind: u8, to: [u8; 6]) -> Vec<u8> {
    let ports = [4053_u16.to_be_bytes(), 53_u16.to_be_bytes()].concat();
    let forged = error(kind, HOSTS_GLOBAL, RESOLVER).with(|f| {
        f.destination_mac = Some(to);
        f.payload.splice(48..52, ports).for_each(drop);
        let (code, mtu) = if kind == 2 { (0, [0, 0, 5, 0]) } else { (4, [0; 4]) };
        f.payload[1] = code;
        f.payload.splice(4..8, mtu).for_each(drop);
    });
    forged.bytes()
}

/// What comes of both: the socket's error, and whether there is a route with an MTU.
fn harm(host: &Host, tap: &Tap) -> anyhow::Result<(Option<ErrorKind>, bool)> {
    let socket = asking(host)?;
    let mac = tap.mac()?;
    for frame in [2, 1].map(|kind| forged(kind, mac)).iter().cycle().take(40) {
        tap.send(frame)?;
    }
    let heard = socket.recv(&mut [0; 9]).err().map(|error| error.kind());
    let routes = host.ip(&format!("-6 route get {RESOLVER}"))?;
    Ok((heard, routes.contains("mtu 1280")))
}

#[test]
fn errors_about_other_flows_reach_nobody() -> anyhow::Result<()> {
    let (host, tap, _uplink) = connected()?;
    let daemon = Daemon::start(&host, "--profile aurae --tap tap*")?;
    confined(&daemon, "tap0")?;
    assert_eq!(harm(&host, &tap)?, (Some(ErrorKind::WouldBlock), false));
    assert_eq!(drops(&daemon)?, ["tap0 ingress icmp_error 40"]);
    Ok(())
}

#[test]
fn without_netmon_they_do() -> anyhow::Result<()> {
    let (host, tap, _uplink) = connected()?;
    assert_eq!(harm(&host, &tap)?, (Some(ErrorKind::ConnectionRefused), true));
    Ok(())
}

#[test]
fn an_honest_port_unreachable_reaches_the_hosts_socket() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let guest = Guest::boot(&host, "tap0", "02:fc:00:00:00:01")?;
    confined(&daemon, "tap0")?;
    guest.add("fe80::2")?;
    wait_for_dad(&host, "tap0")?;
    let index = guest.tap().index;
    let socket = host.run(|| {
        let socket = UdpSocket::bind("[::]:0")?;
        socket.connect(SocketAddrV6::new(GUEST, 9, 0, index))?;
        Ok(socket)
    })?;
    socket.send(b"?")?;
    socket.set_read_timeout(Some(wait::PATIENCE))?;
    let heard = socket.recv(&mut [0; 9]).map_err(|error| error.kind());
    assert_eq!(heard, Err(ErrorKind::ConnectionRefused));
    assert_eq!(drops(&daemon)?, [""; 0]);
    Ok(())
}

#[test]
fn what_is_not_for_a_guest_to_say_is_named() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let tap = up(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    let witness = Witness::new(&host, tap.index)?;
    // What QEMU says for a guest that it has restored.
    let mut frames = vec![ethernet(0x8035); 5];
    frames.extend([dhcp(547, 546).bytes(), dhcp(0xc000, 546).bytes(), dhcp(547, 547).bytes()]);
    let seen = sent_and_seen(&tap, &witness, &frames, &echo(ALL_NODES).bytes())?;
    assert_eq!(seen, [[0_u8; 0]; 0]);
    let mut counted = drops(&daemon)?;
    counted.sort();
    assert_eq!(counted, ["tap0 ingress dhcp_server 3", "tap0 ingress rarp 5"]);
    let said = daemon.netmon("policy tap0 --dhcp-server true")?;
    assert_eq!(said.code, Some(0), "{}", said.err);
    let frames = [dhcp(547, 546).bytes()];
    assert_eq!(sent_and_seen(&tap, &witness, &frames, &echo(ALL_NODES).bytes())?, frames);
    Ok(())
}

/// As KAME does: it answers for one of its addresses from another.
#[test]
fn an_address_that_is_advertised_from_another_one_is_reached() -> anyhow::Result<()> {
    let (host, tap, _uplink) = connected()?;
    let daemon = Daemon::start(&host, "--tap tap*")?;
    confined(&daemon, "tap0")?;
    tap.send(&dad(SECOND).bytes())?;
    tap.send(&advertisement(GUEST).bytes())?;
    let answer = advertisement(SECOND).with(|f| {
        f.source = GUEST;
        f.destination = HOST;
        f.payload[4] = 0x60;
    });
    let mac = tap.mac()?;
    let answer = answer.with(|f| f.destination_mac = Some(mac)).bytes();
    let index = tap.index;
    let socket = host.run(|| Ok(UdpSocket::bind("[::]:0")?))?;
    wait::until("a datagram to the second address", || {
        socket.send_to(b"?", SocketAddrV6::new(SECOND, 9, 0, index))?;
        tap.send(&answer)?;
        let neighbors = host.ip(&format!("-6 neigh show {SECOND} dev tap0"))?;
        Ok(neighbors.contains("REACHABLE").then_some(()))
    })?;
    daemon.wait_json("endpoints", |rows| {
        let is_it = |row: &&serde_json::Value| row["address"] == SECOND.to_string();
        rows.iter().find(is_it).filter(|row| row["state"] == "reachable").map(|_| ())
    })?;
    assert_eq!(drops(&daemon)?, [""; 0]);
    // Not so for an address that the guest does not have.
    let another = "fe80::bad".parse()?;
    tap.send(&advertisement(another).with(|f| f.source = GUEST).bytes())?;
    wait::until("its drop", || Ok((drops(&daemon)? == ["tap0 ingress nd_target 1"]).then_some(())))
}

/// Docker in the guest, or a nested host.
#[test]
fn a_guest_that_routes_is_found_and_reached() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let guest = Guest::boot(&host, "tap0", "02:fc:00:00:00:01")?;
    confined(&daemon, "tap0")?;
    for name in ["all", INTERFACE] {
        let path = format!("/proc/sys/net/ipv6/conf/{name}/forwarding");
        guest.stack().run(|| Ok(std::fs::write(path, "1")?))?;
    }
    guest.add("fe80::2")?;
    wait_for_dad(&host, "tap0")?;
    guest.echoes(&host, GUEST)?;
    daemon.wait_json("endpoints", |rows| {
        let is_it = |row: &&serde_json::Value| row["address"] == "fe80::2";
        rows.iter().find(is_it).filter(|row| row["state"] == "reachable").map(|_| ())
    })?;
    assert_eq!(drops(&daemon)?, [""; 0]);
    Ok(())
}

/// A bridge that snoops, with room for 128 groups, and a TAP in it.
fn snooping() -> anyhow::Result<(Host, Tap)> {
    let host = Host::new()?;
    host.ip("link add br0 type bridge mcast_snooping 1 mcast_hash_max 128")?;
    host.ip("link set br0 up")?;
    let tap = up(&host, "tap0")?;
    host.ip("link set tap0 master br0")?;
    wait::until("tap0 to forward", || {
        Ok(host.ip("-d link show tap0")?.contains("state forwarding").then_some(()))
    })?;
    Ok((host, tap))
}

/// 120 reports of as many groups as one may name, none of them twice.
fn flood(tap: &Tap, groups: u16) -> anyhow::Result<()> {
    for report in 0..120_u16 {
        let group = |number| Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1 + report, number);
        let all: Vec<_> = (0..groups).map(|number| (4, 0, 0, group(number))).collect();
        tap.send(&records(&all).bytes())?;
    }
    Ok(())
}

fn snoops(host: &Host) -> anyhow::Result<bool> {
    let snoops = host.ip("-d link show br0")?;
    Ok(snoops.contains("mcast_snooping 1"))
}

#[test]
fn a_flood_of_groups_leaves_the_bridge_its_table() -> anyhow::Result<()> {
    let (host, tap) = snooping()?;
    let daemon = Daemon::start(&host, "")?;
    confined(&daemon, "tap0")?;
    let said = daemon.netmon("policy tap0 --nd-rate 1000")?;
    assert_eq!(said.code, Some(0), "{}", said.err);
    flood(&tap, 70)?;
    flood(&tap, 30)?;
    // XDP has seen each when its write returns.
    let mut counted = drops(&daemon)?;
    // A bridge that snoops may ask for listeners itself, by IPv4 too, which the guest does not get.
    counted.retain(|row| row.starts_with("tap0 ingress "));
    counted.sort();
    assert_eq!(counted, ["tap0 ingress mld_groups 119", "tap0 ingress mld_record 120"]);
    let entries = host.command("bridge").args(["mdb", "show", "dev", "br0"]).output()?;
    let entries = String::from_utf8_lossy(&entries.stdout);
    let number = entries.lines().filter(|row| row.contains("port tap0")).count();
    assert!((30..=40).contains(&number), "{number} entries: {entries}");
    assert!(snoops(&host)?);
    Ok(())
}

/// What a former guest has listened to is not held against the next one.
#[test]
fn the_next_guest_has_all_places() -> anyhow::Result<()> {
    let (host, tap) = snooping()?;
    let daemon = Daemon::start(&host, "")?;
    confined(&daemon, "tap0")?;
    flood(&tap, 30)?;
    assert!(drops(&daemon)?.iter().any(|row| row.contains("mld_groups")), "{:?}", drops(&daemon)?);
    let said = daemon.netmon("policy tap0 --mac 02:fc:00:00:00:02")?;
    assert_eq!(said.code, Some(0), "{}", said.err);
    let all: Vec<_> =
        (0..32).map(|number| (4, 0, 0, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 9, number))).collect();
    let report = records(&all).with(|f| f.source_mac = OTHER_MAC).bytes();
    wait::until("a report of as many groups as a port may have", || {
        let before = drops(&daemon)?;
        tap.send(&report)?;
        Ok((drops(&daemon)? == before).then_some(()))
    })
}

#[test]
fn without_netmon_it_does_not() -> anyhow::Result<()> {
    let (host, tap) = snooping()?;
    flood(&tap, 30)?;
    wait::until("the bridge to stop snooping", || Ok((!snoops(&host)?).then_some(())))
}

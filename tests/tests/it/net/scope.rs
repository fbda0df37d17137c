//! Which interface a guest is dialled by, and in which form other people's programs are told.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddrV6, TcpListener},
    thread,
};

use anyhow::Context as _;
use netmon_tests::{
    daemon::Daemon,
    frame::{GUEST, HOST},
    guest::{Guest, wait_for_dad},
    host::{Host, succeed},
    tap::Tap,
    wait,
};
use nix::net::if_::if_nametoindex;

use super::confined;

/// A guest behind a TAP with this interface index. It answers HTTP on port 8080 with its index.
fn web(host: &Host, index: u32) -> anyhow::Result<Guest> {
    let name = format!("vm{index}");
    let tap = host.run(|| Tap::try_open(&name, libc::IFF_TAP, Some(index)))?;
    let tap = tap.context("somebody has it open")?;
    assert_eq!(tap.index, index);
    host.ip(&format!("link set {name} up"))?;
    let [.., high, low] = index.to_be_bytes();
    let guest = Guest::behind(tap, &format!("02:fc:00:01:{high:02x}:{low:02x}"))?;
    guest.add(&GUEST.to_string())?;
    let bound = guest.stack().run(|| {
        let scope = if_nametoindex(netmon_tests::guest::INTERFACE)?;
        Ok(TcpListener::bind(SocketAddrV6::new(GUEST, 8080, 0, scope))?)
    })?;
    thread::spawn(move || {
        for stream in bound.incoming().flatten() {
            let mut request = [0; 1024];
            let _read = (&stream).read(&mut request);
            let _gone = write!(&stream, "HTTP/1.0 200 OK\r\n\r\nguest {index}");
        }
    });
    Ok(guest)
}

/// curl reads `%25` as an escape of `%`: of `fe80::2%253` it dials scope 3, and of `%25253` the guest.
#[test]
fn curl_dials_the_guest_of_any_index_by_the_form_for_urls() -> anyhow::Result<()> {
    let host = &Host::new()?;
    let daemon = Daemon::start(host, "")?;
    let guests = thread::scope(|scope| {
        let boot = |index| scope.spawn(move || web(host, index));
        let all: Vec<_> = (250..260).map(boot).collect();
        let all = all.into_iter().map(|one| one.join().unwrap_or_else(|_| anyhow::bail!("boot")));
        all.collect::<anyhow::Result<Vec<_>>>()
    })?;
    for index in (250..).take(guests.len()) {
        let tap = format!("vm{index}");
        confined(&daemon, &tap)?;
        wait_for_dad(host, &tap)?;
        let waited = daemon.netmon(&format!("wait {tap} reachable"))?;
        assert_eq!(waited.code, Some(0), "{}", waited.err);
        let said = daemon.netmon(&format!("resolve --url fe80::2%{tap}"))?;
        assert_eq!(said.out, format!("[fe80::2%25{index}]:8080\n"));
        let url = format!("http://{}/", said.out.trim());
        let answer = succeed(host.command("curl").args(["-sS", "--max-time", "5", &url]))?;
        assert_eq!(answer, format!("guest {index}"));
        let plain = daemon.netmon(&format!("resolve fe80::2%{tap}"))?;
        assert_eq!(plain.out, format!("[fe80::2%{index}]:8080\n"));
    }
    Ok(())
}

/// Why there is a form for URLs: by the other one, curl reaches another guest, and says nothing.
#[test]
fn without_the_form_for_urls_curl_dials_another_guest() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let _guests = [web(&host, 3)?, web(&host, 253)?];
    for tap in ["vm3", "vm253"] {
        confined(&daemon, tap)?;
        wait_for_dad(&host, tap)?;
    }
    let waited = daemon.netmon("wait vm253 reachable")?;
    assert_eq!(waited.code, Some(0), "{}", waited.err);
    for (flag, answer) in [("", "guest 3"), ("--url", "guest 253")] {
        let said = daemon.netmon(&format!("resolve {flag} fe80::2%vm253"))?;
        let url = format!("http://{}/", said.out.trim());
        let got = succeed(host.command("curl").args(["-sS", "--max-time", "5", &url]))?;
        assert_eq!(got, answer, "{url}");
    }
    Ok(())
}

#[test]
fn a_guest_on_a_bridge_is_dialled_over_the_bridge() -> anyhow::Result<()> {
    let host = Host::new()?;
    host.ip("link add br0 type bridge mcast_snooping 0")?;
    host.ip("link set br0 up")?;
    host.ip(&format!("-6 addr add {HOST}/64 dev br0 nodad"))?;
    let bridge = host.run(|| Ok(if_nametoindex("br0")?))?;
    let daemon = Daemon::start(&host, "")?;
    let tap = Tap::new(&host, "tap0")?;
    host.ip("link set tap0 master br0 up")?;
    let index = tap.index;
    let guest = Guest::behind(tap, "02:fc:00:00:00:01")?;
    guest.add(&GUEST.to_string())?;
    wait::until("the bridge's scope", || {
        let said = daemon.netmon("resolve fe80::2%tap0")?;
        Ok((said.out == format!("[fe80::2%{bridge}]:8080\n")).then_some(()))
    })?;
    let row = daemon.wait_json("endpoints", |rows| {
        rows.iter().find(|row| row["address"] == "fe80::2").cloned()
    })?;
    assert_eq!(row["ifindex"].as_u64(), Some(bridge.into()));
    assert_eq!(row["tap_ifindex"].as_u64(), Some(index.into()));
    assert_eq!(row["scoped"], format!("fe80::2%{bridge}"));
    guest.echoes_over(&host, bridge, GUEST, 0)
}

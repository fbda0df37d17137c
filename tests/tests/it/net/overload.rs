//! Guests and clients ask for more than there is.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use netmon_tests::{
    daemon::{Daemon, binary},
    frame::{GUEST, advertisement},
    host::{Host, succeed},
    wait,
};
use nix::sys::signal::Signal;

use super::{
    attack::{forbidden, protected, under_attack},
    confined, up,
};

/// A connection to the daemon's socket, past the command line.
fn connect(daemon: &Daemon<'_>) -> anyhow::Result<UnixStream> {
    let path = format!("/proc/{}/root/run/netmon/netmon.sock", daemon.pid());
    UnixStream::connect(&path).context(path)
}

/// The daemon's memory in KiB.
fn memory(daemon: &Daemon<'_>) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

#[test]
fn who_speaks_while_the_daemon_stands_still_is_listed_when_it_goes_on() -> anyhow::Result<()> {
    let host = Host::new()?;
    let (evil, daemon) = protected(&host)?;
    let good = up(&host, "tap1")?;
    confined(&daemon, "tap1")?;
    under_attack(&host, &evil, || {
        daemon.signal(Signal::SIGSTOP)?;
        for _ in 0..2000 {
            for frame in forbidden() {
                evil.send(&frame)?;
            }
            evil.send(&advertisement(GUEST).bytes())?;
        }
        good.send(&advertisement(GUEST).bytes())?;
        daemon.signal(Signal::SIGCONT)?;
        let since = Instant::now();
        daemon.wait_json("endpoints", |rows| {
            rows.iter().any(|row| row["tap"] == "tap1").then_some(())
        })?;
        // By its event, and not by the look at all that comes every five seconds.
        assert!(since.elapsed() < Duration::from_secs(4), "{:?}", since.elapsed());
        Ok(())
    })?;
    let said = daemon.netmon("drops")?;
    assert!(!said.err.contains("lost"), "no guest can fill the ring alone: {}", said.err);
    Ok(())
}

#[test]
fn clients_that_use_up_all_descriptors_stop_nothing_but_clients() -> anyhow::Result<()> {
    let host = Host::new()?;
    let mut command = host.command("prlimit");
    command.arg("--nofile=128:128").arg(binary()).arg("run");
    let daemon = Daemon::of(&host, command)?;
    let tap = up(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    tap.send(&advertisement(GUEST).bytes())?;
    let watch = daemon.lines("watch")?;
    watch.find("the guest", |line| line.contains("fe80::2").then_some(()))?;
    netmon_tests::guest::wait_for_dad(&host, "tap0")?;
    under_attack(&host, &tap, || {
        // More than it has descriptors for, who do not go away; some have nonsense to say.
        let clients: Vec<_> = (0..200)
            .map_while(|number| {
                let mut client = connect(&daemon).ok()?;
                client.set_nonblocking(true).ok()?;
                let _full =
                    client.write(if number % 4 == 0 { b"GET / HTTP/1.1\r\n\r\n" } else { b"" });
                Some(client)
            })
            .collect();
        let taken = || anyhow::Ok(fs::read_dir(format!("/proc/{}/fd", daemon.pid()))?.count());
        wait::until("no descriptor to be left", || Ok((taken()? >= 128).then_some(())))?;
        let _late = up(&host, "tap1")?;
        wait::until("a refusal", || {
            Ok(daemon.log().contains("tap1: XDP: Too many open files").then_some(()))
        })?;
        tap.send(&advertisement(std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 3)).bytes())?;
        watch.find("the guest's news", |line| line.contains("fe80::3").then_some(()))?;
        drop(clients);
        confined(&daemon, "tap1")
    })
}

#[test]
fn a_watcher_that_never_reads_costs_little_and_disturbs_nobody() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let (stuck, other) = (daemon.lines("watch -o json")?, daemon.lines("watch -o json")?);
    for watch in [&stuck, &other] {
        watch.find("the snapshot", |line| line.contains("snapshot").then_some(()))?;
    }
    stuck.signal(Signal::SIGSTOP)?;
    let before = memory(&daemon)?;
    for round in 0..30 {
        let tap = up(&host, "tap0")?;
        confined(&daemon, "tap0")?;
        for number in 0..8 {
            let address = std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, round, 2 + number);
            tap.send(&advertisement(address).bytes())?;
        }
        let last =
            format!("fe80::{}9", if round == 0 { String::new() } else { format!("{round:x}:") });
        other.find("the last address", |line| line.contains(&last).then_some(()))?;
    }
    let grown = memory(&daemon)?.saturating_sub(before);
    assert!(grown < 16 << 10, "{grown} KiB for a watcher that does not read");
    stuck.signal(Signal::SIGCONT)?;
    stuck.find("the end", |line| line.contains("fe80::1d:9").then_some(()))
}

/// RFC 9113, section 6.5.2: SETTINGS_MAX_CONCURRENT_STREAMS.
#[test]
fn a_client_is_told_how_many_calls_it_may_have_open() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let mut client = connect(&daemon)?;
    client.set_read_timeout(Some(wait::PATIENCE))?;
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")?;
    let mut head = [0; 9];
    client.read_exact(&mut head)?;
    assert_eq!(head[3], 4, "SETTINGS come first");
    let mut settings = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
    client.read_exact(&mut settings)?;
    let limit = settings.chunks(6).find(|setting| setting[..2] == [0, 3]).context("no limit")?;
    assert_eq!(limit[2..], [0, 0, 0, 64]);
    Ok(())
}

#[test]
fn neither_a_hostile_guest_nor_taps_that_come_and_go_fill_the_log() -> anyhow::Result<()> {
    const TAPS: usize = 40;
    let host = Host::new()?;
    let (tap, daemon) = protected(&host)?;
    let lines =
        |daemon: &Daemon<'_>| daemon.log().lines().filter(|line| !line.contains(" DEBUG ")).count();
    let before = lines(&daemon);
    for _ in 0..2000 {
        for frame in forbidden() {
            tap.send(&frame)?;
        }
    }
    for number in 0..TAPS {
        drop(up(&host, &format!("vm{number}"))?);
    }
    daemon.wait_json("ports", |rows| (rows.len() == 1).then_some(()))?;
    confined(&daemon, "tap0")?;
    let said = lines(&daemon) - before;
    // That it is attached, that it is detached, and what a TAP that goes in the midst of it may cause.
    assert!(said <= 3 * TAPS, "{said} lines: {}", daemon.log());
    Ok(())
}

#[test]
fn what_is_printed_with_a_full_disk_ends_nothing() -> anyhow::Result<()> {
    let host = Host::new()?;
    let mut command = host.command("sh");
    command.args(["-c", "exec \"$0\" run 2>/dev/full"]).arg(binary());
    let daemon = Daemon::of(&host, command)?;
    let tap = up(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    tap.send(&advertisement(GUEST).bytes())?;
    netmon_tests::guest::wait_for_dad(&host, "tap0")?;
    succeed(host.command("test").args(["-c", "/dev/full"]))?;
    under_attack(&host, &tap, || {
        daemon.wait_json("endpoints", |rows| (rows.len() == 1).then_some(()))
    })
}

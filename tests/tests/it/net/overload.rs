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
    guest::wait_for_dad,
    host::{Host, succeed},
    wait,
};
use nix::sys::signal::Signal;

use super::{
    attack::{forbidden, killed, protected, under_attack},
    confined, endpoints, up,
};

const SOCKET: &str = "/run/netmon/netmon.sock";

/// A connection to the daemon's socket, past the command line.
fn connect(daemon: &Daemon<'_>) -> anyhow::Result<UnixStream> {
    let path = format!("/proc/{}/root{SOCKET}", daemon.pid());
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

/// How many descriptors the daemon may have.
fn limit(daemon: &Daemon<'_>, descriptors: u32) -> anyhow::Result<()> {
    let mut command = std::process::Command::new("prlimit");
    command.args(["--pid", &daemon.pid().to_string(), &format!("--nofile={descriptors}:")]);
    succeed(&mut command).map(drop)
}

#[test]
fn without_a_descriptor_left_all_goes_on_and_the_new_waits() -> anyhow::Result<()> {
    let host = Host::new()?;
    let (tap, daemon) = protected(&host)?;
    let watch = daemon.lines("watch")?;
    watch.find("the guest", |line| line.contains("fe80::2").then_some(()))?;
    under_attack(&host, &tap, || {
        limit(&daemon, 3)?;
        // Who does not go away, and has nonsense to say.
        let clients = (0..50).map(|_| {
            let mut client = connect(&daemon)?;
            client.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
            Ok(client)
        });
        let clients = clients.collect::<anyhow::Result<Vec<_>>>()?;
        let _late = up(&host, "tap1")?;
        wait::until("a refusal", || {
            Ok(daemon.log().contains("tap1: XDP: Too many open files").then_some(()))
        })?;
        let news = std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 3);
        tap.send(&advertisement(news).bytes())?;
        watch.find("the guest's news", |line| line.contains("fe80::3").then_some(()))?;
        limit(&daemon, 1024)?;
        confined(&daemon, "tap1")?;
        drop(clients);
        Ok(())
    })
}

/// A link that cannot be opened is not taken for one that is of no use.
#[test]
fn a_daemon_that_has_too_few_descriptors_for_what_was_left_lets_go_of_nothing() -> anyhow::Result<()>
{
    const TAPS: usize = 20;
    let host = Host::new()?;
    let (tap, mut daemon) = protected(&host)?;
    let _taps =
        (1..TAPS).map(|n| up(&host, &format!("tap{n}"))).collect::<anyhow::Result<Vec<_>>>()?;
    for number in 1..TAPS {
        confined(&daemon, &format!("tap{number}"))?;
        wait_for_dad(&host, &format!("tap{number}"))?;
    }
    let is_held =
        || anyhow::Ok(host.ip("-d link show type tun")?.matches("prog/xdp").count() == TAPS);
    under_attack(&host, &tap, || {
        killed(&mut daemon)?;
        // It needs some 30 for itself, and none is left for clients.
        let mut command = host.command("prlimit");
        command.arg("--nofile=40:40").arg(binary()).arg("run");
        let mut poor = Daemon::spawn_command(&host, command)?;
        wait::until("the last TAP", || {
            Ok(poor.log().contains("tap19: the pinned link: Too many open files").then_some(()))
        })?;
        anyhow::ensure!(is_held()?, "{}", poor.log());
        killed(&mut poor)?;
        anyhow::ensure!(is_held()?, "{}", poor.log());
        daemon = Daemon::start(&host, "")?;
        for number in 0..TAPS {
            confined(&daemon, &format!("tap{number}"))?;
        }
        assert_eq!(endpoints(&daemon)?, ["tap0 fe80::2 reachable"]);
        Ok(())
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
    wait_for_dad(&host, "tap0")?;
    succeed(host.command("test").args(["-c", "/dev/full"]))?;
    under_attack(&host, &tap, || {
        daemon.wait_json("endpoints", |rows| (rows.len() == 1).then_some(()))
    })
}

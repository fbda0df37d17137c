//! Somebody takes away what netmon stands on: its hooks, its pins, its messages.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddrV6, TcpListener, TcpStream},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::ensure;
use aya::programs::{SchedClassifier, TcAttachType};
use netmon_tests::{
    daemon::{Daemon, netmon},
    frame::{GUEST, OTHER_MAC, advertisement},
    guest::{Guest, INTERFACE, wait_for_dad},
    host::Host,
    pins, wait,
};
use nix::sys::signal::Signal;

use super::{
    attack::{PINS, forbidden, killed, ls, protected, run, under_attack, under_attack_by},
    confined, endpoints, up,
};

/// How often the daemon compares all with the kernel; a machine that is busy takes some more.
const RECONCILE: Duration = Duration::from_secs(5);
const SLACK: Duration = Duration::from_secs(4);

/// A file of the daemon's.
fn its(daemon: &Daemon<'_>, path: &str) -> PathBuf {
    format!("/proc/{}/root{path}", daemon.pid()).into()
}

/// Where a TAP's links are pinned: XDP, then TCX.
fn links(daemon: &Daemon<'_>, index: u32) -> [PathBuf; 2] {
    ["xdp_native", "tcx"].map(|hook| its(daemon, &format!("{PINS}/v2/links/{index}_{hook}")))
}

/// The programs on a TAP's egress hook.
fn egress_programs(host: &Host, tap: &str) -> anyhow::Result<usize> {
    host.run(|| Ok(SchedClassifier::query_tcx(tap, TcAttachType::Egress)?.1.len()))
}

#[test]
fn a_program_that_somebody_detaches_is_missed_at_once_and_put_back() -> anyhow::Result<()> {
    let host = Host::new()?;
    let (tap, daemon) = protected(&host)?;
    let rows = daemon.json("endpoints")?;
    for (hook, sentence) in
        links(&daemon, tap.index).iter().zip(["detached the XDP program", "detached the egress"])
    {
        // The links are read now, and not again for the period.
        assert_eq!(daemon.netmon("attach tap0")?.code, Some(0));
        let since = Instant::now();
        pins::detach(hook)?;
        let status = daemon.json("status")?;
        assert_eq!(status[0]["protection"], "partial", "{status}");
        assert!(status[0]["why"].to_string().contains(sentence), "{status}");
        confined(&daemon, "tap0")?;
        assert!(since.elapsed() < RECONCILE + SLACK, "{:?}", since.elapsed());
        assert!(daemon.log().contains(sentence), "{}", daemon.log());
    }
    under_attack(&host, &tap, || Ok(()))?;
    assert_eq!(egress_programs(&host, "tap0")?, 1);
    assert_eq!(daemon.json("endpoints")?[0]["first_seen"], rows[0]["first_seen"]);
    Ok(())
}

#[test]
fn the_kernel_lets_nobody_take_a_link_off_by_netlink() -> anyhow::Result<()> {
    let host = Host::new()?;
    let (tap, daemon) = protected(&host)?;
    under_attack(&host, &tap, || {
        for mode in ["xdp", "xdpdrv", "xdpgeneric"] {
            let refused = host.ip(&format!("link set dev tap0 {mode} off"));
            ensure!(refused.is_err() || mode == "xdpgeneric", "{mode} off was obeyed");
        }
        confined(&daemon, "tap0")
    })
}

#[test]
fn nothing_is_doubled_where_another_bpffs_hides_the_pins() -> anyhow::Result<()> {
    let host = Host::new()?;
    let (tap, mut daemon) = protected(&host)?;
    under_attack(&host, &tap, || {
        killed(&mut daemon)?;
        run(&host, "mount -t bpf -o mode=0700 second /sys/fs/bpf")?;
        let mut blind = Daemon::start(&host, "")?;
        let status = blind.json("status")?;
        assert_eq!(status[0]["protection"], "unprotected", "{status}");
        assert!(status[0]["why"].to_string().contains("foreign XDP program"), "{status}");
        assert_eq!(egress_programs(&host, "tap0")?, 1);
        killed(&mut blind)?;
        run(&host, "umount /sys/fs/bpf")?;
        let daemon = Daemon::start(&host, "")?;
        confined(&daemon, "tap0")?;
        assert_eq!(endpoints(&daemon)?, ["tap0 fe80::2 reachable"]);
        assert_eq!(egress_programs(&host, "tap0")?, 1);
        Ok(())
    })
}

#[test]
fn pins_are_made_again_in_a_bpffs_that_hides_the_old_ones() -> anyhow::Result<()> {
    let host = Host::new()?;
    let (tap, mut daemon) = protected(&host)?;
    // The next daemon finds links and no maps: it learns anew which MAC is the guest's.
    let mut frames = forbidden();
    frames.retain(|frame| frame[6..12] != OTHER_MAC);
    under_attack_by(&host, &tap, &frames, || {
        run(&host, "mount -t bpf -o mode=0700 second /sys/fs/bpf")?;
        wait::until("the pins", || {
            let listed = ls(&host, &format!("{PINS}/v2/links")).unwrap_or_default();
            Ok((listed.len() == 2).then_some(()))
        })?;
        killed(&mut daemon)?;
        let daemon = Daemon::start(&host, "")?;
        confined(&daemon, "tap0")?;
        assert_eq!(egress_programs(&host, "tap0")?, 1);
        tap.send(&advertisement(GUEST).bytes())?;
        daemon.wait_json("endpoints", |rows| (rows.len() == 1).then_some(()))
    })
}

#[test]
fn enforcement_goes_on_where_the_bpffs_is_unmounted_and_that_is_said_once() -> anyhow::Result<()> {
    let host = Host::new()?;
    for words in ["mkdir /run/bpf", "mount -t bpf -o mode=0700 bpf /run/bpf"] {
        run(&host, words)?;
    }
    let daemon = Daemon::start(&host, "--bpffs /run/bpf/netmon")?;
    let (tap, other) = (up(&host, "tap0")?, up(&host, "tap1")?);
    for tap in [&tap, &other] {
        confined(&daemon, &tap.name)?;
        tap.send(&advertisement(GUEST).bytes())?;
        wait_for_dad(&host, &tap.name)?;
    }
    daemon.wait_json("endpoints", |rows| (rows.len() == 2).then_some(()))?;
    let said = |daemon: &Daemon<'_>| daemon.log().matches("is not mounted any more").count();
    under_attack(&host, &tap, || {
        run(&host, "umount -l /run/bpf")?;
        wait::until("the warning", || Ok((said(&daemon) > 0).then_some(())))?;
        assert_eq!(ls(&host, "/run/bpf")?, [""; 0], "nothing is made in what is no bpffs");
        confined(&daemon, "tap0")?;
        run(&host, "mount -t bpf -o mode=0700 bpf /run/bpf")?;
        run(&host, "mkdir -m 0700 /run/bpf/netmon")?;
        wait::until("the pins", || {
            let listed = ls(&host, "/run/bpf/netmon/v2/links").unwrap_or_default();
            Ok((listed.len() == 4).then_some(()))
        })
    })?;
    assert_eq!(said(&daemon), 1, "{}", daemon.log());
    Ok(())
}

#[test]
fn a_daemon_that_is_stopped_still_holds_its_lock() -> anyhow::Result<()> {
    let host = Host::new()?;
    let (tap, daemon) = protected(&host)?;
    under_attack(&host, &tap, || {
        daemon.signal(Signal::SIGSTOP)?;
        let since = Instant::now();
        let said = netmon(&host, "run --socket /run/other.sock")?;
        assert_eq!(said.code, Some(1), "{}", said.err);
        assert!(said.err.contains("another netmon runs here"), "{}", said.err);
        assert!(since.elapsed() < SLACK, "{:?}", since.elapsed());
        daemon.signal(Signal::SIGCONT)?;
        confined(&daemon, "tap0")
    })
}

/// Neither the kernel's messages of links nor the programs' of addresses arrive.
#[test]
fn what_no_message_tells_is_found_by_looking() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::spawn(&host, "", &[("NETMON_DEAF", "1")])?;
    wait::until("its start", || Ok(daemon.log().contains("all is taken over").then_some(())))?;
    let since = Instant::now();
    let tap = up(&host, "tap0")?;
    // Not by `wait`, which looks for TAPs itself.
    daemon.wait_json("ports", |rows| (rows.len() == 1).then_some(()))?;
    assert!(since.elapsed() < RECONCILE + SLACK, "attached after {:?}", since.elapsed());
    let since = Instant::now();
    tap.send(&advertisement(GUEST).bytes())?;
    daemon.wait_json("endpoints", |rows| (rows.len() == 1).then_some(()))?;
    assert!(since.elapsed() < RECONCILE + SLACK, "listed after {:?}", since.elapsed());
    let since = Instant::now();
    drop(tap);
    daemon.wait_json("endpoints", |rows| rows.is_empty().then_some(()))?;
    assert!(since.elapsed() < RECONCILE + SLACK, "forgotten after {:?}", since.elapsed());
    Ok(())
}

/// A line there and back, again and again, over one connection.
fn carries(stream: &mut TcpStream, rounds: usize) -> anyhow::Result<()> {
    for _ in 0..rounds {
        stream.write_all(b"ping")?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer)?;
        ensure!(&answer == b"ping", "the echo says {answer:?}");
    }
    Ok(())
}

#[test]
fn a_connection_outlives_twenty_deaths_of_the_daemon_and_an_upgrade() -> anyhow::Result<()> {
    let host = Host::new()?;
    let mut daemon = Daemon::start(&host, "")?;
    let guest = Guest::boot(&host, "tap0", "02:fc:00:00:00:01")?;
    confined(&daemon, "tap0")?;
    guest.add("fe80::2")?;
    wait_for_dad(&host, "tap0")?;
    let listener = guest.stack().run(|| {
        let inner = nix::net::if_::if_nametoindex(INTERFACE)?;
        Ok(TcpListener::bind(SocketAddrV6::new(GUEST, 0, 0, inner))?)
    })?;
    let to = SocketAddrV6::new(GUEST, listener.local_addr()?.port(), 0, guest.tap().index);
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept()?;
        std::io::copy(&mut &stream, &mut &stream)
    });
    let mut stream = host.run(|| Ok(TcpStream::connect_timeout(&to.into(), wait::PATIENCE)?))?;
    stream.set_read_timeout(Some(wait::PATIENCE))?;
    for life in 0..20 {
        killed(&mut daemon)?;
        carries(&mut stream, 10)?;
        let other: &[_] = if life == 10 { &[("NETMON_OTHER_BUILD", "1")] } else { &[] };
        daemon = Daemon::spawn(&host, "", other)?;
        let done = |log: String| log.contains("all is taken over").then_some(());
        wait::until("the adoption", || {
            carries(&mut stream, 1)?;
            Ok(done(daemon.log()))
        })?;
    }
    carries(&mut stream, 10)?;
    drop(stream);
    server.join().expect("no panic")?;
    assert_eq!(super::drops(&daemon)?, [""; 0], "not a frame of it was dropped");
    Ok(())
}

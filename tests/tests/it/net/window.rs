//! The window of hot-plug: what a TAP's creator gets past netmon before its program is on. And that a TAP
//! which netmon makes has none.
//!
//! `cargo xtask test net window -- --nocapture` prints the figures of docs/taps.md.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use netmon_tests::{daemon::Daemon, frame::ethernet, host::Host, tap::Tap, wait, witness::Witness};
use nix::net::if_::if_nametoindex;

use super::{confined, drops, long};

/// Frames after each of which a creator looks whether they still pass.
const BATCH: usize = 64;

/// The longest that a creator writes: far longer than any window.
const BLAST: Duration = Duration::from_secs(5);

/// LLC, IPv4, anything that is not IPv6: dropped, and counted under a reason of its own.
const FORBIDDEN: u16 = 0x0800;

fn rounds() -> usize {
    if long() { 300 } else { 20 }
}

/// Writes forbidden frames to a TAP that is up, until none of them gets to the host; when each was written.
fn blast(tap: &Tap, witness: &Witness) -> anyhow::Result<Vec<Instant>> {
    let frame = ethernet(FORBIDDEN);
    let mut written = Vec::with_capacity(1 << 16);
    let deadline = Instant::now() + BLAST;
    loop {
        witness.count()?;
        for _ in 0..BATCH {
            tap.send(&frame)?;
            written.push(Instant::now());
        }
        // What the host itself has said in the meantime counts, too: then once more.
        if witness.count()? == 0 {
            return Ok(written);
        }
        ensure!(Instant::now() < deadline, "after {BLAST:?} its frames still pass");
    }
}

/// How many of the frames were dropped.
fn dropped(daemon: &Daemon<'_>, tap: &str) -> anyhow::Result<usize> {
    let rows = drops(daemon)?;
    let count = rows.iter().find_map(|row| row.strip_prefix(&format!("{tap} ingress ipv4 ")));
    Ok(count.map_or(Ok(0), str::parse)?)
}

fn at<T: Copy>(sorted: &[T], percent: usize) -> T {
    sorted[(sorted.len() - 1) * percent / 100]
}

#[test]
fn hot_plug_has_a_window_that_is_measured() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let witness = Witness::new(&host, 0)?;
    let (mut frames, mut micros) = (Vec::new(), Vec::new());
    for round in 0..rounds() {
        // A name of its own: a former one lives on in a child that another test is starting.
        let name = format!("tap{round}");
        let (tap, made, written) = host.run(|| {
            let tap = Tap::try_open(&name, libc::IFF_TAP, None)?.context("the name is free")?;
            let made = Instant::now();
            tap.set_up()?;
            let written = blast(&tap, &witness)?;
            Ok((tap, made, written))
        })?;
        confined(&daemon, &name)?;
        let passed = written.len() - dropped(&daemon, &name)?;
        let first_dropped = written.get(passed).context("none was dropped")?;
        frames.push(passed);
        micros.push(first_dropped.duration_since(made).as_micros());
        drop(tap);
    }
    frames.sort_unstable();
    micros.sort_unstable();
    let none = frames.iter().filter(|frames| **frames == 0).count();
    eprintln!(
        "hot-plug, {} TAPs: active after p50 {} p99 {} max {} µs; frames before that p50 {} p99 {} max {}, none in {none}",
        rounds(),
        at(&micros, 50),
        at(&micros, 99),
        at(&micros, 100),
        at(&frames, 50),
        at(&frames, 99),
        at(&frames, 100),
    );
    Ok(())
}

/// Somebody waits for the TAP and writes as soon as it lets anybody in.
#[test]
fn a_tap_that_netmon_makes_has_no_window() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let witness = Witness::new(&host, 0)?;
    let forbidden = ethernet(FORBIDDEN);
    let mut took = Vec::new();
    for _ in 0..rounds() {
        let written = std::thread::scope(|scope| {
            let racer = scope.spawn(|| {
                host.run(|| {
                    wait::until_spinning("vm1", || Ok(if_nametoindex("vm1").ok()))?;
                    let open = || Tap::try_open("vm1", libc::IFF_TAP, None);
                    let tap = wait::until_spinning("vm1 to be open to a VMM", open)?;
                    blast(&tap, &witness)
                })
            });
            let start = Instant::now();
            let said = daemon.netmon("tap create vm1")?;
            took.push(start.elapsed().as_millis());
            ensure!(said.code == Some(0), "{}{}", said.err, daemon.log());
            racer.join().expect("no panic")
        })?;
        ensure!(!written.is_empty(), "nothing written");
        assert_eq!(dropped(&daemon, "vm1")?, written.len());
        assert!(!witness.seen()?.contains(&forbidden), "the host has seen one");
        assert_eq!(daemon.netmon("tap delete vm1")?.code, Some(0));
    }
    took.sort_unstable();
    eprintln!(
        "netmon tap create, {} TAPs: no frame before the program; the verb takes p50 {} p99 {} max {} ms",
        rounds(),
        at(&took, 50),
        at(&took, 99),
        at(&took, 100),
    );
    Ok(())
}

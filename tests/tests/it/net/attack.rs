//! A hostile guest that never stops, while something happens to the daemon.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use netmon_tests::{
    daemon::Daemon,
    frame::{GUEST, OTHER_MAC, advertisement, ethernet, redirect, router_advertisement, tcp},
    guest::wait_for_dad,
    host::{Host, succeed},
    snapshot::Snapshot,
    tap::Tap,
    witness::Witness,
};
use nix::sys::signal::Signal;

use super::{confined, up};

/// Where the daemon under test pins.
pub(super) const PINS: &str = "/sys/fs/bpf/netmon";

/// Frames that make an attack.
const ATTACK: u64 = 100;

/// What no host must ever see.
pub(super) fn forbidden() -> Vec<Vec<u8>> {
    vec![
        router_advertisement().bytes(),
        router_advertisement().with(|f| f.tags = vec![0x81, 0, 0, 0]).bytes(),
        redirect().bytes(),
        ethernet(0x0800),
        ethernet(0x0806),
        tcp(80, 2).with(|f| f.source_mac = OTHER_MAC).bytes(),
    ]
}

struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A guest that never stops writing what is forbidden, while `work` is done: nothing of it is seen.
pub(super) fn under_attack<T>(
    host: &Host,
    tap: &Tap,
    work: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    under_attack_by(host, tap, &forbidden(), work)
}

pub(super) fn under_attack_by<T>(
    host: &Host,
    tap: &Tap,
    frames: &[Vec<u8>],
    work: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let witness = Witness::new(host, tap.index)?;
    let before = Snapshot::of(host)?;
    let done = thread::scope(|scope| {
        let (stop, sent, witness) = (&stop, &sent, &witness);
        let attack = scope.spawn(move || {
            let mut seen = 0;
            while !stop.load(Ordering::Relaxed) || sent.load(Ordering::Relaxed) < ATTACK {
                for frame in frames {
                    tap.send(frame)?;
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                // Thousands a second will do: the daemon under test has two processors at best.
                thread::sleep(std::time::Duration::from_millis(1));
                seen += witness.seen()?.iter().filter(|frame| frames.contains(frame)).count();
            }
            anyhow::Ok(seen)
        });
        // Also where an assertion of the work fails: the attack must end for it to be told.
        let ends = Ends(stop);
        let done = work();
        drop(ends);
        let seen = attack.join().expect("no panic")?;
        assert_eq!(seen, 0, "forbidden frames through, of {}", sent.load(Ordering::Relaxed));
        done
    })?;
    before.is_still(&Snapshot::of(host)?)?;
    Ok(done)
}

/// A host with a guest on tap0 that has spoken, and a daemon.
pub(super) fn protected(host: &Host) -> anyhow::Result<(Tap, Daemon<'_>)> {
    let daemon = Daemon::start(host, "")?;
    let tap = up(host, "tap0")?;
    confined(&daemon, "tap0")?;
    tap.send(&advertisement(GUEST).bytes())?;
    daemon.wait_json("endpoints", |rows| (rows.len() == 1).then_some(()))?;
    wait_for_dad(host, "tap0")?;
    Ok((tap, daemon))
}

pub(super) fn killed(daemon: &mut Daemon<'_>) -> anyhow::Result<()> {
    if daemon.is_alive()? {
        daemon.signal(Signal::SIGKILL)?;
    }
    daemon.wait().map(drop)
}

pub(super) fn ls(host: &Host, path: &str) -> anyhow::Result<Vec<String>> {
    let listed = succeed(host.command("ls").args(["-A", path]))?;
    Ok(listed.lines().map(str::to_owned).collect())
}

pub(super) fn run(host: &Host, words: &str) -> anyhow::Result<()> {
    let mut words = words.split_whitespace();
    let program = words.next().unwrap_or_default();
    succeed(host.command(program).args(words)).map(drop)
}

/// The negative controls of every test with an attack in it.
#[test]
#[should_panic(expected = "forbidden frames through")]
fn an_attack_on_a_tap_without_programs_is_seen() {
    let host = Host::new().expect("a host");
    let tap = up(&host, "tap0").expect("a TAP");
    wait_for_dad(&host, "tap0").expect("DAD");
    under_attack(&host, &tap, || Ok(())).expect("an attack");
}

#[test]
#[should_panic(expected = "forbidden frames through")]
fn a_daemon_that_detaches_in_the_end_is_seen() {
    let host = Host::new().expect("a host");
    let mut daemon = Daemon::start(&host, "--detach-on-exit").expect("a daemon");
    let tap = up(&host, "tap0").expect("a TAP");
    confined(&daemon, "tap0").expect("confined");
    wait_for_dad(&host, "tap0").expect("DAD");
    under_attack(&host, &tap, || {
        daemon.signal(Signal::SIGTERM)?;
        daemon.wait()
    })
    .expect("an attack");
}

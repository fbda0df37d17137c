//! One attack on one host, with netmon or without.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use netmon_tests::{
    daemon::Daemon,
    frame::{self, ALL_NODES, GUEST, HOST},
    guest::{Dad, Guest, INTERFACE, dad, reaches_anew},
    host::Host,
    snapshot::Snapshot,
    wait,
    witness::Witness,
};
use nix::net::if_::if_nametoindex;
use serde_json::Value;

use crate::{
    catalog::{Attack, Effect},
    changes::harmful,
    scene::{
        EVIL, EVIL_ADDRESS, EVIL_MAC, GOOD, GOOD_SECOND, Good, HOST_SECOND, PROTECTED, Scene, talks,
    },
    tally::{Arrived, Tally},
    tool::Tool,
};

/// What an attack has come to.
pub(crate) struct Outcome {
    /// Frames that the hostile guest's TAP took: the tool's, and those of the guest's own stack.
    pub(crate) sent: u64,
    /// What the host's stack saw of them.
    pub(crate) arrived: Arrived,
    /// What of the host's state has come (+) and gone (-) by the attack.
    pub(crate) changes: Vec<String>,
    /// Whether the host could not have a new address.
    pub(crate) dad_failed: bool,
    /// What the tool said at last.
    pub(crate) said: String,
    /// Harm done to the other guest: what did not work, and with netmon its frames that were dropped.
    pub(crate) harm: Vec<String>,
    /// How many frames the other guest has sent meanwhile.
    pub(crate) answers: u64,
    /// With netmon: drops of the hostile guest, by reason.
    pub(crate) reasons: BTreeMap<String, u64>,
}

/// Runs it.
pub(crate) fn run(attack: &Attack, with_netmon: bool) -> anyhow::Result<Outcome> {
    let host = Host::new()?;
    let daemon = match with_netmon {
        true => Some(Daemon::start(&host, PROTECTED)?.silent()),
        false => None,
    };
    let mut scene = Scene::set(&host, daemon.as_ref(), attack.place)?;
    let last = last_frame();
    let tally = Tally::start(&host, scene.evil.tap().index, scene.sender(), last.clone())?;
    scene.suffered()?;
    let (before, sent) = (Snapshot::of(&host)?, scene.good.sent());
    let tool = Tool::start(attack, scene.evil.stack())?;
    let is_over = AtomicBool::new(false);
    let (said, meanwhile) = thread::scope(|scope| {
        let (evil, host) = (&scene.evil, &host);
        let finish = || {
            let said = tool.finish(|| evil.sent(), || is_over.load(Ordering::Relaxed))?;
            // What the host is told by others later on may hide it.
            Ok((said, Snapshot::of(host)?))
        };
        let tool = scope.spawn(finish);
        let meanwhile = meanwhile(host, scene.link, &mut scene.good, attack, with_netmon);
        is_over.store(true, Ordering::Relaxed);
        (tool.join().unwrap_or_else(|_| bail!("the tool's thread panicked")), meanwhile)
    });
    let ((dad_failed, mut harm), (said, soon)) = (meanwhile?, said?);
    let answers = scene.good.sent() - sent;
    if let Err(error) = send_last(&scene.evil, &last, &tally) {
        harm.push(format!("{EVIL} is locked out for what it has done: {error:#}"));
    }
    let after = Snapshot::of(&host)?.with(scene.suffered()?);
    let mut reasons = BTreeMap::new();
    if let Some(daemon) = &daemon {
        reasons = reasons_of(daemon, &scene.evil)?;
        harm.extend(drops_of_good(daemon)?);
    }
    let changes = [before.changes(&soon), before.changes(&after)].concat();
    let changes: BTreeSet<_> = harmful(changes).into_iter().collect();
    Ok(Outcome {
        sent: scene.evil.sent(),
        arrived: tally.end()?,
        changes: changes.into_iter().collect(),
        dad_failed,
        said,
        harm,
        answers,
        reasons,
    })
}

/// While the tool is at work the host takes another address, and the good guest boots, pings and talks TCP
/// (without netmon, only if it is to be seen that it cannot). Whether the host's DAD failed, and what went wrong
/// with the guest.
fn meanwhile(
    host: &Host,
    link: &'static str,
    good: &mut Good,
    attack: &Attack,
    with_netmon: bool,
) -> anyhow::Result<(bool, Vec<String>)> {
    let was_on = good.is_on();
    thread::scope(|scope| {
        let host_side = scope.spawn(|| -> anyhow::Result<bool> {
            let failed = host_takes_an_address(host, link)?;
            if was_on {
                // An address that it does not know yet: it has to ask, with the attacker listening.
                let target = format!("{GOOD_SECOND}%{link}");
                let mut ping = host.command("ping");
                let _whoever_answers = ping.args(["-6", "-c", "1", "-W", "1", &target]).output()?;
            }
            Ok(failed)
        });
        let mut lived = Ok(());
        if with_netmon || attack.effect == Effect::Guest {
            lived = good_lives(host, link, good);
        }
        if with_netmon && attack.effect == Effect::Answers {
            lived = lived.and_then(|()| is_reached_each_time(host, link));
        }
        let failed = host_side.join().unwrap_or_else(|_| bail!("DAD panicked"))?;
        let harm = lived.err().map(|error| format!("{GOOD}: {error:#}"));
        Ok((failed, harm.into_iter().collect()))
    })
}

/// How often the host asks for the good guest that many others ask for.
const TIMES: u32 = 10;

/// How long the host's DAD may take: without an answer it is done after 1.5 seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether that fails.
fn host_takes_an_address(host: &Host, link: &str) -> anyhow::Result<bool> {
    host.ip(&format!("-6 addr add {HOST_SECOND}/64 dev {link}"))?;
    let start = Instant::now();
    let failed = wait::until("the host's DAD", || {
        let states = dad(host, link)?;
        let state = states.iter().find(|(address, _)| *address == HOST_SECOND);
        Ok(match state {
            Some((_, Dad::Done)) => Some(false),
            Some((_, Dad::Failed)) => Some(true),
            _ => (start.elapsed() > PATIENCE).then_some(true),
        })
    })?;
    host.ip(&format!("-6 addr del {HOST_SECOND}/64 dev {link}"))?;
    Ok(failed)
}

/// Fails with what does not work for the guest that means no harm.
fn good_lives(host: &Host, link: &str, good: &mut Good) -> anyhow::Result<()> {
    let (address, interface) = if good.is_on() { (GOOD_SECOND, link) } else { (GUEST, GOOD) };
    let guest = good.boot()?;
    guest.add(&address.to_string())?;
    talks(guest.stack(), HOST, INTERFACE)?;
    talks(host, address, interface)?;
    let index = host.run(|| Ok(if_nametoindex(interface)?))?;
    guest.echoes_over(host, index, address, 0).context("TCP")
}

/// Fails if the host does not reach the good guest ten times out of ten, though it has to ask for it each time.
fn is_reached_each_time(host: &Host, link: &str) -> anyhow::Result<()> {
    let reached = |_: &u32| reaches_anew(host, GUEST, link);
    let reached = (0..TIMES).filter(reached).count();
    ensure!(reached == TIMES as usize, "the host reaches it {reached} of {TIMES} times");
    Ok(())
}

/// A datagram that may pass, from the hostile guest's own address.
fn last_frame() -> Vec<u8> {
    const UDP: u8 = 17;
    // To port 9, and without a checksum: the host's stack ignores it.
    let datagram = [&[0xc0, 0, 0, 9, 0, 16, 0, 0], b"the last".as_slice()].concat();
    let frame = frame::frame(ALL_NODES, UDP, datagram);
    frame.with(|frame| (frame.source, frame.source_mac) = (EVIL_ADDRESS, EVIL_MAC)).bytes()
}

/// Sends it behind whatever the tool has sent, until it has come through.
fn send_last(evil: &Guest, last: &[u8], tally: &Tally) -> anyhow::Result<()> {
    let index = evil.stack().run(|| Ok(if_nametoindex(INTERFACE)?))?;
    let socket = Witness::new(evil.stack(), index)?;
    wait::until("the last frame", || {
        // The queue may be full of the attack yet.
        let _queued = socket.send(last)?;
        Ok(tally.has_seen_last().then_some(()))
    })
}

/// The drops of the hostile guest. They and what passed are all that its TAP took, to the frame.
fn reasons_of(daemon: &Daemon<'_>, evil: &Guest) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut last = (0, 0);
    let told = wait::until("that seen = passed + dropped", || {
        let sent = evil.sent();
        let rows = daemon.json(&format!("drops --passed --tap {EVIL}"))?;
        let rows: Vec<Value> = rows.as_array().into_iter().flatten().cloned().collect();
        let rows: Vec<_> = rows.into_iter().filter(|row| row["direction"] == "ingress").collect();
        last = (sent, rows.iter().map(packets).sum::<u64>());
        Ok((last.0 == last.1).then_some(rows))
    });
    let rows = told.map_err(|error| error.context(format!("sent and counted: {last:?}")))?;
    let reason = |row: &Value| Some((row["reason"].as_str()?.to_owned(), packets(row)));
    Ok(rows.iter().filter_map(reason).collect())
}

fn packets(row: &Value) -> u64 {
    row["packets"].as_u64().unwrap_or_default()
}

/// Of the good guest's frames none may be dropped.
fn drops_of_good(daemon: &Daemon<'_>) -> anyhow::Result<Vec<String>> {
    let rows = daemon.json(&format!("drops --tap {GOOD}"))?;
    let rows = rows.as_array().into_iter().flatten().filter(|row| row["direction"] == "ingress");
    Ok(rows.map(|row| format!("{} frames of {GOOD}: {}", packets(row), row["reason"])).collect())
}

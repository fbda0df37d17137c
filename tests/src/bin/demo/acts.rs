//! The play: one function an act.

use std::{collections::BTreeSet, net::Ipv6Addr, time::Instant};

use anyhow::{bail, ensure};
use netmon_common::Reason;
use netmon_tests::{
    daemon::Daemon,
    frame::GUEST,
    guest::{Guest, INTERFACE, pings, wait_for_dad},
    host::Host,
    snapshot::Snapshot,
    tap::Tap,
    wait,
    witness::Witness,
};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{attack, ledger::Held, screen::Screen, watch::Watch};

// Short enough for the lines of `netmon watch` to fit into 80 columns.
const GOOD: &str = "vm-good";
const TWO: &str = "vm-two";
const EVIL: &str = "vm-evil";
const SECOND: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 3);

/// Each time that the hostile guest tries everything.
const ROUNDS: usize = 3;

/// Who is behind the TAPs.
struct Cast {
    good: Guest,
    two: Guest,
    evil: Tap,
}

/// What was seen of the hostile guest's work.
struct Seen {
    forbidden: usize,
    honest: usize,
    before: Snapshot,
    after: Snapshot,
}

/// All five acts.
pub(crate) fn play(screen: &mut Screen) -> anyhow::Result<()> {
    let start = Instant::now();
    screen.say(PROLOGUE)?;
    let host = Host::new()?;
    let mut daemon = Daemon::start(&host, "")?.silent();
    let cast = map_fills(screen, &host, &daemon)?;
    who_is_where(screen, &host)?;
    let seen = attacked(screen, &host, &daemon, &cast)?;
    proofs(screen, &host, &daemon, &cast, &seen)?;
    screen.act("The end")?;
    let held = Held::by(&[&host, cast.good.stack(), cast.two.stack()], &[GOOD, TWO, EVIL])?;
    daemon.signal(Signal::SIGTERM)?;
    let status = daemon.wait()?;
    let clean = if status.success() { Ok(()) } else { Err(anyhow::anyhow!("{status}")) };
    screen.proof("The daemon ended when asked to, with exit code 0", clean)?;
    drop((cast, daemon));
    drop(host);
    let gone = "Its programs are out of the kernel, TAPs, guests and namespaces are gone";
    screen.proof(gone, held.is_gone())?;
    Ok(screen.end(start.elapsed().as_secs_f32())?)
}

const PROLOGUE: &str = "\
netmon knows every IPv6 address behind every TAP, and lets nothing but
link-local traffic pass. Here it guards a host with three guests, all of them in
namespaces of their own: this machine's network is not touched.

  vm-good   a Linux guest with one address, fe80::2
  vm-two    a Linux guest with two addresses, fe80::2 and fe80::3
  vm-evil   a hostile guest that forges frames";

/// Boots the guests while `netmon watch` runs.
fn map_fills(screen: &mut Screen, host: &Host, daemon: &Daemon<'_>) -> anyhow::Result<Cast> {
    screen.act("The guests boot, and the map fills as they speak")?;
    screen.prompt("watch")?;
    let watch = Watch::start(host)?;
    // It says that the map is empty: from now on it sees all that happens.
    screen.say(&watch.next()?)?;
    let evil = Tap::new(host, EVIL)?;
    let good = powered_on(host, GOOD, "02:fc:00:00:00:01")?;
    let two = powered_on(host, TWO, "02:fc:00:00:00:02")?;
    for tap in [EVIL, GOOD, TWO] {
        let said = daemon.netmon(&format!("wait {tap} confined --timeout 20s"))?;
        ensure!(said.code == Some(0), "{tap} is not confined: {}{}", said.err, daemon.log());
        host.ip(&format!("link set {tap} up"))?;
    }
    for (guest, address) in [(&good, GUEST), (&two, GUEST), (&two, SECOND)] {
        guest.stack().ip(&format!("-6 addr add {address}/64 dev {INTERFACE}"))?;
    }
    let mut awaited = BTreeSet::from(
        [(GUEST, GOOD), (GUEST, TWO), (SECOND, TWO)]
            .map(|(address, tap)| format!("{address}%{tap}")),
    );
    while !awaited.is_empty() {
        let line = watch.next()?;
        screen.say(&line)?;
        if line.contains(" reachable ") {
            awaited.retain(|endpoint| !line.split(' ').any(|word| word == endpoint));
        }
    }
    wait_for_dad(good.stack(), INTERFACE)?;
    wait_for_dad(two.stack(), INTERFACE)?;
    Ok(Cast { good, two, evil })
}

/// A guest without an address, behind a TAP that is down: the address that Linux makes of the MAC is
/// taken away before it gets about.
fn powered_on(host: &Host, tap: &str, mac: &str) -> anyhow::Result<Guest> {
    let guest = Guest::behind(Tap::new(host, tap)?, mac)?;
    guest.stack().ip(&format!("link set {INTERFACE} addrgenmode none"))?;
    guest.stack().ip(&format!("-6 addr flush dev {INTERFACE}"))?;
    Ok(guest)
}

fn who_is_where(screen: &mut Screen, host: &Host) -> anyhow::Result<()> {
    screen.act("Who is behind which TAP")?;
    screen.command(host, "endpoints")?;
    screen.say(SAME_ADDRESS)?;
    screen.command(host, &format!("resolve {GOOD}"))?;
    screen.command(host, &format!("resolve --url {TWO}"))
}

const SAME_ADDRESS: &str = "
Both guests chose fe80::2, each on a link of its own: these are two endpoints.
resolve makes a TAP's name its first address in that list; --url is the form for
curl, which takes a % for an escape:
";

fn attacked(
    screen: &mut Screen,
    host: &Host,
    daemon: &Daemon<'_>,
    cast: &Cast,
) -> anyhow::Result<Seen> {
    screen.act("The hostile guest tries what has worked elsewhere")?;
    for tap in [GOOD, TWO, EVIL] {
        wait_for_dad(host, tap)?;
    }
    let witness = Witness::new(host, cast.evil.index)?;
    let honest = [attack::honest(), attack::farewell()];
    let before = Snapshot::of(host)?;
    let [hello, farewell] = &honest;
    cast.evil.send(hello)?;
    let own = attack::OWN.to_string();
    daemon.wait_json(&format!("endpoints --tap {EVIL}"), |rows| {
        rows.iter().any(|row| text(row, "address") == own).then_some(())
    })?;
    for (_, frame) in (0..ROUNDS).flat_map(|_| attack::frames()) {
        cast.evil.send(&frame)?;
    }
    // Behind all others on the same queue: when it has come, so has whatever else would.
    cast.evil.send(farewell)?;
    let mut seen = Vec::new();
    wait::until("the last frame", || {
        seen.extend(witness.seen()?);
        Ok(seen.contains(farewell).then_some(()))
    })?;
    let total = ROUNDS * attack::frames().len();
    screen.say(&format!(
        "{total} forged frames, {ROUNDS} of each kind, between two honest ones:\n"
    ))?;
    screen.command(host, &format!("drops --tap {EVIL}"))?;
    let forbidden = seen.iter().filter(|frame| !honest.contains(frame)).count();
    let honest = seen.len() - forbidden;
    Ok(Seen { forbidden, honest, before, after: Snapshot::of(host)? })
}

fn proofs(
    screen: &mut Screen,
    host: &Host,
    daemon: &Daemon<'_>,
    cast: &Cast,
    seen: &Seen,
) -> anyhow::Result<()> {
    screen.act("What that has done to the host and to the other guests: nothing")?;
    let Seen { forbidden, honest, .. } = seen;
    screen.proof(
        &format!("A packet socket on {EVIL} saw its {honest} honest frames and no other"),
        none(&vec![(); *forbidden], &format!("{forbidden} forged frames came through")),
    )?;
    screen.proof("Each forged frame was counted, under the one right reason", counted(daemon))?;
    screen.proof(
        "The host's routes, addresses and neighbours are as they were",
        seen.before.is_still(&seen.after),
    )?;
    let coveted = attack::COVETED.to_string();
    let rows = daemon.json("endpoints")?;
    let stolen = rows.as_array().into_iter().flatten();
    let stolen: Vec<_> = stolen.filter(|row| text(row, "address") == coveted).collect();
    screen.proof(
        &format!("{coveted}, which it announced in four ways, is not in the map"),
        none(&stolen, "it is there"),
    )?;
    let pairs = [(&cast.good, GUEST), (&cast.two, GUEST), (&cast.two, SECOND)];
    let silent: Vec<_> = pairs
        .iter()
        .filter(|(guest, address)| !pings(host, *address, &guest.tap().name))
        .map(|(guest, address)| format!("{address}%{}", guest.tap().name))
        .collect();
    screen.proof(
        &format!("{GOOD} and both addresses of {TWO} answer ping"),
        none(&silent, &format!("no answer from {silent:?}")),
    )?;
    let mut echoes = pairs.iter().map(|(guest, address)| guest.echoes(host, *address));
    screen.proof("They carry TCP, too", echoes.find(Result::is_err).unwrap_or(Ok(())))?;
    let (good, two) =
        (daemon.json(&format!("drops --tap {GOOD}"))?, daemon.json(&format!("drops --tap {TWO}"))?);
    let lost: Vec<_> = [&good, &two].into_iter().filter_map(Value::as_array).flatten().collect();
    screen.proof("Of these two, no frame was dropped", none(&lost, &format!("{lost:?}")))?;
    Ok(())
}

/// Whether the drops of the hostile guest are those that its frames ask for.
fn counted(daemon: &Daemon<'_>) -> anyhow::Result<()> {
    let drops = daemon.json(&format!("drops --tap {EVIL}"))?;
    let rows = drops.as_array().into_iter().flatten();
    let count = |row: &Value| row.get("packets").and_then(Value::as_u64).unwrap_or_default();
    let counted: BTreeSet<_> =
        rows.map(|row| (text(row, "reason").to_owned(), count(row))).collect();
    let name = |(reason, _): (Reason, _)| (reason.name().to_owned(), ROUNDS as u64);
    let expected: BTreeSet<_> = attack::frames().into_iter().map(name).collect();
    let wrong: Vec<_> = counted.symmetric_difference(&expected).collect();
    none(&wrong, &format!("{wrong:?}"))
}

fn none<T>(of: &[T], why: &str) -> anyhow::Result<()> {
    if of.is_empty() { Ok(()) } else { bail!("{why}") }
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or("?")
}

//! TAPs are made, removed, renamed, moved and made again, in a random order: in the end netmon knows what is
//! there, and has kept nothing of what was.
//!
//! `NETMON_TEST_LONG=1` does a thousand steps; `NETMON_TEST_SEED` repeats a run.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    process::Child,
    time::Instant,
};

use anyhow::{Context as _, ensure};
use fastrand::Rng;
use netmon_tests::{
    daemon::Daemon,
    frame::{GUEST, advertisement},
    host::{Host, succeed},
    tap::Tap,
    wait,
};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{confined, long, up};

/// TAPs at one time.
const TAPS: usize = 8;

/// Bytes that the daemon's memory may grow by: the allocator keeps some of what was given back, and this is
/// far less than a thousand TAPs' worth of anything.
const GROWTH: u64 = 4 << 20;

/// What a process holds.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    /// Open descriptors by what they are: `anon_inode:bpf-map`, …
    descriptors: BTreeMap<String, usize>,
    threads: usize,
}

impl Held {
    fn by(daemon: &Daemon<'_>) -> anyhow::Result<Self> {
        let process = format!("/proc/{}", daemon.pid());
        let mut descriptors = BTreeMap::new();
        for entry in fs::read_dir(format!("{process}/fd"))? {
            // Closed meanwhile.
            let Ok(target) = fs::read_link(entry?.path()) else { continue };
            let target = target.to_string_lossy().into_owned();
            // Each socket has a number of its own.
            let kind = target.split(":[").next().unwrap_or_default().to_owned();
            *descriptors.entry(kind).or_default() += 1;
        }
        Ok(Self { descriptors, threads: fs::read_dir(format!("{process}/task"))?.count() })
    }
}

fn memory(daemon: &Daemon<'_>) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")).context("VmRSS")?;
    Ok(kilobytes.parse::<u64>()? << 10)
}

fn pins(host: &Host) -> anyhow::Result<String> {
    succeed(host.command("find").args(["/sys/fs/bpf"]))
}

/// Waits until the ports are these TAPs, by name and index, and all endpoints are behind them.
fn are_known(daemon: &Daemon<'_>, taps: &[Tap]) -> anyhow::Result<()> {
    let there: BTreeSet<_> =
        taps.iter().map(|tap| (tap.name.clone(), u64::from(tap.index))).collect();
    let place = |row: &Value, index| Some((row["tap"].as_str()?.to_owned(), row[index].as_u64()?));
    daemon.wait_json("ports", |rows| {
        let known = rows.iter().map(|row| place(row, "ifindex")).collect::<Option<BTreeSet<_>>>();
        (known.as_ref() == Some(&there)).then_some(())
    })?;
    daemon.wait_json("endpoints", |rows| {
        // An endpoint's `ifindex` is its scope: of a TAP in a bridge, the bridge's.
        let mut behind = rows.iter().map(|row| place(row, "tap_ifindex"));
        behind.all(|row| row.is_some_and(|row| there.contains(&row))).then_some(())
    })
}

struct Churn<'a> {
    host: &'a Host,
    daemon: &'a Daemon<'a>,
    /// Lives in another namespace.
    elsewhere: &'a Child,
    random: Rng,
    taps: Vec<Tap>,
    names: usize,
}

impl Churn<'_> {
    fn name(&mut self) -> String {
        self.names += 1;
        format!("vm{}", self.names)
    }

    fn make(&mut self, name: &str, index: Option<u32>) -> anyhow::Result<()> {
        // The index may be somebody else's by now: then any will do.
        let tap = self.host.run(|| {
            // A former one of this name lives on in a child that another test is starting.
            wait::until(&format!("{name} to be free"), || {
                let made = Tap::try_open(name, libc::IFF_TAP, index);
                made.or_else(|_| Tap::try_open(name, libc::IFF_TAP, None))
            })
        })?;
        self.host.run(|| tap.set_up())?;
        self.say(&tap);
        self.taps.push(tap);
        Ok(())
    }

    /// The guest speaks, whether its TAP is up or not.
    fn say(&self, tap: &Tap) {
        let _down = tap.send(&advertisement(GUEST).bytes());
    }

    fn step(&mut self) -> anyhow::Result<()> {
        let Self { host, daemon, .. } = *self;
        if self.taps.is_empty() || self.taps.len() < TAPS && self.random.u8(..4) == 0 {
            let name = self.name();
            return self.make(&name, None);
        }
        let which = self.random.usize(..self.taps.len());
        let mut tap = self.taps.swap_remove(which);
        let name = tap.name.clone();
        match self.random.u8(..10) {
            0 => {
                drop(tap);
                return Ok(());
            }
            1 => {
                tap.name = self.name();
                host.ip(&format!("link set {name} down"))?;
                host.ip(&format!("link set {name} name {}", tap.name))?;
                host.ip(&format!("link set {} up", tap.name))?;
            }
            2 => drop(host.ip(&format!("link set {name} master br0"))?),
            3 => drop(host.ip(&format!("link set {name} nomaster"))?),
            4 => {
                host.ip(&format!("link set {name} netns {}", self.elsewhere.id()))?;
                drop(tap);
                return Ok(());
            }
            5 => {
                host.ip(&format!("link set {name} down"))?;
                host.ip(&format!("link set {name} up"))?;
            }
            6 => {
                drop(tap);
                return self.make(&name, None);
            }
            7 => {
                let index = tap.index;
                drop(tap);
                return self.make(&name, Some(index));
            }
            8 => {
                let index = tap.index;
                drop(tap);
                let name = self.name();
                return self.make(&name, Some(index));
            }
            _ => {
                let made = self.name();
                let said = daemon.netmon(&format!("tap create {made}"))?;
                ensure!(said.code == Some(0), "tap create {made}: {}{}", said.err, daemon.log());
                let said = daemon.netmon(&format!("tap delete {made}"))?;
                ensure!(said.code == Some(0), "tap delete {made}: {}{}", said.err, daemon.log());
            }
        }
        self.say(&tap);
        self.taps.push(tap);
        Ok(())
    }
}

#[test]
fn taps_that_come_and_go_leave_nothing_behind() -> anyhow::Result<()> {
    let (host, elsewhere) = (Host::new()?, Host::new()?);
    host.ip("link add br0 type bridge")?;
    host.ip("link set br0 up")?;
    let mut sleeper = elsewhere.command("sleep").arg("1000").spawn()?;
    let daemon = Daemon::start(&host, "")?.silent();
    let seed = env::var("NETMON_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    let steps = if long() { 1_000 } else { 120 };
    eprintln!("NETMON_TEST_SEED={seed}");

    let churn = |steps: usize, random: Rng, names| -> anyhow::Result<usize> {
        let mut churn = Churn {
            host: &host,
            daemon: &daemon,
            elsewhere: &sleeper,
            random,
            taps: Vec::new(),
            names,
        };
        for _ in 0..steps {
            churn.step()?;
        }
        are_known(&daemon, &churn.taps)?;
        for tap in &churn.taps {
            host.ip(&format!("link set {} nomaster", tap.name))?;
            confined(&daemon, &tap.name)?;
        }
        daemon.wait_json("endpoints", |rows| {
            // What a guest has said before the last move was heard of binds nobody.
            churn.taps.iter().for_each(|tap| churn.say(tap));
            (rows.len() == churn.taps.len()).then_some(())
        })?;
        churn.taps.clear();
        are_known(&daemon, &[])?;
        Ok(churn.names)
    };
    // Whatever is made once, at the first time, is there from now on.
    let names = churn(20, Rng::with_seed(seed), 0)?;
    let (held, before, pinned) = (Held::by(&daemon)?, memory(&daemon)?, pins(&host)?);
    let (said, start) = (daemon.log().lines().count(), Instant::now());
    churn(steps, Rng::with_seed(seed), names)?;
    let took = start.elapsed();

    let mut last = None;
    wait::until("no more descriptors and threads as before", || {
        let now = Held::by(&daemon)?;
        let before = |kind| held.descriptors.get(kind).copied().unwrap_or_default();
        let is_more = now.threads > held.threads
            || now.descriptors.iter().any(|(kind, count)| *count > before(kind));
        last = Some(now);
        Ok((!is_more).then_some(()))
    })
    .with_context(|| format!("before {held:?}, now {last:?}"))?;
    let grown = memory(&daemon)?.saturating_sub(before);
    ensure!(grown <= GROWTH, "{grown} bytes more memory");
    assert_eq!(pins(&host)?, pinned);
    let log = daemon.log();
    let lines: Vec<_> = log.lines().skip(said).collect();
    let warnings: Vec<_> =
        lines.iter().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
    ensure!(warnings.is_empty(), "a TAP that goes is no news: {warnings:#?}; {log}");
    // With debug messages, which are off by default.
    ensure!(lines.len() <= 10 * steps, "{} lines for {steps} steps", lines.len());
    eprintln!("{steps} steps in {took:?}: {grown} bytes more memory, {} lines of log", lines.len());
    sleeper.kill()?;
    sleeper.wait()?;
    Ok(())
}

/// More messages than the socket holds: what is lost is read anew.
#[test]
fn taps_that_overrun_the_socket_are_all_attached() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?.silent();
    let taps = host.run(|| {
        let make = |number| {
            let tap = Tap::try_open(&format!("vm{number}"), libc::IFF_TAP, None)?;
            let tap = tap.context("a new name")?;
            tap.set_up()?;
            anyhow::Ok(tap)
        };
        (0..200).map(make).collect::<Result<Vec<_>, _>>()
    })?;
    are_known(&daemon, &taps)?;
    confined(&daemon, "vm199")?;
    wait::until("200 confined TAPs", || {
        Ok((daemon.netmon("status --check")?.code == Some(0)).then_some(()))
    })?;
    for verb in ["ports", "status"] {
        let start = Instant::now();
        daemon.json(verb)?;
        eprintln!("netmon {verb} of {} TAPs: {:?}", taps.len(), start.elapsed());
        ensure!(start.elapsed().as_secs() < 2, "netmon {verb} is slow");
    }
    drop(taps);
    are_known(&daemon, &[])
}

/// What is told of an index in messages that were lost is not what is there.
#[test]
fn another_tap_with_the_index_of_one_that_went_unheard_is_confined() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?.silent();
    let tap = up(&host, "vm1")?;
    let noise = Tap::new(&host, "vm2")?;
    confined(&daemon, "vm1")?;
    daemon.signal(Signal::SIGSTOP)?;
    let index = tap.index;
    let another = host.run(|| {
        for _ in 0..2_000 {
            noise.set_up()?;
            noise.set_down()?;
        }
        drop(tap);
        wait::until("its name to be free", || Tap::try_open("vm1", libc::IFF_TAP, Some(index)))
    })?;
    assert_eq!(another.index, index);
    daemon.signal(Signal::SIGCONT)?;
    confined(&daemon, "vm1")?;
    ensure!(daemon.log().contains("detached tap=vm1"), "it was heard of: {}", daemon.log());
    Ok(())
}

/// One TAP more than there is room for. In the ordinary run the table is a small one.
#[test]
fn one_tap_too_many_is_refused_by_name_until_there_is_room() -> anyhow::Result<()> {
    let room = if long() { netmon_common::limits::PORTS } else { 8 };
    let host = Host::new()?;
    let few = [("NETMON_PORTS", "8")];
    let variables: &[_] = if long() { &[] } else { &few };
    let daemon = Daemon::spawn(&host, "", variables)?.silent();
    wait::until("the daemon", || Ok((daemon.netmon("status")?.code == Some(0)).then_some(())))?;
    let mut taps = host.run(|| {
        let tap = |number| Tap::try_open(&format!("vm{number}"), libc::IFF_TAP, None);
        (0..room)
            .map(|number| tap(number)?.context("a new name"))
            .collect::<anyhow::Result<Vec<_>>>()
    })?;
    // TCX takes 8 ms a TAP, one after the other: the last one is the last.
    let last = &taps.last().context("a TAP")?.name;
    let said = daemon.netmon(&format!("wait {last} confined --timeout 5m"))?;
    ensure!(said.code == Some(0), "{}", said.err);
    let _last = up(&host, "one-too-many")?;
    let why = "netmon protects up to 4096 TAPs";
    let protection = || -> anyhow::Result<Option<(String, String)>> {
        let rows = daemon.json("status")?;
        let row = rows.as_array().into_iter().flatten().find(|row| row["tap"] == "one-too-many");
        let text = |row: &Value, name| row[name].as_str().unwrap_or_default().to_owned();
        Ok(row.map(|row| (text(row, "protection"), text(row, "why"))))
    };
    wait::until("an honest status", || {
        let is_so = |(protection, said): &(String, String)| {
            protection == "unprotected" && said.contains(why)
        };
        Ok(protection()?.filter(is_so).map(drop))
    })?;
    super::bad_input::refuses(&host, "attach one-too-many", 1, &["one-too-many: ", why])?;
    super::bad_input::refuses(&host, "tap create another", 1, &["another: ", why])?;
    ensure!(host.ip("link show another").is_err(), "it is half-made");
    // Nobody need ask again.
    drop(taps.pop());
    confined(&daemon, "one-too-many")
}

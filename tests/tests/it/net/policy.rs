//! What each TAP's guest may do, as the configuration and the command line say: at start, while it runs, and
//! when the configuration is read anew.

use std::{fs, net::SocketAddrV6, path::PathBuf};

use netmon_tests::{
    daemon::{Daemon, netmon},
    frame::{GUEST, HOST, OTHER_MAC, advertisement, dad, echo, redirect, tcp, udp},
    guest::{Guest, wait_for_dad},
    host::Host,
    tap::Tap,
    wait,
    witness::Witness,
};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{confined, endpoints, refused, sent_and_seen, up};

/// A configuration, until this is dropped. Its name is the test's.
pub(super) struct Config(PathBuf);

impl Config {
    pub(super) fn new(name: &str, text: &str) -> anyhow::Result<Self> {
        let file = format!("netmon-{name}-{}.toml", std::process::id());
        let config = Self(std::env::temp_dir().join(file));
        config.write(text)?;
        Ok(config)
    }

    fn write(&self, text: &str) -> anyhow::Result<()> {
        Ok(fs::write(&self.0, text)?)
    }

    pub(super) fn flag(&self) -> String {
        format!("--config {}", self.0.display())
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.0);
    }
}

/// The TAP's policy, as `netmon policy` with these further words says.
fn policy(daemon: &Daemon<'_>, words: &str) -> anyhow::Result<Value> {
    daemon.json(&format!("policy {words}"))
}

/// Waits until the TAP's protection is this.
fn protection(daemon: &Daemon<'_>, tap: &str, expected: &str) -> anyhow::Result<()> {
    daemon.wait_json("status", |rows| {
        let row = rows.iter().find(|row| row["tap"] == tap)?;
        (row["protection"] == expected).then_some(())
    })
}

/// Waits until the daemon has logged this.
fn logged(daemon: &Daemon<'_>, what: &str) -> anyhow::Result<()> {
    wait::until(what, || Ok(daemon.log().contains(what).then_some(())))
}

#[test]
fn what_is_observed_passes_and_is_counted() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "--mode observe")?;
    let tap = up(&host, "tap0")?;
    protection(&daemon, "tap0", "observed")?;
    assert_eq!(daemon.netmon("status --check")?.code, Some(0), "as asked");
    let witness = Witness::new(&host, tap.index)?;
    let frames = [advertisement(GUEST).bytes(), redirect().bytes()];
    let last = echo(HOST).bytes();
    assert_eq!(sent_and_seen(&tap, &witness, &frames, &last)?, frames);
    assert_eq!(refused(&daemon)?, ["tap0 ingress redirect observed 1"]);
    let found = ["tap0 fe80::2 reachable"];
    wait::until("the guest", || Ok((endpoints(&daemon)? == found).then_some(())))?;
    // The guest stays, with all it holds.
    assert_eq!(policy(&daemon, "tap0 --mode enforce")?["mode"], "enforce");
    assert_eq!(sent_and_seen(&tap, &witness, &frames[1..], &last)?, [[0_u8; 0]; 0]);
    assert_eq!(
        refused(&daemon)?,
        ["tap0 ingress redirect dropped 1", "tap0 ingress redirect observed 1"]
    );
    assert_eq!(endpoints(&daemon)?, found);
    assert_eq!(daemon.json("ports")?[0]["bindings"], 1);
    confined(&daemon, "tap0")
}

/// The rows of `netmon drops --passed`, summed: each frame is in one of them.
#[test]
fn what_is_seen_is_what_passed_and_what_was_dropped_or_observed() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let tap = up(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    let witness = Witness::new(&host, tap.index)?;
    let (good, bad) = (tcp(80, 2).bytes(), redirect().bytes());
    let frames = [good.clone(), bad.clone(), good, bad];
    let mut sent = 0;
    for words in ["--mode enforce", "--mode observe", "--profile open"] {
        policy(&daemon, &format!("tap0 {words}"))?;
        sent_and_seen(&tap, &witness, &frames, &echo(HOST).bytes())?;
        sent += frames.len() as u64 + 1;
        let rows = daemon.json("drops --tap tap0 --passed")?;
        let rows = rows.as_array().into_iter().flatten();
        let counted = rows.filter(|row| row["direction"] == "ingress");
        let counted: u64 = counted.filter_map(|row| row["packets"].as_u64()).sum();
        assert_eq!(counted, sent, "{words}");
    }
    protection(&daemon, "tap0", "open")
}

#[test]
fn under_aurae_a_guest_answers_the_host_and_opens_nothing() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "--profile aurae")?;
    let guest = Guest::boot(&host, "tap0", "02:fc:00:00:00:01")?;
    confined(&daemon, "tap0")?;
    host.ip(&format!("-6 addr add {HOST}/64 dev tap0"))?;
    guest.add("fe80::2")?;
    wait_for_dad(&host, "tap0")?;
    guest.echoes_at(&host, GUEST, 8080)?;
    assert_eq!(refused(&daemon)?, [""; 0]);
    // Somebody listens, and only netmon is in the way.
    let listener = host.run(|| {
        Ok(std::net::TcpListener::bind(SocketAddrV6::new(HOST, 22, 0, guest.tap().index))?)
    })?;
    let open = || guest.opens(HOST, 22);
    assert!(!open()?, "{}", daemon.log());
    let rows = refused(&daemon)?;
    assert!(
        rows.iter().all(|row| row.starts_with("tap0 ingress host_service dropped")),
        "{rows:?}"
    );
    assert_eq!(rows.len(), 1);
    policy(&daemon, "tap0 --host-ports 22")?;
    wait::until("the listed service", || Ok(open()?.then_some(())))?;
    drop(listener);
    Ok(())
}

#[test]
fn each_key_of_a_policy_does_what_it_says() -> anyhow::Result<()> {
    let host = Host::new()?;
    let config = Config::new(
        "keys",
        r#"
        [[policy]]
        match = "mac*"
        mac = "02:fc:00:00:00:01"
        [[policy]]
        match = "quota*"
        quota = 1
        [[policy]]
        match = "rate*"
        nd_rate = 1
        [[policy]]
        match = "tcp*"
        protocols = ["tcp"]
        "#,
    )?;
    let daemon = Daemon::start(&host, &config.flag())?;
    let tap = |name: &str, frames: &[Vec<u8>]| -> anyhow::Result<Tap> {
        let tap = up(&host, name)?;
        confined(&daemon, name)?;
        for frame in frames {
            tap.send(frame)?;
        }
        Ok(tap)
    };
    let other = GUEST.to_bits() + 1;
    let _taps = [
        tap("mac0", &[tcp(80, 2).with(|frame| frame.source_mac = OTHER_MAC).bytes()])?,
        tap("quota0", &[dad(GUEST).bytes(), dad(other.into()).bytes()])?,
        tap("rate0", &vec![advertisement(GUEST).bytes(); 100])?,
        tap("tcp0", &[tcp(80, 2).bytes(), udp(53).bytes()])?,
        tap("else0", &vec![advertisement(GUEST).bytes(); 100])?,
    ];
    let rows = refused(&daemon)?;
    let (rate, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.starts_with("rate0"));
    assert_eq!(
        rows,
        [
            "mac0 ingress src_mac dropped 1",
            "quota0 ingress binding_quota dropped 1",
            "tcp0 ingress next_header dropped 1"
        ]
    );
    // How many, the clock knows.
    assert!(rate.len() == 1 && rate[0].starts_with("rate0 ingress nd_rate dropped"), "{rate:?}");
    assert_eq!(daemon.json("ports")?[2]["quota"], 1);
    Ok(())
}

#[test]
fn another_mac_is_another_guest() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let tap = up(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    tap.send(&advertisement(GUEST).bytes())?;
    let reachable = ["tap0 fe80::2 reachable"];
    wait::until("the guest", || Ok((endpoints(&daemon)? == reachable).then_some(())))?;
    policy(&daemon, "tap0 --mac 02:fc:00:00:00:01")?;
    assert_eq!(endpoints(&daemon)?, reachable, "it is the one");
    policy(&daemon, "tap0 --mac 02:fc:00:00:00:02")?;
    wait::until("nobody", || Ok(endpoints(&daemon)?.is_empty().then_some(())))?;
    tap.send(&tcp(80, 2).with(|frame| frame.source_mac = OTHER_MAC).bytes())?;
    wait::until("the other", || Ok((endpoints(&daemon)? == reachable).then_some(())))?;
    assert_eq!(refused(&daemon)?, [""; 0]);
    Ok(())
}

#[test]
fn a_reload_is_whole_or_not_at_all() -> anyhow::Result<()> {
    let host = Host::new()?;
    let config = Config::new("reload", "taps = [\"vm-*\", \"tap*\"]")?;
    let daemon = Daemon::start(&host, &config.flag())?;
    let _taps = [up(&host, "vm-1")?, up(&host, "tap0")?, up(&host, "tap1")?, up(&host, "new0")?];
    for tap in ["vm-1", "tap0", "tap1"] {
        confined(&daemon, tap)?;
    }
    policy(&daemon, "tap1 --quota 3")?;
    let ports = |daemon: &Daemon<'_>| -> anyhow::Result<Vec<String>> {
        let rows = daemon.json("ports")?;
        let row = |row: &Value| format!("{} {} {}", row["tap"], row["mode"], row["quota"]);
        Ok(rows.as_array().into_iter().flatten().map(row).map(|row| row.replace('"', "")).collect())
    };
    let before = ports(&daemon)?;
    assert_eq!(before, ["tap0 enforce 8", "tap1 enforce 3", "vm-1 enforce 8"]);

    // Its first line is good, and comes to nothing.
    config.write("mode = \"observe\"\n[[policy]]\nmatch = \"tap*\"\nquota = 99")?;
    daemon.signal(Signal::SIGHUP)?;
    logged(&daemon, "the configuration is not reloaded")?;
    logged(&daemon, &format!("{}:4: policy.quota: must be a number", config.0.display()))?;
    assert_eq!(ports(&daemon)?, before);
    config.write("bpffs = \"/sys/fs/bpf/other\"\nmode = \"observe\"")?;
    daemon.signal(Signal::SIGHUP)?;
    logged(&daemon, "bpffs has changed, which takes a restart")?;
    assert_eq!(ports(&daemon)?, before);

    config.write(
        "taps = [\"tap*\", \"new*\"]\nmode = \"observe\"\n[[policy]]\nmatch = \"tap*\"\nquota = 2",
    )?;
    daemon.signal(Signal::SIGHUP)?;
    let after = ["new0 observe 8", "tap0 observe 2", "tap1 observe 3"];
    wait::until("the new ports", || Ok((ports(&daemon)? == after).then_some(())))?;
    // What was ordered holds until it is taken back.
    assert_eq!(policy(&daemon, "tap1 --reset")?["quota"], 2);
    Ok(())
}

#[test]
fn another_name_may_mean_another_policy() -> anyhow::Result<()> {
    let host = Host::new()?;
    let config = Config::new("name", "[[policy]]\nmatch = \"vm-*\"\nprofile = \"aurae\"")?;
    let daemon = Daemon::start(&host, &config.flag())?;
    let _tap = Tap::new(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    assert_eq!(policy(&daemon, "tap0 --quota 3")?["profile"], "link-local");
    host.ip("link set tap0 name vm-1")?;
    daemon.wait_json("ports", |rows| (rows[0]["profile"] == "aurae").then_some(()))?;
    let policy = policy(&daemon, "vm-1")?;
    assert_eq!((&policy["quota"], &policy["guest_ports"][0]), (&3.into(), &8080.into()));
    Ok(())
}

#[test]
fn a_bad_configuration_is_refused_by_line_and_key() -> anyhow::Result<()> {
    let host = Host::new()?;
    let config = Config::new("bad", "taps = [\"*\"]\nmode = \"block\"\n[[policy]]\nquota = 0")?;
    let file = config.0.display();
    let said = format!(
        "netmon: {file}:2: mode: must be enforce or observe, not \"block\"\n\
         {file}:3: policy.match: is missing: a glob of TAP names, such as \"vm-*\"\n\
         {file}:4: policy.quota: must be a number from 1 to 16, not \"0\"\n"
    );
    for words in [format!("check-config {file}"), format!("run {}", config.flag())] {
        let refused = netmon(&host, &words)?;
        assert_eq!((refused.code, &refused.err), (Some(64), &said), "{words}");
    }
    let missing = netmon(&host, "run --config /run/nosuch.toml")?;
    assert_eq!(missing.code, Some(64), "{}", missing.err);
    config.write(&netmon(&host, "check-config --sample")?.out)?;
    assert_eq!(netmon(&host, &format!("check-config {file}"))?.code, Some(0));
    Ok(())
}

#[test]
fn only_root_and_the_daemons_user_may_change_a_policy() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let _tap = up(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    netmon_tests::host::succeed(host.command("chmod").args(["0666", "/run/netmon/netmon.sock"]))?;
    let mut command = host.command("setpriv");
    command.args(["--reuid=65534", "--clear-groups"]).arg(netmon_tests::daemon::binary());
    let output = command.args(["policy", "tap0", "--mode", "observe"]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("uid 65534 may look, but not change"), "{said}");
    assert_eq!(policy(&daemon, "tap0")?["mode"], "enforce");
    assert_eq!(daemon.netmon("policy nosuch --mode observe")?.code, Some(1));
    Ok(())
}

//! Many TAPs at once, as when a host starts all its guests.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};
use netmon_tests::{daemon::Daemon, host::Host};
use serde_json::Value;

#[test]
fn no_tap_of_a_burst_is_left_out() -> anyhow::Result<()> {
    const TAPS: usize = 300;
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let mut batch = host.command("ip");
    let batch: &mut Command = batch.args(["-batch", "-"]).stdin(Stdio::piped());
    let mut ip = batch.spawn()?;
    let mut words = ip.stdin.take().context("stdin")?;
    for number in 0..TAPS {
        writeln!(words, "tuntap add name tap{number} mode tap")?;
    }
    drop(words);
    ensure!(ip.wait()?.success(), "ip has failed");
    // Egress comes later, TAP by TAP; ingress is what a burst must not overtake.
    let is_judged = |row: &Value| row["protection"] == "confined" || row["protection"] == "partial";
    daemon.wait_json("status", |rows| {
        (rows.len() == TAPS && rows.iter().all(is_judged)).then_some(())
    })
}

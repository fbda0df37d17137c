//! The real daemon, real TAPs, a real Linux stack as the guest, the real command line.

mod attack;
mod bad_input;
mod burst;
mod churn;
mod confine;
mod created;
mod discover;
mod evasion;
mod faults;
mod foreign;
mod inside;
mod kinds;
mod life;
mod links;
mod neighbors;
mod overload;
mod pins;
mod policy;
mod privilege;
mod quiet;
mod scope;
mod service;
mod survive;
mod window;

use anyhow::ensure;
use netmon_tests::{daemon::Daemon, host::Host, tap::Tap, witness::Witness};
use serde_json::Value;

/// Whether tests that can go on for long do: `NETMON_TEST_LONG=1`.
fn long() -> bool {
    std::env::var_os("NETMON_TEST_LONG").is_some()
}

/// A TAP that is up, without a guest's stack: the test writes the frames.
fn up(host: &Host, name: &str) -> anyhow::Result<Tap> {
    let tap = Tap::new(host, name)?;
    host.ip(&format!("link set {name} up"))?;
    Ok(tap)
}

/// Waits until both directions of a TAP are judged.
fn confined(daemon: &Daemon<'_>, tap: &str) -> anyhow::Result<()> {
    let said = daemon.netmon(&format!("wait {tap} confined --timeout 20s"))?;
    ensure!(said.code == Some(0), "{tap} is not confined: {}{}", said.err, daemon.log());
    Ok(())
}

/// `tap0 fe80::2 reachable`, of each endpoint.
fn endpoints(daemon: &Daemon<'_>) -> anyhow::Result<Vec<String>> {
    let rows = daemon.json("endpoints")?;
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or("?").to_owned();
    let line = |row: &Value| {
        format!("{} {} {}", text(row, "tap"), text(row, "address"), text(row, "state"))
    };
    Ok(rows.as_array().into_iter().flatten().map(line).collect())
}

/// `tap0 ingress arp 1`, of each drop.
fn drops(daemon: &Daemon<'_>) -> anyhow::Result<Vec<String>> {
    let rows = daemon.json("drops")?;
    let line = |row: &Value| {
        let text = |name: &str| row[name].as_str().unwrap_or("?").to_owned();
        format!("{} {} {} {}", text("tap"), text("direction"), text("reason"), row["packets"])
    };
    Ok(rows.as_array().into_iter().flatten().map(line).collect())
}

/// `tap0 ingress arp dropped 1`, of each row of refused frames.
fn refused(daemon: &Daemon<'_>) -> anyhow::Result<Vec<String>> {
    let rows = daemon.json("drops")?;
    let line = |row: &Value| {
        let text = |name: &str| row[name].as_str().unwrap_or("?").to_owned();
        let [tap, direction, reason, action] = ["tap", "direction", "reason", "action"].map(text);
        format!("{tap} {direction} {reason} {action} {}", row["packets"])
    };
    let mut lines: Vec<_> = rows.as_array().into_iter().flatten().map(line).collect();
    lines.sort();
    Ok(lines)
}

/// Sends frames, and then a last one that passes: what the witness has seen before it is all there was.
fn sent_and_seen(
    tap: &Tap,
    witness: &Witness,
    frames: &[Vec<u8>],
    last: &[u8],
) -> anyhow::Result<Vec<Vec<u8>>> {
    for frame in frames {
        tap.send(frame)?;
    }
    tap.send(last)?;
    let mut seen = Vec::new();
    netmon_tests::wait::until("the last frame", || {
        seen.extend(witness.seen()?);
        Ok(seen.iter().any(|frame| frame == last).then_some(()))
    })?;
    seen.retain(|frame| frame != last);
    Ok(seen)
}

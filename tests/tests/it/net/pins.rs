//! What is pinned may be damaged, old, new, somebody else's or gone.

use netmon_tests::{
    daemon::{Daemon, netmon},
    frame::{GUEST, OTHER_MAC, advertisement, tcp},
    host::Host,
    wait,
};
use nix::sys::signal::Signal;

use super::{
    attack::{PINS, forbidden, killed, ls, protected, run, under_attack, under_attack_by},
    confined,
};

#[test]
fn a_set_that_cannot_be_read_is_replaced_under_live_enforcement() -> anyhow::Result<()> {
    let damages = [
        format!(
            "mv {PINS}/v2/maps/RESERVED {PINS}/v2/maps/x;mv {PINS}/v2/maps/BINDINGS {PINS}/v2/maps/RESERVED;mv {PINS}/v2/maps/x {PINS}/v2/maps/BINDINGS"
        ),
        format!("rm {PINS}/v2/maps/COUNTERS"),
        format!("mkdir -p {PINS}/new/maps"),
    ];
    for damage in damages {
        let host = Host::new()?;
        let (tap, mut daemon) = protected(&host)?;
        // With its addresses the guest's MAC is forgotten: another may come.
        let frames = &forbidden()[..5];
        under_attack_by(&host, &tap, frames, || {
            killed(&mut daemon)?;
            for step in damage.split(';') {
                run(&host, step)?;
            }
            let daemon = Daemon::start(&host, "")?;
            confined(&daemon, "tap0")?;
            tap.send(&tcp(80, 2).bytes())?;
            daemon.wait_json("endpoints", |rows| (rows.len() == 1).then_some(()))?;
            wait::until("the old set to go", || Ok((ls(&host, PINS)? == ["v2"]).then_some(())))
        })
        .map_err(|error| error.context(damage))?;
    }
    Ok(())
}

/// A build of the same version whose maps have the same sizes, and other fields in them.
#[test]
fn a_set_of_another_layout_is_not_read() -> anyhow::Result<()> {
    let host = Host::new()?;
    let (tap, mut daemon) = protected(&host)?;
    // With its addresses the guest's MAC is forgotten: another may come.
    under_attack_by(&host, &tap, &forbidden()[..5], || {
        killed(&mut daemon)?;
        let set = format!("{PINS}/v2");
        let listed = ls(&host, &set)?;
        let marker = listed.iter().find(|name| name.starts_with("abi_")).expect("the marker");
        run(&host, &format!("mv {set}/{marker} {set}/abi_0123456789abcdef"))?;
        let daemon = Daemon::start(&host, "")?;
        confined(&daemon, "tap0")?;
        anyhow::ensure!(daemon.log().contains("another layout"), "{}", daemon.log());
        assert_eq!(daemon.json("endpoints")?.as_array().map(Vec::len), Some(0), "nothing was read");
        wait::until("the old set to go", || Ok((ls(&host, PINS)? == ["v2"]).then_some(())))
    })
}

#[test]
fn a_set_of_an_older_version_hands_its_links_over() -> anyhow::Result<()> {
    let host = Host::new()?;
    let (tap, mut daemon) = protected(&host)?;
    let mut frames = forbidden();
    frames.retain(|frame| frame[6..12] != OTHER_MAC);
    under_attack_by(&host, &tap, &frames, || {
        killed(&mut daemon)?;
        run(&host, &format!("mv {PINS}/v2 {PINS}/v0"))?;
        let daemon = Daemon::start(&host, "")?;
        confined(&daemon, "tap0")?;
        tap.send(&tcp(80, 2).bytes())?;
        daemon.wait_json("endpoints", |rows| (rows.len() == 1).then_some(()))?;
        wait::until("the old set to go", || Ok((ls(&host, PINS)? == ["v2"]).then_some(())))
    })
}

#[test]
fn a_newer_set_or_one_of_another_namespace_is_refused_and_goes_on() -> anyhow::Result<()> {
    let host = Host::new()?;
    let (tap, mut daemon) = protected(&host)?;
    killed(&mut daemon)?;
    under_attack(&host, &tap, || {
        run(&host, &format!("mkdir {PINS}/v9"))?;
        let said = netmon(&host, "run")?;
        assert_eq!(said.code, Some(1));
        assert!(said.err.contains("made by a newer netmon (ABI 9, this is 2)"), "{}", said.err);
        run(&host, &format!("rmdir {PINS}/v9"))?;
        let marker = ls(&host, &format!("{PINS}/v2"))?;
        let marker = marker.iter().find(|name| name.starts_with("netns_")).expect("the marker");
        run(&host, &format!("mv {PINS}/v2/{marker} {PINS}/v2/netns_1"))?;
        let said = netmon(&host, "run")?;
        assert_eq!(said.code, Some(1));
        assert!(said.err.contains("another network namespace"), "{}", said.err);
        Ok(())
    })
}

#[test]
fn pins_that_somebody_removes_are_made_again() -> anyhow::Result<()> {
    let host = Host::new()?;
    let (tap, mut daemon) = protected(&host)?;
    under_attack(&host, &tap, || {
        run(&host, &format!("rm -rf {PINS}/v2/links"))?;
        wait::until("the pins", || {
            let listed = ls(&host, &format!("{PINS}/v2/links")).unwrap_or_default();
            Ok((listed.len() == 2).then_some(()))
        })?;
        killed(&mut daemon)
    })
}

#[test]
fn pins_that_are_removed_while_no_daemon_runs_are_an_open_host_until_the_next() -> anyhow::Result<()>
{
    let host = Host::new()?;
    let (tap, mut daemon) = protected(&host)?;
    killed(&mut daemon)?;
    run(&host, &format!("rm -rf {PINS}"))?;
    let daemon = Daemon::start(&host, "")?;
    confined(&daemon, "tap0")?;
    tap.send(&advertisement(GUEST).bytes())?;
    under_attack(&host, &tap, || {
        daemon.wait_json("endpoints", |rows| (rows.len() == 1).then_some(()))
    })
}

#[test]
fn teardown_takes_all_of_it_away() -> anyhow::Result<()> {
    let host = Host::new()?;
    let (_tap, mut daemon) = protected(&host)?;
    let refused = netmon(&host, "teardown")?;
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("another netmon runs here"), "{}", refused.err);
    killed(&mut daemon)?;
    assert!(host.ip("link show dev tap0")?.contains("xdp"));
    assert_eq!(netmon(&host, "teardown")?.code, Some(0));
    assert!(!host.ip("link show dev tap0")?.contains("xdp"));
    assert!(!ls(&host, "/sys/fs/bpf")?.contains(&"netmon".to_owned()));
    assert_eq!(netmon(&host, "teardown")?.code, Some(0), "again is no error");
    let mut daemon = Daemon::start(&host, "--detach-on-exit")?;
    confined(&daemon, "tap0")?;
    daemon.signal(Signal::SIGTERM)?;
    assert_eq!(daemon.wait()?.code(), Some(0));
    assert!(!host.ip("link show dev tap0")?.contains("xdp"));
    Ok(())
}

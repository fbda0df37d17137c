//! TAPs of any name and any kind are judged alike.

use netmon_tests::{
    daemon::Daemon,
    frame::{ALL_NODES, GUEST, advertisement, echo},
    host::Host,
    tap::Tap,
    wait,
    witness::Witness,
};

use super::{attack::forbidden, confined, drops, endpoints, sent_and_seen, up};

#[test]
fn a_tap_may_have_any_name_that_the_kernel_takes() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let names = ["-tap0", "--help", "tap.0", "tap@0", "fifteen-bytes-a", "täp0", "tap'0\""];
    for name in names {
        let tap = Tap::new(&host, name)?;
        host.ip(&format!("link set dev {name} up"))?;
        let said = daemon.netmon(&format!("wait --timeout 20s -- {name} confined"))?;
        assert_eq!(said.code, Some(0), "{name}: {}", said.err);
        tap.send(&advertisement(GUEST).bytes())?;
        let said = daemon.netmon(&format!("wait --timeout 20s -- {name} endpoint"))?;
        assert_eq!(said.code, Some(0), "{name}: {}", said.err);
        let said = daemon.netmon(&format!("resolve -- {name}"))?;
        assert!(said.out.contains("fe80::2%"), "{name}: {}{}", said.out, said.err);
    }
    Ok(())
}

/// What is forbidden is seen by nobody, whichever descriptor it is written to; what passes, passes.
fn judges_each(host: &Host, daemon: &Daemon<'_>, queues: &[Tap]) -> anyhow::Result<()> {
    let name = &queues[0].name;
    host.ip(&format!("link set {name} up"))?;
    confined(daemon, name)?;
    let witness = Witness::new(host, queues[0].index)?;
    queues[0].send(&advertisement(GUEST).bytes())?;
    for (number, queue) in (1..).zip(queues) {
        let mut seen = sent_and_seen(queue, &witness, &forbidden(), &echo(ALL_NODES).bytes())?;
        seen.retain(|frame| *frame != advertisement(GUEST).bytes());
        assert_eq!(seen, [[0_u8; 0]; 0], "queue {number}");
        let counted = drops(daemon)?;
        let reasons = ["router_advert", "vlan", "redirect", "ipv4", "arp", "src_mac"];
        for reason in reasons {
            let row = format!("{name} ingress {reason} {number}");
            assert!(counted.contains(&row), "{row} is not in {counted:?}");
        }
    }
    Ok(())
}

#[test]
fn each_queue_of_a_tap_is_judged() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let queues = (0..4).map(|_| Tap::queue(&host, "tap0")).collect::<Result<Vec<_>, _>>()?;
    judges_each(&host, &daemon, &queues)
}

#[test]
fn frames_that_come_page_by_page_are_judged() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    judges_each(&host, &daemon, &[Tap::with_pages(&host, "tap0")?])
}

/// XDP runs before the kernel asks whether the TAP is up.
#[test]
fn a_frame_that_a_tap_does_not_take_is_judged_and_goes_nowhere() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let tap = up(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    tap.send(&advertisement(GUEST).bytes())?;
    daemon.wait_json("endpoints", |rows| (rows.len() == 1).then_some(()))?;
    let witness = Witness::new(&host, tap.index)?;
    host.ip("link set tap0 down")?;
    // The witness is told once that its interface is down.
    let _down = witness.seen();
    for frame in forbidden().iter().chain([&advertisement(GUEST).bytes()]) {
        let refused = tap.send(frame).err().and_then(|error| error.raw_os_error());
        // A dropped frame is not a refused one.
        assert!(matches!(refused, None | Some(libc::EIO)), "{refused:?}");
    }
    host.ip("link set tap0 up")?;
    let seen = wait::until("the TAP", || {
        let sent = tap.send(&echo(ALL_NODES).bytes());
        Ok(sent.is_ok().then(|| witness.seen()).transpose()?.filter(|seen| !seen.is_empty()))
    })?;
    assert!(seen.iter().all(|frame| *frame == echo(ALL_NODES).bytes()), "{seen:?}");
    wait::until("the guest", || {
        tap.send(&advertisement(GUEST).bytes())?;
        Ok((endpoints(&daemon)? == ["tap0 fe80::2 reachable"]).then_some(()))
    })
}

//! The harness itself, without netmon: what it says must be so.

use std::{process::Command, time::Duration};

use netmon_tests::{
    frame::{self, GUEST, HOST},
    guest::Guest,
    host::Host,
    lines::Lines,
    pcap,
    snapshot::Snapshot,
    tap::{HEADER, Tap},
    wait,
    witness::Witness,
};

#[test]
fn a_witness_sees_what_a_guest_writes() -> anyhow::Result<()> {
    let host = Host::new()?;
    let tap = Tap::new(&host, "tap0")?;
    host.ip("link set tap0 up")?;
    let witness = Witness::new(&host, tap.index)?;
    let frame = frame::advertisement(GUEST).bytes();
    tap.send(&frame)?;
    let seen = wait::until("the frame", || Ok(witness.seen()?.pop()))?;
    assert_eq!(seen, frame);
    Ok(())
}

#[test]
fn a_guest_is_a_real_stack() -> anyhow::Result<()> {
    let host = Host::new()?;
    let guest = Guest::boot(&host, "tap0", "02:fc:00:00:00:01")?;
    host.ip(&format!("-6 addr add {HOST}/64 dev tap0 nodad"))?;
    guest.add("fe80::2")?;
    assert!(guest.pings(HOST));
    guest.echoes(&host, GUEST)
}

#[test]
fn the_captures_are_a_guests_boot() -> anyhow::Result<()> {
    for file in ["guest-boot.pcap", "guest-boot-notify1.pcap"] {
        let frames = pcap::frames(file)?;
        assert!(frames.iter().any(|frame| frame[6..12] == frame::GUEST_MAC), "{file}");
    }
    Ok(())
}

#[test]
fn a_tap_with_a_header_takes_it_off() -> anyhow::Result<()> {
    let host = Host::new()?;
    let tap = Tap::with_header(&host, "tap0")?;
    host.ip("link set tap0 address 02:fc:00:00:00:fe up")?;
    assert_eq!(tap.mac()?, frame::HOST_MAC);
    let witness = Witness::new(&host, tap.index)?;
    let frame = frame::advertisement(GUEST).bytes();
    tap.send(&[[0; HEADER].as_slice(), &frame].concat())?;
    let seen = wait::until("the frame", || Ok(witness.seen()?.pop()))?;
    assert_eq!(seen, frame);
    Ok(())
}

/// The negative control of every test in which nothing may change: this advertisement changes a host.
#[test]
fn a_snapshot_shows_what_a_router_advertisement_does() -> anyhow::Result<()> {
    let host = Host::new()?;
    let tap = Tap::new(&host, "tap0")?;
    host.ip("link set tap0 up")?;
    netmon_tests::guest::wait_for_dad(&host, "tap0")?;
    let before = Snapshot::of(&host)?;
    before.is_still(&Snapshot::of(&host)?)?;
    tap.send(&frame::router_advertisement().bytes())?;
    wait::until("a route by the guest", || {
        let error = before.is_still(&Snapshot::of(&host)?).err();
        Ok(error.filter(|error| error.to_string().contains("default via fe80::2")))
    })?;
    Ok(())
}

#[test]
fn hosts_do_not_meet() -> anyhow::Result<()> {
    let (one, other) = (Host::new()?, Host::new()?);
    let look = |host: &Host, path: &str| host.command("test").args(["-e", path]).status();
    for path in ["/run/here", "/sys/fs/bpf/here"] {
        assert!(one.command("mkdir").arg(path).status()?.success(), "{path}");
        assert!(look(&one, path)?.success(), "{path}");
        assert!(!look(&other, path)?.success(), "{path}");
        assert!(!std::path::Path::new(path).exists(), "{path} is on the machine itself");
    }
    Tap::new(&one, "tap0")?.persist(true)?;
    assert!(other.ip("link show tap0").is_err());
    Ok(())
}

#[test]
fn lines_are_awaited_with_a_deadline_and_an_end() -> anyhow::Result<()> {
    let lines = Lines::of(Command::new("sh").args(["-c", "echo one; echo two; echo three"]))?;
    assert_eq!(lines.find("two", |line| (line == "two").then_some(2))?, 2);
    let error = lines.find("four", |line| (line == "four").then_some(4)).err();
    assert!(error.is_some_and(|error| error.to_string().contains("the stream ended")));
    let chatter =
        Lines::of(Command::new("sh").args(["-c", "while :; do echo no; sleep 0.02; done"]))?;
    let error = chatter
        .find_within(Duration::from_millis(200), "yes", |line| (line == "yes").then_some(()));
    assert!(error.is_err_and(|error| error.to_string().contains("not in time")));
    Ok(())
}

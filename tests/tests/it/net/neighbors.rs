//! No guest takes what is the host's, or another guest's on the same bridge.

use netmon_tests::{
    daemon::Daemon,
    frame::{GUEST, GUEST_MAC, HOST, OTHER_MAC, advertisement, dad, mac_option, solicitation, tcp},
    guest::wait_for_dad,
    host::Host,
    tap::Tap,
    wait,
};

use super::{confined, drops, endpoints, up};

/// Answers each DAD solicitation that the guest hears with "it is mine", until `done`.
fn answer_every_dad(tap: &Tap, done: impl Fn() -> anyhow::Result<bool>) -> anyhow::Result<usize> {
    let mut answers = 0;
    wait::until("the end of the host's DAD", || {
        while let Some(heard) = tap.receive()? {
            let is_dad = heard.get(54) == Some(&135) && heard.get(22..38) == Some(&[0; 16]);
            let target = heard.get(62..78).and_then(|target| <[u8; 16]>::try_from(target).ok());
            if let (true, Some(target)) = (is_dad, target) {
                tap.send(&advertisement(target.into()).bytes())?;
                tap.send(&dad(target.into()).bytes())?;
                answers += 1;
            }
        }
        Ok(done()?.then_some(answers))
    })
}

/// The state of the host's link-local addresses on tap0.
fn has(host: &Host, flag: &str) -> anyhow::Result<bool> {
    Ok(host.ip("-6 addr show dev tap0 scope link")?.contains(flag))
}

#[test]
fn a_guest_cannot_fail_the_hosts_dad() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let tap = Tap::new(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    host.ip("link set tap0 up")?;
    host.ip(&format!("-6 addr add {HOST}/64 dev tap0"))?;
    let answers = answer_every_dad(&tap, || Ok(!has(&host, "tentative")?))?;
    assert!(!has(&host, "dadfailed")?);
    assert!(answers >= 2, "the host asked for both addresses: {answers}; {:?}", drops(&daemon)?);
    let counted = drops(&daemon)?;
    assert!(counted.iter().any(|row| row.starts_with("tap0 ingress host_address ")), "{counted:?}");
    assert_eq!(endpoints(&daemon)?, [""; 0]);
    Ok(())
}

/// The negative control: without netmon the same guest does it.
#[test]
fn without_netmon_it_can() -> anyhow::Result<()> {
    let host = Host::new()?;
    let tap = up(&host, "tap0")?;
    host.ip(&format!("-6 addr add {HOST}/64 dev tap0"))?;
    answer_every_dad(&tap, || has(&host, "dadfailed")).map(drop)
}

#[test]
fn an_address_that_the_host_has_is_reserved_and_one_that_it_gives_up_is_free() -> anyhow::Result<()>
{
    let host = Host::new()?;
    // Before the daemon, and without DAD: only rtnetlink can tell of it.
    let tap = up(&host, "tap0")?;
    host.ip(&format!("-6 addr add {HOST}/64 dev tap0 nodad"))?;
    let daemon = Daemon::start(&host, "")?;
    confined(&daemon, "tap0")?;
    let claim = tcp(80, 2).with(|f| f.source = HOST).bytes();
    wait::until("the address to be reserved", || {
        tap.send(&claim)?;
        Ok(drops(&daemon)?.iter().any(|row| row.contains("host_address")).then_some(()))
    })?;
    host.ip(&format!("-6 addr del {HOST}/64 dev tap0"))?;
    wait::until("the address to be free", || {
        tap.send(&claim)?;
        Ok(endpoints(&daemon)?.contains(&"tap0 fe80::1 reachable".to_owned()).then_some(()))
    })?;
    host.ip(&format!("-6 addr add {HOST}/64 dev tap0 nodad"))?;
    let before = drops(&daemon)?;
    wait::until("it to be reserved again", || {
        tap.send(&claim)?;
        Ok((drops(&daemon)? != before).then_some(()))
    })
}

/// A bridge with two TAPs, and the daemon.
fn bridged(host: &Host) -> anyhow::Result<[Tap; 2]> {
    host.ip("link add br0 type bridge mcast_snooping 0")?;
    host.ip("link set br0 address 02:fc:00:00:00:fd up")?;
    let taps = [up(host, "tap0")?, up(host, "tap1")?];
    for tap in &taps {
        host.ip(&format!("link set {} master br0", tap.name))?;
    }
    wait_for_dad(host, "br0")?;
    Ok(taps)
}

#[test]
fn on_a_bridge_an_address_is_the_first_guests() -> anyhow::Result<()> {
    let host = Host::new()?;
    let taps = bridged(&host)?;
    let daemon = Daemon::start(&host, "")?;
    confined(&daemon, "tap0")?;
    confined(&daemon, "tap1")?;
    taps[0].send(&advertisement(GUEST).bytes())?;
    daemon.wait_json("endpoints", |rows| (rows.len() == 1).then_some(()))?;
    let other = |f: &mut netmon_tests::frame::Frame| f.source_mac = OTHER_MAC;
    // The other guest says the same address is its own: asks for it, announces it, speaks from it.
    // The question goes to the first, who would answer it.
    taps[1].send(&dad(GUEST).with(other).bytes())?;
    taps[1].send(&tcp(80, 2).with(other).bytes())?;
    let asks = solicitation(HOST, &mac_option(1, OTHER_MAC)).with(other);
    taps[1].send(&asks.bytes())?;
    wait::until("two conflicts", || {
        let counted = drops(&daemon)?;
        Ok(counted.contains(&"tap1 ingress binding_conflict 2".to_owned()).then_some(()))
    })?;
    assert_eq!(endpoints(&daemon)?, ["tap0 fe80::2 reachable"]);
    Ok(())
}

#[test]
fn the_bridges_own_addresses_and_mac_are_the_hosts() -> anyhow::Result<()> {
    let host = Host::new()?;
    let taps = bridged(&host)?;
    host.ip(&format!("-6 addr add {HOST}/64 dev br0 nodad"))?;
    let daemon = Daemon::start(&host, "")?;
    confined(&daemon, "tap0")?;
    taps[0].send(&advertisement(HOST).bytes())?;
    let bridge = tcp(80, 2).with(|f| f.source_mac = [2, 0xfc, 0, 0, 0, 0xfd]);
    taps[0].send(&bridge.bytes())?;
    wait::until("both drops", || {
        let counted = drops(&daemon)?;
        let has = |row: &str| counted.contains(&row.to_owned());
        Ok((has("tap0 ingress host_address 1") && has("tap0 ingress src_mac 1")).then_some(()))
    })
}

#[test]
fn a_watcher_sees_what_is_dropped() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let tap = up(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    let watch = daemon.lines("watch --drops -o json")?;
    watch.find("the snapshot", |line| line.contains("snapshot").then_some(()))?;
    let frame = advertisement(GUEST).with(|f| f.hop_limit = 1).bytes();
    // It subscribes before it prints the snapshot: the frame cannot be missed.
    tap.send(&frame)?;
    watch.find("the frame", |line| {
        let words = [
            r#""event":"refused""#,
            r#""tap":"tap0""#,
            r#""reason":"nd_hop_limit""#,
            r#""action":"dropped""#,
            r#""source":"fe80::2""#,
            r#""icmp_type":136"#,
        ];
        words.iter().all(|word| line.contains(word)).then_some(())
    })?;
    // A flood costs the watcher a budget's worth.
    for _ in 0..1_000 {
        tap.send(&frame)?;
    }
    tap.send(&tcp(80, 2).with(|f| f.source_mac = GUEST_MAC).bytes())?;
    watch.find("the guest", |line| line.contains("added").then_some(()))?;
    assert!(drops(&daemon)?.contains(&"tap0 ingress nd_hop_limit 1001".to_owned()));
    Ok(())
}

/// Processor time that a process has used, in ticks of a hundredth of a second.
fn processor_time(daemon: &Daemon<'_>) -> anyhow::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", daemon.pid()))?;
    let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
}

#[test]
fn a_flood_uses_up_its_own_budget_only() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let (evil, good) = (up(&host, "tap0")?, up(&host, "tap1")?);
    confined(&daemon, "tap0")?;
    confined(&daemon, "tap1")?;
    let watch = daemon.lines("watch --drops -o json")?;
    watch.find("the snapshot", |line| line.contains("snapshot").then_some(()))?;
    // Each frame claims another address, or is a lie: what costs most.
    let frames: Vec<_> = (0..=u16::MAX)
        .step_by(7)
        .map(|number| std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 9, number))
        .flat_map(|address| {
            let lie = advertisement(GUEST).with(|f| f.hop_limit = 1);
            // The last one is the guest's own by then: only the budget is against it.
            [dad(address).bytes(), lie.bytes(), advertisement(GUEST).bytes()]
        })
        .collect();
    let (start, used) = (std::time::Instant::now(), processor_time(&daemon)?);
    let sent = std::thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let mut sent = 0_u64;
            while start.elapsed().as_secs() < 2 {
                for frame in &frames {
                    evil.send(frame)?;
                }
                sent += frames.len() as u64;
            }
            anyhow::Ok(sent)
        });
        good.send(&dad(GUEST).with(|f| f.source_mac = OTHER_MAC).bytes())?;
        watch.find("the good guest, in the midst of it", |line| {
            (line.contains(r#""event":"added""#) && line.contains("tap1")).then_some(())
        })?;
        assert!(!flood.is_finished(), "the flood went on meanwhile");
        flood.join().expect("no panic")
    })?;
    let (took, used) = (start.elapsed(), processor_time(&daemon)? - used);
    println!("{sent} frames in {took:?}; the daemon used {used} hundredths of a second");
    let counted = drops(&daemon)?;
    assert!(counted.iter().any(|row| row.starts_with("tap0 ingress nd_rate ")), "{counted:?}");
    assert!(!counted.iter().any(|row| row.starts_with("tap1 ")), "{counted:?}");
    let addresses = endpoints(&daemon)?.iter().filter(|row| row.starts_with("tap0")).count();
    assert!(addresses <= 8, "{addresses} addresses of the flood");
    assert!(u128::from(used) * 10 < took.as_millis() / 2, "half a processor: {used} in {took:?}");
    Ok(())
}

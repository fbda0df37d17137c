//! Nothing slips through: what is forbidden is dropped and counted by its reason, and the host never sees it.

use netmon_tests::{
    daemon::Daemon,
    frame::{
        ALL_NODES, GLOBAL, GUEST, GUEST_MAC, HOST, OTHER_MAC, advertisement, echo, ethernet,
        redirect, router_advertisement, tcp,
    },
    guest::{Guest, pings, wait_for_dad},
    host::Host,
    pcap,
    tap::Tap,
    wait,
    witness::Witness,
};

use super::{confined, drops, sent_and_seen, up};

#[test]
fn the_forbidden_is_counted_and_never_seen() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let tap = up(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    let witness = Witness::new(&host, tap.index)?;
    // The host's own address is in a table once DAD is done.
    wait_for_dad(&host, "tap0")?;
    let before = host.ip("-6 route show table all")?;
    let forbidden = [
        ethernet(0x0800),
        ethernet(0x0806),
        router_advertisement().with(|f| f.tags = vec![0x81, 0, 0, 0]).bytes(),
        router_advertisement().bytes(),
        redirect().bytes(),
        tcp(80, 2).with(|f| f.source = GLOBAL).bytes(),
        tcp(80, 2).with(|f| f.destination = GLOBAL).bytes(),
        advertisement(GUEST)
            .with(|f| f.extension = Some((44, vec![58, 0, 0, 0, 0, 0, 0, 1])))
            .bytes(),
    ];
    let seen = sent_and_seen(&tap, &witness, &forbidden, &echo(ALL_NODES).bytes())?;
    assert_eq!(seen, [[0_u8; 0]; 0]);
    let reasons =
        ["ipv4", "arp", "vlan", "router_advert", "redirect", "src_scope", "dst_scope", "fragment"];
    let mut expected: Vec<_> =
        reasons.iter().map(|reason| format!("tap0 ingress {reason} 1")).collect();
    let mut counted = drops(&daemon)?;
    expected.sort();
    counted.sort();
    assert_eq!(counted, expected);
    assert_eq!(host.ip("-6 route show table all")?, before);
    Ok(())
}

#[test]
fn ping_and_tcp_work_both_ways() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let guest = Guest::boot(&host, "tap0", "02:fc:00:00:00:01")?;
    confined(&daemon, "tap0")?;
    host.ip(&format!("-6 addr add {HOST}/64 dev tap0"))?;
    guest.add("fe80::2")?;
    wait_for_dad(&host, "tap0")?;
    assert!(guest.pings(HOST), "guest → host; {}", daemon.log());
    assert!(pings(&host, GUEST, "tap0"), "host → guest; {}", daemon.log());
    guest.echoes(&host, GUEST)?;
    assert_eq!(drops(&daemon)?, [""; 0]);
    Ok(())
}

#[test]
fn a_booting_guest_replayed_causes_no_drop() -> anyhow::Result<()> {
    for file in ["guest-boot.pcap", "guest-boot-notify1.pcap"] {
        let host = Host::new()?;
        let daemon = Daemon::start(&host, "")?;
        let tap = up(&host, "tap0")?;
        confined(&daemon, "tap0")?;
        let witness = Witness::new(&host, tap.index)?;
        let frames = pcap::frames(file)?;
        let frames: Vec<_> = frames.into_iter().filter(|frame| frame[6..12] == GUEST_MAC).collect();
        let seen = sent_and_seen(&tap, &witness, &frames, &echo(ALL_NODES).bytes())?;
        assert_eq!(seen.len(), frames.len(), "{file}");
        assert_eq!(drops(&daemon)?, [""; 0], "{file}");
    }
    Ok(())
}

/// What the TAP's VMM gets until `last`.
fn received(tap: &Tap, last: impl Fn(&[u8]) -> bool) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut frames = Vec::new();
    wait::until("the last frame", || {
        while let Some(frame) = tap.receive()? {
            if last(&frame) {
                return Ok(Some(()));
            }
            frames.push(frame);
        }
        Ok(None)
    })?;
    Ok(frames)
}

/// Sends a datagram to this address on the TAP.
fn send(host: &Host, to: std::net::SocketAddr) -> anyhow::Result<()> {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    host.run(|| Ok(std::net::UdpSocket::bind(any)?.send_to(b"netmon", to).map(drop)?))
}

#[test]
fn the_hosts_traffic_stays_on_the_link() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let tap = up(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    wait_for_dad(&host, "tap0")?;
    let mac = "02:fc:00:00:00:01";
    for words in [
        "-6 addr add 2001:db8::fe/64 dev tap0 nodad".to_owned(),
        format!("-6 neigh add 2001:db8::1 lladdr {mac} dev tap0"),
        "addr add 192.0.2.254/24 dev tap0".to_owned(),
        format!("neigh add 192.0.2.1 lladdr {mac} dev tap0"),
        format!("-6 neigh add fe80::2 lladdr {mac} dev tap0"),
    ] {
        host.ip(&words)?;
    }
    send(&host, "[2001:db8::1]:7".parse()?)?;
    send(&host, "192.0.2.1:7".parse()?)?;
    let on_link = std::net::SocketAddrV6::new(GUEST, 7, 0, tap.index).into();
    send(&host, on_link)?;
    let frames = received(&tap, |frame| frame.ends_with(b"netmon"))?;
    let off_link = frames.iter().filter(|frame| {
        frame[12..14] != [0x86, 0xdd] || frame[22..24] != [0xfe, 0x80] && frame[22..38] != [0; 16]
    });
    assert_eq!(off_link.count(), 0, "{frames:02x?}");
    let counted = drops(&daemon)?;
    assert!(counted.contains(&"tap0 egress src_scope 1".to_owned()), "{counted:?}");
    assert!(counted.iter().any(|row| row.starts_with("tap0 egress ipv4 ")), "{counted:?}");
    Ok(())
}

/// BPF_PROG_TEST_RUN takes no skb as short as that, and no tag beside the bytes: the host's own sockets do.
#[test]
fn what_the_host_writes_by_hand_is_judged_too() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let tap = up(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    let socket = Witness::new(&host, tap.index)?;
    let whole = tcp(80, 2).with(|f| f.destination = GUEST).bytes();
    for length in [14, 15, 40, 53] {
        assert!(!socket.send(&whole[..length])?, "{length} bytes");
    }
    assert!(!socket.send(&tcp(80, 2).with(|f| f.tags = vec![0x81, 0, 0, 5]).bytes())?);
    let counted = drops(&daemon)?;
    for row in ["tap0 egress runt 4", "tap0 egress vlan 1"] {
        assert!(counted.contains(&row.to_owned()), "{row} is not in {counted:?}");
    }
    Ok(())
}

#[test]
fn a_tag_beside_the_bytes_is_a_tag() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "--tap tap0")?;
    let tap = up(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    // A kernel takes the tag out of the bytes of what it receives, and a bridge passes both on: no VLAN
    // device is needed.
    let other = up(&host, "other0")?;
    host.ip("link add br0 type bridge")?;
    for name in ["tap0", "other0"] {
        host.ip(&format!("link set {name} master br0"))?;
    }
    host.ip("link set br0 up")?;
    let witness = Witness::new(&host, other.index)?;
    let bare = echo(ALL_NODES).with(|f| f.source_mac = OTHER_MAC);
    let tagged = bare.clone().with(|f| f.tags = vec![0x81, 0, 0, 5]).bytes();
    let mut seen = Vec::new();
    // Again and again: a bridge forwards nothing until its ports have come up.
    wait::until("a tagged frame", || {
        other.send(&tagged)?;
        seen.extend(witness.seen()?);
        Ok(drops(&daemon)?.iter().any(|row| row.starts_with("tap0 egress vlan ")).then_some(()))
    })?;
    assert!(seen.contains(&bare.bytes()), "the tag is in the bytes: {seen:02x?}");
    assert!(!seen.contains(&tagged));
    while let Some(frame) = tap.receive()? {
        assert!(frame[12..14] == [0x86, 0xdd] && frame != bare.bytes(), "{frame:02x?}");
    }
    Ok(())
}

#[test]
fn a_guest_of_a_bridge_does_not_get_anothers_address() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    host.ip("link add br0 type bridge")?;
    host.ip("link set br0 up")?;
    let taps = [up(&host, "tap0")?, up(&host, "tap1")?];
    for tap in &taps {
        host.ip(&format!("link set {} master br0", tap.name))?;
        confined(&daemon, &tap.name)?;
    }
    let other = |frame: netmon_tests::frame::Frame| {
        frame.with(|f| f.source_mac = [2, 0xfc, 0, 0, 0, 2]).bytes()
    };
    // The daemon hears of the bridge by a message of its own: until then each TAP is a link by itself.
    wait::until("a shared link", || {
        taps[0].send(&advertisement(GUEST).bytes())?;
        taps[1].send(&other(tcp(80, 2)))?;
        Ok(drops(&daemon)?
            .iter()
            .any(|row| row.starts_with("tap1 ingress binding_conflict"))
            .then_some(()))
    })?;
    Ok(())
}

//! Ways around a filter that BPF_PROG_TEST_RUN cannot show: runts, frames of 64 KiB, offloads that a guest asks for
//! in its virtio-net header, and another guest of the same bridge.

use std::io::ErrorKind;

use netmon_tests::{
    daemon::Daemon,
    frame::{
        ALL_NODES, Frame, GUEST, GUEST_MAC, OTHER_MAC, advertisement, echo, icmp, mac_option,
        redirect, router_advertisement, solicitation, tcp, udp,
    },
    host::Host,
    tap::{FRAME, HEADER, Tap},
    wait,
    witness::Witness,
};

use super::{confined, drops, sent_and_seen, up};

#[test]
fn runts_of_every_length() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let tap = up(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    let witness = Witness::new(&host, tap.index)?;
    let whole = advertisement(GUEST).with(|f| f.payload.extend([0; 40])).bytes();
    // Half an Ethernet header the kernel refuses; of nothing there is no frame.
    for length in 1..14 {
        let refused = tap.send(&whole[..length]).map_err(|error| error.kind());
        assert_eq!(refused, Err(ErrorKind::InvalidInput), "{length} bytes");
    }
    let cut: Vec<_> = (14..=100).map(|length| whole[..length].to_vec()).collect();
    let seen = sent_and_seen(&tap, &witness, &cut, &echo(ALL_NODES).bytes())?;
    assert_eq!(seen, [[0_u8; 0]; 0]);
    let mut counted = drops(&daemon)?;
    counted.sort();
    assert_eq!(counted, ["tap0 ingress payload_len 47", "tap0 ingress runt 40"]);
    Ok(())
}

/// A frame as long as a TAP takes: a UDP datagram and bytes behind it, as far as IPv6 has no length for them.
fn longest(frame: &Frame) -> Vec<u8> {
    let mut bytes = frame.bytes();
    bytes.resize(FRAME, 0);
    bytes
}

#[test]
fn frames_of_65535_bytes() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let tap = up(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    let witness = Witness::new(&host, tap.index)?;
    let whole = udp(53).with(|f| f.payload.resize(FRAME - 54, 7)).bytes();
    assert_eq!(whole.len(), FRAME);
    let frames = [
        whole.clone(),
        longest(&router_advertisement()),
        longest(&advertisement(GUEST).with(|f| f.hop_limit = 254)),
        longest(&tcp(80, 2).with(|f| f.payload_length = Some(0))),
        longest(&tcp(80, 2).with(|f| f.tags = vec![0x81, 0, 0, 0])),
        longest(&solicitation(GUEST, &mac_option(1, OTHER_MAC))),
        // 512 bytes and 65,000 more that the header does not deny.
        solicitation(GUEST, &[14, 1, 0, 0, 0, 0, 0, 0].repeat(8_000)).bytes(),
    ];
    let seen = sent_and_seen(&tap, &witness, &frames, &echo(ALL_NODES).bytes())?;
    assert_eq!(seen.iter().map(Vec::len).collect::<Vec<_>>(), [FRAME]);
    assert_eq!(seen, [whole]);
    let mut counted = drops(&daemon)?;
    counted.sort();
    let expected =
        ["nd_hop_limit", "nd_length", "nd_option_mac", "payload_len", "router_advert", "vlan"];
    assert_eq!(counted, expected.map(|reason| format!("tap0 ingress {reason} 1")));
    Ok(())
}

/// A virtio-net header (virtio 1.2, 5.1.6): what the guest asks the host to do with the frame.
fn offload(flags: u8, gso: u8, header: u16, size: u16, start: u16, offset: u16) -> [u8; HEADER] {
    let mut bytes = [flags, gso, 0, 0, 0, 0, 0, 0, 0, 0];
    for (to, word) in bytes[2..].chunks_mut(2).zip([header, size, start, offset]) {
        to.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

const ROUTER_ADVERTISEMENT: u8 = 134;

const NEEDS_CSUM: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;

#[test]
fn offloads_that_a_guest_asks_for() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let tap = Tap::with_header(&host, "tap0")?;
    host.ip("link set tap0 up")?;
    confined(&daemon, "tap0")?;
    let witness = Witness::new(&host, tap.index)?;
    let offloads = [
        ("none", [0; HEADER]),
        ("NEEDS_CSUM", offload(NEEDS_CSUM, 0, 0, 0, 54, 2)),
        ("NEEDS_CSUM over the addresses", offload(NEEDS_CSUM, 0, 0, 0, 22, 0)),
        ("TSO", offload(NEEDS_CSUM, GSO_TCPV6, 74, 64, 54, 16)),
        ("USO", offload(NEEDS_CSUM, GSO_UDP_L4, 62, 64, 54, 6)),
    ];
    // Longer than a segment, else there is nothing to be cut up.
    let long = |frame: Frame| frame.with(|f| f.trailer = vec![0; 200]).bytes();
    let harmful = [
        long(router_advertisement()),
        long(redirect()),
        long(advertisement(GUEST).with(|f| f.hop_limit = 254)),
        long(advertisement(GUEST).with(|f| f.checksum_error = 1)),
        long(tcp(80, 2).with(|f| f.tags = vec![0x81, 0, 0, 0])),
    ];
    let mut ran = 0;
    for (name, header) in offloads {
        for frame in &harmful {
            // The kernel itself refuses some of these.
            match tap.send(&[header.as_slice(), frame].concat()) {
                Ok(()) => ran += 1,
                Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}"),
            }
        }
    }
    let last = echo(ALL_NODES).bytes();
    let with_header = [[0; HEADER].as_slice(), &last].concat();
    tap.send(&with_header)?;
    let mut seen = Vec::new();
    wait::until("the last frame", || {
        seen.extend(witness.seen()?);
        Ok(seen.contains(&last).then_some(()))
    })?;
    assert_eq!(seen, [last]);
    let counted = drops(&daemon)?;
    let total: u64 =
        counted.iter().filter_map(|row| row.rsplit(' ').next()?.parse::<u64>().ok()).sum();
    assert_eq!((total, ran >= 15), (ran, true), "{counted:?}");
    Ok(())
}

#[test]
fn a_frame_with_offloads_that_may_pass_does() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let tap = Tap::with_header(&host, "tap0")?;
    host.ip("link set tap0 up")?;
    confined(&daemon, "tap0")?;
    let witness = Witness::new(&host, tap.index)?;
    // Four segments in one frame, as a guest with TSO sends them.
    let segments = tcp(80, 0x10).with(|f| f.payload.resize(20 + 4 * 1_000, 7)).bytes();
    let header = offload(NEEDS_CSUM, GSO_TCPV6, 74, 1_000, 54, 16);
    tap.send(&[header.as_slice(), &segments].concat())?;
    wait::until("the segments", || {
        let seen = witness.seen()?;
        Ok(seen.iter().any(|frame| frame.len() == segments.len()).then_some(()))
    })?;
    assert_eq!(drops(&daemon)?, [""; 0]);
    Ok(())
}

/// A guest that has an address speaks for no other on the bridge, whatever it says and however it is asked.
#[test]
fn another_guest_of_the_bridge_is_not_impersonated() -> anyhow::Result<()> {
    let host = Host::new()?;
    host.ip("link add br0 type bridge mcast_snooping 0")?;
    host.ip("link set br0 up")?;
    let taps = [up(&host, "tap0")?, up(&host, "tap1")?];
    for tap in &taps {
        host.ip(&format!("link set {} master br0", tap.name))?;
    }
    let daemon = Daemon::start(&host, "")?;
    confined(&daemon, "tap0")?;
    confined(&daemon, "tap1")?;
    let [good, evil] = &taps;
    good.send(&advertisement(GUEST).bytes())?;
    daemon.wait_json("endpoints", |rows| (rows.len() == 1).then_some(()))?;
    let witness = Witness::new(&host, evil.index)?;
    let own = |f: &mut Frame| f.source_mac = OTHER_MAC;
    let address = "fe80::9".parse()?;
    let frames = [
        // Speaks from its address, by its own MAC.
        tcp(80, 2).with(own).bytes(),
        // Speaks from an address of its own, with the other's MAC in an option.
        solicitation(GUEST, &mac_option(1, GUEST_MAC))
            .with(own)
            .with(|f| f.source = address)
            .bytes(),
        // Answers for it.
        advertisement(GUEST)
            .with(own)
            .with(|f| {
                f.source = address;
                f.payload.truncate(24);
            })
            .bytes(),
    ];
    let last = echo(ALL_NODES).with(own).with(|f| f.source = address).bytes();
    let seen = sent_and_seen(evil, &witness, &frames, &last)?;
    assert_eq!(seen, [[0_u8; 0]; 0]);
    let mut counted = drops(&daemon)?;
    counted.retain(|row| row.starts_with("tap1 ingress"));
    counted.sort();
    let expected = ["binding_conflict 1", "nd_option_mac 1", "nd_target 1"];
    assert_eq!(counted, expected.map(|row| format!("tap1 ingress {row}")));
    Ok(())
}

/// An echo request which the sum over its own bytes, written over its type and code, makes a router advertisement.
fn echo_that_sums_up_to_an_advertisement() -> Vec<u8> {
    let body = [64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
    let (mut frame, place) = (icmp(ALL_NODES, 128, &body).bytes(), 68..70);
    let words = frame[54..].chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    let wanted = u32::from(!(u16::from(ROUTER_ADVERTISEMENT) << 8));
    // The last two bytes make up the difference, modulo 2^16 - 1.
    let missing = (wanted + words.map(|word| 0xffff - word).sum::<u32>()) % 0xffff;
    frame.splice(place, (missing as u16).to_be_bytes()).for_each(drop);
    frame
}

/// A limit of any filter on a TAP (docs/limits.md): the host fills a checksum in behind it, where the guest says, when a
/// bridge passes the frame on. The host itself reads what was judged; isolated ports pass nothing on.
#[test]
fn a_checksum_is_filled_in_behind_every_filter_unless_ports_are_isolated() -> anyhow::Result<()> {
    let host = Host::new()?;
    host.ip("link add br0 type bridge mcast_snooping 0")?;
    host.ip("link set br0 up")?;
    let evil = Tap::with_header(&host, "tap0")?;
    host.ip("link set tap0 up")?;
    let victim = up(&host, "tap1")?;
    for name in ["tap0", "tap1"] {
        host.ip(&format!("link set {name} master br0"))?;
    }
    let daemon = Daemon::start(&host, "")?;
    confined(&daemon, "tap0")?;
    confined(&daemon, "tap1")?;
    let frame = echo_that_sums_up_to_an_advertisement();
    let sent = [offload(NEEDS_CSUM, 0, 0, 0, 54, 0).as_slice(), &frame].concat();
    let types = |frames: Vec<Vec<u8>>| -> Vec<u8> {
        let of_evil = frames.iter().filter(|got| got[6..12] == GUEST_MAC);
        of_evil.map(|got| got[54]).collect()
    };
    let received = || {
        let frames = std::iter::from_fn(|| victim.receive().transpose()).collect::<Result<_, _>>();
        anyhow::Ok(types(frames?))
    };
    wait::until("the forged advertisement", || {
        evil.send(&sent)?;
        Ok(received()?.contains(&ROUTER_ADVERTISEMENT).then_some(()))
    })?;
    for name in ["tap0", "tap1"] {
        host.ip(&format!("link set {name} type bridge_slave isolated on"))?;
    }
    received()?;
    let bridge = host.run(|| Ok(nix::net::if_::if_nametoindex("br0")?))?;
    let witness = Witness::new(&host, bridge)?;
    wait::until("the frame on the bridge", || {
        evil.send(&sent)?;
        let seen = types(witness.seen()?);
        assert!(seen.iter().all(|kind| *kind == 128), "the host reads what was judged: {seen:?}");
        Ok((!seen.is_empty()).then_some(()))
    })?;
    assert_eq!(received()?, [0_u8; 0]);
    Ok(())
}

//! A host, the hostile guest and another one: alone on their TAPs, or together on a bridge with a router, a
//! container and a veth of the host's.

use std::{
    fs,
    net::{Ipv6Addr, SocketAddrV6, UdpSocket},
    path::Path,
};

use anyhow::{Context as _, ensure};
use netmon_tests::{
    daemon::Daemon,
    frame::{GUEST, GUEST_MAC, HOST, HOST_MAC},
    guest::{Guest, INTERFACE, pings_for},
    host::Host,
    members::{BRIDGE, CONTAINER_ADDRESS, Member, ROUTER, Router, VETH_ADDRESS, own_veth, text},
    tap::Tap,
    wait,
};

use crate::{catalog::Place, forbidden::Sender};

pub(crate) const EVIL: &str = "vm-evil";
pub(crate) const GOOD: &str = "vm-good";
/// What of the host netmon protects: no other port of the bridge is a guest's.
pub(crate) const PROTECTED: &str = "--tap vm-*";

pub(crate) const EVIL_ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x66);
pub(crate) const EVIL_MAC: [u8; 6] = [2, 0xfc, 0, 0, 0, 0x66];
/// The good guest's second address, which it takes under attack where it has booted before.
pub(crate) const GOOD_SECOND: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 3);
/// The address that the host takes under attack.
pub(crate) const HOST_SECOND: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xd);

/// The port at which a DHCPv6 client listens (RFC 8415 section 7.2).
const DHCP_CLIENT: u16 = 546;

/// All of it, until it is dropped.
pub(crate) struct Scene {
    /// The host's interface on the link of the hostile guest.
    pub(crate) link: &'static str,
    pub(crate) evil: Guest,
    pub(crate) good: Good,
    others: Option<Others>,
}

/// What else there is on the bridge, and what the host has to do with it.
struct Others {
    router: Router,
    _container: Member,
    /// A flow of the host's to the Internet.
    flow: UdpSocket,
    /// The host's DHCPv6 client, which has asked nobody.
    client: UdpSocket,
}

/// The guest that means no harm. Alone on its TAP it boots under attack; on a bridge it was there before.
pub(crate) struct Good {
    off: Option<Tap>,
    on: Option<Guest>,
}

impl Good {
    /// Boots it, where that has not been done.
    pub(crate) fn boot(&mut self) -> anyhow::Result<&Guest> {
        if let Some(tap) = self.off.take() {
            self.on = Some(Guest::behind(tap, &text(GUEST_MAC))?);
        }
        self.on.as_ref().context("it is off")
    }

    /// How many frames it has sent.
    pub(crate) fn sent(&self) -> u64 {
        self.on.as_ref().map_or(0, Guest::sent)
    }

    pub(crate) const fn is_on(&self) -> bool {
        self.on.is_some()
    }
}

impl Scene {
    /// Sets it up; with a daemon, no TAP comes up before it is confined.
    pub(crate) fn set(
        host: &Host,
        daemon: Option<&Daemon<'_>>,
        place: Place,
    ) -> anyhow::Result<Self> {
        if place != Place::Alone {
            host.ip(&format!("link add {BRIDGE} type bridge"))?;
            host_address(host, BRIDGE, HOST_MAC)?;
        }
        let tap = |name| tap(host, daemon, place, name);
        // A TAP that is down takes nothing: by the time it is up, the guest is what it is to be.
        let (evil, good) = (hostile(tap(EVIL)?, place)?, tap(GOOD)?);
        for name in [EVIL, GOOD] {
            match place {
                Place::Alone => host_address(host, name, HOST_MAC)?,
                Place::Bridge | Place::Silent => drop(host.ip(&format!("link set {name} up"))?),
            }
        }
        if place == Place::Alone {
            let good = Good { off: Some(good), on: None };
            return Self { link: EVIL, evil, good, others: None }.greeted();
        }
        let good = Guest::behind(good, &text(GUEST_MAC))?;
        good.add(&GUEST.to_string())?;
        talks(good.stack(), HOST, INTERFACE)?;
        let (good, others) = (Good { off: None, on: Some(good) }, Some(Others::join(host)?));
        let scene = Self { link: BRIDGE, evil, good, others };
        if place == Place::Silent { Ok(scene) } else { scene.greeted() }
    }

    /// The hostile guest has spoken before it attacks: its MAC is known from then on.
    fn greeted(self) -> anyhow::Result<Self> {
        talks(self.evil.stack(), HOST, INTERFACE)?;
        Ok(self)
    }

    /// What the host's sockets have suffered since the last time, a row each.
    pub(crate) fn suffered(&self) -> anyhow::Result<Vec<String>> {
        let Some(Others { router, flow, client, .. }) = &self.others else { return Ok(Vec::new()) };
        let mut rows = Vec::new();
        if let Some(error) = flow.take_error()? {
            rows.push(format!("flow error: {error}"));
        }
        let mut datagram = [0; 1500];
        if let Ok((_, from)) = client.recv_from(&mut datagram) {
            rows.push(format!("flow DHCPv6 client hears {from}"));
        }
        rows.extend(router.answers(flow).err().map(|error| format!("flow lost: {error:#}")));
        Ok(rows)
    }

    /// What the hostile guest may not pretend to be.
    pub(crate) fn sender(&self) -> Sender {
        let (mut of_others, mut asked_for) = (vec![HOST], vec![HOST_SECOND]);
        if self.link == BRIDGE {
            of_others.extend([GUEST, ROUTER, VETH_ADDRESS, CONTAINER_ADDRESS]);
            asked_for.push(GOOD_SECOND);
        }
        Sender { mac: EVIL_MAC, address: EVIL_ADDRESS, of_others, asked_for }
    }
}

impl Others {
    /// They join the bridge, and the host knows all of them.
    fn join(host: &Host) -> anyhow::Result<Self> {
        let (router, container) = (Router::join(host)?, Member::container(host)?);
        own_veth(host)?;
        router.announce(host)?;
        let flow = router.flow(host)?;
        for address in [GUEST, CONTAINER_ADDRESS, VETH_ADDRESS] {
            talks(host, address, BRIDGE)?;
        }
        let any = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, DHCP_CLIENT, 0, 0);
        let client = host.run(|| Ok(UdpSocket::bind(any)?))?;
        client.set_nonblocking(true)?;
        Ok(Self { router, _container: container, flow, client })
    }
}

/// The host's end of a guest's cable, down.
fn tap(host: &Host, daemon: Option<&Daemon<'_>>, place: Place, name: &str) -> anyhow::Result<Tap> {
    let tap = Tap::new(host, name)?;
    host.ip(&format!("link set {name} addrgenmode none"))?;
    if place != Place::Alone {
        host.ip(&format!("link set {name} master {BRIDGE}"))?;
    }
    if let Some(daemon) = daemon {
        let said = daemon.netmon(&format!("wait {name} confined --timeout 20s"))?;
        ensure!(said.code == Some(0), "{name} is not confined: {}{}", said.err, daemon.log());
    }
    Ok(tap)
}

/// The host's MAC and its only address on an interface. Further ones are asked for three times within 1.5
/// seconds, from now on: who wants to answer may need a moment to get ready.
fn host_address(host: &Host, interface: &str, mac: [u8; 6]) -> anyhow::Result<()> {
    host.run(|| {
        let net = Path::new("/proc/sys/net/ipv6");
        let conf = net.join("conf").join(interface);
        fs::write(conf.join("router_solicitation_delay"), "0")?;
        fs::write(conf.join("dad_transmits"), "3")?;
        Ok(fs::write(net.join("neigh").join(interface).join("retrans_time_ms"), "500")?)
    })?;
    // By a command of its own: in one with `up` it would come too late.
    host.ip(&format!("link set {interface} addrgenmode none"))?;
    host.ip(&format!("link set {interface} address {} up", text(mac)))?;
    host.ip(&format!("-6 addr add {HOST}/64 dev {interface} nodad"))?;
    // The kernel makes it in its own time.
    wait::until(&format!("the host's address on {interface}"), || {
        let routes = host.ip(&format!("-6 route show table local dev {interface}"))?;
        Ok(routes.contains(&format!("local {HOST} ")).then_some(()))
    })
}

/// Waits until `from` gets an answer. The kernel starts the queue of a link that has just come up in its own time
/// (net/core/link_watch.c), and until then drops what is sent.
pub(crate) fn talks(from: &Host, to: Ipv6Addr, interface: &str) -> anyhow::Result<()> {
    let answers = || Ok(pings_for(from, to, interface, 1).then_some(()));
    wait::until(&format!("an answer of {to} on {interface}"), answers)
}

/// A guest that waits for nobody: it has but one address, and has not asked for it. One that is to be silent has
/// none: only its tool speaks.
fn hostile(tap: Tap, place: Place) -> anyhow::Result<Guest> {
    if place == Place::Silent {
        return Guest::silent(tap, &text(EVIL_MAC));
    }
    let evil = Guest::behind(tap, &text(EVIL_MAC))?;
    evil.stack().ip(&format!("link set {INTERFACE} addrgenmode none"))?;
    evil.stack().ip(&format!("-6 addr flush dev {INTERFACE}"))?;
    evil.stack().ip(&format!("-6 addr add {EVIL_ADDRESS}/64 dev {INTERFACE} nodad"))?;
    Ok(evil)
}

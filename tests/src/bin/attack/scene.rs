//! A host, the hostile guest and another one: alone on their TAPs, or together on a bridge with a router.

use std::{fs, net::Ipv6Addr, path::Path};

use anyhow::{Context as _, ensure};
use netmon_tests::{
    daemon::Daemon,
    frame::{GUEST, GUEST_MAC, HOST, HOST_MAC, mac_option, router_advertisement},
    guest::{Guest, INTERFACE},
    host::Host,
    tap::Tap,
    wait,
};

use crate::{catalog::Place, forbidden::Sender};

pub(crate) const EVIL: &str = "vm-evil";
pub(crate) const GOOD: &str = "vm-good";
const BRIDGE: &str = "br0";
/// No guest's: netmon is told to protect `vm-*`.
const UPLINK: &str = "uplink0";
/// What of the host netmon protects.
pub(crate) const PROTECTED: &str = "--tap vm-*";

pub(crate) const EVIL_ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x66);
pub(crate) const EVIL_MAC: [u8; 6] = [2, 0xfc, 0, 0, 0, 0x66];
/// The good guest's second address, which it takes under attack where it has booted before.
pub(crate) const GOOD_SECOND: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 3);
/// The address that the host takes under attack.
pub(crate) const HOST_SECOND: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xd);
pub(crate) const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xfe);
pub(crate) const ROUTER_MAC: [u8; 6] = [2, 0xfc, 0, 0, 0, 0xf0];

/// All of it, until it is dropped.
pub(crate) struct Scene {
    /// The host's interface on the link of the hostile guest.
    pub(crate) link: &'static str,
    pub(crate) evil: Guest,
    pub(crate) good: Good,
    _uplink: Option<Tap>,
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
        if place == Place::Bridge {
            host.ip(&format!("link add {BRIDGE} type bridge"))?;
            host_address(host, BRIDGE, HOST_MAC)?;
        }
        let tap = |name| tap(host, daemon, place, name);
        // A TAP that is down takes nothing: by the time it is up, the guest is what it is to be.
        let (evil, good) = (hostile(tap(EVIL)?)?, tap(GOOD)?);
        for name in [EVIL, GOOD] {
            match place {
                Place::Alone => host_address(host, name, HOST_MAC)?,
                Place::Bridge => drop(host.ip(&format!("link set {name} up"))?),
            }
        }
        if place == Place::Alone {
            let good = Good { off: Some(good), on: None };
            return Self { link: EVIL, evil, good, _uplink: None }.greeted();
        }
        let good = Guest::behind(good, &text(GUEST_MAC))?;
        good.add(&GUEST.to_string())?;
        ensure!(good.pings(HOST), "{GOOD} gets no answer from the host");
        let uplink = Tap::new(host, UPLINK)?;
        host.ip(&format!("link set {UPLINK} addrgenmode none"))?;
        host.ip(&format!("link set {UPLINK} master {BRIDGE} up"))?;
        default_route(host, &uplink)?;
        let good = Good { off: None, on: Some(good) };
        Self { link: BRIDGE, evil, good, _uplink: Some(uplink) }.greeted()
    }

    /// The hostile guest has spoken before it attacks: its MAC is known from then on.
    fn greeted(self) -> anyhow::Result<Self> {
        ensure!(self.evil.pings(HOST), "{EVIL} gets no answer from the host");
        Ok(self)
    }

    /// What the hostile guest may not pretend to be.
    pub(crate) fn sender(&self) -> Sender {
        let mut of_others = vec![HOST, HOST_SECOND];
        if self.link == BRIDGE {
            of_others.extend([GUEST, GOOD_SECOND]);
        }
        Sender { mac: EVIL_MAC, of_others }
    }
}

/// The host's end of a guest's cable, down.
fn tap(host: &Host, daemon: Option<&Daemon<'_>>, place: Place, name: &str) -> anyhow::Result<Tap> {
    let tap = Tap::new(host, name)?;
    host.ip(&format!("link set {name} addrgenmode none"))?;
    if place == Place::Bridge {
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

/// A guest that waits for nobody: it has but one address, and has not asked for it.
fn hostile(tap: Tap) -> anyhow::Result<Guest> {
    let evil = Guest::behind(tap, &text(EVIL_MAC))?;
    evil.stack().ip(&format!("link set {INTERFACE} addrgenmode none"))?;
    evil.stack().ip(&format!("-6 addr flush dev {INTERFACE}"))?;
    evil.stack().ip(&format!("-6 addr add {EVIL_ADDRESS}/64 dev {INTERFACE} nodad"))?;
    Ok(evil)
}

/// The router on the uplink announces itself, until the host has its route.
fn default_route(host: &Host, uplink: &Tap) -> anyhow::Result<()> {
    let advertisement = router_advertisement().with(|frame| {
        frame.source = ROUTER;
        frame.source_mac = ROUTER_MAC;
        frame.payload.extend(mac_option(1, ROUTER_MAC));
    });
    wait::until("the route by the router", || {
        uplink.send(&advertisement.bytes())?;
        let routes = host.ip("-6 route show default")?;
        Ok(routes.contains(&format!("via {ROUTER} ")).then_some(()))
    })
}

/// A MAC as `ip` has it.
pub(crate) fn text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

//! What there is on a bridge beside guests: a router behind an uplink, containers, the host's own veth. No TAP is
//! behind any of it, so netmon does not protect it.

use std::{
    fs,
    net::{Ipv6Addr, SocketAddrV6, UdpSocket},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use nix::net::if_::if_nametoindex;

use crate::{
    frame::{mac_option, router_advertisement},
    guest::{INTERFACE, pings},
    host::Host,
    wait,
    witness::Witness,
};

/// The bridge that they are members of.
pub const BRIDGE: &str = "br0";

/// The bridge's port of the router.
pub const UPLINK: &str = "uplink0";
/// The router's address on the link.
pub const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xfe);
/// Its MAC.
pub const ROUTER_MAC: [u8; 6] = [2, 0xfc, 0, 0, 0, 0xf0];
/// The host's address on the Internet.
pub const HOST_GLOBAL: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1);
/// A server behind the router, which listens on UDP port 53.
pub const SERVER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x53, 0, 0, 0, 0, 0x53);
/// The port of the host's from which it speaks with that server.
pub const FLOW_PORT: u16 = 40_053;

const ROUTER_GLOBAL: &str = "2001:db8:1::fe";
const SERVER_PORT: u16 = 53;

/// The bridge's port of the host's veth.
pub const VETH: &str = "veth0";
/// The other end of it, which is no member: an interface of the host's like any.
pub const VETH_END: &str = "veth1";
/// That end's address.
pub const VETH_ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x7e);
/// That end's MAC.
pub const VETH_MAC: [u8; 6] = [2, 0xfc, 0, 0, 0, 0x7e];

/// The bridge's port of a container.
pub const CONTAINER: &str = "ct0";
/// The container's address.
pub const CONTAINER_ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xc0);
/// The container's MAC.
pub const CONTAINER_MAC: [u8; 6] = [2, 0xfc, 0, 0, 0, 0xc0];

/// A MAC as `ip` has it.
pub fn text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// A real Linux stack in a namespace of its own, behind a veth that is a port of the bridge.
#[derive(Debug)]
pub struct Member {
    stack: Host,
}

impl Member {
    /// Joins the bridge as `port`, with one address that it does not ask for.
    ///
    /// # Errors
    ///
    /// Not root, no veth in this kernel, or the name is taken.
    pub fn join(host: &Host, port: &str, address: Ipv6Addr, mac: [u8; 6]) -> anyhow::Result<Self> {
        let stack = Host::new()?;
        // A namespace without a name is named by a process in it.
        let mut process = stack.command("sleep").arg("60").spawn().context("sleep")?;
        let (pid, mac) = (process.id(), text(mac));
        let peer = format!("peer name {INTERFACE} address {mac} netns {pid}");
        let made = host.ip(&format!("link add {port} type veth {peer}"));
        process.kill()?;
        process.wait()?;
        made?;
        host.ip(&format!("link set {port} addrgenmode none"))?;
        host.ip(&format!("link set {port} master {BRIDGE} up"))?;
        stack.ip(&format!("link set {INTERFACE} addrgenmode none"))?;
        stack.ip(&format!("link set {INTERFACE} up"))?;
        stack.ip(&format!("-6 addr add {address}/64 dev {INTERFACE} nodad"))?;
        Ok(Self { stack })
    }

    /// The container of every scene.
    ///
    /// # Errors
    ///
    /// As for [`join`](Self::join).
    pub fn container(host: &Host) -> anyhow::Result<Self> {
        Self::join(host, CONTAINER, CONTAINER_ADDRESS, CONTAINER_MAC)
    }

    /// Its stack, to run things in.
    pub const fn stack(&self) -> &Host {
        &self.stack
    }

    /// Whether it gets an answer from `to` on the link. From then on it has spoken.
    pub fn pings(&self, to: Ipv6Addr) -> bool {
        pings(&self.stack, to, INTERFACE)
    }
}

/// The host's own veth: one end a port of the bridge, the other an interface with a MAC and an address.
///
/// # Errors
///
/// Not root, no veth in this kernel, or a name is taken.
pub fn own_veth(host: &Host) -> anyhow::Result<()> {
    let mac = text(VETH_MAC);
    host.ip(&format!("link add {VETH} type veth peer name {VETH_END} address {mac}"))?;
    for end in [VETH, VETH_END] {
        host.ip(&format!("link set {end} addrgenmode none"))?;
    }
    // A router is one for the host by one interface.
    set(host, VETH_END, "accept_ra", "0")?;
    host.ip(&format!("link set {VETH} master {BRIDGE} up"))?;
    host.ip(&format!("link set {VETH_END} up"))?;
    host.ip(&format!("-6 addr add {VETH_ADDRESS}/64 dev {VETH_END} nodad")).map(drop)
}

fn set(host: &Host, interface: &str, key: &str, value: &str) -> anyhow::Result<()> {
    let path = format!("/proc/sys/net/ipv6/conf/{interface}/{key}");
    host.run(|| fs::write(&path, value).with_context(|| path.clone()))
}

/// The router, and a server behind it.
#[derive(Debug)]
pub struct Router {
    member: Member,
    speaker: Witness,
    server: UdpSocket,
}

impl Router {
    /// Joins the bridge. The host is given a global address, so that it can have flows of its own.
    ///
    /// # Errors
    ///
    /// As for [`Member::join`].
    pub fn join(host: &Host) -> anyhow::Result<Self> {
        let member = Member::join(host, UPLINK, ROUTER, ROUTER_MAC)?;
        let stack = member.stack();
        set(stack, "all", "forwarding", "1")?;
        stack.ip(&format!("-6 addr add {ROUTER_GLOBAL}/64 dev {INTERFACE} nodad"))?;
        stack.ip(&format!("-6 addr add {SERVER}/128 dev lo nodad"))?;
        host.ip(&format!("-6 addr add {HOST_GLOBAL}/64 dev {BRIDGE} nodad"))?;
        let index = stack.run(|| Ok(if_nametoindex(INTERFACE)?))?;
        let speaker = Witness::new(stack, index)?;
        let server = stack.run(|| Ok(UdpSocket::bind((SERVER, SERVER_PORT))?))?;
        server.set_read_timeout(Some(SECOND))?;
        Ok(Self { member, speaker, server })
    }

    /// Its stack, to run things in.
    pub const fn stack(&self) -> &Host {
        self.member.stack()
    }

    /// Announces itself until the host has its route.
    ///
    /// # Errors
    ///
    /// The host takes none.
    pub fn announce(&self, host: &Host) -> anyhow::Result<()> {
        let advertisement = router_advertisement().with(|frame| {
            frame.source = ROUTER;
            frame.source_mac = ROUTER_MAC;
            frame.payload.extend(mac_option(1, ROUTER_MAC));
        });
        wait::until("the route by the router", || {
            self.speaker.send(&advertisement.bytes())?;
            let routes = host.ip("-6 route show default")?;
            Ok(routes.contains(&format!("via {ROUTER} ")).then_some(()))
        })
    }

    /// A socket of the host's that is connected to the server, and has had an answer.
    ///
    /// # Errors
    ///
    /// There is no way there and back.
    pub fn flow(&self, host: &Host) -> anyhow::Result<UdpSocket> {
        let flow = host.run(|| {
            let from = SocketAddrV6::new(HOST_GLOBAL, FLOW_PORT, 0, 0);
            let flow = UdpSocket::bind(from)?;
            flow.connect((SERVER, SERVER_PORT))?;
            Ok(flow)
        })?;
        flow.set_read_timeout(Some(SECOND))?;
        wait::until("an answer of the server", || Ok(self.answers(&flow).ok()))
            .with_context(|| format!("{:?}", self.answers(&flow)))?;
        Ok(flow)
    }

    /// Fails if the server gets no question of the flow, or the flow no answer.
    ///
    /// # Errors
    ///
    /// What the sockets say.
    pub fn answers(&self, flow: &UdpSocket) -> anyhow::Result<()> {
        let mut datagram = [0; 16];
        flow.send(b"question").context("the question")?;
        let (_, from) = self.server.recv_from(&mut datagram).context("no question came")?;
        self.server.send_to(b"answer", from).context("the answer")?;
        let length = flow.recv(&mut datagram).context("no answer came")?;
        ensure!(datagram.get(..length) == Some(b"answer"), "another answer came");
        Ok(())
    }
}

/// How long a datagram may take there.
const SECOND: Duration = Duration::from_secs(1);

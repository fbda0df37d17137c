//! Which interfaces there are, which addresses the host has and whom it knows: rtnetlink → [`LinkNews`],
//! [`AllLinks`]. What follows of it is decided elsewhere ([`crate::topology`], [`crate::reservations`]).
//!
//! A message is a hint that something is so now; one may be lost (200 TAPs made at once overrun a default
//! socket), so all is read anew then, and every few seconds. The only file that knows rtnetlink, with
//! `links/describe.rs`, which reads its messages.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "rtnetlink's enums are open: what was not asked for is passed over"
)]

mod describe;

use std::{collections::BTreeMap, io, net::Ipv6Addr, sync::Arc};

use futures::{StreamExt as _, TryStreamExt as _, channel::mpsc::UnboundedReceiver};
use netmon_common::Mac;
use rtnetlink::{
    Handle, MulticastGroup, RouteMessageBuilder, new_multicast_connection,
    packet_core::{NetlinkMessage, NetlinkPayload},
    packet_route::{
        AddressFamily, RouteNetlinkMessage,
        link::LinkExtentMask,
        tc::{TcAttribute, TcFilterBpfOption, TcOption},
    },
    sys::{AsyncSocket as _, SocketAddr},
};

/// Bytes of the socket's receive buffer: some 4,000 link messages. The kernel caps it at
/// `net.core.rmem_max`; what does not fit is an overrun.
const RECEIVE_BUFFER: usize = 8 << 20;

/// What an interface is, as far as it matters for links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A TAP. A TUN is of the same kind to the kernel, and speaks no Ethernet: it is none.
    Tap,
    /// A bridge.
    Bridge {
        /// Whether it keeps VLANs apart (`vlan_filtering`).
        filters_vlans: bool,
    },
    /// A VLAN of the interface below, by its number.
    Vlan(u16),
    /// A macvlan on the interface below.
    Macvlan,
    /// One end of a pair; the interface below is the other end.
    Veth,
    /// Anything else that speaks Ethernet.
    Other,
}

/// An interface as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Interface index.
    pub index: u32,
    /// Name.
    pub name: Arc<str>,
    /// What it is.
    pub kind: Kind,
    /// The interface that it is a port of: a bridge, a bond, a VRF. Zero: none.
    pub master: u32,
    /// The interface below, in the same namespace. Zero: none.
    pub below: u32,
    /// The host's own MAC on it.
    pub mac: Mac,
    /// How often its carrier was lost: a VMM has closed a TAP, and what comes next is another guest.
    pub carrier_losses: u32,
    /// Whether it is up and somebody is at its other end: frames get there.
    pub up: bool,
}

/// An address of the host itself, in fe80::/64: no guest can claim another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostAddress {
    /// The interface that has it.
    pub index: u32,
    /// The address.
    pub address: Ipv6Addr,
    /// Its DAD is under way, or has failed: the host does not answer for it.
    pub is_tentative: bool,
}

/// A neighbour that the host knows by address and MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbor {
    /// The host's interface to it.
    pub index: u32,
    /// Its address, in fe80::/64.
    pub address: Ipv6Addr,
    /// Its MAC.
    pub mac: Mac,
}

/// A MAC that a bridge has heard on one of its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Station {
    /// The bridge's port.
    pub index: u32,
    /// The MAC.
    pub mac: Mac,
    /// The VLAN in which it was heard; zero: the bridge has none.
    pub vlan: u16,
}

/// All there is at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllLinks {
    /// The interfaces that speak Ethernet.
    pub interfaces: Vec<Interface>,
    /// Of each bridge and each of its ports that has one, the VLAN of its untagged frames (PVID).
    pub pvids: BTreeMap<u32, u16>,
    /// The host's addresses.
    pub addresses: Vec<HostAddress>,
    /// Its default routers: by which interface, and which address in fe80::/64.
    pub routers: Vec<(u32, Ipv6Addr)>,
    /// Its neighbours.
    pub neighbors: Vec<Neighbor>,
    /// What its bridges have heard.
    pub stations: Vec<Station>,
}

/// What was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkNews {
    /// This interface is there, like this.
    Interface(Interface),
    /// The host has this address.
    Address(HostAddress),
    /// The host has it no more.
    AddressGone(HostAddress),
    /// No such interface any more.
    Gone(u32),
    /// A default route or a bridge's VLAN has changed: [`Links::all`] tells how.
    Changed,
    /// Messages were lost: [`Links::all`] tells what there is.
    Lost,
}

/// The rtnetlink socket is not to be had, or has failed.
#[derive(Debug, thiserror::Error)]
pub enum LinksError {
    /// No socket.
    #[error("rtnetlink socket: {0}")]
    Socket(#[from] io::Error),
    /// A request was refused.
    #[error("rtnetlink: {0}")]
    Request(#[from] rtnetlink::Error),
    /// The socket's task has ended.
    #[error("rtnetlink: the socket was closed")]
    Closed,
}

/// The watch on the namespace's links.
#[derive(Debug)]
pub struct Links {
    handle: Handle,
    messages: UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>,
}

impl Links {
    /// Subscribes; what is there already, [`all`](Self::all) tells. Called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// No socket.
    pub fn open() -> Result<Self, LinksError> {
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv6Ifaddr, MulticastGroup::Ipv6Route];
        let (mut connection, handle, messages) = new_multicast_connection(&groups)?;
        connection.socket_mut().socket_mut().set_rx_buf_sz(RECEIVE_BUFFER as libc::c_int)?;
        tokio::spawn(connection);
        Ok(Self { handle, messages })
    }

    /// Waits for news. The future may be dropped at any point.
    ///
    /// # Errors
    ///
    /// The socket has failed.
    pub async fn next(&mut self) -> Result<LinkNews, LinksError> {
        loop {
            let (message, _) = self.messages.next().await.ok_or(LinksError::Closed)?;
            if let Some(news) = news(&message.payload) {
                return Ok(news);
            }
        }
    }

    /// All there is now. To be awaited to its end: the kernel gives a socket one dump at a time (EBUSY).
    ///
    /// # Errors
    ///
    /// The kernel refuses, or the socket has failed.
    pub async fn all(&self) -> Result<AllLinks, LinksError> {
        let mut all = AllLinks::default();
        let mut links = self.handle.link().get().execute();
        while let Some(link) = links.try_next().await? {
            all.interfaces.extend(describe::interface(&link));
        }
        let has_vlans = |one: &Interface| one.kind == Kind::Bridge { filters_vlans: true };
        if all.interfaces.iter().any(has_vlans) {
            let with_vlans = vec![LinkExtentMask::Brvlan];
            let request = self.handle.link().get();
            let request = request.set_filter_mask(AddressFamily::Bridge, with_vlans);
            let mut ports = request.execute();
            while let Some(port) = ports.try_next().await? {
                all.pvids.extend(describe::pvid(&port));
            }
        }
        let mut addresses = self.handle.address().get().execute();
        while let Some(message) = addresses.try_next().await? {
            all.addresses.extend(describe::host_address(&message));
        }
        let routes = RouteMessageBuilder::<Ipv6Addr>::new().build();
        let mut routes = self.handle.route().get(routes).execute();
        while let Some(message) = routes.try_next().await? {
            all.routers.extend(describe::routers(&message));
        }
        let request = self.handle.neighbours().get();
        let mut neighbors = request.set_address_family(AddressFamily::Inet6).execute();
        while let Some(message) = neighbors.try_next().await? {
            all.neighbors.extend(describe::neighbor(&message));
        }
        let request = self.handle.neighbours().get();
        let mut stations = request.set_address_family(AddressFamily::Bridge).execute();
        while let Some(message) = stations.try_next().await? {
            all.stations.extend(describe::station(&message));
        }
        Ok(all)
    }

    /// The ids of the BPF programs in an interface's clsact egress filters.
    ///
    /// # Errors
    ///
    /// The interface is gone.
    pub async fn egress_filters(&self, index: u32) -> Result<Vec<u32>, LinksError> {
        let index = i32::try_from(index).map_err(io::Error::other)?;
        let filters = self.handle.traffic_filter(index).get().egress().execute();
        let filters: Vec<_> = filters.try_collect().await?;
        let options =
            filters.into_iter().flat_map(|filter| filter.attributes).filter_map(|attribute| {
                if let TcAttribute::Options(options) = attribute { Some(options) } else { None }
            });
        let ids = options.flatten().filter_map(|option| match option {
            TcOption::Bpf(TcFilterBpfOption::ProgId(id)) => Some(id),
            _ => None,
        });
        Ok(ids.collect())
    }
}

/// What a message tells that matters.
fn news(payload: &NetlinkPayload<RouteNetlinkMessage>) -> Option<LinkNews> {
    let message = match payload {
        NetlinkPayload::InnerMessage(message) => message,
        NetlinkPayload::Overrun(_) => return Some(LinkNews::Lost),
        _ => return None,
    };
    match message {
        // What a bridge tells of its ports, their VLANs among it.
        RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link)
            if link.header.interface_family == AddressFamily::Bridge =>
        {
            Some(LinkNews::Changed)
        }
        RouteNetlinkMessage::NewLink(link) => describe::interface(link).map(LinkNews::Interface),
        RouteNetlinkMessage::DelLink(link) => Some(LinkNews::Gone(link.header.index)),
        RouteNetlinkMessage::NewAddress(message) => {
            describe::host_address(message).map(LinkNews::Address)
        }
        RouteNetlinkMessage::DelAddress(message) => {
            describe::host_address(message).map(LinkNews::AddressGone)
        }
        RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route) => {
            (!describe::routers(route).is_empty()).then_some(LinkNews::Changed)
        }
        _ => None,
    }
}

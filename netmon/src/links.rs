//! Which TAPs there are, and which addresses the host has: rtnetlink → [`LinkNews`].
//!
//! A message is a hint that something is so now; one may be lost (200 TAPs made at once overrun a default
//! socket), so all is read anew then, and every few seconds. The only file that knows rtnetlink.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "rtnetlink's enums are open: what was not asked for is passed over"
)]

use std::{
    io,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use futures::{StreamExt as _, TryStreamExt as _, channel::mpsc::UnboundedReceiver};
use netmon_common::{Address, Mac};
use rtnetlink::{
    Handle, MulticastGroup, new_multicast_connection,
    packet_core::{NetlinkMessage, NetlinkPayload},
    packet_route::{
        AddressFamily, RouteNetlinkMessage,
        address::{AddressAttribute, AddressMessage},
        link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage},
        tc::{TcAttribute, TcFilterBpfOption, TcOption},
    },
    sys::{AsyncSocket as _, SocketAddr},
};

/// Bytes of the socket's receive buffer: some 4,000 link messages. The kernel caps it at
/// `net.core.rmem_max`; what does not fit is an overrun.
const RECEIVE_BUFFER: usize = 8 << 20;

/// A TAP as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tap {
    /// Interface index.
    pub index: u32,
    /// Name.
    pub name: Arc<str>,
    /// The broadcast domain: its own index, or that of the bridge that it is in.
    pub link: u32,
    /// The host's own MAC on it.
    pub mac: Mac,
    /// How often its carrier was lost: a VMM has closed it, and what comes next is another guest.
    pub carrier_losses: u32,
    /// Whether it is up and a VMM has it open: frames get to the guest.
    pub up: bool,
}

/// A bridge: the broadcast domain of the TAPs in it, and an interface of the host on that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// Interface index.
    pub index: u32,
    /// The host's own MAC on it.
    pub mac: Mac,
}

/// An address of the host itself, in fe80::/64: no guest can claim another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostAddress {
    /// The interface that has it.
    pub index: u32,
    /// The address, be it that its DAD is still under way or has failed.
    pub address: Ipv6Addr,
}

/// All there is at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllLinks {
    /// The TAPs.
    pub taps: Vec<Tap>,
    /// The bridges.
    pub bridges: Vec<Bridge>,
    /// The host's addresses.
    pub addresses: Vec<HostAddress>,
}

/// What was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkNews {
    /// This TAP is there, like this.
    Tap(Tap),
    /// This bridge is.
    Bridge(Bridge),
    /// The host has this address.
    Address(HostAddress),
    /// The host has it no more.
    AddressGone(HostAddress),
    /// No such interface any more, TAP or not.
    Gone(u32),
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
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv6Ifaddr];
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
            match message.payload {
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => {
                    match described(&link) {
                        Some(Link::Tap(tap)) => return Ok(LinkNews::Tap(tap)),
                        Some(Link::Bridge(bridge)) => return Ok(LinkNews::Bridge(bridge)),
                        None => {}
                    }
                }
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(message)) => {
                    if let Some(address) = host_address(&message) {
                        return Ok(LinkNews::Address(address));
                    }
                }
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelAddress(message)) => {
                    if let Some(address) = host_address(&message) {
                        return Ok(LinkNews::AddressGone(address));
                    }
                }
                // A port that leaves a bridge is "deleted" in the bridge's own family.
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(link))
                    if link.header.interface_family != AddressFamily::Bridge =>
                {
                    return Ok(LinkNews::Gone(link.header.index));
                }
                NetlinkPayload::Overrun(_) => return Ok(LinkNews::Lost),
                _ => {}
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
            match described(&link) {
                Some(Link::Tap(tap)) => all.taps.push(tap),
                Some(Link::Bridge(bridge)) => all.bridges.push(bridge),
                None => {}
            }
        }
        let mut addresses = self.handle.address().get().execute();
        while let Some(message) = addresses.try_next().await? {
            all.addresses.extend(host_address(&message));
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

enum Link {
    Tap(Tap),
    Bridge(Bridge),
}

/// A TUN is of the same kind as a TAP, and speaks no Ethernet.
fn described(link: &LinkMessage) -> Option<Link> {
    let header = &link.header;
    if header.interface_family == AddressFamily::Bridge
        || header.link_layer_type != LinkLayerType::Ether
    {
        return None;
    }
    let mut kind = None;
    let mut tap = Tap {
        index: header.index,
        name: Arc::from(""),
        link: header.index,
        mac: Mac::default(),
        carrier_losses: 0,
        up: header.flags.contains(LinkFlags::LowerUp),
    };
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => tap.name = Arc::from(name.as_str()),
            LinkAttribute::Controller(bridge) => tap.link = *bridge,
            LinkAttribute::CarrierDownCount(losses) => tap.carrier_losses = *losses,
            LinkAttribute::Address(mac) => {
                tap.mac = mac.first_chunk().map_or(Mac::default(), |mac| Mac::new(*mac));
            }
            LinkAttribute::LinkInfo(info) => {
                kind = info.iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.clone()),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    match kind {
        Some(InfoKind::Tun) if !tap.name.is_empty() => Some(Link::Tap(tap)),
        Some(InfoKind::Bridge) => Some(Link::Bridge(Bridge { index: tap.index, mac: tap.mac })),
        _ => None,
    }
}

fn host_address(message: &AddressMessage) -> Option<HostAddress> {
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(IpAddr::V6(address)) => Some(*address),
        _ => None,
    })?;
    let is_claimable = Address::from(address).is_link_local();
    is_claimable.then_some(HostAddress { index: message.header.index, address })
}

//! Which TAPs there are: rtnetlink → [`LinkNews`].
//!
//! A message is a hint that something is so now; one may be lost (200 TAPs made at once overrun a default
//! socket) and then all links are read anew. The only file that knows rtnetlink.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "rtnetlink's enums are open: what was not asked for is passed over"
)]

use std::{io, sync::Arc};

use futures::{StreamExt as _, TryStreamExt as _, channel::mpsc::UnboundedReceiver};
use netmon_common::Mac;
use rtnetlink::{
    Handle, MulticastGroup, new_multicast_connection,
    packet_core::{NetlinkMessage, NetlinkPayload},
    packet_route::{
        AddressFamily, RouteNetlinkMessage,
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

/// What was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkNews {
    /// This TAP is there, like this.
    Tap(Tap),
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
        let (mut connection, handle, messages) = new_multicast_connection(&[MulticastGroup::Link])?;
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
                    if let Some(tap) = tap(&link) {
                        return Ok(LinkNews::Tap(tap));
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

    /// All TAPs there are now. To be awaited to its end: the kernel gives a socket one dump at a time
    /// (EBUSY).
    ///
    /// # Errors
    ///
    /// The kernel refuses, or the socket has failed.
    pub async fn all(&self) -> Result<Vec<Tap>, LinksError> {
        let mut taps = Vec::new();
        let mut links = self.handle.link().get().execute();
        while let Some(link) = links.try_next().await? {
            taps.extend(tap(&link));
        }
        Ok(taps)
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

/// A TUN is of the same kind as a TAP, and speaks no Ethernet.
fn tap(link: &LinkMessage) -> Option<Tap> {
    let header = &link.header;
    if header.interface_family == AddressFamily::Bridge
        || header.link_layer_type != LinkLayerType::Ether
    {
        return None;
    }
    let mut is_tun = false;
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
                is_tun = info.iter().any(|info| matches!(info, LinkInfo::Kind(InfoKind::Tun)));
            }
            _ => {}
        }
    }
    (is_tun && !tap.name.is_empty()).then_some(tap)
}

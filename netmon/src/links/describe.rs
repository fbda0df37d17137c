//! rtnetlink's messages → what they say of links.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "rtnetlink's enums are open: what was not asked for is passed over"
)]

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use netmon_common::{Address, Mac};
use rtnetlink::packet_route::{
    AddressFamily,
    address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage},
    link::{
        AfSpecBridge, BridgeVlanInfoFlags, InfoBridge, InfoData, InfoKind, InfoVlan, LinkAttribute,
        LinkFlags, LinkInfo, LinkLayerType, LinkMessage,
    },
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState},
    route::{RouteAddress, RouteAttribute, RouteMessage},
};

use super::{HostAddress, Interface, Kind, Neighbor, Station};

/// An interface that speaks Ethernet, and has a name that can be read.
pub(super) fn interface(link: &LinkMessage) -> Option<Interface> {
    let header = &link.header;
    if header.interface_family == AddressFamily::Bridge
        || header.link_layer_type != LinkLayerType::Ether
    {
        return None;
    }
    let mut interface = Interface {
        index: header.index,
        name: Arc::from(""),
        kind: Kind::Other,
        master: 0,
        below: 0,
        mac: Mac::default(),
        carrier_losses: 0,
        up: header.flags.contains(LinkFlags::LowerUp),
    };
    let mut is_below_elsewhere = false;
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => interface.name = Arc::from(name.as_str()),
            LinkAttribute::Controller(master) => interface.master = *master,
            LinkAttribute::Link(below) => interface.below = *below,
            LinkAttribute::LinkNetNsId(_) => is_below_elsewhere = true,
            LinkAttribute::CarrierDownCount(losses) => interface.carrier_losses = *losses,
            LinkAttribute::Address(octets) => interface.mac = mac(octets).unwrap_or_default(),
            LinkAttribute::LinkInfo(info) => interface.kind = kind(info),
            _ => {}
        }
    }
    if is_below_elsewhere {
        interface.below = 0;
    }
    (!interface.name.is_empty()).then_some(interface)
}

fn kind(info: &[LinkInfo]) -> Kind {
    let kind = info.iter().find_map(|info| match info {
        LinkInfo::Kind(kind) => Some(kind),
        _ => None,
    });
    let data = info.iter().find_map(|info| match info {
        LinkInfo::Data(data) => Some(data),
        _ => None,
    });
    match (kind, data) {
        (Some(InfoKind::Tun), _) => Kind::Tap,
        (Some(InfoKind::Bridge), data) => {
            let filters = |one: &InfoBridge| *one == InfoBridge::VlanFiltering(true);
            let filters_vlans =
                matches!(data, Some(InfoData::Bridge(data)) if data.iter().any(filters));
            Kind::Bridge { filters_vlans }
        }
        (Some(InfoKind::Vlan), Some(InfoData::Vlan(data))) => {
            let id = data.iter().find_map(|one| match one {
                InfoVlan::Id(id) => Some(*id),
                _ => None,
            });
            id.map_or(Kind::Other, Kind::Vlan)
        }
        (Some(InfoKind::MacVlan), _) => Kind::Macvlan,
        (Some(InfoKind::Veth), _) => Kind::Veth,
        _ => Kind::Other,
    }
}

/// The VLAN of a bridge's or a bridge port's untagged frames.
pub(super) fn pvid(port: &LinkMessage) -> Option<(u32, u16)> {
    let vlans = port.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::AfSpecBridge(spec) => Some(spec),
        _ => None,
    })?;
    let pvid = vlans.iter().find_map(|vlan| match vlan {
        AfSpecBridge::VlanInfo(vlan) if vlan.flags.contains(BridgeVlanInfoFlags::Pvid) => {
            Some(vlan.vid)
        }
        _ => None,
    })?;
    Some((port.header.index, pvid))
}

pub(super) fn host_address(message: &AddressMessage) -> Option<HostAddress> {
    const UNSETTLED: AddressFlags = AddressFlags::Tentative.union(AddressFlags::Dadfailed);
    let mut address = None;
    let mut is_tentative = message.header.flags.contains(AddressHeaderFlags::Tentative);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(IpAddr::V6(found)) => address = link_local(*found),
            AddressAttribute::Flags(flags) => is_tentative |= flags.intersects(UNSETTLED),
            _ => {}
        }
    }
    address.map(|address| HostAddress { index: message.header.index, address, is_tentative })
}

/// The link-local gateways of a default route: by which interface, and which address.
pub(super) fn routers(route: &RouteMessage) -> Vec<(u32, Ipv6Addr)> {
    if route.header.destination_prefix_length != 0
        || route.header.address_family != AddressFamily::Inet6
    {
        return Vec::new();
    }
    let interface = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    });
    let one = gateway(&route.attributes).zip(interface).map(|(address, index)| (index, address));
    let several = route.attributes.iter().flat_map(|attribute| match attribute {
        RouteAttribute::MultiPath(hops) => hops.as_slice(),
        _ => &[],
    });
    let several = several.filter_map(|hop| Some((hop.interface_index, gateway(&hop.attributes)?)));
    one.into_iter().chain(several).collect()
}

fn gateway(attributes: &[RouteAttribute]) -> Option<Ipv6Addr> {
    attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet6(address)) => link_local(*address),
        _ => None,
    })
}

/// A neighbour that has answered once, or that somebody has entered.
pub(super) fn neighbor(message: &NeighbourMessage) -> Option<Neighbor> {
    let has_answered = !matches!(
        message.header.state,
        NeighbourState::Incomplete | NeighbourState::Failed | NeighbourState::None
    );
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => link_local(*address),
        _ => None,
    })?;
    let mac = unicast(&message.attributes)?;
    has_answered.then_some(Neighbor { index: message.header.ifindex, address, mac })
}

/// A MAC behind a bridge's port, which is not the port's own.
pub(super) fn station(message: &NeighbourMessage) -> Option<Station> {
    let vlan = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Vlan(vlan) => Some(*vlan),
        _ => None,
    });
    let mac = unicast(&message.attributes)?;
    let is_heard = message.header.state != NeighbourState::Permanent;
    let (index, vlan) = (message.header.ifindex, vlan.unwrap_or_default());
    is_heard.then_some(Station { index, mac, vlan })
}

fn unicast(attributes: &[NeighbourAttribute]) -> Option<Mac> {
    let octets = attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(octets) => Some(octets),
        _ => None,
    })?;
    mac(octets).filter(|mac| !mac.is_zero() && !mac.is_multicast())
}

fn mac(octets: &[u8]) -> Option<Mac> {
    octets.first_chunk().map(|octets| Mac::new(*octets))
}

fn link_local(address: Ipv6Addr) -> Option<Ipv6Addr> {
    Address::from(address).is_link_local().then_some(address)
}

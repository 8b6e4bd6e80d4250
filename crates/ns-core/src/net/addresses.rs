//! Addresses, routes and neighbours: ip-address(8), ip-route(8), ip-neighbour(8).

use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};
use netlink_packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::message::read_all;
use super::{Address, Netlink, Route};
use crate::error::{Error, Result};

impl Netlink {
    /// Every IP address of every link.
    ///
    /// # Errors
    /// As [`Netlink::links`].
    pub fn addresses(&self) -> Result<Vec<Address>> {
        let typed = "ip address show";
        let records =
            self.requests.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()), typed)?;
        read_all(&records, typed, Address::read)
    }

    /// Gives a link an address. `prefix` is the length of its network part in bits: 0 to 32, or 128 for IPv6.
    ///
    /// An IPv6 address is usable at once: without `nodad`, the kernel would first listen for a second or two whether
    /// someone else has it (RFC 4862).
    ///
    /// # Errors
    /// EEXIST if the link has it; ENODEV if there is no such link; EINVAL if `prefix` is too long.
    pub fn add_address(&self, index: u32, address: IpAddr, prefix: u8) -> Result<()> {
        let message = RouteNetlinkMessage::NewAddress(address_message(index, address, prefix));
        self.change(message, NLM_F_CREATE | NLM_F_EXCL, || {
            let nodad = if address.is_ipv6() { " nodad" } else { "" };
            format!("ip address add {address}/{prefix} dev {}{nodad}", self.shown(index))
        })
    }

    /// Takes an address away from a link, and with it the route to its network.
    ///
    /// # Errors
    /// EADDRNOTAVAIL if the link does not have it.
    pub fn delete_address(&self, index: u32, address: IpAddr, prefix: u8) -> Result<()> {
        let message = RouteNetlinkMessage::DelAddress(address_message(index, address, prefix));
        self.change(message, 0, || format!("ip address delete {address}/{prefix} dev {}", self.shown(index)))
    }

    /// Every IP route of the main table, with those that the kernel made for an address.
    ///
    /// # Errors
    /// As [`Netlink::links`].
    pub fn routes(&self) -> Result<Vec<Route>> {
        let typed = "ip route show table main";
        let records = self.requests.dump(RouteNetlinkMessage::GetRoute(RouteMessage::default()), typed)?;
        read_all(&records, typed, Route::read)
    }

    /// Adds a route to the main table. Packets to `destination` leave by the link `index`, handed to `gateway` if there
    /// is one. `destination` is a network and the length of its prefix in bits; `None` is everywhere, the default
    /// route. Everywhere without a gateway is IPv4's.
    ///
    /// # Errors
    /// EEXIST if there is such a route; ENETDOWN if the link is down. ENETUNREACH or EINVAL if the gateway is not on
    /// that link; EINVAL if `destination` has bits beyond its prefix. [`Error::Input`] if one end is IPv4 and the other
    /// IPv6.
    pub fn add_route(
        &self,
        destination: Option<(IpAddr, u8)>,
        gateway: Option<IpAddr>,
        index: u32,
    ) -> Result<()> {
        let message = RouteNetlinkMessage::NewRoute(route_message(destination, gateway, index)?);
        self.change(message, NLM_F_CREATE | NLM_F_EXCL, || {
            self.typed_route("add", destination, gateway, index)
        })
    }

    /// Deletes a route of the main table; the arguments are those of [`Netlink::add_route`].
    ///
    /// # Errors
    /// ESRCH if there is no such route. [`Error::Input`] as there.
    pub fn delete_route(
        &self,
        destination: Option<(IpAddr, u8)>,
        gateway: Option<IpAddr>,
        index: u32,
    ) -> Result<()> {
        let mut message = route_message(destination, gateway, index)?;
        // Whatever its scope: the kernel's own route to a network has another than one added by hand.
        message.header.scope = RouteScope::NoWhere;
        message.header.protocol = RouteProtocol::Unspec;
        let message = RouteNetlinkMessage::DelRoute(message);
        self.change(message, 0, || self.typed_route("delete", destination, gateway, index))
    }

    /// Says once and for all which hardware address an IP address on a link has, so that the kernel need not ask (ARP,
    /// or for IPv6 neighbour discovery). What was known of it before is replaced. It is forgotten when the link is set
    /// down. See ip-neighbour(8).
    ///
    /// # Errors
    /// ENODEV if there is no such link; EINVAL for an address that no neighbour can have.
    pub fn add_neighbour(&self, index: u32, address: IpAddr, hardware: [u8; 6]) -> Result<()> {
        let mut message = NeighbourMessage::default();
        message.header.family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        message.header.ifindex = index;
        message.header.state = NeighbourState::Permanent;
        message.attributes.push(NeighbourAttribute::Destination(address.into()));
        message.attributes.push(NeighbourAttribute::LinkLayerAddress(hardware.into()));
        self.change(RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE | NLM_F_REPLACE, || {
            let hardware = hardware.map(|byte| format!("{byte:02x}")).join(":");
            format!(
                "ip neighbour replace {address} lladdr {hardware} dev {} nud permanent",
                self.shown(index)
            )
        })
    }

    fn typed_route(
        &self,
        verb: &str,
        destination: Option<(IpAddr, u8)>,
        gateway: Option<IpAddr>,
        index: u32,
    ) -> String {
        let to = destination.map_or("default".into(), |(network, prefix)| format!("{network}/{prefix}"));
        let via = gateway.map(|gateway| format!(" via {gateway}")).unwrap_or_default();
        format!("ip route {verb} {to}{via} dev {}", self.shown(index))
    }
}

fn address_message(index: u32, address: IpAddr, prefix: u8) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = prefix;
    message.attributes.push(AddressAttribute::Address(address));
    match address {
        IpAddr::V4(_) => {
            message.header.family = AddressFamily::Inet;
            // rtnetlink(7): where IFA_ADDRESS could be a far end's, this one says which address is ours.
            message.attributes.push(AddressAttribute::Local(address));
        }
        IpAddr::V6(_) => {
            message.header.family = AddressFamily::Inet6;
            message.header.flags = AddressHeaderFlags::Nodad;
        }
    }
    message
}

fn route_message(
    destination: Option<(IpAddr, u8)>,
    gateway: Option<IpAddr>,
    index: u32,
) -> Result<RouteMessage> {
    let to = destination.map(|(network, _)| network);
    if let (Some(to), Some(gateway)) = (to, gateway) {
        if to.is_ipv4() != gateway.is_ipv4() {
            return Err(Error::Input(format!(
                "route to {to} via {gateway}: one is IPv4, the other IPv6; take both of one family"
            )));
        }
    }
    let ipv4 = to.or(gateway).unwrap_or(Ipv4Addr::UNSPECIFIED.into()).is_ipv4();
    let mut message = RouteMessage::default();
    message.header.address_family = if ipv4 { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    // As ip(8) marks what is added by hand.
    message.header.protocol = RouteProtocol::Boot;
    message.header.kind = RouteType::Unicast;
    // rtnetlink(7): a route without a gateway ends on the link. IPv6 has no scopes of routes.
    message.header.scope = if ipv4 && gateway.is_none() { RouteScope::Link } else { RouteScope::Universe };
    if let Some((network, prefix)) = destination {
        message.header.destination_prefix_length = prefix;
        message.attributes.push(RouteAttribute::Destination(network.into()));
    }
    message.attributes.extend(gateway.map(|gateway| RouteAttribute::Gateway(gateway.into())));
    message.attributes.push(RouteAttribute::Oif(index));
    Ok(message)
}

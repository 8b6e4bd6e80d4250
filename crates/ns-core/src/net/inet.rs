//! Addresses and routes as the kernel describes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::{DecodeError, NlasIterator, Parseable, ParseableParametrized};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressHeader, AddressMessageBuffer};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteLwEnCapType, RouteMessageBuffer,
};
use serde::Serialize;

/// An IP address of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Address {
    /// The link's index.
    pub index: u32,
    /// The address.
    pub address: IpAddr,
    /// How many leading bits name its network: 0 to 32, or 128 for IPv6.
    pub prefix: u8,
}

/// A route of the main table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Route {
    /// The network it leads to. The default route leads to 0.0.0.0 or ::, with a prefix of 0.
    pub destination: IpAddr,
    /// How many leading bits name that network.
    pub prefix: u8,
    /// The router that packets are handed to; `None` when the destination is on the link itself.
    pub gateway: Option<IpAddr>,
    /// The index of the link that packets leave by. `None` for routes over several links or over none (blackhole).
    pub index: Option<u32>,
}

impl Address {
    /// Reads the body of an RTM_NEWADDR message; `None` if it is of no IP family.
    pub(super) fn read(body: &[u8]) -> Result<Option<Address>, DecodeError> {
        let header = AddressHeader::parse(body)?;
        let (mut local, mut far) = (None, None);
        for nla in NlasIterator::new(&body[size_of::<AddressMessageBuffer>()..]) {
            match AddressAttribute::parse(&nla?) {
                Ok(AddressAttribute::Local(address)) => local = Some(address),
                Ok(AddressAttribute::Address(address)) => far = Some(address),
                _ => {}
            }
        }
        // rtnetlink(7): IFA_ADDRESS is the far end's address on a point-to-point link. IPv6 has IFA_LOCAL only there.
        let address = local.or(far);
        Ok(address.map(|address| Address { index: header.index, address, prefix: header.prefix_len }))
    }
}

impl Route {
    /// Reads the body of an RTM_NEWROUTE message; `None` if it is of no IP family or not in the main table.
    pub(super) fn read(body: &[u8]) -> Result<Option<Route>, DecodeError> {
        let header = RouteHeader::parse(body)?;
        let anywhere: IpAddr = match header.address_family {
            AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
            AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
            _ => return Ok(None),
        };
        let prefix = header.destination_prefix_length;
        let mut route = Route { destination: anywhere, prefix, gateway: None, index: None };
        let mut table = u32::from(header.table);
        for nla in NlasIterator::new(&body[size_of::<RouteMessageBuffer>()..]) {
            let about = (header.address_family, header.kind, RouteLwEnCapType::None);
            match RouteAttribute::parse_with_param(&nla?, about) {
                Ok(RouteAttribute::Destination(address)) => {
                    route.destination = ip(&address).unwrap_or(anywhere);
                }
                Ok(RouteAttribute::Gateway(address)) => route.gateway = ip(&address),
                Ok(RouteAttribute::Oif(index)) => route.index = Some(index),
                // The header's table has 8 bits; this one is the whole number.
                Ok(RouteAttribute::Table(whole)) => table = whole,
                _ => {}
            }
        }
        Ok((table == u32::from(RouteHeader::RT_TABLE_MAIN)).then_some(route))
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::Emitable;
    use netlink_packet_route::address::AddressMessage;
    use netlink_packet_route::route::RouteMessage;

    use super::*;

    fn bytes(message: &impl Emitable) -> Vec<u8> {
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        bytes
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn on_a_point_to_point_link_the_address_is_our_own() {
        let mut message = AddressMessage::default();
        (message.header.family, message.header.prefix_len, message.header.index) =
            (AddressFamily::Inet, 32, 4);
        message.attributes =
            vec![AddressAttribute::Address(ip("10.0.0.2")), AddressAttribute::Local(ip("10.0.0.1"))];
        let expected = Address { index: 4, address: ip("10.0.0.1"), prefix: 32 };
        assert_eq!(Address::read(&bytes(&message)).unwrap(), Some(expected));
    }

    fn route(family: AddressFamily, prefix: u8, table: u8, attributes: Vec<RouteAttribute>) -> Option<Route> {
        let mut message = RouteMessage::default();
        message.header.address_family = family;
        message.header.destination_prefix_length = prefix;
        message.header.table = table;
        message.attributes = attributes;
        Route::read(&bytes(&message)).unwrap()
    }

    #[test]
    fn a_default_route_leads_to_everything() {
        let gateway = RouteAttribute::Gateway(ip("10.0.0.2").into());
        assert_eq!(
            route(AddressFamily::Inet, 0, 254, vec![gateway, RouteAttribute::Oif(4)]),
            Some(Route {
                destination: ip("0.0.0.0"),
                prefix: 0,
                gateway: Some(ip("10.0.0.2")),
                index: Some(4)
            })
        );
        assert_eq!(route(AddressFamily::Inet6, 0, 254, vec![]).map(|it| it.destination), Some(ip("::")));
    }

    #[test]
    fn other_tables_and_other_families_are_passed_over() {
        let network = || RouteAttribute::Destination(ip("10.0.0.0").into());
        assert!(route(AddressFamily::Inet, 8, 254, vec![network()]).is_some());
        assert_eq!(route(AddressFamily::Inet, 8, 255, vec![network()]), None);
        // A table beyond 255 is in the header as 252, or not at all.
        assert_eq!(route(AddressFamily::Inet, 8, 254, vec![network(), RouteAttribute::Table(1000)]), None);
        assert_eq!(route(AddressFamily::Mpls, 20, 254, vec![]), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_can_make_it_panic(bytes: Vec<u8>) {
            let _ = Address::read(&bytes);
            let _ = Route::read(&bytes);
            // The same, taken for IPv4 and IPv6.
            for family in [2, 10] {
                let _ = Address::read(&[&[family, 24, 0, 0, 1, 0, 0, 0], &bytes[..]].concat());
                let _ = Route::read(&[&[family, 24, 0, 0, 254, 0, 0, 0, 0, 0, 0, 0], &bytes[..]].concat());
            }
        }
    }
}

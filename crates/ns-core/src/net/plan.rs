//! What joins network namespaces: veth pairs and bridges, put together from what each of them says of its own links.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use super::{Link, Netlink};
use crate::error::Result;

/// A network namespace, and what it is called in a plan.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// What to call it.
    pub name: &'a str,
    /// A line to it.
    pub net: &'a Netlink,
    /// The namespace itself.
    pub namespace: BorrowedFd<'a>,
}

/// A device that is joined with another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The site that it is in.
    pub site: String,
    /// Its name there.
    pub name: String,
    /// Its addresses, as `10.0.0.1/24`, without the link-local ones, which the kernel gives by itself and in its own time.
    pub addresses: Vec<String>,
    /// The bridge that it is a port of.
    pub bridge: Option<String>,
    /// The site and the name of its other end.
    pub other_end: Option<(String, String)>,
}

impl Device {
    /// Whether it is a bridge, or its other end is in another site.
    pub fn leads_away(&self) -> bool {
        self.other_end.as_ref().is_none_or(|(site, _)| *site != self.site)
    }
}

/// The veth ends in `sites` whose other ends are in one of them too, and the bridges that these are ports of.
///
/// # Errors
/// Those of [`Netlink::links`], [`Netlink::addresses`] and [`Netlink::number_of`].
pub fn plan(sites: &[Site<'_>]) -> Result<Vec<Device>> {
    let links: Vec<Vec<Link>> = sites.iter().map(|site| site.net.links()).collect::<Result<_>>()?;
    let mut devices = Vec::new();
    for (at, site) in sites.iter().enumerate() {
        // By what number this namespace knows each of the others.
        let mut numbers = Vec::new();
        for other in sites {
            numbers.push(site.net.number_of(other.namespace)?);
        }
        let other_end = |link: &Link| -> Option<(String, String)> {
            let there = match link.peer_namespace {
                None => at,
                Some(number) => numbers.iter().position(|it| *it == Some(number))?,
            };
            let peer = links[there].iter().find(|other| Some(other.index) == link.peer_index)?;
            (link.kind.as_deref() == Some("veth")).then(|| (sites[there].name.into(), peer.name.clone()))
        };
        let addresses = site.net.addresses()?;
        let ends: Vec<(&Link, (String, String))> =
            links[at].iter().filter_map(|link| Some((link, other_end(link)?))).collect();
        let bridges =
            links[at].iter().filter(|link| ends.iter().any(|(end, _)| end.master == Some(link.index)));
        let bridges: Vec<&Link> = bridges.collect();
        let device = |link: &Link, other_end: Option<(String, String)>| Device {
            site: site.name.into(),
            name: link.name.clone(),
            addresses: addresses
                .iter()
                .filter(|it| it.index == link.index && !is_link_local(it.address))
                .map(|it| format!("{}/{}", it.address, it.prefix))
                .collect(),
            bridge: bridges.iter().find(|bridge| link.master == Some(bridge.index)).map(|it| it.name.clone()),
            other_end,
        };
        devices.extend(bridges.iter().map(|bridge| device(bridge, None)));
        devices.extend(ends.into_iter().map(|(link, end)| device(link, Some(end))));
    }
    Ok(devices)
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

//! The network of a process: network_namespaces(7), rtnetlink(7).

use std::collections::BTreeSet;
use std::fs;

use ns_core::net::{Link, Netlink, Route};
use ns_core::{Errno, Kind, Named, Result};
use wake::Subject;

use super::arguments::Arguments;
use super::inside::inside;
use super::row::{Reads, Row};
use crate::seen::Seen;

/// States in /proc/net/tcp and udp (include/net/tcp_states.h): TCP_LISTEN, and TCP_CLOSE for a socket of UDP that is bound
/// and not connected.
const LISTENS: [(&str, &str); 2] = [("tcp", "0A"), ("udp", "07")];

pub(super) const ROWS: &[Row] = &[
    Row {
        form: "links",
        reads: Reads::Set,
        about: "the names of the links in its network namespace",
        source: "network_namespaces(7), ip-link(8)",
        says: ["its links are {}", "it has no links"],
        see: |subject, _| {
            inside(subject, Kind::Net, || Ok(Seen::Set(names(&Netlink::open()?.links()?, |_| true))))
        },
    },
    Row {
        form: "link NAME",
        reads: Reads::Set,
        about: "what the link is: its type (veth, bridge, dummy, loopback, …), and up and running where it is",
        source: "ip-link(8), netdevice(7)",
        says: ["its link {1} is {}", "it has no link {1}"],
        see: |subject, words| of_link(subject, words, |_, link| Ok(flags(link))),
    },
    Row {
        form: "link NAME address",
        reads: Reads::Set,
        about: "the IP addresses of the link, each with the length of its prefix: 10.0.0.2/24",
        source: "ip-address(8)",
        says: ["its link {1} has the addresses {}", "it has no link {1}"],
        see: |subject, words| {
            of_link(subject, words, |net, link| {
                let own = net.addresses()?.into_iter().filter(|it| it.index == link.index);
                Ok(own.map(|it| format!("{}/{}", it.address, it.prefix)).collect())
            })
        },
    },
    Row {
        form: "link NAME ports",
        reads: Reads::Set,
        about: "the links whose master is the bridge NAME",
        source: "ip-link(8), master",
        says: ["the ports of its link {1} are {}", "it has no link {1}"],
        see: |subject, words| {
            of_link(subject, words, |net, bridge| {
                Ok(names(&net.links()?, |link| link.master == Some(bridge.index)))
            })
        },
    },
    Row {
        form: "route default",
        reads: Reads::Text,
        about: "its default route, IPv4's before IPv6's: `via 10.0.0.1 dev eth0`",
        source: "ip-route(8)",
        says: ["its default route is {}", "it has no default route"],
        see: |subject, _| inside(subject, Kind::Net, default_route),
    },
    Row {
        form: "listens tcp|udp",
        reads: Reads::Set,
        about: "the ports that sockets in its network namespace listen on, or are bound to for UDP",
        source: "proc_net(5), ss(8)",
        says: ["the {1} ports that are listened on in its network are {}", "it has no network"],
        see: listens,
    },
];

fn names(links: &[Link], which: impl Fn(&Link) -> bool) -> BTreeSet<String> {
    links.iter().filter(|link| which(link)).map(|link| link.name.clone()).collect()
}

/// What `read` finds of the link NAME in the network namespace of `subject`, if there is one.
fn of_link(
    subject: Subject,
    words: &Arguments,
    read: fn(&Netlink, &Link) -> Result<BTreeSet<String>>,
) -> Result<Seen> {
    inside(subject, Kind::Net, || {
        let net = Netlink::open()?;
        let link = net.links()?.into_iter().find(|link| link.name == words.first());
        link.map_or(Ok(Seen::Absent), |link| read(&net, &link).map(Seen::Set))
    })
}

fn flags(link: &Link) -> BTreeSet<String> {
    let loopback = (link.name == "lo").then_some("loopback");
    let words = [link.up.then_some("up"), link.running.then_some("running"), link.kind.as_deref(), loopback];
    words.into_iter().flatten().map(String::from).collect()
}

fn default_route() -> Result<Seen> {
    let net = Netlink::open()?;
    let links = net.links()?;
    let mut routes: Vec<Route> = net.routes()?;
    routes.retain(|route| route.prefix == 0);
    routes.sort_by_key(|route| route.destination.is_ipv6());
    let Some(route) = routes.first() else { return Ok(Seen::Absent) };
    let via = route.gateway.map(|gateway| format!("via {gateway}"));
    let link = links.iter().find(|link| Some(link.index) == route.index);
    let parts = [via, link.map(|link| format!("dev {}", link.name))];
    Ok(Seen::Text(parts.into_iter().flatten().collect::<Vec<_>>().join(" ")))
}

/// /proc/PID/net is the network of the process, so nobody needs to enter it.
fn listens(subject: Subject, words: &Arguments) -> Result<Seen> {
    let mut ports = BTreeSet::new();
    for (protocol, state) in LISTENS.into_iter().filter(|(protocol, _)| *protocol == words.first()) {
        for file in [String::from(protocol), format!("{protocol}6")] {
            let path = format!("/proc/{}/net/{file}", subject.pid);
            match fs::read_to_string(&path).named(|| format!("read(\"{path}\")")) {
                Ok(text) => ports.extend(text.lines().filter_map(|line| port(line, state))),
                // A kernel without IPv6.
                Err(error) if error.errno() == Some(Errno::ENOENT) && file.ends_with('6') => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(Seen::Set(ports))
}

/// The local port of a line of /proc/net/tcp, if its socket is in `state`.
fn port(line: &str, state: &str) -> Option<String> {
    let mut fields = line.split_whitespace();
    let (local, found) = (fields.nth(1)?, fields.nth(1)?);
    let port = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
    (found == state).then(|| port.to_string())
}

#[cfg(test)]
mod tests {
    use super::port;

    #[test]
    fn a_port_is_read_of_a_socket_that_listens() {
        let line = "  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1 1";
        assert_eq!(port(line, "0A").as_deref(), Some("8080"));
        assert_eq!(port(line, "07"), None);
        assert_eq!(port("  sl  local_address rem_address   st", "0A"), None);
        assert_eq!(port("", "0A"), None);
    }
}

//! The interfaces of a process's network namespace, and their peers in that of this program.

use std::collections::BTreeMap;
use std::os::fd::AsFd;

use ns_core::net::Netlink;
use ns_core::{Kind, NsFile, Pid};

/// An interface of a process's network namespace, and its peer, if that is in the namespace of this program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) kind: Option<String>,
    /// The index of its peer, in the namespace of the peer: the value of /sys/class/net/NAME/iflink.
    pub(crate) iflink: Option<u32>,
    /// The peer, and the bridge of which it is a port.
    pub(crate) peer: Option<(String, Option<String>)>,
}

/// The interfaces of its network namespace.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN over that namespace.
pub(crate) fn interfaces(pid: Pid) -> ns_core::Result<Vec<Interface>> {
    let namespace = NsFile::of(Some(pid), Kind::Net)?;
    let ours = Netlink::open()?;
    let number = ours.number_of(namespace.as_fd())?;
    let here = ours.links()?;
    let by_index: BTreeMap<u32, &str> = here.iter().map(|link| (link.index, link.name.as_str())).collect();
    let mut found: Vec<Interface> = Vec::new();
    for link in Netlink::open_in(&namespace)?.links()? {
        // The index alone is not enough: every namespace counts its links from 1.
        let peer = here.iter().find(|other| {
            number.is_some()
                && other.peer_namespace == number
                && other.peer_index == Some(link.index)
                && link.peer_index == Some(other.index)
        });
        let bridge = |master: u32| by_index.get(&master).map(ToString::to_string);
        found.push(Interface {
            name: link.name,
            kind: link.kind,
            iflink: link.peer_index,
            peer: peer.map(|peer| (peer.name.clone(), peer.master.and_then(bridge))),
        });
    }
    Ok(found)
}

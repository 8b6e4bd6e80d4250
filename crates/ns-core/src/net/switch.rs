//! The one thing that is made in the host's own network, by who asks for it: a bridge for containers, and a port of it
//! for each.
//!
//! The bridge goes with its last port, and a port with its container; when both are killed, the [`janitor`] removes them.
//! Who makes or removes one of them holds a lock meanwhile, so that no bridge goes while a port is on its way.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::unistd::getpid;
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, openat};

use super::{LinkName, Netlink};
use crate::error::{Named, Result};
use crate::janitor::Owner;
use crate::net::socket::{Events, Requests};
use crate::{NsFile, janitor};

/// The bridge. Names of links have at most 15 bytes, and the janitor takes none that begins otherwise.
pub const BRIDGE: &str = "inception-br0";
/// Its address, and that of whoever asks it for a way.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 83, 0, 1);
/// The network behind it.
pub const PREFIX: u8 = 16;
/// Where the kernel lists links.
const LINKS: &str = "/sys/class/net";

/// A port of the bridge, with a link inside a container as its other end. Dropped, it is unplugged.
#[derive(Debug)]
pub struct Port {
    path: PathBuf,
    address: Ipv4Addr,
    owner: Owner,
}

impl Port {
    /// The address that the container has.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }
}

/// Connects the network namespace `container`: its `eth0` is a port of the bridge, which is made if there is none.
///
/// # Errors
/// EPERM without CAP_NET_ADMIN in the host's network namespace; EOPNOTSUPP where the kernel has no bridges.
pub fn plug_in(container: &NsFile) -> Result<Port> {
    let lock = lock()?;
    let host = open_on_host()?;
    let bridge = LinkName::new(BRIDGE)?;
    let mut number = getpid().as_raw() as u32;
    let mut letters = String::new();
    while number > 0 {
        letters.extend(char::from_digit(number % 36, 36));
        number /= 36;
    }
    let name = LinkName::new(&format!("{}{letters}", janitor::PREFIX))?;
    let path = Path::new(LINKS).join(name.as_str());
    janitor::register_link(&path)?;
    let mut port = Port { path, address: GATEWAY, owner: Owner::this_process() };
    let master = match host.link(&bridge)? {
        Some(link) => link.index,
        None => {
            let index = host.create_bridge(&bridge)?;
            host.add_address(index, IpAddr::V4(GATEWAY), PREFIX)?;
            host.set_up(index)?;
            index
        }
    };
    let inner = LinkName::new("eth0")?;
    let outer = host.create_veth(&name, &inner, Some(container.as_fd()))?;
    host.set_master(outer, Some(master))?;
    host.set_up(outer)?;
    drop(lock);

    // A link's index is its own while it lives, and so is the address that is made of it. 250 to a third byte leaves
    // the network's own addresses out.
    let address = Ipv4Addr::new(10, 83, (outer / 250 % 256) as u8, (outer % 250 + 2) as u8);
    let inside = Netlink::open_in(container)?;
    let link = inside.index(&inner)?;
    inside.add_address(link, IpAddr::V4(address), PREFIX)?;
    inside.set_up(link)?;
    inside.add_route(None, Some(IpAddr::V4(GATEWAY)), link)?;
    // What is sent before the link runs is lost, and asked for again a second later.
    inside.wait_until_running(link)?;
    port.address = address;
    Ok(port)
}

impl Drop for Port {
    fn drop(&mut self) {
        if self.owner.is_this_process() && remove_leftover(&self.path).is_ok() {
            janitor::forget(&self.path);
        }
    }
}

/// Removes a port, and the bridge if it was the last.
pub(crate) fn remove_leftover(path: &Path) -> Result<()> {
    let _lock = lock()?;
    let host = open_on_host()?;
    let name = LinkName::new(&path.file_name().unwrap_or_default().to_string_lossy())?;
    if let Some(link) = host.link(&name)? {
        // It may go by itself this moment, with the other end.
        let deleted = host.delete(link.index);
        if host.link(&name)?.is_some() {
            deleted?;
        }
    }
    let Some(bridge) = host.link(&LinkName::new(BRIDGE)?)? else { return Ok(()) };
    if host.links()?.iter().any(|link| link.master == Some(bridge.index)) {
        return Ok(());
    }
    host.delete(bridge.index)
}

/// A line to the host's own network that may change it: the one exception to [`crate::Error::WouldChangeHost`].
fn open_on_host() -> Result<Netlink> {
    Ok(Netlink { requests: Requests::open()?, events: Events::open()?, left_host: true })
}

/// Waits until nobody else makes or removes ports of this network.
fn lock() -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, LINKS, flags, Mode::empty()).named(|| format!("open(\"{LINKS}\")"))?;
    flock(&directory, FlockOperation::LockExclusive).named(|| format!("flock(\"{LINKS}\", LOCK_EX)"))?;
    Ok(directory)
}

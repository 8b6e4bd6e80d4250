//! The one thing that is made in the host's own network, by who asks for it: a bridge for containers, and a port of it
//! for each.
//!
//! The bridge goes with its last port, and a port with its container; when both are killed, the [`cleanup`] removes them.
//! Who makes or removes one of them holds a lock meanwhile, so that no bridge goes while a port is on its way. Nobody
//! else may take it: a lock is anybody's who may open the file.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::unistd::getpid;
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::Errno;

use ns_core::cleanup::{self, Owner, Removal};
use ns_core::net::{Link, LinkName, Netlink};
use ns_core::{Error, Named, NsFile, Result, until};

/// The bridge. Names of links have at most 15 bytes, and the cleanup worker takes none that begins otherwise.
pub(crate) const BRIDGE: &str = "inception-br0";
/// Its address, and that of whoever asks it for a way.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 83, 0, 1);
/// The network behind it.
pub(crate) const PREFIX: u8 = 16;
/// Where the kernel lists links.
const LINKS: &str = "/sys/class/net";
/// The file that is locked. It is there in every network namespace, each has its own, and whoever has no CAP_NET_ADMIN
/// over that may not open it (net/sysctl_net.c). That it is open does nothing.
const LOCK: &str = "/proc/sys/net/ipv4/route/flush";

/// A port of the bridge, with a link inside a container as its other end. Dropped, it is unplugged.
#[derive(Debug)]
pub(crate) struct Port {
    path: PathBuf,
    owner: Owner,
}

/// Connects the network namespace `container`: its `eth0` is a port of the bridge, which is made if there is none.
///
/// # Errors
/// EPERM without CAP_NET_ADMIN in the host's network namespace; EOPNOTSUPP where the kernel has no bridges; EACCES and
/// EROFS for the lock; [`Error::Input`] when it is another's for 10 s.
pub(crate) fn plug_in(container: &NsFile) -> Result<Port> {
    let host = Netlink::open_on_host()?;
    let mut number = getpid().as_raw() as u32;
    let mut letters = String::new();
    while number > 0 {
        letters.extend(char::from_digit(number % 36, 36));
        number /= 36;
    }
    let name = LinkName::new(&format!("{}{letters}", cleanup::PREFIX))?;
    let path = Path::new(LINKS).join(name.as_str());
    let inner = LinkName::new("eth0")?;
    let lock = lock()?;
    cleanup::register(REMOVAL, &path)?;
    let port = Port { path, owner: Owner::this_process() };
    let made = make(&host, &name, &inner, container);
    // Before anything is done about a failure: the port's own end takes the lock too.
    drop(lock);
    let outer = made?;

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
    Ok(port)
}

/// Makes a link between the host's `name` and the container's `inner`, and the first a port of the bridge. Gives its index.
fn make(host: &Netlink, name: &LinkName, inner: &LinkName, container: &NsFile) -> Result<u32> {
    let bridge = LinkName::new(BRIDGE)?;
    let master = match host.link(&bridge)? {
        Some(link) if is_bridge(&link) => link.index,
        Some(_) => {
            return Err(Error::Input(format!(
                "a link of the name {BRIDGE} is there and is no bridge; rename it: ip link set {BRIDGE} name OTHER"
            )));
        }
        None => {
            let index = host.create_bridge(&bridge)?;
            host.add_address(index, IpAddr::V4(GATEWAY), PREFIX)?;
            host.set_up(index)?;
            index
        }
    };
    let outer = host.create_veth(name, inner, Some(container.as_fd()))?;
    host.set_master(outer, Some(master))?;
    host.set_up(outer)?;
    Ok(outer)
}

/// Whether a link of our bridge's name is one. Else it is somebody's, and left alone.
fn is_bridge(link: &Link) -> bool {
    link.kind.as_deref() == Some("bridge")
}

impl Drop for Port {
    fn drop(&mut self) {
        if self.owner.is_this_process() && remove_leftover(&self.path).is_ok() {
            cleanup::forget(&self.path);
        }
    }
}

/// Ports of the bridge.
pub(crate) const REMOVAL: Removal = Removal { kind: "link", remove: remove_leftover };

/// Removes a port, and the bridge if it was the last.
fn remove_leftover(path: &Path) -> Result<()> {
    let _lock = lock()?;
    let host = Netlink::open_on_host()?;
    let name = LinkName::new(&path.file_name().unwrap_or_default().to_string_lossy())?;
    if let Some(link) = host.link(&name)? {
        // It may go by itself this moment, with the other end.
        let deleted = host.delete(link.index);
        if host.link(&name)?.is_some() {
            deleted?;
        }
    }
    let bridge = host.link(&LinkName::new(BRIDGE)?)?;
    let Some(bridge) = bridge.filter(is_bridge) else { return Ok(()) };
    if host.links()?.iter().any(|link| link.master == Some(bridge.index)) {
        return Ok(());
    }
    host.delete(bridge.index)
}

/// Waits until nobody else makes or removes ports of this network, but not for ever.
fn lock() -> Result<OwnedFd> {
    let file = openat(CWD, LOCK, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .named(|| format!("open(\"{LOCK}\", O_WRONLY)"))?;
    let taken = until("the lock", || match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(())),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(None),
        Err(errno) => Err(errno).named(|| format!("flock(\"{LOCK}\", LOCK_EX)")),
    });
    match taken {
        Err(Error::Deadline { seconds, .. }) => Err(Error::Input(format!(
            "somebody else has held the lock on the containers' network for {seconds} s: flock(\"{LOCK}\"); see who \
             with lslocks, and end it"
        ))),
        taken => taken.map(|()| file),
    }
}

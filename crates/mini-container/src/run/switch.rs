//! A bridge for containers in the host's network namespace, and a port of it for each container.
//!
//! The bridge is removed with its last port, and a port with its container. If both are killed, the [`cleanup`] worker
//! removes them. A process that creates or removes one of them holds a lock, so that the bridge is not removed while a
//! port is being added. Only privileged processes can take the lock, since only they can open its file.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::unistd::getpid;
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::Errno;

use ns_core::cleanup::{self, Owner, Removal};
use ns_core::net::{Link, LinkName, Netlink};
use ns_core::{Error, Named, NsFile, Result, until};

/// The bridge. A link name has at most 15 bytes, and the cleanup worker accepts only names with this prefix.
pub(crate) const BRIDGE: &str = "inception-br0";
/// Its address, the gateway of the containers.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 83, 0, 1);
/// The network behind it.
pub(crate) const PREFIX: u8 = 16;
/// The bytes that all addresses of it begin with.
pub(super) const NETWORK: &[u8] = &[10, 83];
/// The directory where the kernel lists links.
const LINKS: &str = "/sys/class/net";
/// The file that is locked. Each network namespace has its own, and opening it needs CAP_NET_ADMIN there
/// (net/sysctl_net.c). Opening it has no effect.
const LOCK: &str = "/proc/sys/net/ipv4/route/flush";

/// A port of the bridge, whose other veth end is inside a container. Dropping it removes the port.
#[derive(Debug)]
pub(crate) struct Port {
    path: PathBuf,
    owner: Owner,
    address: Ipv4Addr,
}

impl Port {
    /// The name of the port on the host.
    pub(super) fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// The address of the container.
    pub(super) fn address(&self) -> Ipv4Addr {
        self.address
    }
}

/// Connects the network namespace `container`: the other end of its `eth0` becomes a port of the bridge, which is created
/// if needed.
///
/// # Errors
/// EPERM without CAP_NET_ADMIN in the host's network namespace. EOPNOTSUPP if the kernel has no bridges. EACCES and
/// EROFS for the lock. [`Error::Input`] if another process holds the lock for 10 s.
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
    let mut port = Port { path, owner: Owner::this_process(), address: Ipv4Addr::UNSPECIFIED };
    let made = make(&host, &name, &inner, container);
    // Before an error is returned, since dropping the port takes the lock too.
    drop(lock);
    let outer = made?;

    // A link's index is unique while the link exists, and so is the address computed from it. With 250 addresses for each
    // third byte, the network's own addresses are left out.
    let address = Ipv4Addr::new(10, 83, (outer / 250 % 256) as u8, (outer % 250 + 2) as u8);
    port.address = address;
    let inside = Netlink::open_in(container)?;
    let link = inside.index(&inner)?;
    inside.add_address(link, IpAddr::V4(address), PREFIX)?;
    inside.set_up(link)?;
    inside.add_route(None, Some(IpAddr::V4(GATEWAY)), link)?;
    // Packets sent before the link has a carrier are lost, and resent a second later.
    inside.wait_until_running(link)?;
    Ok(port)
}

/// Creates a veth pair, `name` on the host and `inner` in the container, and makes the first a port of the bridge. Returns
/// its index.
fn make(host: &Netlink, name: &LinkName, inner: &LinkName, container: &NsFile) -> Result<u32> {
    let bridge = LinkName::new(BRIDGE)?;
    let master = match host.link(&bridge)? {
        Some(link) if is_bridge(&link) => link.index,
        Some(_) => {
            return Err(Error::Input(format!(
                "the link {BRIDGE} exists and is not a bridge; rename it: ip link set {BRIDGE} name OTHER"
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

/// Whether the link of this name is a bridge. Otherwise it belongs to something else, and is left alone.
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
        // It may be removed just now, with its other end.
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

/// Takes the lock on the ports of this network. Waits for it, with a time limit.
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
            "another process has held the lock on the containers' network for {seconds} s: flock(\"{LOCK}\"); find it \
             with lslocks, and end it"
        ))),
        taken => taken.map(|()| file),
    }
}

//! Links that are made, changed and deleted: ip-link(8).

use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute,
    LinkFlags, LinkInfo, LinkMessage,
};
use nix::errno::Errno;

use super::message::{Descriptor, with_index, with_name};
use super::{LinkName, Netlink};
use crate::error::{Error, Result};

/// The number that stands for no master.
const NO_MASTER: u32 = 0;

impl Netlink {
    /// Creates a veth pair and returns the index of `name`. Packets sent into one end come out of the other: veth(4).
    ///
    /// `peer_namespace` is the network namespace in which the peer is created, in the same step; `None` is this one.
    ///
    /// # Errors
    /// EEXIST if either name is taken in its namespace. EPERM also without CAP_NET_ADMIN over `peer_namespace`;
    /// EBADF or EINVAL if that is no network namespace.
    pub fn create_veth(
        &self,
        name: &LinkName,
        peer: &LinkName,
        peer_namespace: Option<BorrowedFd<'_>>,
    ) -> Result<u32> {
        let mut far = with_name(peer);
        far.attributes.extend(peer_namespace.map(|fd| LinkAttribute::NetNsFd(fd.as_raw_fd())));
        let data = LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(far)));
        let there = peer_namespace.map(|fd| format!(" netns {}", Descriptor(fd))).unwrap_or_default();
        self.create(name, InfoKind::Veth, Some(data), &format!(" peer name {peer}{there}"))
    }

    /// Creates a bridge, without the spanning tree protocol and without multicast snooping, for which it would send packets
    /// of its own, and returns its index. See ip-link(8).
    ///
    /// It has a carrier when one of its ports forwards. Its hardware address is the lowest of its ports' as long as
    /// nobody sets one, so it may change with every port.
    ///
    /// # Errors
    /// EEXIST if the name is taken; EOPNOTSUPP if the kernel has no bridge module.
    pub fn create_bridge(&self, name: &LinkName) -> Result<u32> {
        let quiet = LinkInfo::Data(InfoData::Bridge(vec![InfoBridge::MulticastSnooping(false)]));
        self.create(name, InfoKind::Bridge, Some(quiet), " mcast_snooping 0")
    }

    /// Creates a dummy link, which drops all that is sent into it, and returns its index. See ip-link(8).
    ///
    /// # Errors
    /// EEXIST if the name is taken; EOPNOTSUPP if the kernel has no dummy module.
    pub fn create_dummy(&self, name: &LinkName) -> Result<u32> {
        self.create(name, InfoKind::Dummy, None, "")
    }

    /// Creates a link (a bridge) of exactly this name, which [`LinkName`] would perhaps refuse. Returns the name that the
    /// kernel gave it: for `a%d` that is `a0`. It stays until its network namespace ends.
    ///
    /// # Errors
    /// EINVAL, ERANGE or EEXIST where the kernel does not take the name.
    pub fn try_name(&self, name: &str) -> Result<String> {
        let before = self.links()?;
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.into()));
        message.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]));
        self.change(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL, || {
            format!("ip link add {name:?} type bridge")
        })?;
        let made = self.links()?.into_iter().find(|link| before.iter().all(|old| old.index != link.index));
        let made = made.ok_or_else(|| Error::Input(format!("{name:?}: made, and not there")))?;
        Ok(made.name)
    }

    /// Sets a link up (IFF_UP). It may take a moment more until it carries packets: [`Netlink::wait_until_running`].
    ///
    /// # Errors
    /// ENODEV if there is no such link.
    pub fn set_up(&self, index: u32) -> Result<()> {
        self.set_flags(index, LinkFlags::Up, "up")
    }

    /// Keeps the kernel from giving a link an IPv6 address of its own (fe80::…), and so from sending packets over it that
    /// nobody asked for. To be called before the link is set up. See ip-link(8) `addrgenmode none`.
    ///
    /// # Errors
    /// ENODEV if there is no such link. A kernel without IPv6 has nothing to keep quiet.
    pub fn keep_quiet(&self, index: u32) -> Result<()> {
        let mode = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
        let attribute = LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![mode])]);
        match self.set(index, attribute, || "addrgenmode none".into()) {
            Err(error) if error.errno() == Some(Errno::EAFNOSUPPORT) => Ok(()),
            other => other,
        }
    }

    /// Sets a link down. Its routes go; its IPv4 addresses stay.
    ///
    /// # Errors
    /// ENODEV if there is no such link.
    pub fn set_down(&self, index: u32) -> Result<()> {
        self.set_flags(index, LinkFlags::empty(), "down")
    }

    /// Makes a link a port of `master` (the index of a bridge), or of none. See ip-link(8) `master`, `nomaster`.
    ///
    /// # Errors
    /// ENODEV if there is no such link; EINVAL or EOPNOTSUPP if `master` takes no ports; ELOOP for a bridge in a
    /// bridge.
    pub fn set_master(&self, index: u32, master: Option<u32>) -> Result<()> {
        self.set(index, LinkAttribute::Controller(master.unwrap_or(NO_MASTER)), || match master {
            Some(master) => format!("master {}", self.shown(master)),
            None => "nomaster".into(),
        })
    }

    /// Deletes a link. With one end of a veth pair goes the other, in whatever namespace: veth(4).
    ///
    /// # Errors
    /// ENODEV if there is no such link; EOPNOTSUPP for hardware and lo, which cannot be deleted.
    pub fn delete(&self, index: u32) -> Result<()> {
        self.change(RouteNetlinkMessage::DelLink(with_index(index)), 0, || {
            format!("ip link delete {}", self.shown(index))
        })
    }

    /// Moves a link into another network namespace. It is set down, loses its addresses, and may get another index.
    ///
    /// # Errors
    /// EINVAL if this link may not be moved, as lo and bridges (network_namespaces(7)); EEXIST if its name is taken
    /// there; EPERM also without CAP_NET_ADMIN over `namespace`.
    pub fn move_to(&self, index: u32, namespace: BorrowedFd<'_>) -> Result<()> {
        self.set(index, LinkAttribute::NetNsFd(namespace.as_raw_fd()), || {
            format!("netns {}", Descriptor(namespace))
        })
    }

    /// Gives a link another name.
    ///
    /// # Errors
    /// EEXIST if the name is taken; EBUSY on kernels that want the link down first.
    pub fn rename(&self, index: u32, name: &LinkName) -> Result<()> {
        self.set(index, LinkAttribute::IfName(name.to_string()), || format!("name {name}"))
    }

    fn create(&self, name: &LinkName, kind: InfoKind, data: Option<LinkInfo>, rest: &str) -> Result<u32> {
        let typed = || format!("ip link add {name} type {kind}{rest}");
        let mut message = with_name(name);
        let info = [Some(LinkInfo::Kind(kind.clone())), data].into_iter().flatten().collect();
        message.attributes.push(LinkAttribute::LinkInfo(info));
        self.change(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL, typed)?;
        self.index(name)
    }

    fn set_flags(&self, index: u32, flags: LinkFlags, typed: &str) -> Result<()> {
        let mut message = with_index(index);
        message.header.flags = flags;
        message.header.change_mask = LinkFlags::Up;
        self.change(RouteNetlinkMessage::SetLink(message), 0, || {
            format!("ip link set {} {typed}", self.shown(index))
        })
    }

    fn set(&self, index: u32, attribute: LinkAttribute, typed: impl Fn() -> String) -> Result<()> {
        let mut message = with_index(index);
        message.attributes.push(attribute);
        self.change(RouteNetlinkMessage::SetLink(message), 0, || {
            format!("ip link set {} {}", self.shown(index), typed())
        })
    }
}

//! Links, addresses and routes of one network namespace, over rtnetlink(7).
//!
//! [`Netlink`] speaks to the network namespace in which it was opened, wherever its process goes afterwards: a socket
//! keeps the namespace it was born in (network_namespaces(7)). Open it after entering the namespace.
//!
//! ```no_run
//! # use ns_core::net::{LinkName, Netlink};
//! # fn main() -> ns_core::Result<()> {
//! let net = Netlink::open()?;
//! let va = net.create_veth(&LinkName::new("va")?, &LinkName::new("vb")?, None)?;
//! net.add_address(va, "10.0.0.1".parse().unwrap(), 24)?;
//! net.set_up(va)?;
//! # Ok(())
//! # }
//! ```

mod answer;
pub mod firewall;
mod inet;
mod link;
mod name;
pub mod plan;
mod socket;
pub mod switch;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::ControlFlow;
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{DecodeError, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Parseable};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute,
    LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};
use netlink_packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

pub use inet::{Address, Route};
pub use link::Link;
pub use name::LinkName;

use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::{Kind, NsFile, host, probe};
use answer::Record;
use socket::{Events, Requests};

/// The number that stands for no master.
const NO_MASTER: u32 = 0;

/// A line to the kernel about one network namespace.
///
/// Links are named by their index, which a rename does not change. A call that the kernel refuses reads as
/// ip(8) would have it typed, with the kernel's own words in brackets if it gave any (NETLINK_EXT_ACK, netlink(7)).
/// Every answer is waited for 10 s at most ([`Error::Deadline`]).
///
/// All changes need CAP_NET_ADMIN in the user namespace that owns the network namespace, and give EPERM without.
/// In the namespace that the program was started in nothing is changed: [`Error::WouldChangeHost`].
#[derive(Debug)]
pub struct Netlink {
    requests: Requests,
    events: Events,
    /// Whether it leads elsewhere than to the host's own network.
    left_host: bool,
}

impl Netlink {
    /// Opens a line to the caller's network namespace.
    ///
    /// # Errors
    /// Those of socket(2), and when /proc is no procfs.
    pub fn open() -> Result<Netlink> {
        // All of it now: a socket opened later could belong to another namespace.
        let left_host = host::left(Kind::Net)?;
        Ok(Netlink { requests: Requests::open()?, events: Events::open()?, left_host })
    }

    /// Opens a line to another network namespace, as [`Netlink::open`] would inside: the caller enters it and comes back.
    ///
    /// The line holds that namespace: as long as it is open, the namespace lives.
    ///
    /// # Errors
    /// Those of socket(2) and of [`NsFile::enter`]: EPERM without CAP_SYS_ADMIN in the user namespace that owns it.
    pub fn open_in(namespace: &NsFile) -> Result<Netlink> {
        let ours = NsFile::of(None, Kind::Net)?;
        namespace.enter(Some(Kind::Net))?;
        let opened = Netlink::open();
        ours.enter(Some(Kind::Net))?;
        opened
    }

    /// Opens a line to the caller's network namespace, be it the host's: on a machine to throw away, and nowhere else.
    ///
    /// # Errors
    /// [`Error::Input`] on any other machine. As [`Netlink::open`].
    pub fn open_on_a_machine_to_throw_away() -> Result<Netlink> {
        probe::require(probe::throw_away()?)?;
        Ok(Netlink { left_host: true, ..Netlink::open()? })
    }

    // ---- Links

    /// Every link, by its index.
    ///
    /// # Errors
    /// [`Error::Unreadable`] if the kernel's list cannot be read.
    pub fn links(&self) -> Result<Vec<Link>> {
        let typed = "ip link show";
        let records = self.requests.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()), typed)?;
        let mut links = read_all(&records, typed, |body| Link::read(body).map(Some))?;
        links.sort_by_key(|link| link.index);
        Ok(links)
    }

    /// This namespace's own number for another network namespace, as in [`Link::peer_namespace`]; `None` if it has none.
    /// It gets one when a link in here leads there. See `ip netns list-id`.
    ///
    /// # Errors
    /// EINVAL if `namespace` is no network namespace.
    pub fn number_of(&self, namespace: BorrowedFd<'_>) -> Result<Option<i32>> {
        let typed = format!("RTM_GETNSID {}", Descriptor(namespace));
        let mut message = NsidMessage::default();
        message.attributes.push(NsidAttribute::Fd(namespace.as_raw_fd() as u32));
        let records =
            self.requests.ask(RouteNetlinkMessage::GetNsId(message), NLM_F_ACK, || typed.clone())?;
        let numbers = read_all(&records, &typed, |body| {
            let said = NsidMessage::parse(body)?.attributes;
            // -1: none was given yet.
            Ok(said.into_iter().find_map(|it| if let NsidAttribute::Id(id) = it { Some(id) } else { None }))
        })?;
        Ok(numbers.into_iter().find(|number| *number >= 0))
    }

    /// The link of this name, or `None` if there is none.
    ///
    /// # Errors
    /// As [`Netlink::links`].
    pub fn link(&self, name: &LinkName) -> Result<Option<Link>> {
        self.look_up(with_name(name), || format!("ip link show {name}")).or_else(none_such)
    }

    /// The link of this index, or `None` if there is none.
    ///
    /// # Errors
    /// As [`Netlink::links`].
    pub fn link_by_index(&self, index: u32) -> Result<Option<Link>> {
        self.look_up(with_index(index), || format!("ip link show {}", Unnamed(index))).or_else(none_such)
    }

    /// The index of the link of this name, which every call below takes.
    ///
    /// # Errors
    /// ENODEV if there is no such link.
    pub fn index(&self, name: &LinkName) -> Result<u32> {
        let call = || format!("ip link show {name}");
        let link = self.look_up(with_name(name), call)?;
        link.map(|link| link.index).ok_or_else(|| Error::Call { call: call(), errno: Errno::ENODEV })
    }

    /// Creates a veth pair and returns the index of `name`. Packets sent into one end come out of the other: veth(4).
    ///
    /// `peer_namespace` is the network namespace in which the peer is born, in the same step; `None` is this one.
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

    /// Makes a link (a bridge) of exactly this name, which [`LinkName`] would perhaps refuse, and deletes it. Returns the
    /// name that the kernel gave it: for `a%d` that is `a0`.
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
        self.delete(made.index)?;
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

    // ---- Addresses and routes

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

    /// Adds a route to the main table: packets to `destination` (a network and the length of its prefix in bits; `None`
    /// is everywhere, the default route) leave by the link `index`, handed to `gateway` if there is one.
    /// Everywhere without a gateway is IPv4's.
    ///
    /// # Errors
    /// EEXIST if there is such a route; ENETDOWN if the link is down; ENETUNREACH or EINVAL if the gateway is not on
    /// that link; EINVAL if `destination` has bits beyond its prefix. [`Error::Input`] if one end is IPv4 and the
    /// other IPv6.
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

    // ---- Waiting

    /// Waits until a link carries packets: IFF_RUNNING, IFF_LOWER_UP and the operational state up (for lo and dummy
    /// `unknown`, since they have no carrier to speak of). Returns the link as it is then. Before Linux 6.8 its state may
    /// lag behind by a second, and IPv6's word (IF_READY) is taken instead: who wants the state itself waits with
    /// [`Netlink::wait_until_settled`].
    ///
    /// Why not send at once: setting a link up returns before the kernel has seen its carrier, and until then
    /// its queue drops what is sent. An ARP request lost so is sent again after 1 s. Wait for both ends of a veth pair,
    /// each by the [`Netlink`] of its own namespace.
    ///
    /// # Errors
    /// ENODEV if there is no such link, or no longer; [`Error::Deadline`] after 10 s, with the state that it was in.
    pub fn wait_until_running(&self, index: u32) -> Result<Link> {
        self.wait_until(|| {
            let link = self.link_that_must_be(index)?;
            if link.carries_packets() {
                return Ok(ControlFlow::Break(link));
            }
            let hint = match (link.up, link.kind.as_deref()) {
                (false, _) => " [it is not set up]",
                (true, Some("veth")) => " [is its peer set up?]",
                (true, Some("bridge")) => " [does one of its ports run?]",
                (true, _) => "",
            };
            Ok(ControlFlow::Continue(format!("{} to run: state {}{hint}", link.name, link.oper_state)))
        })
    }

    /// Waits until the kernel holds a link for unfit to carry packets, as a veth end whose peer was set down. Returns
    /// the link as it is then.
    ///
    /// IFF_LOWER_UP falls at once; IFF_RUNNING and the operational state follow a moment later.
    ///
    /// # Errors
    /// As [`Netlink::wait_until_running`].
    pub fn wait_until_stopped(&self, index: u32) -> Result<Link> {
        self.wait_until(|| {
            let link = self.link_that_must_be(index)?;
            Ok(if link.running {
                ControlFlow::Continue(format!("{} to stop: state {}", link.name, link.oper_state))
            } else {
                ControlFlow::Break(link)
            })
        })
    }

    /// Waits until the operational state of a link agrees with its carrier, whichever that is: IFF_LOWER_UP changes at
    /// once, IFF_RUNNING and the operational state follow. Returns the link as it is then.
    ///
    /// # Errors
    /// As [`Netlink::wait_until_running`].
    pub fn wait_until_settled(&self, index: u32) -> Result<Link> {
        self.wait_until(|| {
            let link = self.link_that_must_be(index)?;
            Ok(if link.state_is_settled() {
                ControlFlow::Break(link)
            } else {
                ControlFlow::Continue(format!("{} to settle: state {}", link.name, link.oper_state))
            })
        })
    }

    /// Waits until a bridge's port forwards. Returns the link as it is then.
    ///
    /// A port that runs forwards at once if its bridge is set up; a bridge that is down keeps it `disabled`.
    ///
    /// # Errors
    /// As [`Netlink::wait_until_running`].
    pub fn wait_until_forwarding(&self, index: u32) -> Result<Link> {
        self.wait_until(|| {
            let link = self.link_that_must_be(index)?;
            let state = link.port_state.as_deref().unwrap_or("port of no bridge");
            if state == "forwarding" && link.carries_packets() {
                return Ok(ControlFlow::Break(link));
            }
            let hint = if state == "disabled" { " [are it, its peer and its bridge set up?]" } else { "" };
            Ok(ControlFlow::Continue(format!("{} to forward: {state}{hint}", link.name)))
        })
    }

    /// Waits until there is no link of this index. The far end of a veth pair goes a moment after the near end's namespace.
    ///
    /// # Errors
    /// [`Error::Deadline`] after 10 s.
    pub fn wait_until_gone(&self, index: u32) -> Result<()> {
        self.wait_until(|| {
            Ok(match self.link_by_index(index)? {
                None => ControlFlow::Break(()),
                Some(link) => ControlFlow::Continue(format!("{} to go", link.name)),
            })
        })
    }

    /// Looks, and looks again at every event, until `look` breaks. It continues with what is waited for.
    fn wait_until<T>(&self, look: impl Fn() -> Result<ControlFlow<T, String>>) -> Result<T> {
        // Joined before the first look: what happens after the look rings, what happened before is seen by it.
        self.events.join()?;
        let seen = self.look_at_every_event(look);
        self.events.leave()?;
        seen
    }

    fn look_at_every_event<T>(&self, look: impl Fn() -> Result<ControlFlow<T, String>>) -> Result<T> {
        let deadline = Deadline::new();
        loop {
            let what = match look()? {
                ControlFlow::Break(seen) => return Ok(seen),
                ControlFlow::Continue(what) => what,
            };
            // Events about other links could ring for ever.
            deadline.check(&what)?;
            self.events.hear(deadline, &what)?;
        }
    }

    // ---- How it is asked

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

    /// Every change goes through here.
    fn change(&self, message: RouteNetlinkMessage, flags: u16, typed: impl Fn() -> String) -> Result<()> {
        if !self.left_host {
            return Err(Error::WouldChangeHost { call: typed(), kind: Kind::Net });
        }
        self.requests.ask(message, flags | NLM_F_ACK, typed).map(drop)
    }

    fn look_up(&self, message: LinkMessage, typed: impl Fn() -> String) -> Result<Option<Link>> {
        let records = self.requests.ask(RouteNetlinkMessage::GetLink(message), NLM_F_ACK, &typed)?;
        Ok(read_all(&records, &typed(), |body| Link::read(body).map(Some))?.pop())
    }

    fn link_that_must_be(&self, index: u32) -> Result<Link> {
        self.link_by_index(index)?.ok_or_else(|| Error::Call {
            call: format!("ip link show {}", Unnamed(index)),
            errno: Errno::ENODEV,
        })
    }

    /// The link's name for an error, where it can be had.
    fn shown(&self, index: u32) -> String {
        match self.link_by_index(index) {
            Ok(Some(link)) => crate::fact::printable(&link.name),
            _ => Unnamed(index).to_string(),
        }
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

/// A link that is known by its index alone, as ip(8) writes it.
struct Unnamed(u32);

impl fmt::Display for Unnamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "if{}", self.0)
    }
}

/// A namespace that is open in this process, by a path that ip(8) takes.
struct Descriptor<'a>(BorrowedFd<'a>);

impl fmt::Display for Descriptor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/proc/self/fd/{}", self.0.as_raw_fd())
    }
}

fn with_name(name: &LinkName) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_string()));
    message
}

fn with_index(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
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

/// A look at a link that is not there finds none.
fn none_such(error: Error) -> Result<Option<Link>> {
    if error.errno() == Some(Errno::ENODEV) { Ok(None) } else { Err(error) }
}

fn read_all<T>(
    records: &[Record],
    typed: &str,
    read: impl Fn(&[u8]) -> Result<Option<T>, DecodeError>,
) -> Result<Vec<T>> {
    records
        .iter()
        .filter_map(|record| read(&record.0).transpose())
        .collect::<Result<_, _>>()
        .map_err(|error| Error::Unreadable { what: typed.into(), message: error.to_string() })
}

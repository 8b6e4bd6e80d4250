//! A line to the kernel, and looks at links by it.

use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{NLM_F_ACK, Parseable};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};
use nix::errno::Errno;
use observation::Kind;

use super::message::{Descriptor, Unnamed, none_such, read_all, with_index, with_name};
use super::socket::{Events, Requests};
use super::{Link, LinkName};
use crate::error::{Error, Result};
use crate::{NsFile, host, probe};

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
    pub(super) requests: Requests,
    pub(super) events: Events,
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
        Netlink::open_on_host()
    }

    /// Opens a line to the caller's network namespace, be it the host's, on any machine: the one exception to
    /// [`Error::WouldChangeHost`], for what the user asked to be made there.
    ///
    /// # Errors
    /// As [`Netlink::open`].
    pub fn open_on_host() -> Result<Netlink> {
        Ok(Netlink { left_host: true, ..Netlink::open()? })
    }

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

    /// Every change goes through here.
    pub(super) fn change(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
        typed: impl Fn() -> String,
    ) -> Result<()> {
        if !self.left_host {
            return Err(Error::WouldChangeHost { call: typed(), kind: Kind::Net });
        }
        self.requests.ask(message, flags | NLM_F_ACK, typed).map(drop)
    }

    pub(super) fn look_up(&self, message: LinkMessage, typed: impl Fn() -> String) -> Result<Option<Link>> {
        let records = self.requests.ask(RouteNetlinkMessage::GetLink(message), NLM_F_ACK, &typed)?;
        Ok(read_all(&records, &typed(), |body| Link::read(body).map(Some))?.pop())
    }

    /// The link's name for an error, where it can be had.
    pub(super) fn shown(&self, index: u32) -> String {
        match self.link_by_index(index) {
            Ok(Some(link)) => observation::printable(&link.name),
            _ => Unnamed(index).to_string(),
        }
    }
}

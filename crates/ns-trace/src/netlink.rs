//! What is asked of the kernel by netlink(7), in words. Questions are left out: they change nothing.

use std::panic::catch_unwind;

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage as Route;
use netlink_packet_route::address::AddressAttribute;
use netlink_packet_route::link::{InfoData, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use netlink_packet_route::route::RouteAttribute;
use nix::errno::Errno;

use crate::model::Message;

/// NETLINK_NETFILTER of linux/netlink.h, and the subsystem of nftables (linux/netfilter/nfnetlink.h).
const NETFILTER: u64 = 12;
const NFTABLES: u8 = 10;

/// The length of a message's head: struct nlmsghdr.
const HEAD: usize = 16;

/// Where messages go, as libc calls it.
pub(crate) fn family(protocol: u64) -> String {
    match protocol {
        0 => "NETLINK_ROUTE".into(),
        NETFILTER => "NETLINK_NETFILTER".into(),
        other => format!("netlink protocol {other}"),
    }
}

/// What these bytes, which were sent to the kernel, ask it to change.
pub(crate) fn messages(protocol: u64, bytes: &[u8]) -> Vec<Message> {
    let read = |part: &[u8]| match protocol {
        0 => route(part),
        NETFILTER => netfilter(part),
        _ => None,
    };
    parts(bytes).filter_map(read).collect()
}

/// The first errno among answers of the kernel to what asks for a change. A question may be refused too: iptables(8) asks for
/// each chain, and ENOENT tells it that there is none.
pub(crate) fn refusal(protocol: u64, bytes: &[u8]) -> Option<Errno> {
    const NLMSG_ERROR: u16 = 2;
    parts(bytes).find_map(|part| {
        let code = i32::from_ne_bytes(part.get(HEAD..HEAD + 4)?.try_into().ok()?);
        // Behind the errno stands the head of what is refused: struct nlmsgerr.
        let refused = part.get(HEAD + 4..).filter(|head| head.len() >= HEAD);
        let is_question = refused.is_some_and(|head| is_question(protocol, head));
        (kind(part) == NLMSG_ERROR && code != 0 && !is_question).then(|| Errno::from_raw(-code))
    })
}

/// Whether a message asks for no change.
fn is_question(protocol: u64, head: &[u8]) -> bool {
    match protocol {
        // Every fourth type is a RTM_GET…: linux/rtnetlink.h.
        0 => kind(head) & 3 == 2,
        NETFILTER => netfilter(head).is_none(),
        _ => false,
    }
}

/// Each message, whose length is its first field, at the next multiple of four.
fn parts(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        let part = rest.get(..length).filter(|_| length >= HEAD)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(part)
    })
}

fn kind(part: &[u8]) -> u16 {
    u16::from_ne_bytes([part[4], part[5]])
}

fn netfilter(part: &[u8]) -> Option<Message> {
    let [operation, subsystem] = kind(part).to_le_bytes();
    if subsystem != NFTABLES {
        return None;
    }
    // Those of linux/netfilter/nf_tables.h that change something.
    let (kind, text) = match operation {
        0 => ("NFT_MSG_NEWTABLE", "adds a table of nftables"),
        2 => ("NFT_MSG_DELTABLE", "removes a table of nftables"),
        3 => ("NFT_MSG_NEWCHAIN", "adds a chain of nftables"),
        5 => ("NFT_MSG_DELCHAIN", "removes a chain of nftables"),
        6 => ("NFT_MSG_NEWRULE", "adds a rule of nftables"),
        8 => ("NFT_MSG_DELRULE", "removes a rule of nftables"),
        9 => ("NFT_MSG_NEWSET", "adds a set of nftables"),
        12 => ("NFT_MSG_NEWSETELEM", "adds to a set of nftables"),
        _ => return None,
    };
    Some(Message { kind: kind.into(), text: text.into() })
}

fn route(part: &[u8]) -> Option<Message> {
    // A reader of what others wrote must not end with it.
    let parsed = catch_unwind(|| NetlinkMessage::<Route>::deserialize(part)).ok()?;
    let Ok(NetlinkMessage { payload: NetlinkPayload::InnerMessage(message), .. }) = parsed else {
        return None;
    };
    let (kind, text) = match message {
        // ip(8) asks by a message about no link what the kernel can.
        Route::NewLink(link) if link.header.index == 0 && link.attributes.is_empty() => return None,
        Route::NewLink(link) => ("RTM_NEWLINK", new_link(&link)),
        Route::SetLink(link) => ("RTM_SETLINK", change_link(&link)),
        Route::DelLink(link) => ("RTM_DELLINK", format!("removes {}", which(&link))),
        Route::NewAddress(message) => {
            let local = message.attributes.iter().find_map(|it| match it {
                AddressAttribute::Local(address) | AddressAttribute::Address(address) => Some(address),
                _ => None,
            });
            let address = local.map_or_else(|| "an address".into(), ToString::to_string);
            let link = numbered(message.header.index);
            ("RTM_NEWADDR", format!("gives {link} the address {address}/{}", message.header.prefix_len))
        }
        Route::DelAddress(message) => {
            ("RTM_DELADDR", format!("takes an address from {}", numbered(message.header.index)))
        }
        Route::NewRoute(message) => {
            let by = message.attributes.iter().find_map(|it| match it {
                RouteAttribute::Gateway(address) => Some(format!(" by {}", in_words(address))),
                _ => None,
            });
            let to = match message.header.destination_prefix_length {
                0 => "a default route".to_string(),
                length => format!("a route to a network of /{length}"),
            };
            ("RTM_NEWROUTE", format!("adds {to}{}", by.unwrap_or_default()))
        }
        Route::DelRoute(_) => ("RTM_DELROUTE", "removes a route".into()),
        Route::NewNsId(_) => ("RTM_NEWNSID", "gives a network namespace a number".into()),
        Route::NewRule(_) => ("RTM_NEWRULE", "adds a routing rule".into()),
        Route::NewNeighbour(_) => ("RTM_NEWNEIGH", "adds a neighbour".into()),
        _ => return None,
    };
    Some(Message { kind: kind.into(), text })
}

/// An address of a gateway.
fn in_words(address: &netlink_packet_route::route::RouteAddress) -> String {
    use netlink_packet_route::route::RouteAddress::{Inet, Inet6};
    match address {
        Inet(address) => address.to_string(),
        Inet6(address) => address.to_string(),
        _ => "a gateway".into(),
    }
}

/// RTM_NEWLINK makes a link if it names a kind, and else changes one.
fn new_link(link: &LinkMessage) -> String {
    let info = link.attributes.iter().find_map(|it| match it {
        LinkAttribute::LinkInfo(info) => Some(info),
        _ => None,
    });
    let kind = info.into_iter().flatten().find_map(|it| match it {
        LinkInfo::Kind(kind) => Some(kind.to_string()),
        _ => None,
    });
    let Some(kind) = kind else { return change_link(link) };
    let peer = info.into_iter().flatten().find_map(|it| match it {
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))) => Some(peer),
        _ => None,
    });
    let name = name(link).map_or_else(String::new, |name| format!(" {name}"));
    match peer {
        Some(peer) => {
            let there = self::name(peer).map_or_else(String::new, |name| format!(" with {name}"));
            let moved = moved(peer).map_or_else(String::new, |to| format!("; that end goes {to}"));
            format!("creates a {kind} pair{name}{there}{moved}")
        }
        None => format!("creates a {kind} link{name}"),
    }
}

fn change_link(link: &LinkMessage) -> String {
    let [changed, flags] = [link.header.change_mask, link.header.flags];
    let is_up = flags.contains(LinkFlags::Up);
    let state = (is_up || changed.contains(LinkFlags::Up)).then_some(if is_up { "up" } else { "down" });
    let renamed = name(link).filter(|_| link.header.index != 0).map(|name| format!("named {name}"));
    let others = link.attributes.iter().filter_map(|it| match it {
        LinkAttribute::Controller(0) => Some("free of its bridge".into()),
        LinkAttribute::Controller(index) => Some(format!("a port of {}", numbered(*index))),
        LinkAttribute::Mtu(bytes) => Some(format!("its largest packet of {bytes} bytes")),
        LinkAttribute::Address(_) => Some("another hardware address".into()),
        _ => None,
    });
    let moved = moved(link).map(|to| format!("moved {to}"));
    let others: Vec<String> = renamed.into_iter().chain(others).chain(moved).collect();
    match (state, others.is_empty()) {
        (Some(state), true) => format!("sets {} {state}", which(link)),
        (None, true) => format!("changes {}", which(link)),
        (state, false) => {
            let all: Vec<String> = state.map(Into::into).into_iter().chain(others).collect();
            format!("changes {}: {}", which(link), all.join(", "))
        }
    }
}

/// Into which namespace a link goes.
fn moved(link: &LinkMessage) -> Option<String> {
    link.attributes.iter().find_map(|it| match it {
        LinkAttribute::NetNsPid(pid) => Some(format!("into the network namespace of PID {pid}")),
        LinkAttribute::NetNsFd(fd) => Some(format!("into the network namespace of descriptor {fd}")),
        _ => None,
    })
}

fn name(link: &LinkMessage) -> Option<&str> {
    link.attributes.iter().find_map(|it| match it {
        LinkAttribute::IfName(name) => Some(name.as_str()),
        _ => None,
    })
}

fn which(link: &LinkMessage) -> String {
    match (link.header.index, name(link)) {
        (0, Some(name)) => name.into(),
        (index, _) => numbered(index),
    }
}

/// A link by its index: the first of every network namespace is lo.
fn numbered(index: u32) -> String {
    if index == 1 { "lo".into() } else { format!("link {index}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_route::link::InfoKind;

    fn sent(message: Route) -> Vec<u8> {
        let mut message = NetlinkMessage::from(message);
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }

    fn texts(bytes: &[u8]) -> Vec<String> {
        messages(0, bytes).into_iter().map(|message| format!("{}: {}", message.kind, message.text)).collect()
    }

    #[test]
    fn links_are_told_in_words() {
        let mut peer = LinkMessage::default();
        peer.attributes = vec![LinkAttribute::IfName("eth0".into()), LinkAttribute::NetNsPid(42)];
        let mut pair = LinkMessage::default();
        let data = InfoData::Veth(InfoVeth::Peer(peer));
        pair.attributes = vec![
            LinkAttribute::IfName("veth1".into()),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Veth), LinkInfo::Data(data)]),
        ];
        let mut up = LinkMessage::default();
        up.header.index = 1;
        (up.header.flags, up.header.change_mask) = (LinkFlags::Up, LinkFlags::Up);
        let mut changed = up.clone();
        changed.header.index = 3;
        changed.attributes = vec![LinkAttribute::IfName("eth0".into()), LinkAttribute::Controller(2)];
        let question = sent(Route::GetLink(LinkMessage::default()));
        let messages = [Route::NewLink(pair), Route::NewLink(up), Route::SetLink(changed)].map(sent).concat();
        let bytes = [question, messages].concat();
        let expected = [
            "RTM_NEWLINK: creates a veth pair veth1 with eth0; that end goes into the network namespace of PID 42",
            "RTM_NEWLINK: sets lo up",
            "RTM_SETLINK: changes link 3: up, named eth0, a port of link 2",
        ];
        assert_eq!(texts(&bytes), expected);
    }

    #[test]
    fn what_is_no_message_is_nothing() {
        for bytes in [&[][..], &[1, 0, 0, 0], &[255; 40], &[0; 64]] {
            assert_eq!(messages(0, bytes), []);
            assert_eq!(refusal(0, bytes), None);
        }
        let mut bytes = sent(Route::NewLink(LinkMessage::default()));
        for at in 0..bytes.len() {
            let before = bytes[at];
            for byte in [0, 1, 0x7f, 0xff] {
                bytes[at] = byte;
                messages(0, &bytes);
            }
            bytes[at] = before;
        }
    }

    #[test]
    fn a_refusal_has_its_errno() {
        let mut bytes = vec![20, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend((-1_i32).to_ne_bytes());
        assert_eq!(refusal(0, &bytes), Some(Errno::EPERM));
        // With the type of what is refused: RTM_NEWLINK and RTM_GETLINK, NFT_MSG_NEWTABLE and NFT_MSG_GETTABLE.
        bytes[0] += HEAD as u8;
        for (protocol, [low, high], expected) in [
            (0, [16, 0], Some(Errno::EPERM)),
            (0, [18, 0], None),
            (NETFILTER, [0, NFTABLES], Some(Errno::EPERM)),
            (NETFILTER, [1, NFTABLES], None),
        ] {
            let refused = [[16, 0, 0, 0, low, high].as_slice(), &[0; HEAD - 6]].concat();
            assert_eq!(refusal(protocol, &[bytes.as_slice(), &refused].concat()), expected, "{low} {high}");
        }
    }
}

//! Address translation for packets that leave: a table of nftables, written over netlink(7), as nft(8) does it.
//!
//! The table belongs to the socket that made it (NFT_TABLE_F_OWNER, since Linux 5.12). The kernel removes it when the
//! socket is closed, also by SIGKILL, and nobody else may change it. The numbers are those of linux/netfilter/nf_tables.h.

use std::net::Ipv4Addr;

use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_NETFILTER;

use super::answer::{Answer, End};
use super::socket;
use crate::deadline::Deadline;
use crate::error::{Error, Named, Result};

/// A rule that is in force as long as this value exists: packets from one address get the address of the link by which
/// they leave (`masquerade`, nft(8)).
#[derive(Debug)]
pub struct Masquerade {
    _owner: Socket,
}

/// All messages of a batch have one number, so that the first answer to any of them ends the wait.
const SEQUENCE: u32 = 1;

impl Masquerade {
    /// Translates packets of the caller's network namespace, be it the host's, for what the user asked to be made there.
    /// `table` is the name of the table, `source` the address that is translated, and `own` are the leading bytes of
    /// addresses that packets go to as they are.
    ///
    /// # Errors
    /// EPERM without CAP_NET_ADMIN, or if another socket owns a table of this name. EEXIST if there is one without an owner.
    /// EPROTONOSUPPORT, EOPNOTSUPP or ENOENT if the kernel has no nftables, or no masquerade.
    pub fn on_host(table: &str, source: Ipv4Addr, own: &[u8]) -> Result<Masquerade> {
        let call = || format!("nft add rule ip {table} postrouting ip saddr {source} masquerade");
        let socket = socket::open(NETLINK_NETFILTER)?;
        socket::send(&socket, &batch(table, source, own)).named(call)?;
        let deadline = Deadline::new();
        let mut answer = Answer::to(SEQUENCE);
        loop {
            let datagram = socket::receive(&socket, deadline, &call())?;
            let read = answer.read(&datagram);
            read.map_err(|error| Error::Unreadable { what: call(), message: error.to_string() })?;
            match answer.end.take() {
                None => {}
                Some(End::Done) => return Ok(Masquerade { _owner: socket }),
                Some(End::Refused { errno, .. }) => return Err(Error::Call { call: call(), errno }),
            }
        }
    }
}

const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const CREATE: u16 = REQUEST | libc::NLM_F_CREATE as u16;
const EXCLUSIVE: u16 = CREATE | libc::NLM_F_EXCL as u16;
/// The last message of the batch alone: the kernel answers it after all others, unless one of these failed.
const LAST: u16 = CREATE | libc::NLM_F_APPEND as u16 | libc::NLM_F_ACK as u16;

/// NLA_F_NESTED of linux/netlink.h.
const NESTED: u16 = 1 << 15;
const SUBSYSTEM: u16 = libc::NFNL_SUBSYS_NFTABLES as u16;
const OWNER: u32 = 2;
/// The hook's number, and the priority at which sources are translated (NF_IP_PRI_NAT_SRC).
const POSTROUTING: (u32, u32) = (4, 100);
const REGISTER: u32 = 1;
const NETWORK_HEADER: u32 = 1;
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
/// The offsets of the source and destination in an IPv4 header (RFC 791).
const SOURCE: u32 = 12;
const DESTINATION: u32 = 16;
const CHAIN: &[u8] = b"postrouting\0";

fn batch(table: &str, source: Ipv4Addr, own: &[u8]) -> Vec<u8> {
    let table = [table.as_bytes(), b"\0"].concat();
    let (hook, priority) = POSTROUTING;
    let hook = [attribute(1, &hook.to_be_bytes()), attribute(2, &priority.to_be_bytes())].concat();
    let expressions = [
        header_bytes(SOURCE, &source.octets()),
        compare(EQUAL, &source.octets()),
        header_bytes(DESTINATION, own),
        compare(NOT_EQUAL, own),
        expression(b"masq\0", &[]),
    ];
    let begin = libc::NFNL_MSG_BATCH_BEGIN as u16;
    [
        message(begin, REQUEST, 0, SUBSYSTEM, &[]),
        message(
            nft(libc::NFT_MSG_NEWTABLE),
            EXCLUSIVE,
            libc::AF_INET,
            0,
            &[attribute(1, &table), attribute(2, &OWNER.to_be_bytes())],
        ),
        message(
            nft(libc::NFT_MSG_NEWCHAIN),
            CREATE,
            libc::AF_INET,
            0,
            &[attribute(1, &table), attribute(3, CHAIN), nest(4, &hook), attribute(7, b"nat\0")],
        ),
        message(
            nft(libc::NFT_MSG_NEWRULE),
            LAST,
            libc::AF_INET,
            0,
            &[attribute(1, &table), attribute(2, CHAIN), nest(4, &expressions.concat())],
        ),
        message(libc::NFNL_MSG_BATCH_END as u16, REQUEST, 0, SUBSYSTEM, &[]),
    ]
    .concat()
}

/// The type of a message of nftables.
fn nft(kind: libc::c_int) -> u16 {
    SUBSYSTEM << 8 | kind as u16
}

/// `struct nlmsghdr` and `struct nfgenmsg`, with attributes behind them.
fn message(kind: u16, flags: u16, family: libc::c_int, resource: u16, attributes: &[Vec<u8>]) -> Vec<u8> {
    let attributes = attributes.concat();
    let length = (20 + attributes.len()) as u32;
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend(SEQUENCE.to_ne_bytes());
    message.extend(0_u32.to_ne_bytes());
    message.extend([family as u8, 0]);
    message.extend(resource.to_be_bytes());
    message.extend(attributes);
    message
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut attribute = (4 + value.len() as u16).to_ne_bytes().to_vec();
    attribute.extend(kind.to_ne_bytes());
    attribute.extend(value);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}

/// An attribute that contains others.
fn nest(kind: u16, inner: &[u8]) -> Vec<u8> {
    attribute(kind | NESTED, inner)
}

fn expression(name: &[u8], data: &[u8]) -> Vec<u8> {
    nest(1, &[attribute(1, name), nest(2, data)].concat())
}

/// Loads as many bytes of the IPv4 header as `like` has.
fn header_bytes(offset: u32, like: &[u8]) -> Vec<u8> {
    let values = [REGISTER, NETWORK_HEADER, offset, like.len() as u32];
    let data: Vec<u8> =
        values.iter().zip(1..).flat_map(|(value, kind)| attribute(kind, &value.to_be_bytes())).collect();
    expression(b"payload\0", &data)
}

/// Goes on only if what was loaded compares so with `value`.
fn compare(how: u32, value: &[u8]) -> Vec<u8> {
    let data = [
        attribute(1, &REGISTER.to_be_bytes()),
        attribute(2, &how.to_be_bytes()),
        nest(3, &attribute(1, value)),
    ];
    expression(b"cmp\0", &data.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_whole_messages() {
        let bytes = batch("lab", Ipv4Addr::new(10, 0, 0, 2), &[10, 0]);
        let (mut rest, mut kinds) = (bytes.as_slice(), Vec::new());
        while !rest.is_empty() {
            let length = u32::from_ne_bytes(rest[..4].try_into().unwrap()) as usize;
            assert!(length % 4 == 0 && length >= 20, "{length}");
            kinds.push(u16::from_ne_bytes(rest[4..6].try_into().unwrap()));
            rest = &rest[length..];
        }
        assert_eq!(kinds, [0x10, 0xa00, 0xa03, 0xa06, 0x11]);
        assert!(bytes.windows(4).any(|it| it == [10, 0, 0, 2]));
    }
}

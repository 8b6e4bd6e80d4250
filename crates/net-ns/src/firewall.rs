//! Tables of nf_tables, the firewall of Linux, over nfnetlink: linux/netfilter/nf_tables.h.
//!
//! It creates a table and lists the tables, which is enough to see which namespace has them. A table without chains
//! filters nothing.

use std::os::fd::AsFd;

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_REQUEST, NlasIterator};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use nix::poll::{PollFd, PollFlags};
use ns_core::{Deadline, Errno, Error, Kind, Named, Result, host};

const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// NFNL_SUBSYS_NFTABLES
const NFTABLES: u16 = 10;
const NEW_TABLE: u16 = NFTABLES << 8;
const GET_TABLE: u16 = NFTABLES << 8 | 1;
const TABLE_NAME: u16 = 1;
const FAMILY_UNSPEC: u8 = 0;
const FAMILY_IPV4: u8 = 2;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// The headers before a message's attributes: nlmsghdr, nfgenmsg.
const HEADER: usize = 16;
const FAMILY_HEADER: usize = 4;

/// Adds an IPv4 table to the caller's network namespace: `nft add table ip NAME`.
///
/// # Errors
/// EPERM without CAP_NET_ADMIN; EOPNOTSUPP or EPROTONOSUPPORT if the kernel has no nf_tables. In the network namespace
/// that the experiment was started in, [`Error::WouldChangeHost`].
pub(crate) fn add_table(name: &str) -> Result<()> {
    let call = || format!("nft add table ip {name}");
    host::require_left(Kind::Net, call)?;
    let flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_ACK;
    let batch = [
        message(BATCH_BEGIN, NLM_F_REQUEST, FAMILY_UNSPEC, NFTABLES, &[]),
        message(NEW_TABLE, flags, FAMILY_IPV4, 0, &attribute(TABLE_NAME, name)),
        message(BATCH_END, NLM_F_REQUEST, FAMILY_UNSPEC, NFTABLES, &[]),
    ];
    exchange(&batch.concat(), call).map(drop)
}

/// The names of the IPv4 tables in the caller's network namespace: `nft list tables ip`.
///
/// # Errors
/// As [`add_table`].
pub(crate) fn tables() -> Result<Vec<String>> {
    let request = message(GET_TABLE, NLM_F_REQUEST | NLM_F_DUMP, FAMILY_IPV4, 0, &[]);
    exchange(&request, || "nft list tables ip".into())
}

/// Sends `request`, and reads the names of tables until the answer ends.
fn exchange(request: &[u8], call: impl Fn() -> String + Copy) -> Result<Vec<String>> {
    let mut socket = Socket::new(NETLINK_NETFILTER).named(call)?;
    socket.bind_auto().named(call)?;
    socket.send_to(request, &SocketAddr::new(0, 0), 0).named(call)?;
    let deadline = Deadline::new();
    let mut names = Vec::new();
    loop {
        deadline.poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], &call())?;
        let (datagram, _) = socket.recv_from_full().named(call)?;
        let mut rest = datagram.as_slice();
        while let Some((kind, body, tail)) = next_message(rest) {
            rest = tail;
            match kind {
                NLMSG_DONE => return Ok(names),
                NLMSG_ERROR => {
                    return match body.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code)) {
                        0 => Ok(names),
                        code => Err(Error::Call { call: call(), errno: Errno::from_raw(-code) }),
                    };
                }
                _ => names.extend(body.get(FAMILY_HEADER..).and_then(name_among)),
            }
        }
    }
}

/// The type and the body of the first message, and the bytes after it.
fn next_message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
    let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk()?);
    let body = bytes.get(HEADER..length)?;
    Some((kind, body, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

fn name_among(attributes: &[u8]) -> Option<String> {
    let name = NlasIterator::new(attributes).flatten().find(|nla| nla.kind() == TABLE_NAME)?;
    Some(String::from_utf8_lossy(name.value()).trim_end_matches('\0').into())
}

fn message(kind: u16, flags: u16, family: u8, resource: u16, attributes: &[u8]) -> Vec<u8> {
    let length = (HEADER + FAMILY_HEADER + attributes.len()) as u32;
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]); // sequence number and port
    bytes.extend([family, 0]);
    bytes.extend(resource.to_be_bytes());
    bytes.extend(attributes);
    bytes
}

fn attribute(kind: u16, text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16 + 5).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(text.as_bytes());
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_as_it_is_written() {
        let bytes = message(NEW_TABLE, 0, FAMILY_IPV4, 0, &attribute(TABLE_NAME, "lab"));
        let (kind, body, rest) = next_message(&bytes).unwrap();
        assert_eq!((kind, rest), (NEW_TABLE, &[][..]));
        assert_eq!(name_among(&body[FAMILY_HEADER..]).as_deref(), Some("lab"));
    }

    #[test]
    fn what_is_cut_off_is_no_message() {
        let bytes = message(NEW_TABLE, 0, FAMILY_IPV4, 0, &attribute(TABLE_NAME, "lab"));
        for length in 0..bytes.len() {
            assert!(next_message(&bytes[..length]).is_none(), "{length}");
        }
    }
}

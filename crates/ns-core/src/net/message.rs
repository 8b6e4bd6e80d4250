//! Messages about a link, what their parts are called in errors, and what is read from answers.

use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::DecodeError;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use nix::errno::Errno;

use super::answer::Record;
use super::{Link, LinkName};
use crate::error::{Error, Result};

/// A link that is known by its index alone, as ip(8) writes it.
pub(super) struct Unnamed(pub(super) u32);

impl fmt::Display for Unnamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "if{}", self.0)
    }
}

/// A namespace that is open in this process, by a path that ip(8) takes.
pub(super) struct Descriptor<'a>(pub(super) BorrowedFd<'a>);

impl fmt::Display for Descriptor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/proc/self/fd/{}", self.0.as_raw_fd())
    }
}

pub(super) fn with_name(name: &LinkName) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_string()));
    message
}

pub(super) fn with_index(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
}

/// A look at a link that is not there finds none.
pub(super) fn none_such(error: Error) -> Result<Option<Link>> {
    if error.errno() == Some(Errno::ENODEV) { Ok(None) } else { Err(error) }
}

pub(super) fn read_all<T>(
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

//! The link `lo`, which each network namespace has.

use std::os::fd::AsFd;

use observation::Kind;

use crate::error::{Named, Result};
use crate::namespace::any_socket;
use crate::{host, sys};

/// Sets `lo` up in the caller's network namespace: then 127.0.0.1 answers. This takes one ioctl(2) of any socket
/// (netdevice(7)), where a [`super::Netlink`] takes sixteen calls.
///
/// # Errors
/// EPERM without CAP_NET_ADMIN in the user namespace that owns it; [`crate::Error::WouldChangeHost`], without a call.
pub fn set_up_loopback() -> Result<()> {
    let call = || "ip link set lo up".into();
    host::require_left(Kind::Net, call)?;
    // `lo` has no other flag that can be changed.
    sys::set_link_flags(any_socket()?.as_fd(), c"lo", libc::IFF_UP as libc::c_short).named(call)
}

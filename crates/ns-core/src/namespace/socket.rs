//! From a socket to the network namespace that it belongs to.

use std::os::fd::{AsFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::NsFile;
use crate::error::{Named, Result};
use crate::sys;

/// linux/sockios.h
const SIOCGSKNS: libc::Ioctl = 0x894c;

impl NsFile {
    /// Opens the network namespace that `socket` was created in, and keeps wherever its process goes, by
    /// ioctl(SIOCGSKNS) (since Linux 4.10).
    ///
    /// # Errors
    /// EPERM without CAP_NET_ADMIN in the user namespace that owns it; ENOTTY if this is no socket.
    pub fn of_socket(socket: impl AsFd) -> Result<NsFile> {
        let call = || "ioctl(socket, SIOCGSKNS)".to_string();
        let fd = sys::ns_ioctl_fd(socket.as_fd(), SIOCGSKNS).named(call)?;
        Ok(NsFile { fd, path: call() })
    }
}

/// A socket that belongs to the caller's network namespace, of the family that needs least.
pub(crate) fn any_socket() -> Result<OwnedFd> {
    socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
        .named(|| "socket(AF_UNIX, SOCK_DGRAM|SOCK_CLOEXEC, 0)".into())
}

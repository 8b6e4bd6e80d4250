//! Flags of network links: netdevice(7).

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// ioctl(SIOCSIFFLAGS): sets the flags of the link `name`, of which at most 15 bytes count, in the network namespace of the
/// socket.
///
/// # Errors
/// The kernel's: ENODEV if there is no such link, EPERM without CAP_NET_ADMIN.
pub(crate) fn set_link_flags(socket: BorrowedFd<'_>, name: &CStr, flags: libc::c_short) -> Result<(), Errno> {
    // SAFETY: ifreq is a struct of integers and a union of them, for which all zero bits are a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays 0.
    for (to, from) in request.ifr_name[..libc::IFNAMSIZ - 1].iter_mut().zip(name.to_bytes()) {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = flags;
    // SAFETY: the kernel reads an ifreq, which lives through the call.
    let answer =
        unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as libc::Ioctl, &raw mut request) };
    Errno::result(answer).map(drop)
}

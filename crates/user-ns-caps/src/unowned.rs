//! What belongs to the machine and to no namespace: asked for in a way that changes nothing when it is granted.

use std::path::Path;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use ns_core::{Errno, Kind, Named, Result, host, sys};

/// settimeofday(2) with no time and no time zone: the kernel asks for CAP_SYS_TIME, and then has nothing to set.
///
/// # Errors
/// EPERM.
pub(crate) fn set_no_time() -> Result<()> {
    sys::settimeofday_nothing().named(|| "settimeofday(NULL, NULL)".into())
}

/// delete_module(2) of a module that does not exist: the kernel asks for CAP_SYS_MODULE first, and then says ENOENT.
///
/// # Errors
/// EPERM, ENOENT.
pub(crate) fn remove_no_module() -> Result<()> {
    sys::delete_module(c"no_such_module").named(|| "delete_module(\"no_such_module\")".into())
}

/// swapoff(2) of a file that does not exist: the kernel asks for CAP_SYS_ADMIN first, and then says ENOENT.
///
/// # Errors
/// EPERM, ENOENT.
pub(crate) fn swap_off_nothing() -> Result<()> {
    sys::swapoff(c"/proc/self/no_such_file").named(|| "swapoff(\"no such file\")".into())
}

/// mknod(2) of a character device in a mount namespace of our own.
///
/// # Errors
/// EPERM without CAP_MKNOD in the initial user namespace, but for 0:0, overlayfs's whiteout (since Linux 5.8);
/// [`ns_core::Error::WouldChangeHost`].
pub(crate) fn make_device(path: &Path, major: u64, minor: u64) -> Result<()> {
    let call = || format!("mknod(\"{}\", S_IFCHR, {major}:{minor})", path.display());
    host::require_left(Kind::Mnt, call)?;
    mknod(path, SFlag::S_IFCHR, Mode::S_IRUSR | Mode::S_IWUSR, makedev(major, minor)).named(call)
}

/// socket(2) for raw IP, which asks for CAP_NET_RAW in the user namespace that owns the network; closed at once.
///
/// # Errors
/// EPERM.
pub(crate) fn open_raw_socket() -> Result<()> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
    let opened: Result<_, Errno> =
        socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Icmp);
    opened.named(|| "socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)".into()).map(drop)
}

//! Calls on what the machine has once. Each changes nothing, even if it is allowed.

use std::path::Path;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use ns_core::{Errno, Kind, Named, Result, host, sys};

/// settimeofday(2) with no time and no time zone: the kernel checks CAP_SYS_TIME, and then has nothing to set.
///
/// # Errors
/// EPERM.
pub(crate) fn set_no_time() -> Result<()> {
    sys::settimeofday_nothing().named(|| "settimeofday(NULL, NULL)".into())
}

/// delete_module(2) of a module that does not exist: the kernel checks CAP_SYS_MODULE, and then returns ENOENT.
///
/// # Errors
/// EPERM, ENOENT.
pub(crate) fn remove_no_module() -> Result<()> {
    sys::delete_module(c"no_such_module").named(|| "delete_module(\"no_such_module\")".into())
}

/// swapoff(2) of a file that does not exist: the kernel checks CAP_SYS_ADMIN, and then returns ENOENT.
///
/// # Errors
/// EPERM, ENOENT.
pub(crate) fn swap_off_nothing() -> Result<()> {
    sys::swapoff(c"/proc/self/no_such_file").named(|| "swapoff(\"no such file\")".into())
}

/// mknod(2) of a character device, in a new mount namespace only.
///
/// # Errors
/// EPERM without CAP_MKNOD in the initial user namespace, except for 0:0, a whiteout of overlayfs (since Linux 5.8);
/// [`ns_core::Error::WouldChangeHost`].
pub(crate) fn make_device(path: &Path, major: u64, minor: u64) -> Result<()> {
    let call = || format!("mknod(\"{}\", S_IFCHR, {major}:{minor})", path.display());
    host::require_left(Kind::Mnt, call)?;
    mknod(path, SFlag::S_IFCHR, Mode::S_IRUSR | Mode::S_IWUSR, makedev(major, minor)).named(call)
}

/// socket(2) for raw IP, closed at once. It requires CAP_NET_RAW in the user namespace that owns the network namespace.
///
/// # Errors
/// EPERM.
pub(crate) fn open_raw_socket() -> Result<()> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
    let opened: Result<_, Errno> =
        socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Icmp);
    opened.named(|| "socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)".into()).map(drop)
}

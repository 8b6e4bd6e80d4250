//! What belongs to the machine: its swap space, its time, its modules.

use std::ffi::CStr;

use nix::errno::Errno;

/// swapon(2) with no flags.
///
/// # Errors
/// The kernel's: EPERM, EINVAL for a file that cannot be swapped to.
pub fn swapon(path: &CStr) -> Result<(), Errno> {
    // SAFETY: the path is a string that ends in NUL and outlives the call.
    Errno::result(unsafe { libc::swapon(path.as_ptr(), 0) }).map(drop)
}

/// swapoff(2)
///
/// # Errors
/// The kernel's: EPERM, EINVAL, ENOENT.
pub fn swapoff(path: &CStr) -> Result<(), Errno> {
    // SAFETY: the path is a string that ends in NUL and outlives the call.
    Errno::result(unsafe { libc::swapoff(path.as_ptr()) }).map(drop)
}

/// settimeofday(2) with neither a time nor a time zone, past the C library, which would look for the time.
///
/// # Errors
/// EPERM
pub fn settimeofday_nothing() -> Result<(), Errno> {
    // SAFETY: both pointers are null, which the kernel takes for "leave it".
    Errno::result(unsafe { libc::syscall(libc::SYS_settimeofday, 0, 0) }).map(drop)
}

/// delete_module(2), not waiting.
///
/// # Errors
/// The kernel's: EPERM, ENOENT, EBUSY.
pub fn delete_module(name: &CStr) -> Result<(), Errno> {
    // SAFETY: the kernel reads a string that ends in NUL and lives through the call.
    Errno::result(unsafe { libc::syscall(libc::SYS_delete_module, name.as_ptr(), libc::O_NONBLOCK) })
        .map(drop)
}

//! Namespaces as files: ioctl_ns(2), name_to_handle_at(2).

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

/// An ioctl that gives a new descriptor of a namespace: NS_GET_USERNS, NS_GET_PARENT, SIOCGSKNS.
pub(crate) fn ns_ioctl_fd(fd: BorrowedFd<'_>, request: libc::Ioctl) -> Result<OwnedFd, Errno> {
    // SAFETY: these requests take no argument, so the kernel touches no memory of ours.
    let answer = Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), request) })?;
    // SAFETY: the kernel has just opened this descriptor for us, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(answer) })
}

/// NS_GET_NSTYPE, whose answer is the return value.
pub(crate) fn ns_ioctl_type(fd: BorrowedFd<'_>, request: libc::Ioctl) -> Result<i32, Errno> {
    // SAFETY: this request takes no argument, so the kernel touches no memory of ours.
    Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), request) })
}

/// NS_GET_OWNER_UID, which writes a uid_t.
pub(crate) fn ns_ioctl_u32(fd: BorrowedFd<'_>, request: libc::Ioctl) -> Result<u32, Errno> {
    let mut answer = 0_u32;
    // SAFETY: the kernel writes one uid_t (32 bits) at the address of a live u32.
    Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), request, &raw mut answer) })?;
    Ok(answer)
}

/// NS_GET_ID, which writes a 64-bit number.
pub(crate) fn ns_ioctl_u64(fd: BorrowedFd<'_>, request: libc::Ioctl) -> Result<u64, Errno> {
    let mut answer = 0_u64;
    // SAFETY: the kernel writes one 64-bit number at the address of a live u64.
    Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), request, &raw mut answer) })?;
    Ok(answer)
}

/// NS_GET_PID_IN_PIDNS and its like, which take a number and answer with one.
pub(crate) fn ns_ioctl_number(fd: BorrowedFd<'_>, request: libc::Ioctl, number: i32) -> Result<i32, Errno> {
    // SAFETY: the argument of these requests is a number, not an address, so the kernel touches no memory of ours.
    Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), request, libc::c_long::from(number)) })
}

/// Room for the largest file handle (MAX_HANDLE_SZ), after its two fields of 32 bits: how many bytes it has, and its type.
const HANDLE: usize = 8 + 128;

/// name_to_handle_at(2), following a link: the handle with its two fields.
pub(crate) fn name_to_handle(path: &CStr) -> Result<Vec<u8>, Errno> {
    let mut handle = [0_u32; HANDLE / 4];
    handle[0] = (HANDLE - 8) as u32;
    let mut mount: libc::c_int = 0;
    // SAFETY: the kernel reads a string that ends with NUL. It writes at most as many bytes as the first field of the
    // array says, all of which lie in it, and one int.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            libc::AT_FDCWD,
            path.as_ptr(),
            handle.as_mut_ptr(),
            &raw mut mount,
            libc::AT_SYMLINK_FOLLOW,
        )
    };
    Errno::result(answer)?;
    Ok(handle.iter().flat_map(|word| word.to_ne_bytes()).collect())
}

/// open_by_handle_at(2) with FD_NSFS_ROOT (linux/fcntl.h) in the place of a mount.
pub(crate) fn open_nsfs_handle(handle: &[u8]) -> Result<OwnedFd, Errno> {
    const FD_NSFS_ROOT: libc::c_int = -10003;
    let mut words = [0_u32; HANDLE / 4];
    for (word, bytes) in words.iter_mut().zip(handle.chunks_exact(4)) {
        *word = bytes.try_into().map_or(0, u32::from_ne_bytes);
    }
    words[0] = words[0].min((HANDLE - 8) as u32);
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: the kernel reads the two fields and as many bytes as the first says, which lie in the array.
    let answer = Errno::result(unsafe {
        libc::syscall(libc::SYS_open_by_handle_at, FD_NSFS_ROOT, words.as_ptr(), flags)
    })?;
    // SAFETY: the kernel has just opened this descriptor for us, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(answer as RawFd) })
}

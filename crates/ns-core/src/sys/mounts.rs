//! Attributes of mounts: mount_setattr(2).

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// What mount_setattr(2) takes: struct mount_attr in linux/mount.h, which libc lacks.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct MountAttr {
    pub(crate) set: u64,
    pub(crate) clear: u64,
    pub(crate) propagation: u64,
    pub(crate) user_namespace: u64,
}

/// mount_setattr(2) on the mount that `fd` refers to; `recursively` on those below it too.
pub(crate) fn mount_setattr(fd: BorrowedFd<'_>, recursively: bool, attr: &MountAttr) -> Result<(), Errno> {
    let flags = libc::AT_EMPTY_PATH | if recursively { libc::AT_RECURSIVE } else { 0 };
    let (attr, size) = (std::ptr::from_ref(attr), size_of::<MountAttr>());
    // SAFETY: the path is a string with its NUL, and the struct is alive, laid out as the kernel's, of the size given.
    let answer =
        unsafe { libc::syscall(libc::SYS_mount_setattr, fd.as_raw_fd(), c"".as_ptr(), flags, attr, size) };
    Errno::result(answer).map(drop)
}

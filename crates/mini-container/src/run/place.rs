//! Names inside a root filesystem that is not to be trusted.
//!
//! ROOTFS may hold a symbolic link at any name: `dev -> /etc`, say. Whoever mounts at the *name* follows it, out of the
//! container. So a name is looked up once, by openat2(2) with the container's root as the root of all that it leads to,
//! and from there on the descriptor is used and not the name.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ns_core::{Errno, Error, Named, Result};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

/// Finds `name` below `root` without following a symbolic link and without leaving the mount that `root` is. `None` if it is not there.
pub(crate) fn find(root: BorrowedFd<'_>, name: &str) -> Result<Option<OwnedFd>> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    match openat2(root, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve) {
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(None),
        found => {
            found.map(Some).named(|| format!("openat2(\"{name}\", RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS)"))
        }
    }
}

/// The directory `name` of the container, made if it is not there.
///
/// # Errors
/// [`Error::Input`] where it is a symbolic link, or no directory.
pub(crate) fn directory(root: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = || openat2(root, name, flags, Mode::empty(), resolve);
    let opened = match open() {
        Err(rustix::io::Errno::NOENT) => {
            mkdirat(root, name, Mode::from_raw_mode(0o755)).named(|| format!("mkdir ROOTFS/{name}"))?;
            open()
        }
        opened => opened,
    };
    opened.map_err(|errno| match errno {
        rustix::io::Errno::LOOP => Error::Input(format!(
            "ROOTFS/{name} is a symbolic link, and what is mounted there would land where it leads; make it a directory"
        )),
        rustix::io::Errno::NOTDIR => {
            Error::Input(format!("ROOTFS/{name} is no directory, and something has to be mounted there; remove it"))
        }
        errno => Error::Call { call: format!("openat2(\"{name}\", RESOLVE_IN_ROOT)"), errno: Errno::from_raw(errno.raw_os_error()) },
    })
}

/// An empty file `name` in a directory that we have made ourselves, for something to be mounted on.
pub(crate) fn empty_file(directory: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    openat(directory, name, flags, Mode::from_raw_mode(0o644))
        .named(|| format!("open(\"{name}\", O_CREAT|O_EXCL)"))
}

/// A new filesystem of type `kind` that is mounted nowhere yet: fsopen(2), fsmount(2).
pub(crate) fn new_filesystem(kind: &str, options: &[(&str, &str)], flags: MountAttrFlags) -> Result<OwnedFd> {
    let call = || {
        let options: Vec<_> = options
            .iter()
            .map(
                |(key, value)| {
                    if value.is_empty() { format!(" -o {key}") } else { format!(" -o {key}={value}") }
                },
            )
            .collect();
        format!("mount -t {kind}{}", options.concat())
    };
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).named(call)?;
    for (key, value) in options {
        let set = if value.is_empty() {
            fsconfig_set_flag(&context, *key)
        } else {
            fsconfig_set_string(&context, *key, *value)
        };
        set.named(call)?;
    }
    fsconfig_create(&context).named(call)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, flags).named(call)
}

/// A copy of what is at `path` here, with all that is mounted below it, and mounted nowhere yet.
pub(crate) fn copy_of(path: &std::path::Path) -> Result<OwnedFd> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    open_tree(CWD, path, flags).named(|| format!("open_tree(\"{}\", OPEN_TREE_CLONE)", path.display()))
}

/// As [`copy_of`], of what a descriptor refers to.
pub(crate) fn copy_of_open(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    open_tree(fd, "", flags).named(|| "open_tree(fd, OPEN_TREE_CLONE)".into())
}

/// Mounts `what` on the place that `target` refers to.
pub(crate) fn attach(what: &OwnedFd, target: impl AsFd, name: &str) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(what, "", target, "", flags).named(|| format!("move_mount(fd, \"{name}\")"))
}

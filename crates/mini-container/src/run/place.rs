//! Names inside a root filesystem that is not to be trusted.
//!
//! ROOTFS may hold a symbolic link at any name: `dev -> /etc`, say. Whoever mounts at the *name* follows it, out of the
//! container. So a name is looked up once, by openat2(2) with the container's root as the root of all that it leads to.
//! From there on the descriptor is used and not the name. A link is followed then as the command will follow it: `/etc`
//! is the container's, and no number of `..` climbs above its root.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ns_core::{Errno, Error, Named, Result};
use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, mkdirat, openat, openat2};

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

/// Two names, and by a symbolic link at one of them the same place.
const COVERED: &str = "and another name lead to one place, where both would be mounted";

/// The directory that `name` leads to in the container, made if there is nothing of that name.
///
/// # Errors
/// [`Error::Input`] where the name leads to no directory, or to one on which nothing may be mounted.
pub(crate) fn directory(root: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    // What we have mounted already is no place to mount on: a link from sys to proc would cover that.
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = || again(|| openat2(root, name, flags, Mode::empty(), resolve));
    let refuse = |why: &str| Error::Input(format!("ROOTFS/{name} {why}; make it a directory"));
    let opened = match open() {
        Err(rustix::io::Errno::NOENT) => match mkdirat(root, name, Mode::from_raw_mode(0o755)) {
            // mkdir(2) follows no link at the end of a name, so there is one.
            Err(rustix::io::Errno::EXIST) => {
                return Err(refuse("is a symbolic link that leads to nothing there"));
            }
            made => made.named(|| format!("mkdir ROOTFS/{name}")).map(|()| open())?,
        },
        opened => opened,
    };
    let opened = opened.map_err(|errno| match errno {
        rustix::io::Errno::LOOP => {
            refuse("is a symbolic link that leads to itself, or out of the filesystem")
        }
        rustix::io::Errno::NOTDIR => refuse("is no directory, and something has to be mounted there"),
        rustix::io::Errno::XDEV => refuse(COVERED),
        rustix::io::Errno::ACCESS => Error::Input(format!(
            "ROOTFS/{name} may not be entered; see who owns ROOTFS: chmod -R a+rX, or map the owner (--user)"
        )),
        errno => Error::Call {
            call: format!("openat2(\"{name}\", RESOLVE_IN_ROOT)"),
            errno: Errno::from_raw(errno.raw_os_error()),
        },
    })?;
    if is_same(opened.as_fd(), root)? {
        return Err(refuse("is a symbolic link to the root, where nothing else can be mounted"));
    }
    Ok(opened)
}

/// Makes sure that in the finished container `name` leads to `mounted`. A link can make the mounts of two names cover
/// each other, and a command that finds something else at /proc writes where it does not mean to (CVE-2025-52881).
pub(crate) fn must_lead_to(root: BorrowedFd<'_>, name: &str, mounted: impl AsFd) -> Result<()> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let found = again(|| openat2(root, name, flags, Mode::empty(), resolve));
    if found.is_ok_and(|found| is_same(found.as_fd(), mounted.as_fd()).unwrap_or(false)) {
        return Ok(());
    }
    Err(Error::Input(format!("ROOTFS/{name} {COVERED}; make it a directory")))
}

fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<bool> {
    let identity =
        |fd| fstat(fd).map(|stat| (stat.st_dev, stat.st_ino)).named(|| "fstat(a directory)".into());
    Ok(identity(one)? == identity(other)?)
}

/// Asks again while the kernel could not tell whether a `..` leaves the root, because something was renamed at that moment
/// (openat2(2), EAGAIN).
pub(super) fn again(mut call: impl FnMut() -> rustix::io::Result<OwnedFd>) -> rustix::io::Result<OwnedFd> {
    for _ in 0..128 {
        match call() {
            Err(rustix::io::Errno::AGAIN) => {}
            answer => return answer,
        }
    }
    call()
}

/// An empty file `name` in a directory that we have made ourselves, for something to be mounted on.
pub(crate) fn empty_file(directory: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    openat(directory, name, flags, Mode::from_raw_mode(0o644))
        .named(|| format!("open(\"{name}\", O_CREAT|O_EXCL)"))
}

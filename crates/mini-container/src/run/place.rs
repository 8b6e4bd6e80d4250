//! Names inside a root filesystem that is not trusted.
//!
//! ROOTFS may contain a symbolic link at any name, such as `dev -> /etc`. A mount at that path would follow it out of the
//! container. So each name is looked up once, by openat2(2) with RESOLVE_IN_ROOT, and then its descriptor is used. A
//! link is followed as the command will follow it: `/etc` is the container's, and `..` does not lead above its root.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use ns_core::resolve::openat2;
use ns_core::{Errno, Error, Named, Result};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat};

/// Finds `name` below `root` without following a symbolic link and without leaving the mount of `root`. `None` if it does
/// not exist.
pub(crate) fn find(root: BorrowedFd<'_>, name: &str) -> Result<Option<OwnedFd>> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    match openat2(root, name, OFlags::PATH, resolve) {
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(None),
        found => {
            found.map(Some).named(|| format!("openat2(\"{name}\", RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS)"))
        }
    }
}

/// The error where a symbolic link makes two names lead to the same directory.
const COVERED: &str = "and another name lead to one place, where both would be mounted";

/// The directory that `name` leads to in the container, created if the name does not exist.
///
/// # Errors
/// [`Error::Input`] if the name does not lead to a directory, or if nothing may be mounted on it.
pub(crate) fn directory(root: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let refuse = |why: &str| Error::Input(format!("ROOTFS/{name} {why}; make it a directory"));
    let opened = made(root, Path::new(name)).map_err(|errno| match errno {
        rustix::io::Errno::EXIST => refuse("is a symbolic link to a name that does not exist there"),
        rustix::io::Errno::LOOP => {
            refuse("is a symbolic link that leads to itself, or out of the filesystem")
        }
        rustix::io::Errno::NOTDIR => refuse("is not a directory, and a filesystem has to be mounted on it"),
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

/// The directory that `path` leads to below `root`, as the command will follow it. What does not exist of it is created.
///
/// # Errors
/// EXIST for a symbolic link to a name that does not exist, XDEV where the way leads to another mount; those of
/// openat2(2) and mkdir(2).
pub(super) fn made(root: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    match look_up(root, path, OFlags::DIRECTORY) {
        Err(rustix::io::Errno::NOENT) => {}
        found => return found,
    }
    let above = made(root, path.parent().unwrap_or(Path::new("")))?;
    // mkdir(2) does not follow a link at the end of a name, so EEXIST means that there is one.
    mkdirat(above, path.file_name().unwrap_or_default(), Mode::from_raw_mode(0o755))?;
    look_up(root, path, OFlags::DIRECTORY)
}

/// As [`made`], for a file: an empty one is created if the name does not exist.
pub(super) fn made_file(root: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<OwnedFd> {
    match look_up(root, path, OFlags::empty()) {
        Err(rustix::io::Errno::NOENT) => {}
        found => return found,
    }
    let above = made(root, path.parent().unwrap_or(Path::new("")))?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    openat(above, path.file_name().unwrap_or_default(), flags, Mode::from_raw_mode(0o644))?;
    look_up(root, path, OFlags::empty())
}

fn look_up(root: BorrowedFd<'_>, path: &Path, more: OFlags) -> rustix::io::Result<OwnedFd> {
    // NO_XDEV, since a mount of this program must not be mounted on: a link from sys to proc would cover it.
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    openat2(root, path, OFlags::PATH | more, resolve)
}

/// Opens a file of ROOTFS, from inside the container, for reading. A FIFO does not block this program, and a magic link of
/// procfs does not lead to what it has open.
///
/// # Errors
/// INVAL for what is no regular file; those of openat2(2).
pub(super) fn regular_file(path: &str) -> rustix::io::Result<File> {
    let file = openat2(CWD, path, OFlags::RDONLY | OFlags::NONBLOCK, ResolveFlags::NO_MAGICLINKS)?;
    match FileType::from_raw_mode(fstat(&file)?.st_mode) {
        FileType::RegularFile => Ok(File::from(file)),
        _ => Err(rustix::io::Errno::INVAL),
    }
}

/// Checks that `name` leads to `mounted` in the finished container. A link can make the mounts of two names cover each
/// other, and then a write to /proc changes another file (CVE-2025-52881).
pub(crate) fn must_lead_to(root: BorrowedFd<'_>, name: &str, mounted: impl AsFd) -> Result<()> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let found = openat2(root, name, OFlags::PATH, resolve);
    if found.is_ok_and(|found| is_same(found.as_fd(), mounted.as_fd()).unwrap_or(false)) {
        return Ok(());
    }
    Err(Error::Input(format!("ROOTFS/{name} {COVERED}; make it a directory")))
}

pub(super) fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<bool> {
    let identity =
        |fd| fstat(fd).map(|stat| (stat.st_dev, stat.st_ino)).named(|| "fstat(a directory)".into());
    Ok(identity(one)? == identity(other)?)
}

/// Creates the directory `name` in a directory that this program has created, and that nobody else can reach.
pub(crate) fn new_directory(directory: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let call = || format!("mkdir {name}");
    mkdirat(directory, name, Mode::from_raw_mode(0o755)).named(call)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(directory, name, flags, Mode::empty()).named(call)
}

/// Creates an empty file `name`, to mount on, in a directory that this program has created.
pub(crate) fn empty_file(directory: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    openat(directory, name, flags, Mode::from_raw_mode(0o644))
        .named(|| format!("open(\"{name}\", O_CREAT|O_EXCL)"))
}

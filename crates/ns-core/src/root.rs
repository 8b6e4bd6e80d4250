//! The root directory: of one process by chroot(2), of a mount namespace by pivot_root(2).

use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::unistd::Pid;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use crate::error::{Named, Result};
use crate::resolve::openat2;
use crate::{Kind, files, host};

/// Makes `directory` the root of this process, and of the children that it makes from then on. The working directory
/// stays where it is.
///
/// # Errors
/// EPERM without CAP_SYS_CHROOT, EACCES where a directory may not be searched, and those of path_resolution(7).
pub fn chroot(directory: &Path) -> Result<()> {
    nix::unistd::chroot(directory).named(|| format!("chroot(\"{}\")", directory.display()))
}

/// Makes the mount at `new_root` the root of this mount namespace, and of every process in it whose root was the old one,
/// which is put at `put_old`.
///
/// # Errors
/// EINVAL where `new_root` is no mount point, a shared mount is involved, or `put_old` is not below `new_root`. EBUSY
/// where either is on the present root's mount. EPERM without CAP_SYS_ADMIN. [`crate::Error::WouldChangeHost`], without
/// a call.
pub fn pivot(new_root: &Path, put_old: &Path) -> Result<()> {
    let call = || format!("pivot_root(\"{}\", \"{}\")", new_root.display(), put_old.display());
    host::require_left(Kind::Mnt, call)?;
    nix::unistd::pivot_root(new_root, put_old).named(call)
}

/// The root directory of `process` (`None`: the caller), as the caller's own root has it: the link /proc/PID/root.
///
/// # Errors
/// EACCES when the caller may not look (PTRACE_MODE_READ_FSCREDS), ENOENT when there is no such process.
pub fn of(process: Option<Pid>) -> Result<PathBuf> {
    link(process, "root")
}

/// The working directory of `process` (`None`: the caller), as the caller's own root has it: the link /proc/PID/cwd.
///
/// # Errors
/// As [`of`].
pub fn working_directory(process: Option<Pid>) -> Result<PathBuf> {
    link(process, "cwd")
}

fn link(process: Option<Pid>, name: &str) -> Result<PathBuf> {
    let path = files::of(process, name);
    std::fs::read_link(&path).named(|| format!("readlink(\"{path}\")"))
}

/// A descriptor of the root directory of `process` (`None`: the caller). It stays that, whatever the process does.
///
/// # Errors
/// As [`of`].
pub fn open(process: Option<Pid>) -> Result<OwnedFd> {
    let path = files::of(process, "root");
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, &path, flags, Mode::empty()).named(|| format!("open(\"{path}\")"))
}

/// The file at `path` in `root`, to be looked at and not to be read (O_PATH). No link leads out of `root`: openat2(2) with
/// RESOLVE_IN_ROOT.
///
/// # Errors
/// Those of openat2(2).
pub fn find_in(root: BorrowedFd<'_>, path: &Path) -> Result<File> {
    open_in(root, path, OFlags::PATH, "O_PATH")
}

/// As [`find_in`], to be read. A FIFO or a device is not waited for.
///
/// # Errors
/// As [`find_in`].
pub fn read_in(root: BorrowedFd<'_>, path: &Path) -> Result<File> {
    open_in(root, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, "O_RDONLY")
}

fn open_in(root: BorrowedFd<'_>, path: &Path, flags: OFlags, typed: &str) -> Result<File> {
    openat2(root, path, flags, ResolveFlags::IN_ROOT)
        .map(File::from)
        .named(|| format!("openat2(root, \"{}\", {typed})", path.display()))
}

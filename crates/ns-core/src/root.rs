//! The root directory: of one process by chroot(2), of a mount namespace by pivot_root(2).

use std::path::{Path, PathBuf};

use nix::unistd::Pid;

use crate::error::{Named, Result};
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

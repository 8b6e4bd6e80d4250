//! What is mounted, and where: /proc/PID/mountinfo, statfs(2).

use std::path::Path;

use nix::unistd::Pid;
use procfs::process::MountInfo;

use super::mountinfo;
use crate::error::{Error, Named, Result};
use crate::files;

/// The mounts that `process` (`None`: the caller) sees, as /proc/PID/mountinfo has them.
///
/// # Errors
/// ENOENT when there is no such process, EINVAL when it has no mount namespace any more.
pub fn list(process: Option<Pid>) -> Result<Vec<MountInfo>> {
    let path = files::of(process, "mountinfo");
    let text = std::fs::read(&path).named(|| format!("read(\"{path}\")"))?;
    let mounts: std::result::Result<_, usize> = mountinfo::parse(&text).into_iter().collect();
    mounts.map_err(|line| Error::Unreadable {
        what: path,
        message: format!("line {line} is not in the form of proc_pid_mountinfo(5)"),
    })
}

/// What `process` (`None`: the caller) sees mounted at `target`: the topmost mount there, if any.
///
/// # Errors
/// As [`list`].
pub fn at(process: Option<Pid>, target: &Path) -> Result<Option<MountInfo>> {
    let mut found: Vec<_> = list(process)?.into_iter().filter(|mount| mount.mount_point == target).collect();
    // What is covered by another mount at the same point has that one for a child; the first of all may be its own.
    let covered: Vec<_> = found.iter().filter(|it| it.pid != it.mnt_id).map(|it| it.pid).collect();
    found.retain(|mount| !covered.contains(&mount.mnt_id));
    Ok(found.pop())
}

/// The type of the filesystem that `path` is on, by the magic number of statfs(2): `cgroup2`, `proc`, … or, where the
/// number is none of those that matter here, in hexadecimal.
///
/// # Errors
/// Those of statfs(2).
pub fn filesystem_type(path: &Path) -> Result<String> {
    use nix::sys::statfs as magic;
    let found = magic::statfs(path).named(|| format!("statfs(\"{}\")", path.display()))?.filesystem_type();
    let names = [
        (magic::CGROUP2_SUPER_MAGIC, "cgroup2"),
        (magic::CGROUP_SUPER_MAGIC, "cgroup"),
        (magic::PROC_SUPER_MAGIC, "proc"),
        (magic::TMPFS_MAGIC, "tmpfs"),
        (magic::OVERLAYFS_SUPER_MAGIC, "overlay"),
        (magic::EXT4_SUPER_MAGIC, "ext4"),
        (magic::SYSFS_MAGIC, "sysfs"),
        (magic::FsType(0x1980_0202), "mqueue"),
    ];
    let name = names.iter().find(|(magic, _)| *magic == found);
    Ok(name.map_or_else(|| format!("{:#x}", found.0), |(_, name)| (*name).into()))
}

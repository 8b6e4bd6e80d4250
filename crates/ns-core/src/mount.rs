//! Mounts, in a mount namespace of our own: mount_namespaces(7), mount(2).

use std::path::Path;

use nix::mount::{MntFlags, MsFlags, umount2};
use nix::unistd::Pid;
use procfs::process::{MountInfo, Process};

use crate::error::{Error, Named, Result};
use crate::{Kind, files, host};

mod propagation;
mod standing;
mod tree;

pub use procfs::process::MountInfo as Mount;
pub use propagation::{Propagation, is_unbindable, master, peer_group, set_propagation};
pub use standing::{Restriction, bind_recursive, move_to, overlay, restrict};
pub use tree::{Tree, map_owners};

/// Makes every mount private, so that nothing mounted here propagates to the mount namespace that ours was copied
/// from. systemd shares all mounts; unshare(2) keeps it so, and unshare(1) does what we do.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN; [`Error::WouldChangeHost`], without a call.
pub fn make_private() -> Result<()> {
    attempt("--make-rprivate /", || {
        nix::mount::mount(
            None::<&str>,
            "/",
            None::<&str>,
            MsFlags::MS_REC | MsFlags::MS_PRIVATE,
            None::<&str>,
        )
    })
}

/// Mounts a new filesystem of type `kind` at `target`, with nosuid, nodev and noexec.
///
/// cgroup2 has one set of options for the machine, and who mounts it anew in the first cgroup namespace sets them: those
/// that are left out are cleared. So it is mounted there with those that it has.
///
/// # Errors
/// Those of mount(2); [`Error::WouldChangeHost`], without a call.
pub fn mount(kind: &str, target: &Path) -> Result<()> {
    if kind == "cgroup2" && !host::left(Kind::Cgroup)? {
        let options = crate::cgroup::options()?;
        if !options.is_empty() {
            return mount_with(kind, &options.join(","), target);
        }
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    attempt(&format!("-t {kind} {kind} {}", target.display()), || {
        nix::mount::mount(Some(kind), target, Some(kind), flags, None::<&str>)
    })
}

/// As [`mount`], with options of the filesystem's own, such as `none,name=lab` for a v1 hierarchy of cgroups.
///
/// # Errors
/// Those of mount(2): EINVAL for an option that the filesystem does not know, EBUSY for a controller that cgroup v2
/// has in use; [`Error::WouldChangeHost`], without a call.
pub fn mount_with(kind: &str, options: &str, target: &Path) -> Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    attempt(&format!("-t {kind} -o {options} {kind} {}", target.display()), || {
        nix::mount::mount(Some(kind), target, Some(kind), flags, Some(options))
    })
}

/// Makes the file or directory `source` visible at `target` too.
///
/// # Errors
/// Those of mount(2); [`Error::WouldChangeHost`], without a call.
pub fn bind(source: &Path, target: &Path) -> Result<()> {
    attempt(&format!("--bind {} {}", source.display(), target.display()), || {
        nix::mount::mount(Some(source), target, None::<&str>, MsFlags::MS_BIND, None::<&str>)
    })
}

/// Detaches the mount at `target` (umount2(2) with MNT_DETACH).
///
/// # Errors
/// EINVAL where nothing is mounted, or it is locked by a more privileged mount namespace.
pub fn unmount(target: &Path) -> Result<()> {
    let call = || format!("umount --lazy {}", target.display());
    host::require_left(Kind::Mnt, call)?;
    umount2(target, MntFlags::MNT_DETACH).named(call)
}

/// The mounts that `process` (`None`: the caller) sees, as /proc/PID/mountinfo has them.
///
/// # Errors
/// ENOENT when there is no such process, EINVAL when it has no mount namespace any more.
pub fn list(process: Option<Pid>) -> Result<Vec<MountInfo>> {
    let found =
        process.map_or_else(Process::myself, |pid| Process::new(pid.as_raw())).and_then(|it| it.mountinfo());
    found.map(|mounts| mounts.0).map_err(|error| Error::Unreadable {
        what: files::of(process, "mountinfo"),
        message: error.to_string(),
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

fn attempt(arguments: &str, call: impl FnOnce() -> nix::Result<()>) -> Result<()> {
    let as_typed = || format!("mount {arguments}");
    host::require_left(Kind::Mnt, as_typed)?;
    call().named(as_typed)
}

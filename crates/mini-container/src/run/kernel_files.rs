//! /proc and /sys, without what does not belong to the container.

use std::os::fd::{AsFd, BorrowedFd};

use ns_core::mount::Restriction::{self, NoDev, NoExec, NoSuid, ReadOnly};
use ns_core::mount::Tree;
use ns_core::{Errno, Error, Result};
use rustix::fs::{FileType, fstat};

use super::devices::Devices;
use super::place;

/// No programs, devices or set-user-ID files on this mount.
pub(crate) const PLAIN: &[Restriction] = &[NoSuid, NoDev, NoExec];
/// The same, and read-only.
const FIXED: &[Restriction] = &[NoSuid, NoDev, NoExec, ReadOnly];

/// Names in /proc that are made read-only. If root inside is root outside, the modes of the files would let it write.
const READ_ONLY: [&str; 5] = ["bus", "fs", "irq", "sys", "sysrq-trigger"];

/// Names in /proc that are hidden: memory, keys, timers and hardware of the whole machine.
const MASKED: [&str; 10] = [
    "acpi",
    "asound",
    "interrupts",
    "kcore",
    "keys",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
    "timer_stats",
];

/// Mounts a new procfs at ROOTFS/proc, and covers what the container must not see.
///
/// This must happen while the old /proc is still mounted. In a user namespace, mounting a procfs needs a fully visible one
/// (mount_namespaces(7)).
pub(crate) fn proc(root: BorrowedFd<'_>, devices: &Devices) -> Result<Tree> {
    let proc = Tree::new_filesystem("proc", &[], PLAIN)?;
    proc.attach_to(place::directory(root, "proc")?, "proc")?;
    cover(&proc, devices)?;
    Ok(proc)
}

/// Covers files of a procfs. All are looked up from the descriptor of fsmount(2), which is the procfs, whatever is mounted
/// at the name (CVE-2025-52881).
pub(crate) fn cover(proc: &Tree, devices: &Devices) -> Result<()> {
    for name in READ_ONLY {
        let Some(place) = place::find(proc.as_fd(), name)? else { continue };
        let copy = Tree::copy_of_open(&place, name)?;
        // Before it is attached, so that it is never writable.
        copy.make_read_only()?;
        copy.attach_to(&place, name)?;
    }
    for name in MASKED {
        mask(proc.as_fd(), name, devices)?;
    }
    Ok(())
}

/// Covers a directory with an empty tmpfs, and a file with /dev/null.
fn mask(base: BorrowedFd<'_>, name: &str, devices: &Devices) -> Result<()> {
    let Some(place) = place::find(base, name)? else { return Ok(()) };
    let kind = fstat(&place).map(|stat| FileType::from_raw_mode(stat.st_mode));
    let cover = if kind == Ok(FileType::Directory) {
        Tree::new_filesystem("tmpfs", &[("size", "0")], FIXED)?
    } else {
        devices.null()?
    };
    cover.attach_to(&place, name)
}

/// Mounts a read-only sysfs at ROOTFS/sys, which shows the devices of the container's network namespace, and the cgroup
/// filesystem in it.
pub(crate) fn sys(root: BorrowedFd<'_>, devices: &Devices) -> Result<Tree> {
    let target = place::directory(root, "sys")?;
    let sys = match Tree::new_filesystem("sysfs", &[], FIXED) {
        // As for /proc, this needs a fully visible sysfs. An empty directory takes its place.
        Err(Error::Call { errno: Errno::EPERM, .. }) => {
            let empty = Tree::new_filesystem("tmpfs", &[("size", "0")], FIXED)?;
            empty.attach_to(&target, "sys")?;
            return Ok(empty);
        }
        sys => sys?,
    };
    sys.attach_to(&target, "sys")?;
    for name in ["firmware", "devices/virtual/powercap"] {
        mask(sys.as_fd(), name, devices)?;
    }
    // The cgroup namespace was created in the container's cgroup, so this mount shows that cgroup as the root.
    if let Some(place) = place::find(sys.as_fd(), "fs/cgroup")? {
        match Tree::new_filesystem("cgroup2", &[], FIXED) {
            Ok(cgroups) => cgroups.attach_to(&place, "sys/fs/cgroup")?,
            // The machine has no cgroup v2; or no cgroup namespaces, so that this would show the host's cgroups.
            Err(Error::Call { .. } | Error::WouldChangeHost { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(sys)
}

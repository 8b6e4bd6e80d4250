//! /proc and /sys: what the kernel shows, less what is not the container's business.

use std::os::fd::{AsFd, BorrowedFd};

use ns_core::mount::Restriction::{self, NoDev, NoExec, NoSuid, ReadOnly};
use ns_core::mount::Tree;
use ns_core::{Errno, Error, Result};
use rustix::fs::{FileType, fstat};

use super::devices::Devices;
use super::place;

/// Nothing inside is a program, a device, or a way to another user.
pub(crate) const PLAIN: &[Restriction] = &[NoSuid, NoDev, NoExec];
/// Nor anything to be written.
const FIXED: &[Restriction] = &[NoSuid, NoDev, NoExec, ReadOnly];

/// What may be read and not written. Where root inside is root outside, the files' permissions would let it.
const READ_ONLY: [&str; 5] = ["bus", "fs", "irq", "sys", "sysrq-trigger"];

/// What may not even be read: memory, keys, timers and hardware of the whole machine.
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

/// Mounts a new procfs at ROOTFS/proc, and covers what it shows too much.
///
/// It must happen while the old /proc is still visible. In a user namespace the kernel gives no procfs to somebody who
/// could not see a whole one before (mount_namespaces(7)).
pub(crate) fn proc(root: BorrowedFd<'_>, devices: &Devices) -> Result<Tree> {
    let proc = Tree::new_filesystem("proc", &[], PLAIN)?;
    proc.attach_to(place::directory(root, "proc")?, "proc")?;
    cover(&proc, devices)?;
    Ok(proc)
}

/// Covers files of a procfs. All are looked up from the descriptor that fsmount(2) gave: it *is* the procfs, whatever
/// may have come to stand at the name (CVE-2025-52881).
pub(crate) fn cover(proc: &Tree, devices: &Devices) -> Result<()> {
    for name in READ_ONLY {
        let Some(place) = place::find(proc.as_fd(), name)? else { continue };
        let copy = Tree::copy_of_open(&place, name)?;
        // Before it is put up: there is no moment at which it could be written.
        copy.make_read_only()?;
        copy.attach_to(&place, name)?;
    }
    for name in MASKED {
        mask(proc.as_fd(), name, devices)?;
    }
    Ok(())
}

/// Covers a directory with an empty one, and a file with the null device.
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

/// Mounts a read-only sysfs at ROOTFS/sys, which shows the links of our network namespace, and in it the cgroups.
pub(crate) fn sys(root: BorrowedFd<'_>, devices: &Devices) -> Result<Tree> {
    let target = place::directory(root, "sys")?;
    let sys = match Tree::new_filesystem("sysfs", &[], FIXED) {
        // Who could not see a whole sysfs before gets none (as for /proc). An empty directory harms nobody.
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
    // The cgroup namespace was made in our cgroup, so that this shows it as the root of all.
    if let Some(place) = place::find(sys.as_fd(), "fs/cgroup")? {
        match Tree::new_filesystem("cgroup2", &[], FIXED) {
            Ok(cgroups) => cgroups.attach_to(&place, "sys/fs/cgroup")?,
            // A machine without v2; one without cgroup namespaces, where this would show all of the host's.
            Err(Error::Call { .. } | Error::WouldChangeHost { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(sys)
}

//! /proc and /sys, without what does not belong to the container.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ns_core::mount::Restriction::{self, NoDev, NoExec, NoSuid, ReadOnly};
use ns_core::mount::Tree;
use ns_core::{Errno, Error, Result};
use rustix::fs::{AtFlags, statat};

use super::devices::Devices;
use super::place;

/// No programs, devices or set-user-ID files on this mount.
pub(crate) const PLAIN: &[Restriction] = &[NoSuid, NoDev, NoExec];
/// The same, and read-only.
const FIXED: &[Restriction] = &[NoSuid, NoDev, NoExec, ReadOnly];

/// Names in /proc that are made read-only. If root inside is root outside, the modes of the files would let it write.
const READ_ONLY: [&str; 5] = ["bus", "fs", "irq", "sys", "sysrq-trigger"];

/// Files in /proc that are hidden: memory, keys and timers of the whole machine.
const MASKED_FILES: [&str; 7] =
    ["interrupts", "kcore", "keys", "latency_stats", "sched_debug", "timer_list", "timer_stats"];

/// Directories in /proc that are hidden: hardware of the whole machine.
const MASKED_DIRECTORIES: [&str; 3] = ["acpi", "asound", "scsi"];

/// Mounts a new procfs at ROOTFS/proc, and covers what the container must not see.
///
/// This must happen while the old /proc is still mounted. In a user namespace, mounting a procfs needs a fully visible one
/// (mount_namespaces(7)).
pub(crate) fn proc(root: BorrowedFd<'_>, devices: &Devices, empty: &mut Empty) -> Result<Tree> {
    let proc = Tree::new_filesystem("proc", &[], PLAIN)?;
    proc.attach_to(place::directory(root, "proc")?, "proc")?;
    cover(&proc, devices, empty)?;
    Ok(proc)
}

/// Covers files of a procfs. All are looked up from the descriptor of fsmount(2), which is the procfs, whatever is mounted
/// at the name (CVE-2025-52881).
pub(crate) fn cover(proc: &Tree, devices: &Devices, empty: &mut Empty) -> Result<()> {
    for name in READ_ONLY {
        let copy = match proc.copy_of_below(name) {
            Err(error) if error.errno() == Some(Errno::ENOENT) => continue,
            copy => copy?,
        };
        // Before it is attached, so that it is never writable.
        copy.make_read_only()?;
        copy.attach_below(proc, name)?;
    }
    for name in MASKED_FILES {
        // Before the cover is made: to drop one that stands nowhere makes the kernel wait for RCU.
        if statat(proc, name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            devices.null()?.attach_below(proc, name)?;
        }
    }
    MASKED_DIRECTORIES.iter().try_for_each(|name| empty.mask(proc.as_fd(), name))
}

/// An empty tmpfs, which nobody can write to. It is made where it is first mounted, and the others are copies of that mount,
/// which cost the kernel a fifth.
#[derive(Default)]
pub(crate) struct Empty(Option<Tree>);

impl Empty {
    /// Covers a directory, if it is there.
    fn mask(&mut self, base: BorrowedFd<'_>, name: &str) -> Result<()> {
        let Some(place) = place::find(base, name)? else { return Ok(()) };
        self.mount(&place, name)
    }

    fn mount(&mut self, place: &OwnedFd, name: &str) -> Result<()> {
        if let Some(tree) = &self.0 {
            return Tree::copy_of_open(tree, name)?.attach_to(place, name);
        }
        let tree = Tree::new_filesystem("tmpfs", &[("size", "0")], FIXED)?;
        tree.attach_to(place, name)?;
        self.0 = Some(tree);
        Ok(())
    }
}

/// Mounts a read-only sysfs at ROOTFS/sys, which shows the devices of the container's network namespace, and the cgroup
/// filesystem in it.
pub(crate) fn sys(root: BorrowedFd<'_>, empty: &mut Empty) -> Result<Tree> {
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
        empty.mask(sys.as_fd(), name)?;
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

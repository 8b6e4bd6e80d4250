//! The calls that change the caller's own namespaces: unshare(2), and setns(2) with a pidfd.

use std::os::fd::BorrowedFd;

use super::Namespaces;
use super::moves::{has_left, has_moved};
use crate::error::{Named, Result};
use crate::tether;

/// Moves the caller (for PID and time: its next children) into new namespaces, by unshare(2).
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN, unless USER is among them; ENOSPC where a limit of /proc/sys/user is reached.
pub fn unshare(namespaces: Namespaces) -> Result<()> {
    nix::sched::unshare(namespaces.clone_flags()).named(|| format!("unshare({})", namespaces.as_typed()))?;
    has_left(namespaces.difference(Namespaces::OF_CHILDREN));
    tether::arm_again()
}

/// Enters several namespaces of one process in one step, by setns(2) with a pidfd (since Linux 5.8).
///
/// # Errors
/// EINVAL for an empty set, ESRCH when the process is gone, EPERM as [`super::NsFile::enter`]. None is entered on error.
pub fn enter_all_of(pidfd: BorrowedFd<'_>, namespaces: Namespaces) -> Result<()> {
    nix::sched::setns(pidfd, namespaces.clone_flags())
        .named(|| format!("setns(pidfd, {})", namespaces.as_typed()))?;
    has_moved(namespaces);
    tether::arm_again()
}

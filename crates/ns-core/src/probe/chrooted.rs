//! Whether the caller is in a chroot.

use std::fs;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use observation::{Kind, Outcome};
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use crate::child::{Child, Reporter};
use crate::error::{Named, Result};
use crate::namespace::{Namespaces, NsFile};
use crate::process;

/// What a child that looks for itself reports.
const CHROOTED: &str = "chrooted";

/// Whether our root directory is not our mount namespace's, as after chroot(2). False where it cannot be told.
pub fn is_chrooted() -> bool {
    // The mount of the root directory is among those we see, unless we are chrooted to a directory that is none.
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    if !mounts.lines().any(|line| line.split(' ').nth(4) == Some("/")) {
        return !mounts.is_empty();
    }
    // The child goes where we could go, and we stay.
    let looked = Child::spawn("probe", Namespaces::NONE, look).and_then(|mut child| child.fact());
    looked.is_ok_and(|fact| fact.value == "yes")
}

/// Looks from a mount point, which a chroot can be as well.
fn look(me: &mut Reporter) -> Result<()> {
    // setns(2) to our own mount namespace moves the root directory to the namespace's (mount_namespaces(7)).
    let before = root()?;
    if NsFile::of(None, Kind::Mnt).and_then(|own| own.enter(None)).is_ok() {
        return me.report(CHROOTED, root()? != before);
    }
    // Who may not do that may make a user namespace, but in a chroot (unshare(2), EPERM). What else gives EPERM there is
    // a filter, a setting, or a user ID that the user namespace does not map.
    let status = process::status(None)?;
    let setting = |name: &str| fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
    let permitted = status.seccomp.unwrap_or(0) == 0
        && setting("unprivileged_userns_clone").trim() != "0"
        && setting("apparmor_restrict_unprivileged_userns").trim() != "1"
        && fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.trim_start().starts_with('0'));
    let refused = Outcome::of(unshare(CloneFlags::CLONE_NEWUSER).named(String::new))?;
    me.report(CHROOTED, permitted && refused == Outcome::Failed(Errno::EPERM))
}

/// What the root directory is: its mount and its inode.
fn root() -> Result<(u64, u64)> {
    let found = statx(CWD, "/", AtFlags::empty(), StatxFlags::MNT_ID | StatxFlags::INO);
    found.map(|found| (found.stx_mnt_id, found.stx_ino)).named(|| "statx(\"/\", STATX_MNT_ID)".into())
}

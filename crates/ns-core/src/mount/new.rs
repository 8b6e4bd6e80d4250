//! New filesystems: mount(2).

use std::path::Path;

use nix::mount::MsFlags;
use observation::Kind;

use super::attempt::attempt;
use super::cgroup2;
use crate::error::Result;
use crate::host;

/// Mounts a new filesystem of type `kind` at `target`, with nosuid, nodev and noexec.
///
/// cgroup2 has one set of options for the machine, and who mounts it anew in the first cgroup namespace sets them: those
/// that are left out are cleared. So it is mounted there with those that it has.
///
/// # Errors
/// Those of mount(2); [`crate::Error::WouldChangeHost`], without a call.
pub fn mount(kind: &str, target: &Path) -> Result<()> {
    if kind == "cgroup2" && !host::left(Kind::Cgroup)? {
        let options = cgroup2::options()?;
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
/// has in use; [`crate::Error::WouldChangeHost`], without a call.
pub fn mount_with(kind: &str, options: &str, target: &Path) -> Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    attempt(&format!("-t {kind} -o {options} {kind} {}", target.display()), || {
        nix::mount::mount(Some(kind), target, Some(kind), flags, Some(options))
    })
}

//! The mount option `nsdelegate`, of the whole machine: changed only where that is thrown away after, and set back all the
//! same.

use nix::mount::{MsFlags, mount};
use observation::Kind;

use super::layout::v2_root;
use crate::error::{Named, Result};
use crate::mount::cgroup2::{NSDELEGATE, options};
use crate::{host, probe};

/// Whether the v2 hierarchy is mounted with `nsdelegate`, as systemd mounts it. There is one answer for the machine.
///
/// # Errors
/// When /proc is no procfs.
pub fn nsdelegate() -> Result<bool> {
    Ok(options()?.iter().any(|option| option == NSDELEGATE))
}

/// `nsdelegate` set or cleared for the whole machine; as it was before once this is dropped.
#[derive(Debug)]
pub struct Nsdelegate {
    before: bool,
}

impl Nsdelegate {
    /// Mounts v2 anew with the option, or without.
    ///
    /// # Errors
    /// [`crate::Error::Unmet`] unless the machine is one to throw away ([`probe::throw_away`]); EPERM without CAP_SYS_ADMIN;
    /// [`crate::Error::WouldChangeHost`], without a call, where the mount would lose its other flags outside as well. In a
    /// cgroup namespace other than the first the kernel takes the option and ignores it.
    pub fn set(on: bool) -> Result<Nsdelegate> {
        let before = nsdelegate()?;
        remount(on)?;
        Ok(Nsdelegate { before })
    }
}

impl Drop for Nsdelegate {
    fn drop(&mut self) {
        // Drop has no one to tell.
        let _ = remount(self.before);
    }
}

fn remount(on: bool) -> Result<()> {
    probe::require(probe::throw_away()?)?;
    host::require_left(Kind::Mnt, || "mount -o remount".into())?;
    let point = v2_root()?;
    // An option that is left out is cleared.
    let mut options = options()?;
    options.retain(|option| option != NSDELEGATE);
    if on {
        options.push(NSDELEGATE.into());
    }
    let data = options.join(",");
    mount(None::<&str>, &point, None::<&str>, MsFlags::MS_REMOUNT, Some(data.as_str()))
        .named(|| format!("mount -o remount,{data} {}", point.display()))
}

//! How mounts and unmounts spread from one mount to its copies: mount_namespaces(7), "Shared subtrees".

use std::path::Path;

use nix::mount::MsFlags;
use procfs::process::{MountInfo, MountOptFields};

use super::attempt::attempt;
use crate::error::Result;

/// What a mount passes on to its copies, and takes from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// Both: it is a peer of its copies.
    Shared,
    /// Neither.
    Private,
    /// It takes from the peer group that it was of, and passes nothing on.
    Slave,
    /// Neither, and it cannot be bound elsewhere.
    Unbindable,
}

impl Propagation {
    /// All four, in the order of mount(8).
    pub const ALL: [Propagation; 4] =
        [Propagation::Shared, Propagation::Slave, Propagation::Private, Propagation::Unbindable];

    /// The word that mount(8) has for it, as in `--make-shared`.
    pub const fn word(self) -> &'static str {
        match self {
            Propagation::Shared => "shared",
            Propagation::Private => "private",
            Propagation::Slave => "slave",
            Propagation::Unbindable => "unbindable",
        }
    }

    const fn flag(self) -> MsFlags {
        match self {
            Propagation::Shared => MsFlags::MS_SHARED,
            Propagation::Private => MsFlags::MS_PRIVATE,
            Propagation::Slave => MsFlags::MS_SLAVE,
            Propagation::Unbindable => MsFlags::MS_UNBINDABLE,
        }
    }
}

/// Sets how the mount at `target` propagates. Mounts below it are left as they are.
///
/// # Errors
/// EINVAL where `target` is no mount point; [`crate::Error::WouldChangeHost`], without a call.
pub fn set_propagation(target: &Path, propagation: Propagation) -> Result<()> {
    attempt(&format!("--make-{} {}", propagation.word(), target.display()), || {
        nix::mount::mount(None::<&str>, target, None::<&str>, propagation.flag(), None::<&str>)
    })
}

/// The number of the peer group that a mount is in (`shared:N` in mountinfo), if it is shared.
pub fn peer_group(mount: &MountInfo) -> Option<u32> {
    mount.opt_fields.iter().find_map(|field| match field {
        MountOptFields::Shared(group) => Some(*group),
        _ => None,
    })
}

/// The number of the peer group that a mount takes mounts from (`master:N` in mountinfo), if it is a slave.
pub fn master(mount: &MountInfo) -> Option<u32> {
    mount.opt_fields.iter().find_map(|field| match field {
        MountOptFields::Master(group) => Some(*group),
        _ => None,
    })
}

/// Whether a mount is marked `unbindable` in mountinfo.
pub fn is_unbindable(mount: &MountInfo) -> bool {
    mount.opt_fields.iter().any(|field| matches!(field, MountOptFields::Unbindable))
}

/// Makes every mount private, so that nothing mounted here propagates to the mount namespace that ours was copied
/// from. systemd shares all mounts; unshare(2) keeps it so, and unshare(1) does what we do.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN; [`crate::Error::WouldChangeHost`], without a call.
pub fn make_private() -> Result<()> {
    set_all(Propagation::Private)
}

/// Sets how changes spread from and to every mount.
///
/// # Errors
/// As [`make_private`].
pub fn set_all(propagation: Propagation) -> Result<()> {
    attempt(&format!("--make-r{} /", propagation.word()), || {
        nix::mount::mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | propagation.flag(), None::<&str>)
    })
}

//! Mounts that stand already, shown elsewhere, moved, or made stricter: mount(2).

use std::path::Path;

use nix::mount::{MntFlags, MsFlags, umount2};
use observation::Kind;
use rustix::mount::MountAttrFlags;

use super::attempt::attempt;
use crate::error::{Named, Result};
use crate::host;

/// Makes the tree of mounts at `source` visible at `target` too: [`bind`] takes the topmost alone.
///
/// # Errors
/// Those of mount(2); [`crate::Error::WouldChangeHost`], without a call.
pub fn bind_recursive(source: &Path, target: &Path) -> Result<()> {
    attempt(&format!("--rbind {} {}", source.display(), target.display()), || {
        let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
        nix::mount::mount(Some(source), target, None::<&str>, flags, None::<&str>)
    })
}

/// Moves the mount at `source` to `target`.
///
/// # Errors
/// EINVAL where `source` is no mount point, its parent is shared, or it is locked by a more privileged mount namespace;
/// [`crate::Error::WouldChangeHost`], without a call.
pub fn move_to(source: &Path, target: &Path) -> Result<()> {
    attempt(&format!("--move {} {}", source.display(), target.display()), || {
        nix::mount::mount(Some(source), target, None::<&str>, MsFlags::MS_MOVE, None::<&str>)
    })
}

/// A restriction of a mount, that does not touch the filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restriction {
    /// Nothing can be written.
    ReadOnly,
    /// Set-user-ID bits have no effect.
    NoSuid,
    /// Device files cannot be opened.
    NoDev,
    /// Programs cannot be run.
    NoExec,
}

impl Restriction {
    /// The word that mount(8) has for it.
    pub const fn word(self) -> &'static str {
        match self {
            Restriction::ReadOnly => "ro",
            Restriction::NoSuid => "nosuid",
            Restriction::NoDev => "nodev",
            Restriction::NoExec => "noexec",
        }
    }

    const fn flag(self) -> MsFlags {
        match self {
            Restriction::ReadOnly => MsFlags::MS_RDONLY,
            Restriction::NoSuid => MsFlags::MS_NOSUID,
            Restriction::NoDev => MsFlags::MS_NODEV,
            Restriction::NoExec => MsFlags::MS_NOEXEC,
        }
    }

    /// As fsmount(2) and mount_setattr(2) have it.
    pub(super) const fn attribute(self) -> MountAttrFlags {
        match self {
            Restriction::ReadOnly => MountAttrFlags::MOUNT_ATTR_RDONLY,
            Restriction::NoSuid => MountAttrFlags::MOUNT_ATTR_NOSUID,
            Restriction::NoDev => MountAttrFlags::MOUNT_ATTR_NODEV,
            Restriction::NoExec => MountAttrFlags::MOUNT_ATTR_NOEXEC,
        }
    }
}

/// Gives the mount at `target` these restrictions, and takes all others away (`mount -o remount,bind,…`).
///
/// # Errors
/// EPERM where one is taken away that a more privileged mount namespace has set; EINVAL where `target` is no mount point;
/// [`crate::Error::WouldChangeHost`], without a call.
pub fn restrict(target: &Path, restrictions: &[Restriction]) -> Result<()> {
    let words: String = restrictions.iter().map(|it| format!(",{}", it.word())).collect();
    attempt(&format!("-o remount,bind{words} {}", target.display()), || {
        let flags = restrictions.iter().fold(MsFlags::empty(), |flags, it| flags | it.flag());
        let remount = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | flags;
        nix::mount::mount(None::<&str>, target, None::<&str>, remount, None::<&str>)
    })
}

/// Mounts `upper` over `lower` at `target`: what is written goes to `upper`. `work` is an empty directory beside it.
///
/// # Errors
/// ENODEV where the kernel has no overlayfs, EPERM in a user namespace before Linux 5.11;
/// [`crate::Error::WouldChangeHost`], without a call.
pub fn overlay(lower: &Path, upper: &Path, work: &Path, target: &Path) -> Result<()> {
    let options =
        format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
    attempt(&format!("-t overlay -o {options} overlay {}", target.display()), || {
        let options = Some(options.as_str());
        nix::mount::mount(Some("overlay"), target, Some("overlay"), MsFlags::empty(), options)
    })
}

/// Makes the file or directory `source` visible at `target` too.
///
/// # Errors
/// Those of mount(2); [`crate::Error::WouldChangeHost`], without a call.
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

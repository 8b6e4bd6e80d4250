//! Mounts that stand already, shown elsewhere, moved, or made stricter: mount(2), open_tree(2), move_mount(2).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::mount::MsFlags;
use rustix::fs::CWD;
use rustix::mount::{MountAttrFlags, MoveMountFlags, OpenTreeFlags};

use super::attempt;
use crate::error::{Named, Result};
use crate::sys::{self, MountAttr};
use crate::{Kind, NsFile, host};

/// Makes the tree of mounts at `source` visible at `target` too: [`super::bind`] takes the topmost alone.
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

/// Makes the mount that `fd` refers to read-only, with those below it, and leaves its other restrictions as they are
/// (mount_setattr(2), since Linux 5.12). A mount that stands nowhere yet can so be read-only before anyone sees it.
///
/// # Errors
/// EINVAL where `fd` is no mount; EPERM without CAP_SYS_ADMIN; [`crate::Error::WouldChangeHost`], without a call.
pub fn make_read_only(fd: BorrowedFd<'_>) -> Result<()> {
    set_read_only(fd, true)
}

/// As [`make_read_only`], of that mount alone.
///
/// # Errors
/// As [`make_read_only`].
pub fn make_one_read_only(fd: BorrowedFd<'_>) -> Result<()> {
    set_read_only(fd, false)
}

/// Has a copy that stands nowhere yet (open_tree(2), OPEN_TREE_CLONE) show its files' owners through the ID map of `users`, a
/// user namespace: a file of user N belongs to whoever is user N in there. The files do not change (MOUNT_ATTR_IDMAP,
/// since Linux 5.12).
///
/// It asks for no mount namespace of our own: the kernel refuses it for a mount that anybody can see.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN in the user namespace that the filesystem was mounted in; EINVAL where the filesystem
/// cannot do it, or the mount stands somewhere.
pub fn map_owners(fd: BorrowedFd<'_>, users: &NsFile) -> Result<()> {
    let attr = MountAttr {
        set: u64::from(MountAttrFlags::MOUNT_ATTR_IDMAP.bits()),
        user_namespace: users.as_fd().as_raw_fd().try_into().unwrap_or(u64::MAX),
        ..MountAttr::default()
    };
    sys::mount_setattr(fd, false, &attr).named(|| format!("mount_setattr(fd, MOUNT_ATTR_IDMAP, {users})"))
}

fn set_read_only(fd: BorrowedFd<'_>, recursively: bool) -> Result<()> {
    let call = || "mount_setattr(fd, MOUNT_ATTR_RDONLY)".into();
    host::require_left(Kind::Mnt, call)?;
    let attr = MountAttr { set: u64::from(MountAttrFlags::MOUNT_ATTR_RDONLY.bits()), ..MountAttr::default() };
    sys::mount_setattr(fd, recursively, &attr).named(call)
}

/// A mount that open_tree(2) gave as a descriptor.
#[derive(Debug)]
pub struct Tree {
    fd: OwnedFd,
    path: PathBuf,
}

impl Tree {
    /// A copy of the mount at `path` that is mounted nowhere. It lives as long as its descriptor (OPEN_TREE_CLONE).
    ///
    /// # Errors
    /// Those of open_tree(2), which exists since Linux 5.2; [`crate::Error::WouldChangeHost`], without a call.
    pub fn copy_of(path: &Path) -> Result<Tree> {
        let call = || format!("open_tree(\"{}\", OPEN_TREE_CLONE)", path.display());
        host::require_left(Kind::Mnt, call)?;
        Tree::open(path, OpenTreeFlags::OPEN_TREE_CLONE).named(call)
    }

    /// The mount at `path` itself.
    ///
    /// # Errors
    /// As [`Tree::copy_of`].
    pub fn at(path: &Path) -> Result<Tree> {
        Tree::open(path, OpenTreeFlags::empty()).named(|| format!("open_tree(\"{}\", 0)", path.display()))
    }

    /// Puts it at `target`: a copy is mounted there, a mount is moved.
    ///
    /// # Errors
    /// EINVAL for a mount that was unmounted; [`crate::Error::WouldChangeHost`], without a call.
    pub fn attach(&self, target: &Path) -> Result<()> {
        self.put(target, MoveMountFlags::empty(), "0")
    }

    /// Puts it at `target`, beneath what is mounted there already (since Linux 6.5).
    ///
    /// # Errors
    /// As [`Tree::attach`]; EINVAL also before Linux 6.5, and where nothing is mounted.
    pub fn attach_beneath(&self, target: &Path) -> Result<()> {
        self.put(target, MoveMountFlags::MOVE_MOUNT_BENEATH, "MOVE_MOUNT_BENEATH")
    }

    fn put(&self, target: &Path, flags: MoveMountFlags, typed: &str) -> Result<()> {
        let call = || format!("move_mount({}, \"{}\", {typed})", self.path.display(), target.display());
        host::require_left(Kind::Mnt, call)?;
        rustix::mount::move_mount(&self.fd, "", CWD, target, flags | MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .named(call)
    }

    fn open(path: &Path, flags: OpenTreeFlags) -> rustix::io::Result<Tree> {
        let fd = rustix::mount::open_tree(CWD, path, flags | OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
        Ok(Tree { fd, path: path.into() })
    }
}

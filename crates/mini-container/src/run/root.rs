//! The root filesystem, and how the old one is left: overlayfs, pivot_root(2).

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};
use nix::unistd::{fchdir, getcwd, pivot_root};
use ns_core::mount::Restriction::NoDev;
use ns_core::mount::Tree;
use ns_core::{Errno, Error, Named, Result};
use rustix::fs::{CWD, Mode, OFlags, fstat, openat};

use super::archive::{self, Unpacked};
use super::place;

/// Where the workshop is put up: a directory that every system has. Only this mount namespace sees what is there.
const WORKSHOP: &str = "/tmp";

/// Where the root filesystem is to come from, opened while the old root is still there.
pub(crate) enum Source {
    /// A directory, as a mount of its own.
    Directory(Tree),
    /// An archive.
    Archive(std::fs::File, PathBuf),
}

/// Opens ROOTFS as the user who asked for it, before the container's IDs are taken on.
pub(crate) fn open(rootfs: &Path) -> Result<Source> {
    let named = || format!("open ROOTFS \"{}\"", rootfs.display());
    let metadata = std::fs::metadata(rootfs).named(named)?;
    if metadata.is_dir() {
        return Ok(Source::Directory(Tree::copy_of_all(rootfs)?));
    }
    if !metadata.is_file() {
        return Err(Error::Input(format!("{}: give a directory or an archive", named())));
    }
    Ok(Source::Archive(std::fs::File::open(rootfs).named(named)?, rootfs.into()))
}

/// What the kernel shows for an owner who has no ID in a user namespace (/proc/sys/kernel/overflowuid).
const NOBODY: u32 = 65_534;

/// The directory's descriptor, if it belongs to a user who is none of the container's. Then so does what is in it, and
/// only the launcher may have it shown as somebody's.
pub(crate) fn nobodys(source: &Source) -> Result<Option<RawFd>> {
    let Source::Directory(tree) = source else { return Ok(None) };
    let owner = fstat(tree).named(|| "fstat(ROOTFS)".into())?.st_uid;
    Ok((owner == NOBODY).then(|| tree.as_fd().as_raw_fd()))
}

/// Puts an overlay together: ROOTFS below, and above it a layer in memory that takes all that is written; or unpacks an
/// archive there. Gives the new root, which stands in the workshop, and what an archive's owner should know.
pub(crate) fn build(source: &Source, tell: impl FnMut() -> Result<()>) -> Result<(Tree, Unpacked)> {
    let memory = Tree::new_filesystem("tmpfs", &[("mode", "755")], &[NoDev])?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let workshop = openat(CWD, WORKSHOP, flags, Mode::empty()).named(|| format!("open(\"{WORKSHOP}\")"))?;
    memory.attach_to(workshop, WORKSHOP)?;
    let directory = |name| place::directory(memory.as_fd(), name);
    let (lower, root) = (directory("lower")?, directory("root")?);
    let _ = (directory("upper")?, directory("work")?);

    let tree = match source {
        Source::Directory(tree) => tree,
        // It is in memory already, and nobody else's: nothing has to be kept clean.
        Source::Archive(file, path) => {
            let unpacked = archive::unpack(file, path, lower.as_fd(), tell)?;
            let unpacked_root = Tree::copy_of_open(&lower, "lower")?;
            unpacked_root.attach_to(&root, "root")?;
            return Ok((unpacked_root, unpacked));
        }
    };
    tree.attach_to(&lower, "lower")?;
    // overlayfs looks the names up from the working directory.
    fchdir(&memory).named(|| "fchdir(workshop)".into())?;
    let layers = [("lowerdir", "lower"), ("upperdir", "upper"), ("workdir", "work")];
    // In a user namespace overlayfs may keep its notes in user.* attributes only ("userxattr").
    let options = [layers.as_slice(), &[("userxattr", "")]].concat();
    let overlay = Tree::new_filesystem("overlay", &options, &[NoDev]).map_err(explain)?;
    overlay.attach_to(&root, "root")?;
    Ok((overlay, Unpacked::default()))
}

/// Why the kernel makes no overlay.
fn explain(error: Error) -> Error {
    match error.errno() {
        Some(Errno::EINVAL) => Error::Input(
            "ROOTFS has other filesystems mounted in it, which an overlay cannot show; copy it to a directory of its \
             own, or give an archive"
                .into(),
        ),
        Some(Errno::ENODEV) => Error::Input("this kernel has no overlayfs; to get it: sudo modprobe overlay".into()),
        _ => error,
    }
}

/// Makes `root` the root directory, and detaches the old one with all that is mounted in it.
///
/// chroot(2) would leave the old root where it is, one `chroot` and some `..` away.
pub(crate) fn enter(root: &Tree) -> Result<()> {
    fchdir(root).named(|| "fchdir(root)".into())?;
    // The old root lands on top of the new one (pivot_root(2), "pivot_root(".", ".")"), where it needs no directory.
    pivot_root(".", ".").named(|| "pivot_root(\".\", \".\")".into())?;
    umount2(".", MntFlags::MNT_DETACH).named(|| "umount2(\".\", MNT_DETACH)".into())?;
    nix::unistd::chdir("/").named(|| "chdir(\"/\")".into())?;
    must_be_inside()
}

/// A working directory outside is a way out (CVE-2024-21626). The kernel says so itself: getcwd(2) fails, or begins with
/// "(unreachable)".
pub(crate) fn must_be_inside() -> Result<()> {
    let at = getcwd().named(|| "getcwd()".into())?;
    if at.starts_with("/") {
        Ok(())
    } else {
        Err(Error::Input(format!("the working directory is outside: {}", at.display())))
    }
}

//! The root filesystem: overlayfs for the new one, and pivot_root(2) to leave the old one.

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

/// The directory where the new root is assembled. Every system has it, and only this mount namespace sees the mounts.
const ASSEMBLY: &str = "/tmp";

/// The source of the root filesystem, opened while the old root still exists.
pub(crate) enum Source {
    /// A directory, as a new detached mount.
    Directory(Tree),
    /// An archive.
    Archive(std::fs::File, PathBuf),
}

/// Opens ROOTFS with the caller's user ID, before init switches to the container's IDs.
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

/// The overflow ID, which the kernel shows for an unmapped owner (/proc/sys/kernel/overflowuid).
const NOBODY: u32 = 65_534;

/// The directory's descriptor, if its owner has no ID in the container. Then only the launcher can map the owners of its
/// files, by an idmapped mount.
pub(crate) fn unmapped_directory(source: &Source) -> Result<Option<RawFd>> {
    let Source::Directory(tree) = source else { return Ok(None) };
    let owner = fstat(tree).named(|| "fstat(ROOTFS)".into())?.st_uid;
    Ok((owner == NOBODY).then(|| tree.as_fd().as_raw_fd()))
}

/// Mounts an overlay of ROOTFS, the lower layer, and a layer in memory for all changes; or unpacks an archive into
/// memory. Returns the new root and the results of unpacking.
pub(crate) fn build(source: &Source, report: impl FnMut() -> Result<()>) -> Result<(Tree, Unpacked)> {
    let memory = Tree::new_filesystem("tmpfs", &[("mode", "755")], &[NoDev])?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let assembly = openat(CWD, ASSEMBLY, flags, Mode::empty()).named(|| format!("open(\"{ASSEMBLY}\")"))?;
    memory.attach_to(assembly, ASSEMBLY)?;
    let directory = |name| place::directory(memory.as_fd(), name);
    let (lower, root) = (directory("lower")?, directory("root")?);
    let _ = (directory("upper")?, directory("work")?);

    let tree = match source {
        Source::Directory(tree) => tree,
        // It is in memory already, and no other container uses it, so it needs no overlay.
        Source::Archive(file, path) => {
            let unpacked = archive::unpack(file, path, lower.as_fd(), report)?;
            let unpacked_root = Tree::copy_of_open(&lower, "lower")?;
            unpacked_root.attach_to(&root, "root")?;
            return Ok((unpacked_root, unpacked));
        }
    };
    tree.attach_to(&lower, "lower")?;
    // overlayfs resolves these names from the working directory.
    fchdir(&memory).named(|| "fchdir(assembly)".into())?;
    let layers = [("lowerdir", "lower"), ("upperdir", "upper"), ("workdir", "work")];
    // In a user namespace, overlayfs may use only user.* attributes ("userxattr").
    let options = [layers.as_slice(), &[("userxattr", "")]].concat();
    let overlay = Tree::new_filesystem("overlay", &options, &[NoDev]).map_err(explain)?;
    overlay.attach_to(&root, "root")?;
    Ok((overlay, Unpacked::default()))
}

/// The reason why the kernel cannot mount the overlay.
fn explain(error: Error) -> Error {
    match error.errno() {
        Some(Errno::EINVAL) => Error::Input(
            "ROOTFS has other filesystems mounted in it, which an overlay cannot show; copy it to another directory, or \
             give an archive"
                .into(),
        ),
        Some(Errno::ENODEV) => Error::Input("this kernel has no overlayfs; to get it: sudo modprobe overlay".into()),
        _ => error,
    }
}

/// Makes `root` the root directory, and detaches the old root with all its mounts.
///
/// chroot(2) would leave the old root reachable, by a second chroot(2) and `..`.
pub(crate) fn enter(root: &Tree) -> Result<()> {
    fchdir(root).named(|| "fchdir(root)".into())?;
    // This mounts the old root on top of the new one, so it needs no directory (pivot_root(2), "pivot_root(".", ".")").
    pivot_root(".", ".").named(|| "pivot_root(\".\", \".\")".into())?;
    umount2(".", MntFlags::MNT_DETACH).named(|| "umount2(\".\", MNT_DETACH)".into())?;
    nix::unistd::chdir("/").named(|| "chdir(\"/\")".into())?;
    must_be_inside()
}

/// A working directory outside is a way out (CVE-2024-21626). Then getcwd(2) fails, or its result begins with
/// "(unreachable)".
pub(crate) fn must_be_inside() -> Result<()> {
    let at = getcwd().named(|| "getcwd()".into())?;
    if at.starts_with("/") {
        Ok(())
    } else {
        Err(Error::Input(format!("the working directory is outside: {}", at.display())))
    }
}

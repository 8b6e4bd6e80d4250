//! The root filesystem: overlayfs for the new one, and pivot_root(2) to leave the old one.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};
use nix::unistd::{fchdir, getcwd, pivot_root};
use ns_core::mount::Restriction::NoDev;
use ns_core::mount::Tree;
use ns_core::{Errno, Error, Named, Result};
use rustix::fs::{CWD, Mode, OFlags, fstat, openat};

use super::archive::{self, Packed, Unpacked};
use super::overlay::Overlays;
use super::own::{self, Own};
use super::{layout, place};

/// The directory where the new root is assembled. Every system has it, and only this mount namespace sees the mounts.
const ASSEMBLY: &str = "/tmp";

/// The root filesystem that is asked for.
pub(crate) enum Rootfs {
    /// The one at this path.
    Given(PathBuf),
    /// One of this machine's programs.
    Own(Own),
}

impl Rootfs {
    /// Whether it is unpacked into memory.
    pub(super) fn is_packed(&self) -> bool {
        matches!(self, Rootfs::Given(path) if !path.is_dir() || layout::is_one(path))
    }
}

/// The source of the root filesystem, opened while the old root still exists.
pub(crate) enum Source<'a> {
    /// A directory, as a new detached mount.
    Directory(Tree),
    /// An archive.
    Archive(std::fs::File, &'a Path),
    /// An image as a directory.
    Layout(OwnedFd, &'a Path),
    /// This machine's programs.
    Own(own::Opened<'a>),
}

/// Opens ROOTFS with the caller's user ID, before init switches to the container's IDs.
pub(crate) fn open(rootfs: &Rootfs) -> Result<Source<'_>> {
    let path = match rootfs {
        Rootfs::Own(own) => return own::open(own).map(Source::Own),
        Rootfs::Given(path) => path,
    };
    let named = || format!("open ROOTFS \"{}\"", path.display());
    let metadata = std::fs::metadata(path).named(named)?;
    if metadata.is_dir() && layout::is_one(path) {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        return Ok(Source::Layout(openat(CWD, path, flags, Mode::empty()).named(named)?, path));
    }
    if metadata.is_dir() {
        return Ok(Source::Directory(Tree::copy_of_all(path)?));
    }
    if !metadata.is_file() {
        return Err(Error::Input(format!("{}: give a directory or an archive", named())));
    }
    Ok(Source::Archive(std::fs::File::open(path).named(named)?, path))
}

impl Source<'_> {
    /// Whether it is unpacked into memory.
    pub(super) fn is_packed(&self) -> bool {
        self.packed().is_some()
    }

    /// What there is to unpack, and its name.
    fn packed(&self) -> Option<(Packed<'_>, &Path)> {
        match self {
            Source::Archive(file, path) => Some((Packed::Archive(file), path)),
            Source::Layout(directory, path) => Some((Packed::Layout(directory.as_fd()), path)),
            Source::Directory(_) | Source::Own(_) => None,
        }
    }
}

/// The overflow ID, which the kernel shows for an unmapped owner (/proc/sys/kernel/overflowuid).
pub(super) const NOBODY: u32 = 65_534;

/// The directory's descriptor, if its owner has no ID in the container. Then only the launcher can map the owners of its
/// files, by an idmapped mount.
pub(crate) fn unmapped_directory(source: &Source<'_>) -> Result<Option<RawFd>> {
    let Source::Directory(tree) = source else { return Ok(None) };
    let owner = fstat(tree).named(|| "fstat(ROOTFS)".into())?.st_uid;
    Ok((owner == NOBODY).then(|| tree.as_fd().as_raw_fd()))
}

/// The new root, and how it was made.
pub(crate) struct Built {
    pub(crate) root: Tree,
    /// The results of unpacking.
    pub(crate) unpacked: Unpacked,
    /// What of this machine it shows, if no ROOTFS was given.
    pub(crate) made: Option<String>,
}

/// Mounts an overlay of ROOTFS, the lower layer, and a layer in memory for all changes; or unpacks an archive into
/// memory; or shows this machine's programs there.
pub(crate) fn build(source: &Source<'_>, report: impl FnMut() -> Result<()>) -> Result<Built> {
    let memory = Tree::new_filesystem("tmpfs", &[("mode", "755")], &[NoDev])?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let assembly = openat(CWD, ASSEMBLY, flags, Mode::empty()).named(|| format!("open(\"{ASSEMBLY}\")"))?;
    memory.attach_to(assembly, ASSEMBLY)?;
    let place = place::new_directory(memory.as_fd(), "root")?;
    let overlays = Overlays(&memory);
    if let Source::Directory(tree) = source {
        let root = overlays.over(tree, "root").map_err(explain)?;
        root.attach_to(place, "root")?;
        return Ok(Built { root, unpacked: Unpacked::default(), made: None });
    }
    // It is in memory, and no other container uses it, so it needs no overlay.
    let contents = place::new_directory(memory.as_fd(), "contents")?;
    let unpacked = match source.packed() {
        Some((packed, path)) => archive::unpack(packed, path, contents.as_fd(), report)?,
        None => Unpacked::default(),
    };
    let root = Tree::copy_of_open(&contents, "contents")?;
    root.attach_to(place, "root")?;
    let made = match source {
        Source::Own(opened) => Some(own::fill(root.as_fd(), opened, &overlays)?),
        _ => None,
    };
    Ok(Built { root, unpacked, made })
}

/// The reason why the kernel cannot mount the overlay.
fn explain(error: Error) -> Error {
    match error.errno() {
        Some(Errno::EINVAL) => Error::Input(
            "ROOTFS has other filesystems mounted in it, which an overlay cannot show; copy it to another directory, or \
             give an archive"
                .into(),
        ),
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

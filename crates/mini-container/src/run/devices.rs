//! /dev: six devices that can do no harm, terminals, and memory to share.
//!
//! The kernel lets nobody make a device in a user namespace, so these are the host's, mounted one by one.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use ns_core::mount::Restriction::{NoExec, NoSuid};
use ns_core::mount::Tree;
use ns_core::{Error, Named, Result};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, major, minor, mkdirat, openat, symlinkat};

use super::kernel_files::PLAIN;
use super::place;

/// Their names and numbers (Documentation/admin-guide/devices.txt).
pub(crate) const HARMLESS: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// The devices, found on the host and found to be what their names say.
pub(crate) struct Devices(Vec<(&'static str, OwnedFd)>);

/// Opens them, while the old root is still there.
///
/// # Errors
/// [`Error::Input`] where a name stands for something else: covered files would then show that instead of nothing
/// (CVE-2025-31133).
pub(crate) fn open() -> Result<Devices> {
    open_in(Path::new("/dev"))
}

pub(crate) fn open_in(directory: &Path) -> Result<Devices> {
    let mut found = Vec::new();
    for (name, expected_major, expected_minor) in HARMLESS {
        let path = directory.join(name);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let device = openat(CWD, &path, flags, Mode::empty())
            .named(|| format!("open(\"{}\", O_PATH)", path.display()))?;
        let stat = fstat(&device).named(|| format!("fstat(\"{}\")", path.display()))?;
        let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
        let number = (major(stat.st_rdev), minor(stat.st_rdev));
        if !is_device || number != (expected_major, expected_minor) {
            let path = path.display();
            return Err(Error::Input(format!(
                "{path} is not the device {expected_major}:{expected_minor}; nothing can be made safe by it"
            )));
        }
        found.push((name, device));
    }
    Ok(Devices(found))
}

impl Devices {
    /// The null device, to be mounted: a copy each time, since a mount has one place. The kernel copies what stands in our
    /// mount namespace (before Linux 6.15 nothing else), so this is for while the old root is still there.
    pub(crate) fn null(&self) -> Result<Tree> {
        let (name, device) = &self.0[0];
        Tree::copy_of_open(device, name)
    }
}

/// Mounts a new /dev, and gives it with its devpts.
pub(crate) fn dev(root: BorrowedFd<'_>, devices: &Devices) -> Result<(Tree, Tree)> {
    let harmless = &[NoSuid, NoExec];
    let dev = Tree::new_filesystem("tmpfs", &[("mode", "755"), ("size", "64k")], harmless)?;
    dev.attach_to(place::directory(root, "dev")?, "dev")?;
    for (name, device) in &devices.0 {
        Tree::copy_of_open(device, name)?.attach_to(place::empty_file(dev.as_fd(), name)?, name)?;
    }
    let links = [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ];
    for (name, target) in links {
        symlinkat(target, &dev, name).named(|| format!("symlink(\"{target}\", \"/dev/{name}\")"))?;
    }
    // Terminals of its own: none of the host's can be found by a number.
    let pts = Tree::new_filesystem("devpts", &[("ptmxmode", "0666"), ("mode", "0620")], harmless)?;
    pts.attach_to(place::directory(dev.as_fd(), "pts")?, "dev/pts")?;
    mkdirat(&dev, "shm", Mode::from_raw_mode(0o1777)).named(|| "mkdir /dev/shm".into())?;
    let shm = Tree::new_filesystem("tmpfs", &[("mode", "1777"), ("size", "64m")], PLAIN)?;
    shm.attach_to(place::directory(dev.as_fd(), "shm")?, "dev/shm")?;
    let mqueue = Tree::new_filesystem("mqueue", &[], PLAIN)?;
    mqueue.attach_to(place::directory(dev.as_fd(), "mqueue")?, "dev/mqueue")?;
    Ok((dev, pts))
}

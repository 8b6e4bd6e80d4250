//! Six harmless devices.
//!
//! mknod(2) cannot create a device in a user namespace, so these are the host's, bind-mounted one by one.

use std::os::fd::OwnedFd;
use std::path::Path;

use ns_core::mount::Tree;
use ns_core::{Error, Named, Result};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, major, minor, openat};

/// Their names and numbers (Documentation/admin-guide/devices.txt).
pub(crate) const HARMLESS: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// The devices of the host, after a check of their device numbers.
pub(crate) struct Devices(Vec<(&'static str, OwnedFd)>);

/// Opens the devices, while the old root still exists.
///
/// # Errors
/// [`Error::Input`] if a name is another file: masked files would then show that file (CVE-2025-31133).
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
                "{path} is not the device {expected_major}:{expected_minor}, which is needed to mask files"
            )));
        }
        found.push((name, device));
    }
    Ok(Devices(found))
}

impl Devices {
    /// All devices with their names.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, &OwnedFd)> {
        self.0.iter().map(|(name, device)| (*name, device))
    }

    /// A copy of the null device's mount, to attach. Before Linux 6.15, the kernel copies only mounts of the caller's mount
    /// namespace, so this must be called while the old root still exists.
    pub(crate) fn null(&self) -> Result<Tree> {
        let (name, device) = &self.0[0];
        Tree::copy_of_open(device, name)
    }
}

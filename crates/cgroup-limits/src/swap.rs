//! Swap space, on a disposable machine: swapon(2), mkswap(8).

use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ns_core::probe::{self, Unmet};
use ns_core::{Capability, Error, Named, Result, sys};

/// The directory of the swap file. It is on a disk, even where /tmp is not.
const DIRECTORY: &str = "/var/tmp";
const PAGE: usize = 4096;

/// What the caller lacks to add swap space: `None` if it lacks nothing.
///
/// # Errors
/// When /proc is no procfs.
pub(crate) fn missing() -> Result<Option<Unmet>> {
    Ok(match probe::throw_away()? {
        None => probe::capability(Capability::CAP_SYS_ADMIN),
        missing => missing,
    })
}

/// Swap space. Dropping this removes it.
#[derive(Debug)]
pub(crate) struct Swap {
    path: PathBuf,
}

impl Swap {
    /// Adds about `bytes` of swap space, in a file of /var/tmp. swapon(2) takes a path, so the file has a name.
    ///
    /// # Errors
    /// [`Error::Unmet`] if the machine is not disposable, or without CAP_SYS_ADMIN. EINVAL on a filesystem that does
    /// not support swap files. ENOSPC. [`Error::Input`] for too many bytes.
    pub(crate) fn on(bytes: usize) -> Result<Swap> {
        probe::require(missing()?)?;
        let path = Path::new(DIRECTORY).join(format!("inception-swap-{}", std::process::id()));
        let call = || format!("write(\"{}\")", path.display());
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path).named(call)?;
        // From here on the file is removed, also after an error.
        let swap = Swap { path: path.clone() };
        let pages = bytes.div_ceil(PAGE);
        // Every page is written: swapon(2) refuses a file with holes.
        for page in 0..pages {
            file.write_all_at(&[0; PAGE], (page * PAGE) as u64).named(call)?;
        }
        // The first page is a header (mm/swapfile.c): version and last page at 1024, a signature at its end.
        let last = u32::try_from(pages - 1).map_err(|_| Error::Input("too much swap space".into()))?;
        let mut header = [0; PAGE];
        header[1024..1028].copy_from_slice(&1_u32.to_ne_bytes());
        header[1028..1032].copy_from_slice(&last.to_ne_bytes());
        header[PAGE - 10..].copy_from_slice(b"SWAPSPACE2");
        file.write_all_at(&header, 0).named(call)?;
        file.sync_all().named(call)?;
        sys::swapon(&sys::c_string(&path)?).named(|| format!("swapon(\"{}\")", path.display()))?;
        Ok(swap)
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        // Drop cannot report an error. A file in use as swap space cannot be removed.
        let _ = sys::c_string(&self.path).map(|path| sys::swapoff(&path));
        let _ = std::fs::remove_file(&self.path);
    }
}

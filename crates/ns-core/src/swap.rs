//! Swap space for a machine that is thrown away: swapon(2), mkswap(8).

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use caps::Capability;
use rustix::fs::{Mode, OFlags, open};

use crate::error::{Error, Named, Result};
use crate::probe::{self, Missing};
use crate::sys;

/// Where the file is: on a disk also where /tmp is none.
const DIRECTORY: &str = "/var/tmp";
const PAGE: usize = 4096;

/// What the caller lacks to add swap space. `None` if nothing.
///
/// # Errors
/// When /proc is no procfs.
pub fn missing() -> Result<Option<Missing>> {
    Ok(match probe::throw_away()? {
        None => probe::capability(Capability::CAP_SYS_ADMIN),
        missing => missing,
    })
}

/// Swap space that is there until this is dropped.
#[derive(Debug)]
pub struct Swap {
    file: File,
}

impl Swap {
    /// Adds about `bytes` of swap space, in a file that has no name and goes with this.
    ///
    /// # Errors
    /// [`Error::Input`] for a machine that is not to be thrown away; EPERM without CAP_SYS_ADMIN; EINVAL on a file
    /// system whose files cannot be swapped to; ENOSPC.
    pub fn on(bytes: usize) -> Result<Swap> {
        if let Some(missing) = missing()? {
            return Err(Error::Input(missing.to_string()));
        }
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = open(Path::new(DIRECTORY), flags, Mode::RUSR | Mode::WUSR)
            .named(|| format!("open(\"{DIRECTORY}\", O_TMPFILE)"))?;
        let file = File::from(file);
        let call = || format!("write(\"{DIRECTORY}/…\")");
        let pages = bytes.div_ceil(PAGE);
        // Written, not skipped: a file with holes is refused.
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
        sys::swapon(&path(&file)).named(|| format!("swapon(\"{DIRECTORY}/…\")"))?;
        Ok(Swap { file })
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        let _ = sys::swapoff(&path(&self.file));
    }
}

/// A file without a name has this one.
fn path(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

//! An image as a directory: a layout of the Open Container Initiative, as skopeo(1) and umoci(1) write it.
//! <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>

use std::fs::File;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::rc::Rc;

use ns_core::resolve::openat2;
use ns_core::{Errno, Error, Named, Result};
use rustix::fs::{FileType, OFlags, ResolveFlags, fstat};

use super::bytes::Part;

/// Whether `directory` is a layout, and not a root filesystem.
pub(super) fn is_one(directory: &Path) -> bool {
    ["oci-layout", "index.json"].iter().all(|name| directory.join(name).is_file())
}

/// The file `name` of a layout, which leads to no file outside of it. `None` if it does not exist.
///
/// # Errors
/// [`Error::Input`] for a symbolic link, a file that is not a regular one, or one that may not be read.
pub(super) fn part(directory: BorrowedFd<'_>, name: &str) -> Result<Option<Part>> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    // Not blocked by a FIFO.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    let refuse = |why: &str| Error::Input(format!("{} {why}", ns_core::printable(name)));
    let file = match openat2(directory, name, flags, resolve) {
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::INVAL) => {
            return Ok(None);
        }
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::XDEV) => {
            return Err(refuse("leads out of the layout; copy the file to its place"));
        }
        Err(rustix::io::Errno::ACCESS) => return Err(refuse("may not be read; chmod a+r it")),
        Err(errno) => {
            let call = format!("openat2(\"{}\", RESOLVE_BENEATH)", ns_core::printable(name));
            return Err(Error::Call { call, errno: Errno::from_raw(errno.raw_os_error()) });
        }
        Ok(file) => file,
    };
    let stat = fstat(&file).named(|| "fstat(a blob)".into())?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(refuse("is not a regular file; make the layout again"));
    }
    Ok(Some(Part { file: Some(Rc::new(File::from(file))), offset: 0, length: u64::MAX }))
}

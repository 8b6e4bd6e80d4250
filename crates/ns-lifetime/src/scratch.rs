//! The place where the experiment mounts: a new tmpfs over /tmp, which hides the files there.

use std::fs;
use std::path::{Path, PathBuf};

use ns_core::{Named, mount};

const SCRATCH: &str = "/tmp";

/// Mounts a tmpfs with an empty file in it.
pub(crate) fn empty_file() -> ns_core::Result<PathBuf> {
    mount::mount("tmpfs", Path::new(SCRATCH))?;
    let path = Path::new(SCRATCH).join("kept");
    fs::write(&path, "").named(|| format!("write(\"{}\", \"\")", path.display()))?;
    Ok(path)
}

/// Mounts a tmpfs with an empty directory in it.
pub(crate) fn empty_directory() -> ns_core::Result<PathBuf> {
    mount::mount("tmpfs", Path::new(SCRATCH))?;
    let path = Path::new(SCRATCH).join("mounted");
    fs::create_dir(&path).named(|| format!("mkdir(\"{}\")", path.display()))?;
    Ok(path)
}

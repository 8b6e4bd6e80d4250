//! Removes the cgroups of owners that are gone.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::Layout;
use super::removal::remove_leftover;
use crate::cleanup;
use crate::error::Result;

/// Removes every cgroup of ours that has no owner any more, in all hierarchies that are mounted here.
///
/// That is the work of an owner's cleanup worker; this is for what is left when the cleanup worker was killed too. A
/// cgroup is ours if it is called `inception-PID-STARTTIME-N-PURPOSE`. It is abandoned if no process of that PID
/// started at that time and no process holds its lock. A living owner holds it even in another PID namespace. Members
/// that it still has are killed.
///
/// Returns the paths of what it removed. What may not be removed by us stays, and is no error.
///
/// # Errors
/// Those of [`Layout::detect`].
pub fn sweep() -> Result<Vec<PathBuf>> {
    Ok(sweep_in(&Layout::detect()?))
}

/// As [`sweep`], in a layout that is known already.
pub fn sweep_in(layout: &Layout) -> Vec<PathBuf> {
    let mut removed = Vec::new();
    for hierarchy in layout.hierarchies() {
        sweep_below(hierarchy.mount_point(), &mut removed);
    }
    removed
}

fn sweep_below(directory: &Path, removed: &mut Vec<PathBuf>) {
    // It may go away while we read, or not be ours to read.
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|found| found.is_dir())) {
        let path = entry.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if !cleanup::is_ours(name) {
            sweep_below(&path, removed);
        } else if is_abandoned(&path, name) && remove_leftover(&path).is_ok() {
            removed.push(path);
        }
    }
}

fn is_abandoned(path: &Path, name: &str) -> bool {
    std::fs::File::open(path).is_ok_and(|directory| cleanup::is_abandoned(name, &directory))
}

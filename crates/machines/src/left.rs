//! Cgroups with a limit, which machines are made of.

use std::fs;
use std::path::{Path, PathBuf};

use residue::all_cgroups;

use crate::prepare::CGROUP;

/// Removes the cgroup that was made for this PID, if one was.
pub(crate) fn remove_limit_of(pid: u32) {
    remove(|name| name == format!("{CGROUP}{pid}"));
}

/// Removes what earlier runs of the table have left that were killed: the cgroups of machines whose process is gone.
pub fn sweep() {
    remove(|name| {
        let pid = name.strip_prefix(CGROUP).and_then(|rest| rest.parse::<u32>().ok());
        pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
    });
}

fn remove(is_meant: impl Fn(&str) -> bool) {
    let name = |path: &PathBuf| path.file_name().is_some_and(|name| is_meant(&name.to_string_lossy()));
    for cgroup in all_cgroups().into_iter().filter(name) {
        let _ = fs::remove_dir(cgroup);
    }
}

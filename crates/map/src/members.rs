//! What is asked about one namespace, when a person opens it: all who are in it, and what limits them.

use std::path::Path;

use ns_core::{NsId, Pid, namespace, pids};

use crate::cgroup::Cgroups;
use crate::model::{Cgroup, Process};
use crate::processes::Processes;

/// The processes of the procfs at `proc` that are in the namespace `id`, by PID: so many at most. Those that the caller may
/// not look at are left out.
pub fn members(proc: &Path, id: NsId, most: usize) -> Vec<Process> {
    let mut processes = Processes::of(proc);
    let is_in = |pid: &i32| namespace::of_kind(Some(Pid::from_raw(*pid)), id.kind).is_ok_and(|own| own == id);
    let mut all = pids::listed(proc).unwrap_or_default();
    all.sort_unstable();
    all.into_iter().filter(is_in).filter_map(|pid| processes.get(pid)).take(most).collect()
}

/// The cgroup of the process `pid`, and what limits it there. None if it has ended, or no cgroups can be seen.
pub fn cgroup_of(proc: &Path, pid: i32) -> Option<Cgroup> {
    let text = Processes::of(proc).cgroups(pid);
    Cgroups::detect()?.of(&text)
}

//! The cgroups that the steps create, and the processes in them.

use std::path::Path;

use anyhow::Result;
use lesson::Requirement;
use ns_core::cgroup::{self, Cgroup, CgroupRequest};
use ns_core::{Child, Fact, Named, Namespaces, Outcome, Pid, Reporter};

/// A v2 cgroup in which child cgroups can be created, with any controllers.
pub(crate) const A_PARENT: Requirement = Requirement::CgroupParent(CgroupRequest::AnyV2);

pub(crate) fn start_idle(label: &str) -> ns_core::Result<Child> {
    Child::spawn(label, Namespaces::NONE, Reporter::stay)
}

/// The path of a process's v2 cgroup from the root, as /proc/PID/cgroup has it.
pub(crate) fn cgroup_of(process: Pid) -> Result<String> {
    Ok(cgroup::path_of(Some(process), "")?.unwrap_or_else(|| "none".into()))
}

/// Whether a process is in the cgroup, by that path.
pub(crate) fn is_in(process: Pid, cgroup: &Cgroup) -> Result<bool> {
    let name = cgroup.path().file_name().unwrap_or_default();
    Ok(Path::new(&cgroup_of(process)?).file_name() == Some(name))
}

/// rmdir(2), with the kernel's answer as a value.
pub(crate) fn rmdir(cgroup: &Cgroup) -> Result<Fact> {
    let answer = std::fs::remove_dir(cgroup.path()).named(|| "rmdir(…)".into());
    Ok(Fact::outside("rmdir", Outcome::of(answer)?))
}

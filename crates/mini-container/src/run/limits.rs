//! The cgroups of a container, v2 or v1, with their limits.

use anyhow::{Result, bail};
use lesson::shell::{CgroupName, Limits};
use ns_core::Pid;
use ns_core::cgroup::{Cgroup, Layout, Version};

/// Creates the cgroups of the container, with their limits. Dropping them removes them. The second value is what was found
/// of the machine's hierarchies, if there are limits.
pub(super) fn make(asked: &Limits) -> Result<(Vec<Cgroup>, Option<Layout>)> {
    let made = asked.make_unswept(&CgroupName::new("container")?)?;
    if let Some((controller, missing)) = made.lacking.first() {
        bail!("a limit by the {controller} controller: {missing}; or leave it out");
    }
    Ok((made.cgroups.into_iter().map(|(_, cgroup)| cgroup).collect(), made.layout))
}

/// The cgroup that init can be created in. CLONE_INTO_CGROUP works only on v2.
pub(super) fn created_in(cgroups: &[Cgroup]) -> Option<&Cgroup> {
    cgroups.iter().find(|cgroup| cgroup.version() == Version::V2)
}

/// Moves the caller, which is init, to the other cgroups.
///
/// To move a process, the kernel blocks every fork and exit of the machine, and waits an RCU grace period for that. This
/// takes longer than everything else. Creating a process in a cgroup avoids it, and so does a thread that moves itself
/// ("0" to `tasks`).
pub(super) fn enter(cgroups: &[Cgroup]) -> ns_core::Result<()> {
    let mut others = cgroups.iter().filter(|cgroup| cgroup.version() == Version::V1);
    others.try_for_each(|cgroup| cgroup.join_thread(Pid::from_raw(0)))
}

/// Moves `init` to the cgroups after it was created, and so all its later children.
pub(super) fn put<'a>(init: Pid, cgroups: impl IntoIterator<Item = &'a Cgroup>) -> Result<()> {
    Ok(cgroups.into_iter().try_for_each(|cgroup| cgroup.join(init))?)
}

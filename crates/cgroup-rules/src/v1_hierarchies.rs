//! The hierarchies of v1: those of this machine, or two that are mounted for the run on a disposable machine without v1.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use lesson::Lab;
use ns_core::cgroup::{CgroupParent, CgroupRequest, Layout, Version};
use ns_core::probe::{self, Unmet};
use ns_core::{Capability, Named, Namespaces, cleanup, mount, sandbox};

/// The directory for mounts: in the mount namespace of this experiment it is empty.
pub(crate) const BASE: &str = "/mnt";

/// The mounted hierarchies of v1, as /proc/PID/cgroup names them.
pub(crate) fn names(layout: &Layout) -> Vec<String> {
    let v1 = layout.hierarchies().iter().filter(|it| it.version() == Version::V1);
    v1.map(|it| it.controllers().join(",")).collect()
}

/// The v1 cgroups in which child cgroups can be created. Those without a controller come last: systemd uses one.
pub(crate) fn parents() -> ns_core::Result<Vec<(String, CgroupParent)>> {
    let layout = Layout::detect()?;
    let mut found = Vec::new();
    for name in names(&layout) {
        // A new cpuset has neither CPUs nor memory nodes, so no process can enter it.
        let first = name.split(',').next().unwrap_or_default();
        if name.contains("cpuset") {
            continue;
        }
        if let Ok(parent) = CgroupParent::find_in(&layout, CgroupRequest::V1(first))? {
            found.push((name, parent));
        }
    }
    found.sort_by_key(|(name, _)| name.contains("name="));
    Ok(found)
}

/// `None` where the hierarchies of this machine are enough, or where others may be mounted beside them.
pub(crate) fn hierarchies_or(enough: fn(&Layout) -> bool) -> ns_core::Result<Option<Unmet>> {
    let layout = Layout::detect()?;
    if enough(&layout) {
        return Ok(None);
    }
    if !names(&layout).is_empty() {
        return Ok(Some(Unmet::new("v1 cgroups with write permission", "run as root: sudo …")));
    }
    let what = "a hierarchy of cgroup v1: a mount changes the whole machine";
    let remedy = "run it in a virtual machine: scripts/vm --user root -- cgroup-rules";
    if probe::throw_away()?.is_some() || probe::capability(Capability::CAP_SYS_ADMIN).is_some() {
        return Ok(Some(Unmet::new(what, remedy)));
    }
    Ok(None)
}

/// Whether two hierarchies of v1 were mounted for this run.
struct Mounted(bool);

/// On a disposable machine without v1, mounts two hierarchies once, for the claims about v1. They are unmounted with
/// the mount namespace of this experiment.
pub(crate) fn mount_two_hierarchies(lab: &mut Lab) -> Result<bool> {
    let mounted = lab.once(|_| {
        let may = probe::throw_away()?.is_none() && probe::capability(Capability::CAP_SYS_ADMIN).is_none();
        if !may || !parents()?.is_empty() {
            return Ok(Mounted(false));
        }
        // The next cleanup worker starts in the new mount namespace. Only there can v1 cgroups be removed.
        cleanup::finish()?;
        sandbox::enter(Namespaces::MNT)?;
        mount::mount("tmpfs", Path::new(BASE))?;
        for name in ["first", "second"] {
            mount::mount_with("cgroup", &format!("none,name={name}"), &mount_point(name)?)?;
        }
        Ok(Mounted(true))
    })?;
    Ok(mounted.0)
}

/// A directory to mount on.
pub(crate) fn mount_point(name: &str) -> ns_core::Result<PathBuf> {
    let point = Path::new(BASE).join(name);
    fs::create_dir_all(&point).named(|| format!("mkdir {}", point.display()))?;
    Ok(point)
}

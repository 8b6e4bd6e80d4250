//! Which cgroups there are, and where some can be made.

use ns_core::cgroup::{CgroupParent, CgroupRequest, Layout, LayoutKind};
use ns_core::probe::Unmet;

use super::check::Group;

/// The controllers that the experiments limit by.
const CONTROLLERS: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];

pub(super) fn places() -> Group {
    let mut group = Group::new("Cgroups");
    let layout = Layout::detect();
    let found = layout.as_ref().map_or_else(|_| String::new(), ToString::to_string);
    let none = || Unmet::new("no cgroup hierarchy is mounted", "as root, mount -t cgroup2 none DIRECTORY");
    let mounted = layout.map(|layout| (layout.kind() == LayoutKind::None).then(none));
    group.add("layout", found, mounted);
    place(&mut group, "a v2 cgroup", CgroupRequest::AnyV2);
    for controller in CONTROLLERS {
        place(&mut group, controller, CgroupRequest::Controller(controller));
    }
    group
}

/// Whether a cgroup can be made: one is, and removed again.
fn place(group: &mut Group, check: &str, want: CgroupRequest<'_>) {
    let mut found = String::new();
    let missing = CgroupParent::find(want).map(|place| {
        place.map(|place| found = format!("{} in {}", place.version(), place.directory().display())).err()
    });
    group.add(check, found, missing);
}

//! Which cgroups there are, and where some can be made.

use ns_core::cgroup::{Layout, LayoutKind, Place, Want};
use ns_core::probe::Missing;

use super::Group;

/// The controllers that the experiments limit by.
const CONTROLLERS: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];

pub(super) fn places() -> Group {
    let mut group = Group::new("Cgroups");
    let layout = Layout::detect();
    let found = layout.as_ref().map_or_else(|_| String::new(), ToString::to_string);
    let none = || Missing::new("no cgroup hierarchy is mounted", "as root, mount -t cgroup2 none DIRECTORY");
    let mounted = layout.map(|layout| (layout.kind() == LayoutKind::None).then(none));
    group.add("layout", found, mounted);
    place(&mut group, "a v2 cgroup", Want::AnyV2);
    for controller in CONTROLLERS {
        place(&mut group, controller, Want::Controller(controller));
    }
    group
}

/// Whether a cgroup can be made: one is, and removed again.
fn place(group: &mut Group, check: &str, want: Want<'_>) {
    let mut found = String::new();
    let missing = Place::find(want).map(|place| match place {
        Ok(place) => {
            found = format!("{} in {}", place.version(), place.directory().display());
            None
        }
        Err(missing) => Some(Missing::new(missing.what, missing.remedy)),
    });
    group.add(check, found, missing);
}

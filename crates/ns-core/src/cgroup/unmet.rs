//! Why there is no parent for a new cgroup.

use std::fs::OpenOptions;
use std::path::PathBuf;

use observation::Refused;

use super::{CgroupRequest, Hierarchy, Layout, Version};
use crate::unmet::{Elsewhere, NoParent, Unmet};

/// Why one directory is no parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The kernel refused a call.
    Call(Refused),
    /// A cgroup that is made here lacks the controller.
    NotEnabled,
    /// A cgroup that is made here can have no process, since this one is threaded.
    Threaded,
}

/// Controllers that have no part in v2 (cgroup-v2.rst).
const ONLY_V1: [&str; 5] = ["cpuacct", "devices", "freezer", "net_cls", "net_prio"];

/// No hierarchy has what is wanted.
pub(super) fn no_hierarchy(layout: &Layout, want: CgroupRequest<'_>) -> Unmet {
    let (controller, on_v1, on_v2) = match want {
        CgroupRequest::AnyV2 => return Unmet::CgroupV2,
        CgroupRequest::ControllerV2(controller) => (controller, false, true),
        CgroupRequest::V1(controller) => (controller, true, false),
        CgroupRequest::Controller(controller) => (controller, true, true),
    };
    Unmet::Controller { name: controller.into(), instead: elsewhere(layout, controller, on_v1, on_v2) }
}

/// Where a controller is that was wanted `on_v1` or `on_v2`.
fn elsewhere(layout: &Layout, controller: &str, on_v1: bool, on_v2: bool) -> Elsewhere {
    let only_v1 = ONLY_V1.contains(&controller);
    if !on_v1 {
        if only_v1 {
            return Elsewhere::NotInV2;
        }
        if let Some(point) = layout.v1_mount(controller) {
            return Elsewhere::OnV1(point.into());
        }
    }
    if layout.v2_controllers().iter().any(|own| own == controller) {
        return Elsewhere::OnV2;
    }
    match is_on(controller) {
        Some(true) => Elsewhere::Unmounted { on_v2: on_v2 && !only_v1, v2_is_mounted: layout.v2().is_some() },
        Some(false) => Elsewhere::Off,
        None => Elsewhere::Unknown,
    }
}

/// The hierarchy is there, but none of these directories of it will do. `controller` is empty if none is wanted.
pub(super) fn no_parent(hierarchy: &Hierarchy, controller: &str, refusals: &[(PathBuf, Refusal)]) -> Unmet {
    let not_enabled = refusals.iter().rev().find(|(_, refusal)| *refusal == Refusal::NotEnabled);
    if let Some((top, _)) = not_enabled {
        // The root alone may have members and enable controllers as well; it has no cgroup.type (cgroups(7)).
        let is_root = !top.join("cgroup.type").exists();
        let may_write = OpenOptions::new().write(true).open(top.join("cgroup.subtree_control")).is_ok();
        return Unmet::CgroupParent(NoParent::NotEnabled {
            controller: controller.into(),
            top: top.clone(),
            may_enable: is_root && may_write,
        });
    }
    let refused = refusals.iter().find_map(|(_, refusal)| match refusal {
        Refusal::Call(refused) => Some(refused.clone()),
        Refusal::NotEnabled | Refusal::Threaded => None,
    });
    Unmet::CgroupParent(refused.map_or(NoParent::Threaded, |refused| NoParent::Refused {
        refused,
        in_v2: hierarchy.version() == Version::V2,
    }))
}

/// Whether a controller that the kernel lists is on.
fn is_on(controller: &str) -> Option<bool> {
    let listed = procfs::cgroups().ok()?;
    listed.0.iter().find(|it| it.name == controller).map(|it| it.enabled)
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;

    fn refused(errno: Errno) -> (PathBuf, Refusal) {
        ("/c".into(), Refusal::Call(Refused { call: "mkdir /c/inception-…".into(), errno }))
    }

    fn v2() -> Layout {
        Layout::parse(b"30 23 0:26 / /c rw - cgroup2 cgroup2 rw\n", "0::/\n")
    }

    #[test]
    fn the_kernel_s_answer_is_in_the_line() {
        let layout = v2();
        for errno in [Errno::EROFS, Errno::EACCES, Errno::EAGAIN] {
            let unmet = no_parent(layout.v2().unwrap(), "", &[refused(errno)]);
            assert!(unmet.to_string().contains(&format!("{errno:?}")), "{unmet}");
        }
    }

    #[test]
    fn a_controller_that_is_not_enabled_is_named_before_what_is_refused() {
        let refusals = [("/no/such".into(), Refusal::NotEnabled), refused(Errno::EACCES)];
        let unmet = no_parent(v2().v2().unwrap(), "pids", &refusals);
        assert!(unmet.to_string().contains("pids in its cgroup.subtree_control"), "{unmet}");
    }

    #[test]
    fn what_v2_never_has_is_told_from_what_it_lacks_here() {
        let unmet = no_hierarchy(&v2(), CgroupRequest::ControllerV2("freezer"));
        assert_eq!(unmet, Unmet::Controller { name: "freezer".into(), instead: Elsewhere::NotInV2 });
        assert_eq!(no_hierarchy(&Layout::parse(b"", ""), CgroupRequest::AnyV2), Unmet::CgroupV2);
    }
}

//! Why there is no place for a cgroup, and what would supply one.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::{Hierarchy, Layout, Version, Want};
use crate::error::in_words;
use crate::probe::Missing;

/// Why one directory is no place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The kernel refused a call, which is shown as one would type it.
    Call(String, Errno),
    /// A cgroup that is made here lacks the controller.
    NotEnabled,
    /// A cgroup that is made here can have no process, since this one is threaded.
    Threaded,
}

/// Controllers that have no part in v2, and what v2 has instead (cgroup-v2.rst).
const ONLY_V1: [(&str, &str); 5] = [
    ("cpuacct", "cpu.stat, which every v2 cgroup has"),
    ("devices", "a BPF program on the cgroup (BPF_PROG_TYPE_CGROUP_DEVICE)"),
    ("freezer", "cgroup.freeze, which every v2 cgroup has"),
    ("net_cls", "packet filters that match a cgroup's path"),
    ("net_prio", "packet filters that match a cgroup's path"),
];

/// What makes systemd hand a cgroup over, with all controllers enabled above it (systemd.resource-control(5)).
const DELEGATED: &str = "systemd-run --user --scope -p Delegate=yes …, or run as root: sudo …";

const MOUNT_V2: &str = "as root, mount -t cgroup2 none DIRECTORY";

impl Missing {
    /// No hierarchy has what is wanted.
    pub(super) fn hierarchy(layout: &Layout, want: Want<'_>) -> Missing {
        let (controller, on_v1, on_v2) = match want {
            Want::AnyV2 => return Missing::new("cgroup v2 is not mounted", MOUNT_V2),
            Want::ControllerV2(controller) => (controller, false, true),
            Want::V1(controller) => (controller, true, false),
            Want::Controller(controller) => (controller, true, true),
        };
        let shown = controller.escape_debug();
        let mount_v1 = format!("in a virtual machine, mount -t cgroup -o {shown} none DIRECTORY");
        if !on_v1 {
            if let Some((_, instead)) = ONLY_V1.iter().find(|(name, _)| *name == controller) {
                return Missing::new(
                    format!("cgroup v2 has no controller {shown}"),
                    format!("take {instead}"),
                );
            }
            if let Some(point) = layout.v1_mount(controller) {
                let what = format!("the controller {shown} is on cgroup v1 ({}), not on v2", point.display());
                // systemd mounts what it is told to; any other init finds no such controller on v1.
                let remedy = if is_systemd() {
                    "boot with systemd.unified_cgroup_hierarchy=1".into()
                } else {
                    format!("boot with cgroup_no_v1={shown}")
                };
                return Missing::new(what, remedy);
            }
        }
        if layout.v2_controllers().iter().any(|own| own == controller) {
            return Missing::new(format!("the controller {shown} is on cgroup v2, not on v1"), mount_v1);
        }
        match is_on(controller) {
            Some(true) => {
                let what = format!("the controller {shown} is on no mounted hierarchy");
                if !on_v2 || ONLY_V1.iter().any(|(name, _)| *name == controller) {
                    Missing::new(what, mount_v1)
                } else if layout.v2().is_some() {
                    let remedy = "run where cgroup.controllers lists it: on the host, not in a container";
                    Missing::new(what, remedy)
                } else {
                    Missing::new(what, MOUNT_V2)
                }
            }
            Some(false) => {
                let remedy = format!("boot without cgroup_disable={shown} on the kernel's command line");
                Missing::new(format!("the controller {shown} is off (/proc/cgroups)"), remedy)
            }
            None => {
                let what = format!("the kernel lists no controller {shown} (/proc/cgroups)");
                Missing::new(what, "a kernel that has it")
            }
        }
    }

    /// The hierarchy is there, but none of these directories of it will do. `controller` is empty if none is wanted.
    pub(super) fn place(hierarchy: &Hierarchy, controller: &str, refusals: &[(PathBuf, Refusal)]) -> Missing {
        let not_enabled = refusals.iter().rev().find(|(_, refusal)| *refusal == Refusal::NotEnabled);
        if let Some((top, _)) = not_enabled {
            return Missing::enabled(controller, top);
        }
        let refused = refusals.iter().find_map(|(_, refusal)| match refusal {
            Refusal::Call(call, errno) => Some((call, *errno)),
            Refusal::NotEnabled | Refusal::Threaded => None,
        });
        let Some((call, errno)) = refused else {
            let what = "our cgroup and those above it are threaded (cgroup.type)";
            return Missing::new(what, "run from a cgroup whose cgroup.type is domain");
        };
        let remedy = match errno {
            Errno::EROFS => {
                "mount cgroupfs writable: on the host, or in a container that is started with --privileged"
            }
            Errno::EAGAIN => "raise cgroup.max.descendants and cgroup.max.depth of the cgroups above",
            _ if hierarchy.version() == Version::V2 && is_systemd() => DELEGATED,
            _ => "run as root of the host: sudo …",
        };
        Missing::new(format!("no cgroup that we may write to: {call}: {}", in_words(errno)), remedy)
    }

    /// We may make cgroups, but none would have the controller. `top` is the highest that we may make them in.
    fn enabled(controller: &str, top: &Path) -> Missing {
        let shown = controller.escape_debug();
        let file = top.join("cgroup.subtree_control");
        let file = file.display();
        let what = format!("no cgroup that we may write to has {shown} in its cgroup.subtree_control");
        // The root alone may have members and hand controllers on as well; it has no cgroup.type (cgroups(7)).
        let is_root = !top.join("cgroup.type").exists();
        let may_write = OpenOptions::new().write(true).open(top.join("cgroup.subtree_control")).is_ok();
        if is_root && may_write {
            Missing::new(what, format!("echo +{shown} > {file}"))
        } else if is_systemd() {
            Missing::new(what, DELEGATED)
        } else {
            let top = top.display();
            let remedy =
                format!("move the processes of {top} into cgroups below it, then echo +{shown} > {file}");
            Missing::new(what, remedy)
        }
    }
}

/// sd_booted(3)
fn is_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Whether a controller that the kernel lists is on.
fn is_on(controller: &str) -> Option<bool> {
    let listed = procfs::cgroups().ok()?;
    listed.0.iter().find(|it| it.name == controller).map(|it| it.enabled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(errno: Errno) -> (PathBuf, Refusal) {
        ("/c".into(), Refusal::Call("mkdir /c/inception-…".into(), errno))
    }

    fn v2() -> Layout {
        Layout::parse("30 23 0:26 / /c rw - cgroup2 cgroup2 rw\n", "0::/\n")
    }

    #[test]
    fn the_kernel_s_answer_is_in_the_line() {
        let layout = v2();
        for errno in [Errno::EROFS, Errno::EACCES, Errno::EAGAIN] {
            let missing = Missing::place(layout.v2().unwrap(), "", &[refused(errno)]);
            assert!(missing.to_string().contains(&format!("{errno:?}")), "{missing}");
            assert!(!missing.remedy.is_empty());
        }
    }

    #[test]
    fn a_controller_that_is_not_handed_on_is_named_before_what_is_refused() {
        let refusals = [("/no/such".into(), Refusal::NotEnabled), refused(Errno::EACCES)];
        let missing = Missing::place(v2().v2().unwrap(), "pids", &refusals);
        assert!(missing.what.contains("pids in its cgroup.subtree_control"), "{missing}");
    }

    #[test]
    fn what_v2_has_instead_of_a_v1_controller_is_named() {
        let missing = Missing::hierarchy(&v2(), Want::ControllerV2("freezer"));
        assert_eq!(missing.remedy, "take cgroup.freeze, which every v2 cgroup has");
    }

    #[test]
    fn no_v2_is_mounted_by_one_command() {
        let missing = Missing::hierarchy(&Layout::parse("", ""), Want::AnyV2);
        assert_eq!(missing.to_string(), format!("cgroup v2 is not mounted; to get it: {MOUNT_V2}"));
    }
}

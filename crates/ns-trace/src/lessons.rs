//! Which lesson explains what was done.

use std::collections::BTreeSet;

use crate::model::Act;

/// Names and numbers, as docs/ has them.
const NUMBERS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/lessons.rs"));

/// The lessons about what `act` does, each as `14 user-ns-map`.
pub(crate) fn of(act: &Act) -> Vec<String> {
    let names: BTreeSet<&str> = match act {
        Act::Unshare { namespaces, .. } | Act::Clone { namespaces, .. } => {
            namespaces.iter().map(|kind| of_kind(kind)).collect()
        }
        Act::Netlink { messages, .. } => {
            let is_pair = messages.iter().any(|message| message.text.starts_with("creates a veth"));
            [if is_pair { "veth-pair" } else { "net-ns" }].into()
        }
        Act::Cgroup { file, .. } => [of_cgroup_file(file)].into(),
        other => of_one(other).into_iter().collect(),
    };
    let numbered = names.into_iter().filter_map(|name| {
        let (_, number) = NUMBERS.iter().find(|(known, _)| *known == name)?;
        Some(format!("{number} {name}"))
    });
    let mut lessons: Vec<String> = numbered.collect();
    lessons.sort();
    lessons
}

fn of_kind(kind: &str) -> &'static str {
    match kind {
        "user" => "user-ns-map",
        "mnt" => "mount-ns",
        "uts" => "uts-demo",
        "ipc" => "ipc-ns",
        "pid" => "pid-ns-init",
        "cgroup" => "cgroup-ns",
        "net" => "net-ns",
        _ => "time-ns",
    }
}

fn of_cgroup_file(file: &str) -> &'static str {
    match file {
        "cgroup.procs" | "cgroup.threads" => "cgroup-mk",
        "cgroup.subtree_control" | "cgroup.type" => "cgroup-rules",
        _ => "cgroup-limits",
    }
}

fn of_one(act: &Act) -> Option<&'static str> {
    Some(match act {
        Act::Setns { .. } => "ns-enter",
        Act::Mount { .. }
        | Act::Umount { .. }
        | Act::Fsopen { .. }
        | Act::Fspick { .. }
        | Act::Fsmount { .. }
        | Act::OpenTree { .. }
        | Act::MoveMount { .. }
        | Act::MountSetattr { .. } => "mount-ns",
        Act::PivotRoot { .. } => "mini-container",
        Act::Chroot { .. } => "chroot-jail",
        Act::IdMap { .. } => "user-ns-map",
        Act::CgroupMake { .. } | Act::CgroupRemove { .. } => "cgroup-mk",
        Act::Capset { .. }
        | Act::CapabilityLost { .. }
        | Act::AmbientCleared
        | Act::SecureBits { .. }
        | Act::Ids { .. }
        | Act::Groups { .. } => "user-ns-caps",
        Act::Execute { ambient: 1.., .. } => "user-ns-caps",
        Act::NoNewPrivs | Act::Seccomp { .. } => "sandbox",
        Act::Hostname { .. } | Act::DomainName { .. } => "uts-demo",
        Act::Proc { path, .. } if path.ends_with("timens_offsets") => "time-ns",
        Act::Proc { path, .. } if path.contains("/sys/net/") => "net-ns",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_that_of_a_lesson() {
        let unshare = |kinds: &[&str]| Act::Unshare {
            namespaces: kinds.iter().map(|kind| (*kind).into()).collect(),
            flags: Vec::new(),
        };
        let kinds = ["user", "mnt", "uts", "ipc", "pid", "cgroup", "net", "time"];
        assert_eq!(of(&unshare(&kinds)).len(), kinds.len());
        assert_eq!(of(&unshare(&["user", "mnt"])), ["10 mount-ns", "14 user-ns-map"]);
        for name in ["ns-enter", "mini-container", "chroot-jail", "cgroup-mk", "cgroup-rules", "sandbox"] {
            assert!(NUMBERS.iter().any(|(known, _)| *known == name), "{name}");
        }
        assert_eq!(of(&Act::NoNewPrivs), ["21 sandbox"]);
    }
}

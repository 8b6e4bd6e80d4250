//! Why a call may have been refused: the short reason of the manual pages, where the errno has one for this call.

use crate::model::Act;

/// The reason for `errno`; none where there are several, or none is known.
pub(crate) fn of(act: &Act, errno: &str) -> Option<&'static str> {
    Some(match (act, errno) {
        (Act::Unshare { namespaces, .. } | Act::Clone { namespaces, .. }, "EPERM") => {
            if namespaces.iter().any(|kind| kind == "user") {
                "user namespaces are restricted here, or its IDs have no map"
            } else {
                "it lacks CAP_SYS_ADMIN, and creates no user namespace with it"
            }
        }
        (Act::Unshare { .. } | Act::Clone { .. }, "ENOSPC") => "a limit in /proc/sys/user is reached",
        (Act::Setns { .. }, "EPERM") => {
            "it lacks CAP_SYS_ADMIN in the user namespace that owns it, or in its own"
        }
        (Act::Setns { .. }, "EINVAL") => {
            "it is of another kind, or its own namespace already, or the caller has more than one thread"
        }
        (Act::Mount { .. } | Act::Umount { .. } | Act::PivotRoot { .. }, "EPERM") => {
            "it lacks CAP_SYS_ADMIN in the user namespace that owns its mount namespace, or a mount is locked"
        }
        (Act::PivotRoot { .. }, "EINVAL") => {
            "the new root is no mount point, or its mount or parent is shared, or the old one lies elsewhere"
        }
        (Act::PivotRoot { .. }, "EBUSY") => "the new root is on the same mount as the old one",
        (Act::Umount { .. }, "EBUSY") => "something in it is in use",
        (Act::Umount { .. }, "EINVAL") => "it is no mount point",
        (Act::Chroot { .. }, "EPERM") => "it lacks CAP_SYS_CHROOT in its user namespace",
        (Act::IdMap { file, .. }, "EPERM") if file == "gid_map" => {
            "the map was written before, or setgroups is not denied, or IDs are not its own"
        }
        (Act::IdMap { .. }, "EPERM") => "the map was written before, or IDs are not its own",
        (Act::Hostname { .. } | Act::DomainName { .. }, "EPERM") => {
            "it lacks CAP_SYS_ADMIN in the user namespace that owns this one"
        }
        (Act::Capset { .. }, "EPERM") => "what is not permitted cannot be added",
        (Act::CapabilityLost { .. }, "EPERM") => "it lacks CAP_SETPCAP",
        (Act::Seccomp { .. }, "EACCES") => "it has neither no_new_privs nor CAP_SYS_ADMIN",
        (Act::Ids { .. }, "EPERM") => "it lacks CAP_SETUID or CAP_SETGID, and the ID is none of its own",
        (Act::Ids { .. }, "EINVAL") => "the ID is in no map of its user namespace",
        (Act::Groups { .. }, "EPERM") => "it lacks CAP_SETGID, or setgroups is denied in its user namespace",
        (Act::Cgroup { .. } | Act::CgroupMake { .. }, "EACCES" | "EPERM") => {
            "the cgroup is not delegated to this user"
        }
        (Act::Cgroup { .. }, "EBUSY") => "a cgroup with processes enables no controllers for its children",
        (Act::Execute { .. }, "ENOENT") => "there is no such file, or its interpreter is not there",
        (Act::Execute { .. }, "EACCES") => "it is not executable",
        _ => return None,
    })
}

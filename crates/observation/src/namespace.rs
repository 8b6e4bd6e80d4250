//! Which namespace: its kind and its identity.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of namespace, in the order of namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The root directory of the cgroup hierarchies, as seen by the members.
    Cgroup,
    /// System V IPC objects and POSIX message queues.
    Ipc,
    /// Network devices, stacks, ports.
    Net,
    /// Mount points.
    Mnt,
    /// Process IDs.
    Pid,
    /// The boot and monotonic clocks.
    Time,
    /// User and group IDs.
    User,
    /// The hostname and the NIS domain name.
    Uts,
}

impl Kind {
    /// All eight.
    pub const ALL: [Kind; 8] =
        [Kind::Cgroup, Kind::Ipc, Kind::Net, Kind::Mnt, Kind::Pid, Kind::Time, Kind::User, Kind::Uts];

    /// Its link's name under /proc/PID/ns.
    pub const fn link(self) -> &'static str {
        match self {
            Kind::Cgroup => "cgroup",
            Kind::Ipc => "ipc",
            Kind::Net => "net",
            Kind::Mnt => "mnt",
            Kind::Pid => "pid",
            Kind::Time => "time",
            Kind::User => "user",
            Kind::Uts => "uts",
        }
    }

    /// Its flag for clone3(2), unshare(2) and setns(2), as typed.
    pub const fn flag(self) -> &'static str {
        match self {
            Kind::Cgroup => "CLONE_NEWCGROUP",
            Kind::Ipc => "CLONE_NEWIPC",
            Kind::Net => "CLONE_NEWNET",
            Kind::Mnt => "CLONE_NEWNS",
            Kind::Pid => "CLONE_NEWPID",
            Kind::Time => "CLONE_NEWTIME",
            Kind::User => "CLONE_NEWUSER",
            Kind::Uts => "CLONE_NEWUTS",
        }
    }

    /// What it isolates, in the words of namespaces(7).
    pub const fn isolates(self) -> &'static str {
        match self {
            Kind::Cgroup => "cgroup root directory",
            Kind::Ipc => "System V IPC, POSIX message queues",
            Kind::Net => "network devices, stacks, ports",
            Kind::Mnt => "mount points",
            Kind::Pid => "process IDs",
            Kind::Time => "boot and monotonic clocks",
            Kind::User => "user and group IDs",
            Kind::Uts => "hostname and NIS domain name",
        }
    }

    /// The kind whose link under /proc/PID/ns has that name.
    pub fn from_link(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.link() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.link())
    }
}

/// Which namespace: two live ones are the same if and only if type, device and inode are equal (namespaces(7)).
///
/// The kernel uses an inode number again at once when a namespace is gone. A comparison over time needs an open
/// descriptor of it, or its serial number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NsId {
    /// The kind.
    pub kind: Kind,
    /// The device of the nsfs filesystem, one for the whole kernel.
    pub dev: u64,
    /// The inode number in it.
    pub ino: u64,
}

impl fmt::Display for NsId {
    /// As readlink(2) gives it: `uts:[4026531838]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:[{}]", self.kind, self.ino)
    }
}

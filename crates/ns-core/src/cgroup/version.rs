//! The two interfaces of cgroups.

use std::fmt;
use std::os::fd::AsFd;

use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, fstatfs};

/// Which of the two interfaces a cgroup has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// A hierarchy for each controller, or for a few of them.
    V1,
    /// One hierarchy for all controllers.
    V2,
}

impl Version {
    /// The version of the cgroup that `fd` refers to, by the file system's magic number (statfs(2)).
    pub(super) fn of(fd: impl AsFd) -> nix::Result<Option<Version>> {
        Ok(match fstatfs(fd)?.filesystem_type() {
            CGROUP_SUPER_MAGIC => Some(Version::V1),
            CGROUP2_SUPER_MAGIC => Some(Version::V2),
            _ => None,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::V1 => "v1",
            Version::V2 => "v2",
        })
    }
}

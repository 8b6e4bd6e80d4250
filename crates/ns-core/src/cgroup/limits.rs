//! Limits that both versions have, by the names and in the words of each.

use std::time::Duration;

use super::{Cgroup, Version, wait};
use crate::deadline::until;
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;

/// A file that both versions have, under two names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceFile {
    v1: &'static str,
    v2: &'static str,
}

impl InterfaceFile {
    /// How many processes there may be; `max` for no limit.
    pub const PIDS: InterfaceFile = InterfaceFile { v1: "pids.max", v2: "pids.max" };
    /// How many bytes of memory there may be.
    pub const MEMORY: InterfaceFile = InterfaceFile { v1: "memory.limit_in_bytes", v2: "memory.max" };
    /// How many there are.
    pub const MEMORY_NOW: InterfaceFile = InterfaceFile { v1: "memory.usage_in_bytes", v2: "memory.current" };
    /// How often the memory limit was hit and what followed, `oom_kill` among it.
    pub const MEMORY_EVENTS: InterfaceFile = InterfaceFile { v1: "memory.oom_control", v2: "memory.events" };
    /// How much CPU time there may be in each period: [`Cgroup::limit_cpu`].
    pub const CPU: InterfaceFile = InterfaceFile { v1: "cpu.cfs_quota_us", v2: "cpu.max" };
    /// Which CPUs may be used.
    pub const CPUS: InterfaceFile = InterfaceFile { v1: "cpuset.cpus", v2: "cpuset.cpus" };
    /// Which may be used of those that the cgroups above leave.
    pub const CPUS_NOW: InterfaceFile =
        InterfaceFile { v1: "cpuset.effective_cpus", v2: "cpuset.cpus.effective" };

    /// Its name in a cgroup of `version`.
    pub const fn file(self, version: Version) -> &'static str {
        match version {
            Version::V1 => self.v1,
            Version::V2 => self.v2,
        }
    }
}

impl Cgroup {
    /// The name that a file has here.
    pub fn file(&self, knob: InterfaceFile) -> &'static str {
        knob.file(self.version())
    }

    /// Lets the members together have `quota` of CPU time in every `period`. As [`Cgroup::limit`], it is left out when
    /// the causes are taken away.
    ///
    /// # Errors
    /// EINVAL for a quota below 1 ms or a period outside of 1 ms to 1 s; on version 1 for more than the parent has too.
    pub fn limit_cpu(&self, quota: Duration, period: Duration) -> Result<()> {
        let (quota, period) = (quota.as_micros(), period.as_micros());
        match self.version() {
            Version::V2 => self.limit("cpu.max", format!("{quota} {period}")),
            Version::V1 => {
                self.limit("cpu.cfs_period_us", period)?;
                self.limit("cpu.cfs_quota_us", quota)
            }
        }
    }

    /// Keeps its members from swapping, if there is such a limit here, so that memory that is full is full.
    ///
    /// # Errors
    /// Those of [`Cgroup::write`], but ENOENT.
    pub fn forbid_swap(&self) -> Result<()> {
        let (file, value) = match self.version() {
            Version::V2 => ("memory.swap.max", "0"),
            // How ready the kernel is to swap, which 0 forbids (Documentation/admin-guide/cgroup-v1/memory.rst).
            Version::V1 => ("memory.swappiness", "0"),
        };
        match self.write(file, value) {
            Err(error) if error.errno() == Some(nix::errno::Errno::ENOENT) => Ok(()),
            other => other,
        }
    }

    /// How many of its members, and of those below, the OOM killer has killed (`oom_kill`).
    ///
    /// # Errors
    /// ENOENT without the memory controller.
    pub fn oom_kills(&self) -> Result<u64> {
        Ok(self.flat_keyed(self.file(InterfaceFile::MEMORY_EVENTS))?.get("oom_kill").copied().unwrap_or(0))
    }

    /// Freezes all that is in it and below, and waits until that is done. Version 2 needs no
    /// controller for it.
    ///
    /// # Errors
    /// ENOENT on version 1 without the freezer; [`Error::Deadline`] after 10 s.
    pub fn freeze(&self) -> Result<()> {
        match self.version() {
            Version::V2 => self.limit("cgroup.freeze", 1)?,
            Version::V1 => self.limit("freezer.state", "FROZEN")?,
        }
        match self.version() {
            Version::V2 => wait::wait_for_line(&self.directory, "frozen 1"),
            Version::V1 => {
                // FREEZING for a moment, and no event reports its end.
                until(&format!("{} to freeze", self.label()), || Ok(self.is_frozen()?.then_some(())))
            }
        }
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// Those of [`Cgroup::write`].
    pub fn thaw(&self) -> Result<()> {
        match self.version() {
            Version::V2 => self.write("cgroup.freeze", "0"),
            Version::V1 => self.write("freezer.state", "THAWED"),
        }
    }

    /// Whether all that is in it stands still.
    ///
    /// # Errors
    /// Those of [`Cgroup::read`]; [`Error::Unreadable`] for a file of another form.
    pub fn is_frozen(&self) -> Result<bool> {
        Ok(match self.version() {
            Version::V2 => self.events()?.get("frozen") == Some(&1),
            Version::V1 => self.read("freezer.state")? == "FROZEN",
        })
    }
}

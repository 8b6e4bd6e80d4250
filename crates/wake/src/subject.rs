//! Whom a look is about.

use ns_core::Pid;

/// A process that is looked at, by its PID and by when it started, so that no other is taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// Its PID in the caller's PID namespace.
    pub pid: Pid,
    /// When it started, in clock ticks since the machine did (field 22 of /proc/PID/stat).
    pub started: u64,
}

//! Files of /proc that poll(2) reports changes of, by POLLPRI.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

use ns_core::Pid;

/// The names of UTS namespaces. The kernel reports a change in any of them, and not in the reader's alone.
const NAMES: [&str; 2] = ["/proc/sys/kernel/hostname", "/proc/sys/kernel/domainname"];

/// Such a file, open. The kernel remembers in it what was reported.
#[derive(Debug)]
pub(super) struct Polled(File);

impl Polled {
    /// The names of UTS namespaces.
    pub(super) fn names() -> Vec<Polled> {
        NAMES.iter().filter_map(|path| Polled::open(path)).collect()
    }

    /// The mounts of the namespace that `process` (`None`: the caller) is in now.
    pub(super) fn mounts(process: Option<Pid>) -> Option<Polled> {
        let who = process.map_or("self".into(), |pid| pid.to_string());
        Polled::open(&format!("/proc/{who}/mountinfo"))
    }

    fn open(path: &str) -> Option<Polled> {
        File::open(path).ok().map(Polled)
    }
}

impl AsFd for Polled {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

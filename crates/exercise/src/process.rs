//! The processes of a machine, as far as the checker may read them.

use std::fs;
use std::os::unix::fs::MetadataExt;

use anyhow::Result;
use nix::unistd::{Pid, geteuid};
use ns_core::{NsId, namespace, pids};
use procfs::process::Process as Procfs;
use wake::Subject;

use crate::seed::digits;

/// The kernel's flag of its own threads (PF_KTHREAD in linux/sched.h).
const KERNEL_THREAD: u32 = 0x0020_0000;
/// What of proc_pid_status(5) may change without a change of namespaces: credentials, signals, no_new_privs.
const STATUS: [&str; 13] = [
    "Uid",
    "Gid",
    "Groups",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
    "SigBlk",
    "SigIgn",
    "SigCgt",
];

/// A process, without what only some may read.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) subject: Subject,
    pub(crate) parent: Pid,
    pub(crate) name: String,
    pub(crate) is_zombie: bool,
    /// It has a controlling terminal.
    pub(crate) has_terminal: bool,
}

/// What tells whether a process has changed.
#[derive(Debug, Clone)]
pub(crate) struct Inside {
    pub(crate) namespaces: Vec<NsId>,
    /// A digest of its namespaces, cgroups, root directory, credentials and signals.
    pub(crate) fingerprint: String,
}

/// All processes that this procfs shows, but for the kernel's own threads.
///
/// # Errors
/// Where /proc is no procfs.
pub(crate) fn all() -> Result<Vec<Process>> {
    let pids = pids::listed("/proc".as_ref())?;
    Ok(pids.into_iter().filter_map(|pid| Process::find(Pid::from_raw(pid))).collect())
}

impl Process {
    /// The process that has this PID now, if any and no thread of the kernel's.
    pub(crate) fn find(pid: Pid) -> Option<Process> {
        let stat = Procfs::new(pid.as_raw()).and_then(|process| process.stat()).ok()?;
        (stat.flags & KERNEL_THREAD == 0).then(|| Process {
            subject: Subject { pid, started: stat.starttime },
            parent: Pid::from_raw(stat.ppid),
            name: stat.comm,
            is_zombie: stat.state == 'Z',
            has_terminal: stat.tty_nr != 0,
        })
    }

    /// Whether its user is the checker's.
    pub(crate) fn is_of_our_user(&self) -> bool {
        let owner = fs::metadata(format!("/proc/{}", self.subject.pid)).map(|about| about.uid());
        owner.is_ok_and(|owner| owner == geteuid().as_raw())
    }

    /// Whether it still runs.
    pub(crate) fn lives_on(&self) -> bool {
        Process::find(self.subject.pid).is_some_and(|now| now.subject == self.subject && !now.is_zombie)
    }

    /// What is inside; `None` where the checker may not read it, or the process is gone.
    pub(crate) fn inside(&self) -> Option<Inside> {
        let pid = self.subject.pid;
        let namespaces = match namespace::of(Some(pid)) {
            Ok(namespaces) => namespaces,
            // A process that has ended has left its namespaces, but not its place in the table.
            Err(_) if self.is_zombie => Vec::new(),
            Err(_) => return None,
        };
        let status = fs::read(format!("/proc/{pid}/status")).ok()?;
        let status = String::from_utf8_lossy(&status);
        let counts = |line: &&str| line.split(':').next().is_some_and(|key| STATUS.contains(&key));
        let status: Vec<_> = status.lines().filter(counts).collect();
        let cgroups = fs::read(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let root = fs::metadata(format!("/proc/{pid}/root")).map(|root| (root.dev(), root.ino())).ok();
        let all = format!("{namespaces:?}{status:?}{}{root:?}", String::from_utf8_lossy(&cgroups));
        Some(Inside { namespaces, fingerprint: digits(&all) })
    }
}

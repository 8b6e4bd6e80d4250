//! Who descends from whom.

use std::collections::BTreeMap;

use nix::unistd::Pid;

use crate::process::Process;

/// The parent of each process.
pub(crate) struct Family(BTreeMap<Pid, Pid>);

impl Family {
    /// Of these processes.
    pub(crate) fn of(all: &[Process]) -> Family {
        Family(all.iter().map(|process| (process.subject.pid, process.parent)).collect())
    }

    /// A process, its parent, and so on.
    pub(crate) fn lineage(&self, pid: Pid) -> impl Iterator<Item = Pid> + '_ {
        // A PID that was used again while all were read could close a circle.
        std::iter::successors(Some(pid), |pid| self.0.get(pid).copied()).take(self.0.len() + 1)
    }

    /// Whether `pid` is `ancestor`, or descends from it.
    pub(crate) fn descends(&self, pid: Pid, ancestor: Pid) -> bool {
        self.lineage(pid).any(|it| it == ancestor)
    }

    /// How many ancestors two processes share.
    pub(crate) fn nearness(&self, pid: Pid, other: Pid) -> usize {
        let others: Vec<Pid> = self.lineage(other).collect();
        self.lineage(pid).filter(|it| others.contains(it)).count()
    }
}

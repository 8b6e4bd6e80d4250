//! Which processes are the attempt's own, so that a reset may end them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::unistd::{Pid, geteuid, getpid};

use crate::attempt::Attempt;
use crate::family::Family;
use crate::process::Process;

/// The first process of a machine, and what adopts a user's orphans: whoever descends from these may be anybody's.
const ANCESTORS_OF_ALL: [&str; 2] = ["systemd", "init"];

/// The processes that are there, as seen from an attempt.
pub(crate) struct Owned<'a> {
    attempt: &'a Attempt,
    family: Family,
    /// The nearest ancestor of the checker that was there when the attempt began: the shell in which it is typed, or what
    /// opened that. What descends from it is typed by the learner.
    anchor: Option<Pid>,
    /// Those that descend from a process that met a requirement.
    roots: BTreeSet<Pid>,
    /// The members of the attempt's cgroups.
    members: &'a BTreeSet<Pid>,
}

impl<'a> Owned<'a> {
    /// Of `all` processes. `members` are in cgroups of the attempt's.
    pub(crate) fn of(attempt: &'a Attempt, all: &[Process], members: &'a BTreeSet<Pid>) -> Owned<'a> {
        let family = Family::of(all);
        let find = |pid: Pid| all.iter().find(|process| process.subject.pid == pid);
        let stands_for_one = |process: &&Process| {
            process.subject.pid.as_raw() != 1 && !ANCESTORS_OF_ALL.contains(&process.name.as_str())
        };
        let before = family.lineage(getpid()).skip(1).filter_map(find).find(|it| attempt.snapshot.had(it));
        let anchor = before.filter(stands_for_one).map(|process| process.subject.pid);
        let mut owned =
            Owned { attempt, family, anchor: attempt.within.or(anchor), roots: BTreeSet::new(), members };
        let roots = all.iter().filter(|it| owned.is_matched(it) && owned.why_not(it).is_none());
        owned.roots = roots.map(|process| process.subject.pid).collect();
        owned
    }

    /// Whether a process met a requirement, or is in a cgroup of the attempt's.
    pub(crate) fn is_matched(&self, process: &Process) -> bool {
        self.attempt.trace.processes.contains(&id(process)) || self.members.contains(&process.subject.pid)
    }

    /// Whether a process is to end: one that met a requirement, or descends from one that ends.
    pub(crate) fn is_to_end(&self, process: &Process) -> bool {
        self.family.lineage(process.subject.pid).any(|ancestor| self.roots.contains(&ancestor))
            && (self.is_matched(process) || self.keeps_out(process).is_none())
    }

    /// Why a process that met a requirement is left alone; `None` where it is not.
    pub(crate) fn why_not(&self, process: &Process) -> Option<String> {
        let pid = process.subject.pid;
        let is_sure = self.attempt.trace.sure.contains(&id(process)) || self.members.contains(&pid);
        let is_typed_here = self.anchor.is_some_and(|anchor| self.family.descends(pid, anchor));
        self.keeps_out(process).or_else(|| {
            let is_ours = is_typed_here || (is_sure && is_the_learner_s(self.attempt, pid));
            (!is_ours).then(|| format!("it may be something else; if it is yours, type: kill -9 {pid}"))
        })
    }

    /// Why a process is never ended.
    fn keeps_out(&self, process: &Process) -> Option<String> {
        if self.attempt.snapshot.had(process) {
            Some("it was there before the attempt".into())
        } else if self.family.descends(getpid(), process.subject.pid) {
            Some("this command runs below it; type exit there".into())
        } else {
            None
        }
    }
}

fn id(process: &Process) -> (i32, u64) {
    (process.subject.pid.as_raw(), process.subject.started)
}

/// Whether a process that was typed elsewhere is the learner's: of the same login, and of the learner's user or root. The
/// kernel lets an ordinary user signal no other.
fn is_the_learner_s(attempt: &Attempt, pid: Pid) -> bool {
    // proc_pid_loginuid(5): who logged in, whatever user it became since.
    let login = |process: &str| fs::read_to_string(format!("/proc/{process}/loginuid")).ok();
    if login(&pid.to_string()) != login("self") {
        return false;
    }
    let owner = fs::metadata(format!("/proc/{pid}")).map(|about| about.uid());
    let is_known = |owner| owner == 0 || attempt.values.get("uid") == Some(&format!("{owner}"));
    !geteuid().is_root() || owner.is_ok_and(is_known)
}

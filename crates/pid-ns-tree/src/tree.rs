//! Four processes, each the parent of the next. Each but the first is in a PID namespace below that of its parent.

use std::ffi::CString;
use std::path::Path;

use anyhow::Result;
use lesson::Lab;
use nix::unistd::getpid;
use ns_core::{Child, Fact, Named, Namespaces, Pid, Reporter, Value, mount, pids};

use crate::trial;

/// The processes of the tree, the outermost first.
pub(crate) const LEVELS: [&str; 4] = ["process outside", "process in A", "process in B", "process in C"];

/// The running processes of the tree.
pub(crate) struct Tree {
    outermost: Child,
    /// The PIDs that each reports, the innermost first.
    pids: Vec<Fact>,
}

impl Tree {
    /// A is a new PID namespace in both arms. B and C are new `namespaces`. With `mounts`, each process but the
    /// outermost mounts a procfs.
    pub(crate) fn grow(namespaces: Namespaces, mounts: bool) -> Result<Tree> {
        let mut outermost = Child::spawn(LEVELS[0], Namespaces::NONE, move |me| {
            Growing { tag: getpid(), namespaces, mounts }.grow_from(0, me)
        })?;
        // All exist before one of them reads its procfs.
        let mut pids = Vec::new();
        for _ in LEVELS {
            pids.push(outermost.fact()?);
        }
        Ok(Tree { outermost, pids })
    }

    /// Lists the processes, the outermost first.
    pub(crate) fn list(&self, lab: &mut Lab) -> Result<()> {
        self.pids.iter().rev().try_for_each(|pids| lab.process(&pids.who, trial::pid_of(pids, 0)?))
    }

    /// Lets each read its procfs, and ends the tree.
    pub(crate) fn look(mut self) -> Result<Reports> {
        self.outermost.wake()?;
        Ok(Reports { pids: self.pids, seen: self.outermost.facts()? })
    }
}

/// What the processes of a tree reported.
#[derive(Clone)]
pub(crate) struct Reports {
    /// Their own PIDs.
    pub(crate) pids: Vec<Fact>,
    /// The processes that each finds in its procfs.
    seen: Vec<Fact>,
}

impl Reports {
    fn seen(&self, from: &str, process: &str) -> Option<&Value> {
        self.seen.iter().find(|fact| fact.who == from && fact.what == process).map(|fact| &fact.value)
    }

    /// A row for each process, a column for each procfs.
    pub(crate) fn rows(&self) -> Vec<Vec<Value>> {
        let row = |process: &&str| {
            let cells =
                LEVELS.iter().map(|from| self.seen(from, process).cloned().unwrap_or("absent".into()));
            std::iter::once(Value::from(*process)).chain(cells).collect()
        };
        LEVELS.iter().map(row).collect()
    }

    /// The number of unexpected cells: each procfs should list its own process and those below.
    pub(crate) fn unexpected(&self) -> Vec<Fact> {
        let mut against = 0;
        for (from_level, from) in LEVELS.iter().enumerate() {
            for (level, process) in LEVELS.iter().enumerate() {
                against += usize::from(self.seen(from, process).is_some() != (level >= from_level));
            }
        }
        let listed = |from: &str| LEVELS.iter().filter(|process| self.seen(from, process).is_some()).count();
        vec![
            Fact::inside("tree", "unexpected cells, of 16", against),
            Fact::inside("tree", "listed in the procfs of B, of 4", listed(LEVELS[2])),
            Fact::inside("tree", "listed in the procfs of C, of 4", listed(LEVELS[3])),
        ]
    }
}

/// What each process of the tree needs to create the next.
#[derive(Clone, Copy)]
struct Growing {
    /// The end of the process names. It tells the arms apart, which run at once, and other runs of this experiment.
    tag: Pid,
    namespaces: Namespaces,
    mounts: bool,
}

impl Growing {
    /// Each process is the parent of the next. The innermost reports its PIDs first. Then each reports the processes in
    /// its procfs, the outermost first.
    fn grow_from(self, level: usize, me: &mut Reporter) -> ns_core::Result<()> {
        let name = CString::new(self.name(level)).unwrap_or_default();
        nix::sys::prctl::set_name(&name).named(|| format!("prctl(PR_SET_NAME, {name:?})"))?;
        let own_procfs = Path::new(if level == 0 { "/proc" } else { "/mnt" });
        if level > 0 && self.mounts {
            mount::mount("proc", own_procfs)?;
        }
        let mut next = match LEVELS.get(level + 1) {
            Some(label) => Some(self.spawn(label, level + 1)?),
            None => None,
        };
        if let Some(next) = &mut next {
            for _ in &LEVELS[level + 1..] {
                me.send(next.fact()?)?;
            }
        }
        me.report(format!("NSpid of {}", LEVELS[level]), trial::own_pids()?)?;
        me.checkpoint()?;
        if self.mounts {
            self.look(own_procfs, me)?;
        }
        match next {
            Some(next) => {
                next.wake()?;
                trial::send_all_of(next, me)
            }
            None => Ok(()),
        }
    }

    fn spawn(self, label: &str, level: usize) -> ns_core::Result<Child> {
        let own = if level == 1 { Namespaces::PID } else { self.namespaces };
        // Each has a mount namespace, so that its procfs does not cover another.
        Child::spawn(label, own | Namespaces::MNT, move |me| self.grow_from(level, me))
    }

    fn look(self, procfs: &Path, me: &mut Reporter) -> ns_core::Result<()> {
        for pid in pids::listed(procfs)? {
            // Other processes of the machine start and end meanwhile.
            let name = std::fs::read_to_string(procfs.join(format!("{pid}/comm"))).unwrap_or_default();
            if let Some(level) = (0..LEVELS.len()).find(|level| self.name(*level) == name.trim_end()) {
                me.report(LEVELS[level], Value::Pid(pid))?;
            }
        }
        Ok(())
    }

    fn name(self, level: usize) -> String {
        format!("{level}.{}", self.tag)
    }
}

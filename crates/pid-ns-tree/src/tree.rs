//! Four processes, each the parent of the next, and each but the first in a PID namespace below the last.

use std::ffi::CString;
use std::path::Path;

use anyhow::Result;
use lesson::Lab;
use nix::unistd::getpid;
use ns_core::{Child, Fact, Named, Namespaces, Pid, Reporter, Value, mount, pids};

use crate::trial;

/// The processes of the tree, from the outside in.
pub(crate) const LEVELS: [&str; 4] = ["one outside", "A's first", "B's first", "C's first"];

/// The tree while it lives.
pub(crate) struct Tree {
    outermost: Child,
    /// What each reports of its PIDs, the innermost first.
    pids: Vec<Fact>,
}

impl Tree {
    /// A is a namespace of its own in either arm; `namespaces` are what B and C get. With `mounts`, each but the
    /// outermost mounts a procfs.
    pub(crate) fn grow(namespaces: Namespaces, mounts: bool) -> Result<Tree> {
        let mut outermost = Child::spawn(LEVELS[0], Namespaces::NONE, move |me| {
            Growing { tag: getpid(), namespaces, mounts }.grow_from(0, me)
        })?;
        // All are there before anyone looks.
        let mut pids = Vec::new();
        for _ in LEVELS {
            pids.push(outermost.fact()?);
        }
        Ok(Tree { outermost, pids })
    }

    /// Says who the processes are, from the outside in.
    pub(crate) fn introduce(&self, lab: &mut Lab) -> Result<()> {
        self.pids.iter().rev().try_for_each(|pids| lab.process(&pids.who, trial::pid_of(pids, 0)?))
    }

    /// Lets each look whom it sees, and ends the tree.
    pub(crate) fn look(mut self) -> Result<Reports> {
        self.outermost.wake()?;
        Ok(Reports { pids: self.pids, seen: self.outermost.facts()? })
    }
}

/// What the processes of a tree reported.
#[derive(Clone)]
pub(crate) struct Reports {
    /// Of their own PIDs.
    pub(crate) pids: Vec<Fact>,
    /// Of each other.
    seen: Vec<Fact>,
}

impl Reports {
    fn seen(&self, from: &str, process: &str) -> Option<&Value> {
        self.seen.iter().find(|fact| fact.who == from && fact.what == process).map(|fact| &fact.value)
    }

    /// A row for each process, a column for each place to look from.
    pub(crate) fn rows(&self) -> Vec<Vec<Value>> {
        let row = |process: &&str| {
            let cells =
                LEVELS.iter().map(|from| self.seen(from, process).cloned().unwrap_or("not there".into()));
            std::iter::once(Value::from(*process)).chain(cells).collect()
        };
        LEVELS.iter().map(row).collect()
    }

    /// How many cells are not as they are if each sees itself and those below.
    pub(crate) fn against_the_claim(&self) -> Vec<Fact> {
        let mut against = 0;
        for (from_level, from) in LEVELS.iter().enumerate() {
            for (level, process) in LEVELS.iter().enumerate() {
                against += usize::from(self.seen(from, process).is_some() != (level >= from_level));
            }
        }
        let listed = |from: &str| LEVELS.iter().filter(|process| self.seen(from, process).is_some()).count();
        vec![
            Fact::inside("tree", "of the 16 cells, against the claim", against),
            Fact::inside("tree", "of the four processes, listed in B's procfs", listed(LEVELS[2])),
            Fact::inside("tree", "of the four processes, listed in C's procfs", listed(LEVELS[3])),
        ]
    }
}

/// How the tree goes on from each process.
#[derive(Clone, Copy)]
struct Growing {
    /// What the names of its processes end in: both arms are there at once, and others may run this experiment too.
    tag: Pid,
    namespaces: Namespaces,
    mounts: bool,
}

impl Growing {
    /// Each process is the parent of the next. The innermost reports first; then each reports whom it sees, from the
    /// outside in.
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
        // A mount namespace each, so that its procfs covers nobody else's.
        Child::spawn(label, own | Namespaces::MNT, move |me| self.grow_from(level, me))
    }

    fn look(self, procfs: &Path, me: &mut Reporter) -> ns_core::Result<()> {
        for pid in pids::listed(procfs)? {
            // Others' processes come and go.
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

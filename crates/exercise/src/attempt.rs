//! An exercise that one learner has begun.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use nix::unistd::Pid;

use crate::look::Look;
use crate::model::{CGROUP, Exercise, Handout};
use crate::need::Need;
use crate::seed::Seed;
use crate::snapshot::Snapshot;
use crate::trace::Trace;
use crate::values::Values;

/// Who learns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Learner {
    /// The name by which a teacher knows the learner.
    pub student: String,
    /// A word of the class; empty if there is none.
    pub class: String,
    /// The user ID.
    pub uid: u32,
    /// The group ID.
    pub gid: u32,
    /// The login name.
    pub user: String,
}

/// An exercise that one learner has begun.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The exercise, with the learner's values in all of its texts.
    pub exercise: Exercise,
    /// Which attempt of this exercise it is, from 1.
    pub number: u32,
    /// What its values were drawn from.
    pub seed: Seed,
    /// What stands for each `{name}`.
    pub values: Values,
    /// The directory of the attempt.
    pub dir: PathBuf,
    /// What earlier looks have shown that is to be gone in the end.
    pub shown: BTreeSet<String>,
    /// What all looks together found to be of the learner's making.
    pub trace: Trace,
    /// The process whose descendants alone are looked at: for who starts the shells too. `None`: all are.
    pub within: Option<Pid>,
    pub(crate) snapshot: Snapshot,
}

impl Attempt {
    /// The attempt of that `number`, of an `exercise` as its file has it, that begins now. `dir` is its directory, which is
    /// to exist. Nothing is changed or kept.
    ///
    /// # Errors
    /// Where /proc is no procfs.
    pub fn begin(exercise: &Exercise, learner: &Learner, number: u32, dir: &Path) -> Result<Attempt> {
        // First, since it makes a cgroup and a process for a moment.
        let cgroup = Need::place(&exercise.needs)?;
        Attempt::of(exercise, learner, number, dir, cgroup, Snapshot::take()?)
    }

    /// Copies the files that the learner gets into the directory of the attempt.
    ///
    /// # Errors
    /// Those of write(2).
    pub fn hand_out(&self) -> Result<()> {
        for Handout { path, text } in &self.exercise.files {
            let name = Path::new(path).file_name().unwrap_or_default();
            let to = self.dir.join(name);
            fs::write(&to, text).with_context(|| format!("cannot write {}", to.display()))?;
        }
        Ok(())
    }

    /// The directory in which the learner may make cgroups, if the exercise needs one.
    pub(crate) fn cgroup(&self) -> Option<&Path> {
        self.values.get(CGROUP).map(Path::new)
    }

    /// The attempt that began when the machine was as `snapshot` has it.
    ///
    /// # Errors
    /// Where a text names a value that the exercise does not have.
    pub(crate) fn of(
        exercise: &Exercise,
        learner: &Learner,
        number: u32,
        dir: &Path,
        cgroup: Option<PathBuf>,
        snapshot: Snapshot,
    ) -> Result<Attempt> {
        let seed = Seed::of(&learner.student, &learner.class, &exercise.name, number);
        let cgroup = cgroup.map(|path| (CGROUP, path.display().to_string()));
        let known = [
            ("dir", dir.display().to_string()),
            ("uid", learner.uid.to_string()),
            ("gid", learner.gid.to_string()),
            ("user", learner.user.clone()),
        ];
        let known: Vec<_> = known.into_iter().chain(cgroup).collect();
        let values = Values::draw(&exercise.values, &seed, &known);
        let filled = exercise.fill(&values);
        let exercise = filled.map_err(|name| anyhow!("{}: {{{name}}} stands for no value", exercise.name))?;
        let (shown, trace) = (BTreeSet::new(), Trace::default());
        Ok(Attempt { exercise, number, seed, values, dir: dir.into(), shown, trace, within: None, snapshot })
    }

    /// Looks at the machine, and remembers what is to be gone in the end.
    ///
    /// # Errors
    /// Where the machine cannot be compared with what it was: after a restart, or from other namespaces.
    pub fn look(&mut self) -> Result<Look> {
        self.snapshot.require_comparable()?;
        let look = Look::take(&self.exercise, &self.snapshot, &self.shown, self.within)?;
        self.shown.extend(look.shown.iter().cloned());
        self.trace.add(&look.trace);
        Ok(look)
    }
}

//! One look at the machine: what of an exercise is met.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow};
use nix::unistd::Pid;
use wake::Subject;

use crate::assign::Assignment;
use crate::candidate::Changes;
use crate::expect::Then;
use crate::fact::Fact;
use crate::model::{Exercise, Requirement};
use crate::sentence::{Verdict, sentence, who};
use crate::snapshot::Snapshot;
use crate::trace::Trace;
use crate::view::{Ask, View};

/// A requirement, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Its name.
    pub name: String,
    /// Whether it is met.
    pub met: bool,
    /// What was found, in a sentence without a full stop.
    pub sentence: String,
    /// The process that was looked at, if one was found.
    pub subject: Option<Subject>,
}

/// What one look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Each requirement, in the order of the file.
    pub requirements: Vec<Judged>,
    /// The processes that started near the checker since, and that it may not read, each by its PID and its program.
    pub unreadable: Vec<String>,
    /// How many more started since that it may not read.
    pub strangers: usize,
    /// The requirements that the machine shows, and that are to be gone in the end.
    pub shown: BTreeSet<String>,
    /// What of it the learner made.
    pub trace: Trace,
    /// The processes that started or changed since the attempt began.
    pub candidates: Vec<Subject>,
}

impl Look {
    /// Looks at the machine, which was as `snapshot` has it when the attempt began. `exercise` has its values, and `shown`
    /// was seen before. With `within`, the descendants of that process alone are looked at.
    ///
    /// # Errors
    /// Where /proc is no procfs, and for a fact that there is not.
    pub(crate) fn take(
        exercise: &Exercise,
        snapshot: &Snapshot,
        shown: &BTreeSet<String>,
        within: Option<Pid>,
    ) -> Result<Look> {
        let all = &exercise.requirements;
        let asks = all.iter().map(|requirement| Ask::new(requirement, all)).collect::<Result<Vec<_>>>()?;
        let changes = Changes::since(snapshot, within)?;
        let view = View::new(snapshot, changes.old_namespaces.clone())?;
        let chosen = Assignment::best(&view, &asks, &changes.candidates);
        let chosen = chosen.without_strangers(&view, &asks, &changes.strange);
        let mut found = BTreeSet::new();
        let mut requirements = Vec::new();
        for ask in &asks {
            let Requirement { name, of, then, .. } = &ask.requirement;
            let now = chosen.meets(&view, ask);
            if now && *then == Some(Then::Gone) {
                found.insert(name.clone());
            }
            let verdict = Verdict::of(*then, now, shown.contains(name));
            let sentence = sentence(&view, ask, &chosen, &changes, verdict);
            let subject = chosen.subject(of);
            requirements.push(Judged { name: name.clone(), met: verdict.met, sentence, subject });
        }
        Ok(Look {
            requirements,
            unreadable: changes.unreadable.iter().map(who).collect(),
            strangers: changes.strangers,
            shown: found,
            trace: Trace::of(snapshot, &view, &chosen, |subject| {
                let mut own = asks.iter().filter(|ask| ask.requirement.of == subject);
                own.all(|ask| chosen.meets(&view, ask))
            }),
            candidates: changes.candidates.into_iter().map(|candidate| candidate.subject).collect(),
        })
    }

    /// Whether every requirement is met.
    pub fn is_done(&self) -> bool {
        self.requirements.iter().all(|requirement| requirement.met)
    }

    /// The names of the requirements that are met, or that are not.
    pub fn names(&self, met: bool) -> Vec<String> {
        self.requirements.iter().filter(|it| it.met == met).map(|it| it.name.clone()).collect()
    }
}

impl Ask {
    fn new(requirement: &Requirement, all: &[Requirement]) -> Result<Ask> {
        let fact = Fact::parse(&requirement.fact).map_err(|why| anyhow!("{}: {why}", requirement.name))?;
        let first = all.iter().position(|it| it.fact == requirement.fact).unwrap_or(0);
        Ok(Ask { requirement: requirement.clone(), fact, first })
    }
}

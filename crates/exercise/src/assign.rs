//! Which process is which subject.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use wake::Subject;

use crate::model::{THIS_MACHINE, YOU};
use crate::process::Process;
use crate::view::{Ask, View};

/// After each subject the search goes on with so many assignments, the best.
const MOST: usize = 64;

/// The process of each subject, as far as there is one.
#[derive(Debug, Clone)]
pub(crate) struct Assignment<'a> {
    chosen: BTreeMap<&'a str, &'a Process>,
    own: Subject,
}

impl<'a> Assignment<'a> {
    /// The one that meets most of `asks`. Subjects are looked for in their order, each given the ones before. Of two that
    /// meet as many, the one whose processes come first among the `candidates`. Two subjects are two processes.
    pub(crate) fn best(view: &View, asks: &'a [Ask], candidates: &'a [Process]) -> Assignment<'a> {
        let mut subjects: Vec<&str> = Vec::new();
        for ask in asks {
            if ask.requirement.of != THIS_MACHINE && !subjects.contains(&ask.requirement.of.as_str()) {
                subjects.push(&ask.requirement.of);
            }
        }
        let nobody = Assignment { chosen: BTreeMap::new(), own: view.own };
        let mut all = vec![nobody.clone()];
        for subject in subjects {
            let mut next: Vec<(usize, Assignment<'a>)> = Vec::new();
            for so_far in &all {
                let free = candidates.iter().filter(|it| !so_far.has(it)).map(|it| so_far.with(subject, it));
                let with_none = free.chain([so_far.clone()]);
                next.extend(with_none.map(|assignment| (assignment.count(view, asks), assignment)));
            }
            // Stable: of two that meet as many, the first stays first.
            next.sort_by_key(|(met, _)| Reverse(*met));
            next.truncate(MOST);
            all = next.into_iter().map(|(_, assignment)| assignment).collect();
        }
        all.into_iter().next().unwrap_or(nobody)
    }

    /// The same without the processes that meet nothing, and without those of the `strange` that meet no more than half of
    /// what is asked of their subject.
    pub(crate) fn without_strangers(
        mut self,
        view: &View,
        asks: &[Ask],
        strange: &BTreeSet<Subject>,
    ) -> Assignment<'a> {
        let is_nobody = |subject: &str, process: &Process| {
            let own: Vec<_> = asks.iter().filter(|ask| ask.requirement.of == subject).collect();
            let met = own.iter().filter(|ask| self.meets(view, ask)).count();
            met == 0 || (strange.contains(&process.subject) && met * 2 <= own.len())
        };
        let chosen = self.chosen();
        let nobodies: Vec<_> =
            chosen.filter(|(subject, it)| is_nobody(subject, it)).map(|(it, _)| it).collect();
        self.chosen.retain(|subject, _| !nobodies.contains(subject));
        self
    }

    /// The process that is this subject; `None` while there is none.
    pub(crate) fn process(&self, subject: &str) -> Option<&'a Process> {
        self.chosen.get(subject).copied()
    }

    /// Whom the subject's facts are about; `None` while there is no such process.
    pub(crate) fn subject(&self, subject: &str) -> Option<Subject> {
        if subject == THIS_MACHINE || subject == YOU {
            return Some(self.own);
        }
        self.process(subject).map(|process| process.subject)
    }

    /// All subjects that are a process, with it.
    pub(crate) fn chosen(&self) -> impl Iterator<Item = (&'a str, &'a Process)> {
        self.chosen.iter().map(|(subject, process)| (*subject, *process))
    }

    /// Whether `ask` is met.
    pub(crate) fn meets(&self, view: &View, ask: &Ask) -> bool {
        let Some(subject) = self.subject(&ask.requirement.of) else { return false };
        match ask.requirement.expect.other() {
            None => view.is_met(ask, subject, None),
            // What there is nothing to compare with yet is not met.
            Some(other) => self.subject(other).is_some_and(|other| view.is_met(ask, subject, Some(other))),
        }
    }

    fn has(&self, process: &Process) -> bool {
        self.chosen.values().any(|other| other.subject == process.subject)
    }

    fn with(&self, subject: &'a str, process: &'a Process) -> Assignment<'a> {
        let mut with = self.clone();
        with.chosen.insert(subject, process);
        with
    }

    fn count(&self, view: &View, asks: &[Ask]) -> usize {
        asks.iter().filter(|ask| self.meets(view, ask)).count()
    }
}

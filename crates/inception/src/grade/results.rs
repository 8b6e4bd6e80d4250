//! The class: each student's marks and flags.

use std::collections::BTreeMap;

use super::catalogue::Catalogue;
use super::class::Class;
use super::flags::{self, Flag};
use super::marks::{Mark, marks, rounded};
use super::read::Handed;
use crate::handin::Attempt;

/// A student's marks and flags.
#[derive(Debug)]
pub(super) struct Student<'a> {
    pub(super) name: &'a str,
    /// What was handed in; of several, the one that was exported last.
    pub(super) handed: Option<&'a Handed>,
    pub(super) marks: Vec<Mark<'a>>,
    pub(super) flags: Vec<Flag>,
}

impl<'a> Student<'a> {
    /// The sum of all points.
    pub(super) fn points(&self) -> f64 {
        rounded(self.marks.iter().map(|mark| mark.points).sum())
    }

    /// What the sum can be at most.
    pub(super) fn of(&self) -> f64 {
        rounded(self.marks.iter().map(|mark| mark.of).sum())
    }

    /// How many exercises are done.
    pub(super) fn done(&self) -> usize {
        self.marks.iter().filter(|mark| mark.best.is_some()).count()
    }

    /// How many of them late.
    pub(super) fn late(&self) -> usize {
        self.marks.iter().filter_map(|mark| mark.best.as_ref()).filter(|best| best.days_late > 0).count()
    }

    /// How many hints were shown before they were done.
    pub(super) fn hints(&self) -> usize {
        self.marks.iter().filter_map(|mark| mark.best.as_ref()).map(|best| best.hints).sum()
    }

    /// How many solutions were.
    pub(super) fn solutions(&self) -> usize {
        self.marks.iter().filter_map(|mark| mark.best.as_ref()).filter(|best| best.saw_solution).count()
    }

    /// Each attempt, with its exercise.
    pub(super) fn attempts(&self) -> Vec<(&'a str, &'a Attempt)> {
        let works = self.handed.map_or(&[][..], |handed| &handed.it.exercises);
        works.iter().flat_map(|work| work.attempts.iter().map(|it| (work.exercise.as_str(), it))).collect()
    }
}

/// Marks all, in the order of the students' names.
pub(super) fn mark<'a>(handed: &'a [Handed], class: &'a Class, catalogue: &'a Catalogue) -> Vec<Student<'a>> {
    let mut of: BTreeMap<&str, Vec<&Handed>> =
        class.students.iter().map(|name| (name.as_str(), Vec::new())).collect();
    for handed in handed {
        of.entry(&handed.it.student).or_default().push(handed);
    }
    let counting: Vec<&Handed> = of.values().filter_map(|all| latest(all)).collect();
    let mut common = flags::in_common(&counting).into_iter();
    let students = of.into_iter().map(|(name, all)| {
        let handed = latest(&all);
        let marks = marks(handed.map(|handed| &handed.it), class, catalogue);
        let mut flags = Vec::new();
        if let Some(handed) = handed {
            flags = flags::alone(handed, &marks, class, catalogue);
            flags.extend(common.next().unwrap_or_default());
            if all.len() > 1 {
                flags.push(Flag::new(format!("{} hand-ins: the one exported last counts", all.len())));
            }
        } else {
            flags.push(Flag::new("nothing was handed in".into()));
        }
        Student { name, handed, marks, flags }
    });
    students.collect()
}

fn latest<'a>(all: &[&'a Handed]) -> Option<&'a Handed> {
    all.iter().copied().max_by_key(|handed| handed.it.date)
}

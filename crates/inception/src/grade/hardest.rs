//! What the class found hardest.

use std::collections::BTreeMap;

use serde::Serialize;

use super::marks::{Mark, took};
use crate::handin::Attempt;

/// How many requirements are listed.
const LISTED: usize = 12;

/// An exercise, over the whole class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Exercise {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) of: f64,
    /// How many students began it.
    pub(super) begun: usize,
    /// How many did it.
    pub(super) done: usize,
    /// How long it took half of those.
    pub(super) median: Option<String>,
    /// How many hints were shown.
    pub(super) hints: usize,
}

/// A requirement, over the whole class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Requirement {
    pub(super) exercise: String,
    pub(super) name: String,
    /// How many checks found it unmet.
    pub(super) checks: usize,
    /// Of how many students.
    pub(super) students: usize,
    /// How many hints about it were shown.
    pub(super) hints: usize,
}

/// Each exercise, in the order of `marks`, which are those of each student. `attempts` gives all of a student.
pub(super) fn exercises(students: &[Vec<Mark<'_>>], attempts: &[Vec<(&str, &Attempt)>]) -> Vec<Exercise> {
    let Some(first) = students.first() else { return Vec::new() };
    let exercises = first.iter().enumerate().map(|(at, head)| {
        let marks = || students.iter().map(|marks| &marks[at]);
        let mut times: Vec<i64> =
            marks().filter_map(|mark| mark.best.as_ref()).filter_map(|best| took(best.attempt)).collect();
        times.sort_unstable();
        let of_it = attempts.iter().flatten().filter(|(name, _)| *name == head.exercise);
        Exercise {
            name: head.exercise.into(),
            title: head.title.into(),
            of: head.of,
            begun: marks().filter(|mark| mark.attempts > 0).count(),
            done: marks().filter(|mark| mark.best.is_some()).count(),
            median: times.get(times.len().saturating_sub(1) / 2).map(|time| duration(*time)),
            hints: of_it.map(|(_, attempt)| attempt.hints.len()).sum(),
        }
    });
    exercises.collect()
}

/// The requirements that most checks found unmet, the hardest first.
pub(super) fn requirements(attempts: &[Vec<(&str, &Attempt)>]) -> Vec<Requirement> {
    let mut all: BTreeMap<(&str, &str), Requirement> = BTreeMap::new();
    for student in attempts {
        let mut of_this: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for (exercise, attempt) in student {
            for name in attempt.states.iter().flat_map(|state| &state.unmet) {
                *of_this.entry((exercise, name)).or_default() += 1;
            }
            for hint in &attempt.hints {
                let it = all
                    .entry((exercise, &hint.requirement))
                    .or_insert_with(|| none(exercise, &hint.requirement));
                it.hints += 1;
            }
        }
        for ((exercise, name), checks) in of_this {
            let it = all.entry((exercise, name)).or_insert_with(|| none(exercise, name));
            it.checks += checks;
            it.students += 1;
        }
    }
    let mut all: Vec<_> = all.into_values().filter(|it| it.checks > 0).collect();
    all.sort_by(|a, b| (b.checks, b.students, &a.name).cmp(&(a.checks, a.students, &b.name)));
    all.truncate(LISTED);
    all
}

fn none(exercise: &str, name: &str) -> Requirement {
    Requirement { exercise: exercise.into(), name: name.into(), checks: 0, students: 0, hints: 0 }
}

/// `milliseconds` as a person says it.
fn duration(milliseconds: i64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        ..=-1 => "before it began".into(),
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_said_in_its_largest_unit() {
        let said = [-5, 59_999, 120_000, 7_200_000, 200_000_000].map(duration);
        assert_eq!(said, ["0 s", "59 s", "2 min", "2 h", "2 days"]);
        assert_eq!(duration(-5000), "before it began");
    }
}

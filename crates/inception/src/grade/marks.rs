//! What a student gets for each exercise.

use super::catalogue::Catalogue;
use super::class::Class;
use crate::handin::{Attempt, HandIn};

/// What became of one exercise.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mark<'a> {
    pub(super) exercise: &'a str,
    pub(super) title: &'a str,
    /// What it counts.
    pub(super) of: f64,
    pub(super) points: f64,
    /// How often it was begun.
    pub(super) attempts: usize,
    /// The attempt that counts: of those that are done, the one with the most points.
    pub(super) best: Option<Best<'a>>,
    /// The attempt that was begun last, done or not.
    pub(super) last: Option<&'a Attempt>,
}

/// An attempt that is done.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Best<'a> {
    pub(super) attempt: &'a Attempt,
    pub(super) days_late: i64,
    /// The hints that were shown before, in any attempt.
    pub(super) hints: usize,
    /// Whether the solution was shown before, in any attempt.
    pub(super) saw_solution: bool,
    /// What is left of the points, from 0 to 1.
    left: f64,
}

impl Mark<'_> {
    /// Milliseconds from the start of the attempt that counts until it was done.
    pub(super) fn took(&self) -> Option<i64> {
        self.best.as_ref().and_then(|best| took(best.attempt))
    }
}

/// Milliseconds from its start until it was done.
pub(super) fn took(attempt: &Attempt) -> Option<i64> {
    attempt.done.map(|done| (done - attempt.started).num_milliseconds())
}

/// A mark for each exercise that counts, in the order of levels.
pub(super) fn marks<'a>(it: Option<&'a HandIn>, class: &Class, catalogue: &'a Catalogue) -> Vec<Mark<'a>> {
    let mut counting: Vec<_> = catalogue.iter().filter(|(name, _)| class.counts(name)).collect();
    counting.sort_by_key(|(name, about)| (about.level, *name));
    let marks = counting.into_iter().map(|(exercise, about)| {
        let works = it.map_or(&[][..], |it| &it.exercises).iter().filter(|work| work.exercise == *exercise);
        let attempts: Vec<&Attempt> = works.flat_map(|work| &work.attempts).collect();
        let best = best(&attempts, class);
        let of = class.points(exercise, about);
        let points = best.as_ref().map_or(0.0, |best| rounded(of * best.left));
        let last = attempts.last().copied();
        Mark { exercise, title: &about.title, of, points, attempts: attempts.len(), best, last }
    });
    marks.collect()
}

fn best<'a>(attempts: &[&'a Attempt], class: &Class) -> Option<Best<'a>> {
    let mut best: Option<Best<'a>> = None;
    for attempt in attempts {
        let Some(done) = attempt.done else { continue };
        let hints = attempts.iter().flat_map(|it| &it.hints).filter(|hint| hint.time <= done).count();
        let saw_solution = attempts.iter().any(|it| it.solution.is_some_and(|shown| shown <= done));
        let days_late = class.days_late(done);
        let left = class.left(days_late, hints, saw_solution);
        if best.as_ref().is_none_or(|best| left > best.left) {
            best = Some(Best { attempt, days_late, hints, saw_solution, left });
        }
    }
    best
}

/// To a hundredth, as it is shown.
pub(super) fn rounded(points: f64) -> f64 {
    (points * 100.0).round() / 100.0
}

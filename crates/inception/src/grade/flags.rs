//! What a teacher should look at. A flag changes no mark.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use exercise::Seed;

use super::catalogue::Catalogue;
use super::class::Class;
use super::marks::{Mark, took};
use super::read::Handed;
use crate::handin::Attempt;

/// So many events at the same moments, in half of the smaller log, are no coincidence.
const SAME_MOMENTS: usize = 4;

/// What a teacher should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flag {
    pub(super) text: String,
    /// Whether it names another student, whom it is no business of.
    pub(super) names_another: bool,
}

impl Flag {
    pub(super) fn new(text: String) -> Flag {
        Flag { text, names_another: false }
    }

    fn about_another(text: String) -> Flag {
        Flag { text, names_another: true }
    }
}

/// What can be said of a hand-in without the others.
pub(super) fn alone(handed: &Handed, marks: &[Mark<'_>], class: &Class, catalogue: &Catalogue) -> Vec<Flag> {
    let it = &handed.it;
    let mut flags = Vec::new();
    if let Some(word) = class.class.as_ref().filter(|word| **word != it.class) {
        flags.push(Flag::new(format!("class {:?}, not {word:?}", it.class)));
    }
    if !class.students.is_empty() && !class.students.contains(&it.student) {
        flags.push(Flag::new("not on the list of students".into()));
    }
    for mark in marks {
        if let Some(best) = mark.best.as_ref().filter(|best| best.days_late > 0) {
            let days = if best.days_late == 1 { "1 day".into() } else { format!("{} days", best.days_late) };
            flags.push(Flag::new(format!("{}: {days} late", mark.exercise)));
        }
    }
    for work in &it.exercises {
        let name = &work.exercise;
        let Some(about) = catalogue.get(name) else {
            flags.push(Flag::new(format!("{name}: no exercise that is known here")));
            continue;
        };
        for attempt in &work.attempts {
            let own = Seed::of(&it.student, &it.class, name, attempt.attempt).to_string();
            let what = at_odds(attempt, &own, class.least_seconds(name, about));
            flags.extend(
                what.into_iter()
                    .map(|what| Flag::new(format!("{name}, attempt {}: {what}", attempt.attempt))),
            );
        }
    }
    flags
}

/// What cannot be right about an attempt.
fn at_odds(attempt: &Attempt, seed: &str, least_seconds: f64) -> Vec<String> {
    let mut what = Vec::new();
    if attempt.seed != seed {
        what.push("a seed that is not this student's".into());
    }
    match took(attempt) {
        Some(took) if took < 0 => what.push("done before it was started".into()),
        // Days of milliseconds are far below what a double holds exactly.
        Some(took) if (took as f64) < least_seconds * 1000.0 => {
            what.push(format!("done in {:.1} s, and {least_seconds} s is the least", took as f64 / 1000.0));
        }
        _ => {}
    }
    what
}

/// What two hand-ins have in common, for each of them, in their order.
pub(super) fn in_common(handed: &[&Handed]) -> Vec<Vec<Flag>> {
    let mut flags = vec![Vec::new(); handed.len()];
    let moments: Vec<_> = handed.iter().map(|it| moments(it)).collect();
    let seeds: Vec<_> = handed.iter().map(|it| seeds(it)).collect();
    for (one, other) in
        (0..handed.len()).flat_map(|one| (one + 1..handed.len()).map(move |other| (one, other)))
    {
        let same = seeds[one].keys().filter(|seed| seeds[other].contains_key(*seed));
        let mut what: BTreeSet<String> =
            same.map(|seed| format!("{}: the same seed as", seeds[one][seed])).collect();
        let shared = moments[one].intersection(&moments[other]).count();
        if shared >= SAME_MOMENTS && shared * 2 >= moments[one].len().min(moments[other].len()) {
            what.insert(format!("{shared} events at the same times as"));
        }
        for what in what {
            for (of, with) in [(one, other), (other, one)] {
                let text = format!("{what} {}", handed[with].it.student);
                flags[of].push(Flag::about_another(text));
            }
        }
    }
    flags
}

/// The exercises, by the seeds of their attempts.
fn seeds(handed: &Handed) -> BTreeMap<&str, &str> {
    let works = handed.it.exercises.iter();
    works.flat_map(|work| work.attempts.iter().map(|it| (it.seed.as_str(), work.exercise.as_str()))).collect()
}

/// What happened when: of two people no two logs have the same. When an exercise was done is when it was checked.
fn moments(handed: &Handed) -> BTreeSet<(&str, &'static str, DateTime<Utc>)> {
    let mut all = BTreeSet::new();
    for work in &handed.it.exercises {
        let name = work.exercise.as_str();
        for attempt in &work.attempts {
            all.insert((name, "started", attempt.started));
            all.extend(attempt.states.iter().map(|state| (name, "checked", state.time)));
            all.extend(attempt.hints.iter().map(|hint| (name, "hint", hint.time)));
        }
    }
    all
}

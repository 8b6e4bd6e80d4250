//! What can be said of a file before anything is typed: whether its texts fit, and whether all of it is used.

use exercise::Exercise;

use crate::demos;

/// What fits a list, in characters.
const TITLE: usize = 50;
/// What fits a screen, in lines.
const TASK: usize = 8;
/// As the task, beside which it stands when the exercise is done.
const EXPLANATION: usize = 6;
/// From the idea to the command.
const HINTS: std::ops::RangeInclusive<usize> = 1..=3;

/// What is wrong, a line each.
pub(super) fn faults(exercise: &Exercise) -> Vec<String> {
    let mut faults = Vec::new();
    let mut too_long = |what: &str, has: usize, fits: usize, unit: &str| {
        if has > fits {
            faults.push(format!("{what} has {has} {unit}; {fits} fit"));
        }
    };
    too_long("title", exercise.title.chars().count(), TITLE, "characters");
    too_long("task", exercise.task.trim().lines().count(), TASK, "lines");
    too_long("explanation", exercise.explanation.trim().lines().count(), EXPLANATION, "lines");
    if !demos::ALL.iter().any(|demo| demo.name == exercise.lesson) {
        faults.push(format!("lesson {:?} is no experiment: inception list shows them", exercise.lesson));
    }
    for requirement in &exercise.requirements {
        let hints = requirement.hints.len();
        if !HINTS.contains(&hints) {
            faults.push(format!("{} has {hints} hints; write 1 to 3", requirement.name));
        }
    }
    for value in exercise.values.keys() {
        let stands = format!("{{{value}}}");
        let is_asked = exercise.task.contains(&stands)
            || exercise
                .requirements
                .iter()
                .any(|it| format!("{:?} {}", it.expect, it.fact).contains(&stands));
        if !is_asked {
            faults.push(format!("the value {value} stands in no task and in no requirement"));
        }
    }
    faults
}

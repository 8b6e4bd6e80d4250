//! What is said to a student about an exercise.

use ns_core::printable;

use super::marks::Mark;

/// Why an exercise has the points that it has, a line each.
pub(super) fn why(mark: &Mark<'_>) -> Vec<String> {
    let Some(best) = &mark.best else { return undone(mark) };
    let mut lines = vec![format!("done in attempt {}", best.attempt.attempt)];
    if best.days_late > 0 {
        lines.push(format!("late; days begun: {}", best.days_late));
    }
    if best.hints > 0 {
        lines.push(format!("hints shown before: {}", best.hints));
    }
    if best.saw_solution {
        lines.push("the solution was shown before".into());
    }
    lines
}

fn undone(mark: &Mark<'_>) -> Vec<String> {
    let Some(attempt) = mark.last else { return vec!["not begun".into()] };
    let Some(state) = attempt.states.last() else { return vec!["begun, and never checked".into()] };
    let mut lines = vec![format!("not met: {}", printable(&state.unmet.join(", ")))];
    lines.extend(state.said.iter().map(|sentence| printable(sentence)));
    lines
}

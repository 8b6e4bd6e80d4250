//! What is said of a negative control, in which both arms lack the factor.

use owo_colors::Style;

use super::tone;

/// What stands above it.
pub(super) const NEGATIVE_CONTROL: &str = "Negative control: both arms lack the factor. No claim may hold.";

/// What is said of a claim that holds all the same.
pub(super) fn proves_nothing(id: &str) -> String {
    format!("{id} holds without its factor: it proves nothing.")
}

/// The last line of a negative control in which `judged` claims were judged and `held` of them hold, and its style.
pub fn negative_control(judged: usize, held: usize) -> (String, Style) {
    match (judged, held) {
        (0, _) => ("Nothing could be asked.".into(), tone::strong()),
        (_, 0) => {
            (format!("None of {judged} claims holds without its factor: as it should be."), tone::good())
        }
        (_, 1) => (format!("1 of {judged} claims HOLDS without its factor."), tone::bad()),
        _ => (format!("{held} of {judged} claims HOLD without their factor."), tone::bad()),
    }
}

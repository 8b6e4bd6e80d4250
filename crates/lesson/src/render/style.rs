//! Words in colour.

use owo_colors::{OwoColorize, Style};

/// Text in a style.
pub(super) fn styled(text: &str, style: Style) -> String {
    text.style(style).to_string()
}

/// Styles each line on its own, so that a pager that cuts lines keeps them whole.
pub(super) fn styled_lines(text: &str, style: Style) -> String {
    text.lines().map(|line| styled(line, style) + "\n").collect()
}

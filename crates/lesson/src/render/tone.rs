//! The colours. Each is distinct on white and on black: its contrast with either is at least 4.5 to 1 (WCAG 2, success
//! criterion 1.4.3). No colour of a terminal's sixteen promises that. So they come from the fixed part of the 256.

use owo_colors::{Style, XtermColors};
use transcript::Verdict;

/// As it should be.
pub const GREEN: u8 = 29;
/// What needs a reader's eye.
pub const RED: u8 = 131;
/// Refuted, as expected.
pub const MAGENTA: u8 = 163;
/// Headings, and what is asked of the reader.
pub const BLUE: u8 = 63;
/// What is typed.
pub const VIOLET: u8 = 98;
/// What matters less.
pub const GREY: u8 = 243;

/// As it should be.
pub fn good() -> Style {
    coloured(GREEN).bold()
}

/// What needs a reader's eye: it is not as it should be.
pub fn bad() -> Style {
    coloured(RED).bold()
}

/// A sentence that is not so, as expected.
pub fn refuted() -> Style {
    coloured(MAGENTA).bold()
}

/// What could not be asked, and what is asked of the reader.
pub fn note() -> Style {
    coloured(BLUE).bold()
}

/// A verdict.
pub(super) fn of(verdict: Verdict, expected: bool) -> Style {
    match verdict {
        _ if !expected => bad(),
        Verdict::Holds => good(),
        Verdict::Refuted => refuted(),
        Verdict::Inconclusive | Verdict::Skipped => note(),
    }
}

/// What a part of a text begins with.
pub fn heading() -> Style {
    coloured(BLUE).bold()
}

/// What is typed, in words that are `within` a style.
pub fn code(within: Style) -> Style {
    within.color(XtermColors::from(VIOLET))
}

/// What matters.
pub fn strong() -> Style {
    Style::new().bold()
}

/// What matters less.
pub fn faint() -> Style {
    coloured(GREY)
}

fn coloured(number: u8) -> Style {
    Style::new().color(XtermColors::from(number))
}

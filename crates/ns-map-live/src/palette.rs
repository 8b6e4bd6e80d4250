//! The colours of the screen: those of all programs here, which are distinct on white and on black.

use lesson::render::tone;
use ratatui::style::{Color, Style};

use crate::news::Mark;

/// The colours, or none where none are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Palette {
    pub(crate) coloured: bool,
}

impl Palette {
    /// What stands above others, and keys.
    pub(crate) fn heading(self) -> Style {
        self.of(tone::BLUE).bold()
    }

    /// What matters less.
    pub(crate) fn faint(self) -> Style {
        self.of(tone::GREY)
    }

    /// What is typed.
    pub(crate) fn typed(self) -> Style {
        self.of(tone::VIOLET)
    }

    /// What needs a reader's eye.
    pub(crate) fn bad(self) -> Style {
        self.of(tone::RED).bold()
    }

    /// A namespace with this mark. The mark itself is a sign beside it.
    pub(crate) fn marked(self, mark: Mark) -> Style {
        match mark {
            Mark::New => self.of(tone::GREEN).bold(),
            Mark::Changed => self.of(tone::MAGENTA).bold(),
            Mark::Gone => self.of(tone::RED),
        }
    }

    fn of(self, number: u8) -> Style {
        if self.coloured { Style::new().fg(Color::Indexed(number)) } else { Style::new() }
    }
}

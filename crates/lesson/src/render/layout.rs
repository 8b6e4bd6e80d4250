//! How wide text is, and whether it has tables.

use super::grid::{grid, listed};
use super::lines::wrap;
use super::plain::in_ascii;

/// How text is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// How many columns there are.
    pub width: usize,
    /// One fact a line, without tables and in ASCII: for screen readers, and terminals that lack our characters.
    pub plain: bool,
}

impl Layout {
    /// Rows under their `heads`: a table as [`grid`] draws it, or in plain text a line for each cell.
    pub fn table(self, heads: &[&str], rows: &[Vec<String>]) -> String {
        if self.plain { listed(heads, rows, self.width) } else { grid(heads, rows, self.width) }
    }

    /// Text of ours: in plain text, in ASCII.
    pub fn words(self, text: &str) -> String {
        if self.plain { in_ascii(text) } else { text.into() }
    }

    /// As [`wrap`], of [`Layout::words`].
    pub fn wrap(self, text: &str, first: &str, rest: &str) -> String {
        wrap(&self.words(text), self.width, first, rest)
    }
}

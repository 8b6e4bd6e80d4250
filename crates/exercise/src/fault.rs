//! What is wrong with an exercise's file.

use std::fmt;

use ns_core::printable;

/// What is wrong, where, and what helps: one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: String,
    /// Its line, counted from 1, where it is one line's fault.
    pub line: Option<usize>,
    /// What is wrong, and what helps.
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { file, line, why } = self;
        // What a file says stands in it, as it is or not.
        let why = printable(why);
        match line {
            Some(line) => write!(f, "{file}, line {line}: {why}"),
            None => write!(f, "{file}: {why}"),
        }
    }
}

impl std::error::Error for Fault {}

/// The line of `text` that the byte `at` is in, counted from 1.
pub(crate) fn line_at(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

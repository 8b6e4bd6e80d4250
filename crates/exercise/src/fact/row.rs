//! A fact as data: how it is written, what it reads, and how it is looked at.

use ns_core::Result;
use wake::Subject;

use super::arguments::Arguments;
use crate::seen::Seen;

/// What sort of value a fact reads, and so what it can be compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Text: `is`, `is_not`, `contains`.
    Text,
    /// A number: `is`, `is_not`, `at_least`, `at_most`.
    Number,
    /// Text that may be a number, such as that of an interface file. Where it is one, it is read as [`Reads::Number`].
    Either,
    /// Yes or no: `is`, `is_not`.
    Flag,
    /// Words without an order: `has`, `lacks`, and `is` with `none` or `all`.
    Set,
    /// A namespace: `new`, `same_as`, `differs_from`.
    Namespace,
}

/// A fact that there is.
#[derive(Debug)]
pub(super) struct Row {
    /// How it is written. Words in capitals and words with `|` between them are variable.
    pub(super) form: &'static str,
    /// The sort of value.
    pub(super) reads: Reads,
    /// What the value is, for authors of exercises.
    pub(super) about: &'static str,
    /// Where the kernel's rule is written down.
    pub(super) source: &'static str,
    /// What is said of a process: with a value, and without. Of a [`Reads::Flag`]: if yes, and if no. `{}` stands for the
    /// value, `{1}` and `{2}` for the variable words.
    pub(super) says: [&'static str; 2],
    /// Reads it.
    pub(super) see: fn(Subject, &Arguments) -> Result<Seen>,
}

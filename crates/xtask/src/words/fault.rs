//! What is wrong with a text.

use std::fmt;

/// A fault, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fault {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) what: String,
    pub(super) remedy: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { file, line, what, remedy } = self;
        write!(to, "{file}:{line}: {what}; {remedy}")
    }
}

/// A text in one line, cut to its beginning.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 100;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() <= MOST {
        return words;
    }
    format!("{}…", words.chars().take(MOST).collect::<String>())
}

//! What a file gives in the place of a form's variable words.

use std::path::Path;

use ns_core::{Error, Kind, Result};

/// The words that stand for the variable ones of a form, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Arguments(Vec<String>);

impl Arguments {
    pub(super) fn new(words: Vec<String>) -> Arguments {
        Arguments(words)
    }

    pub(super) fn words(&self) -> &[String] {
        &self.0
    }

    /// The first.
    pub(super) fn first(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// The last, as a path: as mountinfo has it, without a slash at its end.
    pub(super) fn path(&self) -> &Path {
        let path = self.0.last().map_or("", String::as_str);
        Path::new(Some(path.trim_end_matches('/')).filter(|it| !it.is_empty()).unwrap_or("/"))
    }

    /// The first, as a kind of namespace.
    ///
    /// # Errors
    /// When it is none, which a form with KIND does not take.
    pub(super) fn kind(&self) -> Result<Kind> {
        let word = self.first();
        Kind::from_link(word).ok_or_else(|| Error::Input(format!("'{word}' is no kind of namespace")))
    }
}

//! Words as they are typed in a shell.

use std::borrow::Cow;
use std::ffi::OsString;

/// A command line as it is typed.
pub(crate) fn typed(words: &[OsString]) -> String {
    let words = words.iter().map(|word| word.to_string_lossy());
    words.map(|word| quoted(&word)).collect::<Vec<_>>().join(" ")
}

/// A word as it is typed in a shell.
pub(crate) fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| "''".into(), Cow::into_owned)
}

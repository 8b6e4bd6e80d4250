//! Texts as system calls take them.

use std::ffi::{CString, OsStr};

use crate::error::{Error, Result};

/// A text as system calls take it: with a NUL at its end.
///
/// # Errors
/// [`Error::Input`] where it has one before.
pub fn c_string(text: impl AsRef<OsStr>) -> Result<CString> {
    let text = text.as_ref();
    CString::new(text.as_encoded_bytes()).map_err(|_| Error::Input(format!("{text:?} has a NUL")))
}

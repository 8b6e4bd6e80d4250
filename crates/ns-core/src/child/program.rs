//! A child that becomes another program.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::path::Path;

use nix::unistd::execv;

use crate::error::{Named, Result};
use crate::{signals, sys};

/// Becomes `program`, which gets `words`, its own name first. To be called by a child: it is armed to die with its
/// parent, and execve(2) leaves that so for who gets no capability by it (prctl(2)).
///
/// # Errors
/// Those of execve(2); [`crate::Error::Input`] for a word with a NUL. Otherwise it does not return.
pub fn become_program<W: AsRef<OsStr>>(
    program: &Path,
    words: impl IntoIterator<Item = W>,
) -> Result<Infallible> {
    let path = sys::c_string(program)?;
    let words = words.into_iter().map(sys::c_string).collect::<Result<Vec<_>>>()?;
    signals::reset_ignored()?;
    execv(&path, &words).named(|| format!("execve({path:?})"))
}

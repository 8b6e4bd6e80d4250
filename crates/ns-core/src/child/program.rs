//! A child that becomes another program.

use std::convert::Infallible;
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::sys::signal::Signal;
use nix::unistd::execv;

use crate::error::{Error, Named, Result};
use crate::signals;

/// Becomes `program`, which is told `words`, its own name first. To be called by a child: it is armed to die with its
/// parent, and execve(2) leaves that so for who gets no capability by it (prctl(2)).
///
/// # Errors
/// Those of execve(2); [`Error::Input`] for a word with a NUL. Otherwise it does not return.
pub fn become_program<W: AsRef<OsStr>>(
    program: &Path,
    words: impl IntoIterator<Item = W>,
) -> Result<Infallible> {
    let c_string =
        |word: &OsStr| CString::new(word.as_bytes()).map_err(|_| Error::Input(format!("{word:?} has a NUL")));
    let path = c_string(program.as_os_str())?;
    let words = words.into_iter().map(|word| c_string(word.as_ref())).collect::<Result<Vec<_>>>()?;
    // Rust ignores it for its own programs, and execve(2) would pass that on.
    signals::reset(Signal::SIGPIPE)?;
    execv(&path, &words).named(|| format!("execve({path:?})"))
}

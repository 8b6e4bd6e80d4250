//! Whether this machine is thrown away after, so that all of it may be changed.

use std::fs;

use super::is_chrooted;
use crate::error::{Error, Named, Result};
use crate::unmet::Unmet;

/// What the kernel's command line says of a machine that is thrown away.
const THROW_AWAY: &str = "inception.throwaway";

/// Whether this machine may be put to sleep, deprived of its settings, and broken: one that is thrown away after. It
/// says so on its kernel's command line, since that is not said by mistake; and cannot be said at all in a container.
/// `None` if so.
///
/// # Errors
/// When /proc is no procfs.
pub fn throw_away() -> Result<Option<Unmet>> {
    let line = fs::read_to_string("/proc/cmdline").named(|| "cat /proc/cmdline".into())?;
    let is_one = line.split_whitespace().any(|word| word == THROW_AWAY) && !is_chrooted();
    Ok((!is_one).then_some(Unmet::Expendable))
}

/// For a call that may only be made where nothing is lacking.
///
/// # Errors
/// [`Error::Unmet`] with what is.
pub fn require(unmet: Option<Unmet>) -> Result<()> {
    unmet.map_or(Ok(()), |unmet| Err(Error::Unmet(unmet)))
}

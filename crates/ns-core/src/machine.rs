//! Settings of a whole machine: only for one that is thrown away ([`probe::throw_away`]).
//!
//! proc_sys(5)

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Named, Result};
use crate::probe::{self, Unmet};

/// What the caller lacks to write the setting `path` (as `/proc/sys/kernel/pid_max`) of this machine. `None` if nothing.
///
/// # Errors
/// When /proc is no procfs.
pub fn changeable(path: &str) -> Result<Option<Unmet>> {
    if let Some(missing) = probe::throw_away()? {
        return Ok(Some(missing));
    }
    if !Path::new(path).exists() {
        return Ok(Some(Unmet::File(path.into())));
    }
    let writable = fs::OpenOptions::new().write(true).open(path).is_ok();
    Ok((!writable).then(|| Unmet::Write(path.into())))
}

/// A setting of this machine that is changed until this is dropped.
#[derive(Debug)]
#[must_use = "dropped, the setting is what it was"]
pub struct Setting {
    path: PathBuf,
    before: String,
}

impl Setting {
    /// Writes `value` to `path`, a file of /proc/sys. Of a machine that is killed meanwhile nothing is set back.
    ///
    /// # Errors
    /// [`crate::Error::Unmet`] for a machine that is not to be thrown away; EINVAL, EPERM as the file has it.
    pub fn change(path: &str, value: &str) -> Result<Setting> {
        probe::require(changeable(path)?)?;
        let before = fs::read_to_string(path).named(|| format!("cat {path}"))?;
        fs::write(path, value).named(|| format!("write(\"{path}\", \"{value}\")"))?;
        Ok(Setting { path: path.into(), before })
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        // Nothing could be done about a failure, and the machine is thrown away.
        let _ = fs::write(&self.path, &self.before);
    }
}

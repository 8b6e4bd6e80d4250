//! What changes a whole machine: only for one that is thrown away ([`probe::throw_away`]).
//!
//! proc_sys(5), rtc(4), Documentation/admin-guide/pm/sleep-states.rst of the kernel.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Named, Result};
use crate::probe::{self, Missing};

const STATE: &str = "/sys/power/state";
const ALARM: &str = "/sys/class/rtc/rtc0/wakealarm";

/// What the caller lacks to write the setting `path` (as `/proc/sys/kernel/pid_max`) of this machine. `None` if nothing.
///
/// # Errors
/// When /proc is no procfs.
pub fn changeable(path: &str) -> Result<Option<Missing>> {
    if let Some(missing) = probe::throw_away()? {
        return Ok(Some(missing));
    }
    if !Path::new(path).exists() {
        return Ok(Some(Missing::new(format!("this kernel has no {path}"), "run one that has it")));
    }
    let writable = fs::OpenOptions::new().write(true).open(path).is_ok();
    Ok((!writable).then(|| Missing::new(format!("leave to write {path}"), "run as root: sudo …")))
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
    /// [`crate::Error::Input`] for a machine that is not to be thrown away; EINVAL, EPERM as the file has it.
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

/// What this machine or the caller lacks to suspend it to RAM. `None` if nothing.
///
/// # Errors
/// When /proc is no procfs.
pub fn suspendable() -> Result<Option<Missing>> {
    let knows = fs::read_to_string(STATE).is_ok_and(|states| states.split_whitespace().any(|it| it == "mem"));
    Ok(match changeable(STATE)? {
        None if !knows => Some(Missing::new("a machine that can be suspended to RAM", "run it in another")),
        missing => missing,
    })
}

/// Suspends the machine to RAM, and returns when it was woken: by whoever does that here, or by its own clock after
/// `at_most`, so that it does not sleep for ever.
///
/// # Errors
/// [`crate::Error::Input`] for a machine that is not to be thrown away; EBUSY when a device or a task will not sleep.
pub fn suspend_to_ram(at_most: Duration) -> Result<()> {
    probe::require(suspendable()?)?;
    // A machine without such a clock is woken by others alone. An alarm that is set has to be cleared before another is.
    let set_alarm = |when: &str| fs::write(ALARM, when).is_ok();
    let set = set_alarm("0") && set_alarm(&format!("+{}", at_most.as_secs()));
    let woken = fs::write(STATE, "mem").named(|| format!("write(\"{STATE}\", \"mem\")"));
    if set {
        set_alarm("0");
    }
    woken
}

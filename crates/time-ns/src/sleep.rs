//! Suspends the machine to RAM, but only one that may be thrown away ([`probe::throw_away`]).
//!
//! rtc(4), Documentation/admin-guide/pm/sleep-states.rst of the kernel.

use std::fs;
use std::time::Duration;

use ns_core::probe::{self, Unmet};
use ns_core::{Named, Result, machine};

const STATE: &str = "/sys/power/state";
const ALARM: &str = "/sys/class/rtc/rtc0/wakealarm";

/// What this machine or the caller lacks to suspend it to RAM. `None` if nothing.
///
/// # Errors
/// When /proc is no procfs.
pub(crate) fn suspendable() -> Result<Option<Unmet>> {
    let knows = fs::read_to_string(STATE).is_ok_and(|states| states.split_whitespace().any(|it| it == "mem"));
    Ok(match machine::changeable(STATE)? {
        None if !knows => Some(Unmet::new("a machine that can be suspended to RAM", "run on such a machine")),
        missing => missing,
    })
}

/// Suspends the machine to RAM, and returns when it wakes. Its real-time clock wakes it after `at_most`, if nothing
/// does so before.
///
/// # Errors
/// [`ns_core::Error::Unmet`] for a machine that must not be thrown away; EBUSY when a device or a task cannot be
/// suspended.
pub(crate) fn suspend_to_ram(at_most: Duration) -> Result<()> {
    probe::require(suspendable()?)?;
    // Without such a clock, something else must wake the machine. An old alarm must be cleared before a new one is set.
    let set_alarm = |when: &str| fs::write(ALARM, when).is_ok();
    let set = set_alarm("0") && set_alarm(&format!("+{}", at_most.as_secs()));
    let woken = fs::write(STATE, "mem").named(|| format!("write(\"{STATE}\", \"mem\")"));
    if set {
        set_alarm("0");
    }
    woken
}

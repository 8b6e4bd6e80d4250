//! A machine that is suspended to RAM: only one that is thrown away after ([`probe::throw_away`]).
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
        None if !knows => Some(Unmet::new("a machine that can be suspended to RAM", "run it in another")),
        missing => missing,
    })
}

/// Suspends the machine to RAM, and returns when it was woken. Whoever is here wakes it, or its own clock does after
/// `at_most`, so that it does not sleep for ever.
///
/// # Errors
/// [`ns_core::Error::Unmet`] for a machine that is not to be thrown away; EBUSY when a device or a task will not sleep.
pub(crate) fn suspend_to_ram(at_most: Duration) -> Result<()> {
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

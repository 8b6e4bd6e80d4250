//! Processor time. Unlike a clock's, it is the same on a busy machine.

use std::error::Error;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// What this process and those that it waited for have used.
pub(crate) fn processor_time() -> Result<Duration, Box<dyn Error>> {
    let of = |who| -> Result<Duration, Box<dyn Error>> {
        let used = getrusage(who)?;
        let (user, system) = (used.user_time(), used.system_time());
        let microseconds = u64::try_from((user + system).num_microseconds())?;
        Ok(Duration::from_micros(microseconds))
    };
    Ok(of(UsageWho::RUSAGE_SELF)? + of(UsageWho::RUSAGE_CHILDREN)?)
}

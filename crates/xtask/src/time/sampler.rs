//! A run during which all its threads are looked at, again and again.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::account::{Moment, Processor};
use super::{look, plain};

/// From the end of a look to the next. A look takes about as long.
const PAUSE: Duration = Duration::from_micros(300);

/// What was seen in a run.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) moments: Vec<Moment>,
    pub(super) processor: Processor,
    /// The milliseconds that the run took.
    pub(super) wall: f64,
}

/// Watches a run.
///
/// # Errors
/// Those of [`plain::run`].
pub(super) fn watch(words: &[OsString]) -> Result<Watched> {
    let began = Instant::now();
    let mut child = plain::start(words)?;
    let pid = Pid::from_child(&child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).context("pidfd_open()")?;
    let mut moments = Vec::new();
    // What a thread has run so far; its last answer counts.
    let mut processor = BTreeMap::new();
    let mut at = began;
    let mut has_ended = false;
    while !has_ended {
        let tasks = look::descendants();
        processor.extend(tasks.iter().filter_map(|task| Some((task.tid, task.processor?))));
        has_ended = ends_within(PAUSE, &pidfd)?;
        let now = Instant::now();
        // Where all have ended, this process does not know it yet.
        if tasks.iter().any(|task| !matches!(task.state, 'Z' | 'X')) {
            moments.push(Moment { tasks, lasts: now - at });
        }
        at = now;
    }
    let wall = began.elapsed().as_secs_f64() * 1000.0;
    plain::ended(words, residue::wait_as_init(&mut child)?)?;
    let sum = |of: fn(&(u64, u64)) -> u64| processor.values().map(of).sum();
    Ok(Watched { moments, processor: Processor { ran: sum(|it| it.0), queued: sum(|it| it.1) }, wall })
}

/// Whether the process has ended, at the latest after `pause`.
fn ends_within(pause: Duration, pidfd: &impl AsFd) -> Result<bool> {
    let mut polled = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    match ppoll(&mut polled, Some(pause.into()), None) {
        Err(Errno::EINTR) => Ok(false),
        count => Ok(count.context("ppoll()")? > 0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::kind;
    use super::*;

    #[test]
    fn a_program_that_sleeps_is_seen_to_sleep() {
        let words = ["sleep", "0.2"].map(OsString::from);
        let Watched { moments, wall, .. } = watch(&words).unwrap();
        assert!(wall >= 200.0, "{wall}");
        // Other tests have children at the same time.
        let mut seen = moments.iter().flat_map(|moment| &moment.tasks).map(|task| kind::of(task).words);
        assert!(seen.any(|words| words == "waits for a time to pass: nanosleep()"));
    }
}

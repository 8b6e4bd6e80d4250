//! Every wait ends: on its event, or at its deadline.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollTimeout, poll};

use crate::error::{Error, Named, Result};

/// How long anything is waited for. An idle machine answers in microseconds, an emulated one in seconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a child waits where people decide when its parent goes on: longer than any lesson.
const LESSON: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether people decide when an experiment goes on.
static AT_PEOPLES_PACE: AtomicBool = AtomicBool::new(false);
/// Whether this process is a child, which waits for its parent.
static IN_A_CHILD: AtomicBool = AtomicBool::new(false);

/// From here on this process may stop between two steps for as long as it likes: the children that it makes wait for
/// it all day. Its own waits end as before, and with them a child that hangs.
pub fn take_all_day() {
    AT_PEOPLES_PACE.store(true, Ordering::Relaxed);
}

/// Whether [`take_all_day`] was called, here or before this process was made.
pub(crate) fn takes_all_day() -> bool {
    AT_PEOPLES_PACE.load(Ordering::Relaxed)
}

/// For a child at its birth.
pub(crate) fn in_a_child() {
    IN_A_CHILD.store(true, Ordering::Relaxed);
}

fn patience() -> Duration {
    if takes_all_day() && IN_A_CHILD.load(Ordering::Relaxed) { LESSON } else { PATIENCE }
}

/// A moment after which a wait gives up.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// Ten seconds from now; in a child of a process that takes all day ([`take_all_day`]), a day.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it is another at each moment")]
    pub fn new() -> Deadline {
        Deadline(Instant::now() + patience())
    }

    /// For a wait that is ready time and again, and never done: whether to go on.
    ///
    /// # Errors
    /// [`Error::Deadline`] once it has passed. `what` is named in it.
    pub fn check(self, what: &str) -> Result<()> {
        if Instant::now() < self.0 {
            return Ok(());
        }
        Err(Error::Deadline { what: what.into(), seconds: patience().as_secs() })
    }

    /// Waits until one of `fds` is ready. `what` is named in the error.
    ///
    /// # Errors
    /// [`Error::Deadline`] if none is ready in time.
    pub fn poll(self, fds: &mut [PollFd<'_>], what: &str) -> Result<()> {
        while !poll_until(fds, Some(self.0))? {
            self.check(what)?;
        }
        Ok(())
    }

    /// As [`Deadline::poll`], but comes back, with `false`, when nothing was ready for `at_most`.
    ///
    /// # Errors
    /// [`Error::Deadline`] if none is ready in time.
    pub fn poll_for(self, at_most: Duration, fds: &mut [PollFd<'_>], what: &str) -> Result<bool> {
        let is_ready = poll_until(fds, Some(self.0.min(Instant::now() + at_most)))?;
        if !is_ready {
            self.check(what)?;
        }
        Ok(is_ready)
    }
}

/// Waits until one of `fds` is ready, and says whether one is: `false` at `end`, and `None` waits for ever. A signal that
/// is handled meanwhile does not end it (poll(2), EINTR).
///
/// # Errors
/// None that poll(2) documents for these arguments, but ENOMEM.
pub fn poll_until(fds: &mut [PollFd<'_>], end: Option<Instant>) -> Result<bool> {
    loop {
        let timeout = end.map_or(PollTimeout::NONE, |end| {
            // Rounded up, so that the last fraction of a millisecond is no busy loop.
            let left = end.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        match poll(fds, timeout) {
            Err(Errno::EINTR) => {}
            other => return other.map(|ready| ready > 0).named(|| "poll()".into()),
        }
    }
}

/// Looks again every millisecond until `look` finds something: for what no event reports. `what` is named in the error.
///
/// # Errors
/// Those of `look`; [`Error::Deadline`] if it has found nothing in time.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Deadline::new();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        deadline.poll_for(Duration::from_millis(1), &mut [], what)?;
    }
}

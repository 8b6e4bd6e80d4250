//! The wait itself.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};
use ns_core::{Result, poll_until};

use super::sources::Sources;
use crate::subject::Subject;

/// The tick, if the caller names no other.
const TICK: Duration = Duration::from_millis(100);
/// Between two looks passes as many times what a look took: on a machine where much happens, looks take a sixth of a CPU.
const REST: u32 = 5;

/// Why a wait has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// The kernel reported a change.
    Change,
    /// Time has passed, and something that has no event may have changed.
    Tick,
    /// The descriptor at this place of those that the caller gave is ready.
    Ready(usize),
    /// The caller's deadline has come.
    End,
}

/// Waits until something may have changed.
#[derive(Debug)]
pub struct Wake {
    sources: Sources,
    /// What has no event is found after this time.
    tick: Duration,
    /// When the last wait ended, and the caller's look began.
    ended: Instant,
}

impl Wake {
    /// Begins to listen. What this machine does not offer is left out: [`Wake::listens_to`].
    #[expect(clippy::new_without_default, reason = "it opens descriptors")]
    pub fn new() -> Wake {
        Wake::every(TICK)
    }

    /// The same with another tick than 100 ms, after which what has no event is found.
    pub fn every(tick: Duration) -> Wake {
        Wake { sources: Sources::open(), tick, ended: Instant::now() }
    }

    /// What it listens to, in words, such as `what processes do`. Whatever has no event is found by a tick.
    pub fn listens_to(&self) -> Vec<&'static str> {
        self.sources.in_words()
    }

    /// Listens to the ends of these processes too, to their mounts and their cgroups; no longer to those of before.
    pub fn follow(&mut self, subjects: &[Subject]) {
        self.sources.follow(subjects);
    }

    /// Waits for a change, for one of `also` to be readable, or for `end` (`None`: none); at most for a tick.
    ///
    /// After a look the caller rests: a change ends the wait once five times the look's time has passed, or a tick.
    ///
    /// # Errors
    /// Those of poll(2) and of sockets, of which none is expected.
    pub fn wait(&mut self, also: &[BorrowedFd<'_>], end: Option<Instant>) -> Result<Woken> {
        let began = Instant::now();
        let rested = began + (REST * (began - self.ended)).min(self.tick);
        let tick = began + self.tick;
        let woken = match self.poll(also, earlier(tick, end))? {
            Some(Woken::Change) => match ready(also, Some(earlier(rested, end)))? {
                Some(at) => Woken::Ready(at),
                None => Woken::Change,
            },
            Some(other) => other,
            None => Woken::Tick,
        };
        self.sources.drain()?;
        self.ended = Instant::now();
        let is_over = end.is_some_and(|end| self.ended >= end);
        Ok(if is_over && !matches!(woken, Woken::Ready(_)) { Woken::End } else { woken })
    }

    /// Waits for any descriptor: for one of the caller's first. `None` at `end`.
    fn poll(&mut self, also: &[BorrowedFd<'_>], end: Instant) -> Result<Option<Woken>> {
        loop {
            let mut fds = readable(also);
            fds.extend(self.sources.poll_fds());
            if !poll_until(&mut fds, Some(end))? {
                return Ok(None);
            }
            let ready: Vec<bool> = fds.iter().map(is_ready).collect();
            let (of_caller, of_sources) = ready.split_at(also.len());
            if let Some(at) = of_caller.iter().position(|ready| *ready) {
                return Ok(Some(Woken::Ready(at)));
            }
            if self.sources.has_changed(of_sources)? {
                return Ok(Some(Woken::Change));
            }
        }
    }
}

fn earlier(moment: Instant, end: Option<Instant>) -> Instant {
    end.map_or(moment, |end| end.min(moment))
}

/// Waits for one of `fds`, and says which.
fn ready(fds: &[BorrowedFd<'_>], end: Option<Instant>) -> Result<Option<usize>> {
    let mut fds = readable(fds);
    poll_until(&mut fds, end)?;
    Ok(fds.iter().position(is_ready))
}

fn readable<'a>(fds: &[BorrowedFd<'a>]) -> Vec<PollFd<'a>> {
    fds.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect()
}

fn is_ready(fd: &PollFd<'_>) -> bool {
    fd.any().unwrap_or(false)
}

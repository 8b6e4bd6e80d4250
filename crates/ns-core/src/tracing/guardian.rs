//! The process that traces. It outlives whoever started it, since a filter that stops for a tracer needs one.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::fcntl::OFlag;
use nix::unistd::{Pid, pipe2};

use crate::apart::stand_apart;
use crate::error::{Named, Result};
use crate::{signals, sys};

/// The guardian, as its creator has it.
#[derive(Debug)]
pub struct Guardian {
    /// Its PID.
    pub pid: Pid,
    reports: File,
    stay: OwnedFd,
    pub(super) ready: OwnedFd,
    pub(super) go: OwnedFd,
}

/// What is left to the creator of a guardian that traces.
#[derive(Debug)]
pub struct Listening {
    /// The guardian's PID. It is a child of the caller.
    pub pid: Pid,
    /// What the guardian reports.
    pub reports: File,
    /// While this is open, the guardian takes its creator for a listener.
    pub stay: OwnedFd,
}

impl Guardian {
    /// From here on nothing is launched any more. Whoever waits at the guardian's gate sees it close if the guardian ends.
    pub fn listen(self) -> Listening {
        Listening { pid: self.pid, reports: self.reports, stay: self.stay }
    }
}

/// What the guardian itself has.
#[derive(Debug)]
pub struct Post {
    /// Where it reports.
    pub reports: File,
    /// Hangs up when its creator has gone, or wants to hear no more.
    pub creator: OwnedFd,
    /// Where a program that stands before its execve(2) announces itself.
    pub(super) ready: File,
    /// Where it is let go.
    pub(super) go: File,
}

/// Makes a process that does `body`, in a session of its own, with every signal blocked, and called `ns-trace keeper`.
/// It does not end with its creator.
///
/// # Errors
/// Refused where more than one thread runs; EAGAIN and its like.
pub fn fork_guardian(body: impl FnOnce(Post)) -> Result<Guardian> {
    let pipe = || pipe2(OFlag::O_CLOEXEC).named(|| "pipe()".into());
    let ((reports, write_reports), (creator, stay)) = (pipe()?, pipe()?);
    let ((announced, ready), (go, let_go)) = (pipe()?, pipe()?);
    if let Some(pid) = sys::fork_child()? {
        return Ok(Guardian { pid, reports: reports.into(), stay, ready, go });
    }
    let keep = [&write_reports, &creator, &announced, &let_go].map(AsRawFd::as_raw_fd);
    let post = Post { reports: write_reports.into(), creator, ready: announced.into(), go: let_go.into() };
    // Those of the creator, by their own hands: what closes all others does not own them.
    drop((reports, stay, ready, go));
    // Unwinding any further would run the destructors of the process that we were forked from.
    let lived = catch_unwind(AssertUnwindSafe(|| {
        if signals::block_all().and_then(|()| stand_apart(c"ns-trace keeper", &keep)).is_ok() {
            body(post);
        }
    }));
    sys::exit_now(if lived.is_ok() { 0 } else { 1 })
}

//! What several kills at once share: who started whom, so that none takes another's process for an orphan.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use residue::{Process, Token, of_run};

/// Those whom we have started and not waited for.
#[derive(Debug, Default)]
pub(super) struct Lanes(Mutex<BTreeSet<i32>>);

/// A process that we have started.
#[derive(Debug)]
pub(super) struct Started<'a> {
    lanes: &'a Lanes,
    child: Child,
    pidfd: OwnedFd,
}

impl Lanes {
    fn own(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a command that nobody talks with; what it complains of goes to `complaints`.
    ///
    /// # Errors
    /// Those of fork(2) and execve(2).
    pub(super) fn start(&self, command: &mut Command, complaints: Option<File>) -> Result<Started<'_>> {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(complaints.map_or_else(Stdio::null, Stdio::from));
        let mut own = self.own();
        let child = command
            .spawn()
            .with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))?;
        own.insert(pid_of(&child));
        drop(own);
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).context("pidfd_open()")?;
        Ok(Started { lanes: self, child, pidfd })
    }

    /// What is left of a run; see [`of_run`]. Nobody starts a process meanwhile, which would be taken for an orphan.
    pub(super) fn left_of(&self, token: &Token) -> Vec<Process> {
        let own = self.own();
        of_run(token, &own.iter().copied().collect::<Vec<_>>())
    }
}

impl Started<'_> {
    pub(super) fn pid(&self) -> i32 {
        pid_of(&self.child)
    }

    /// Waits until it has ended, or for so long. Whether it has.
    ///
    /// # Errors
    /// Those of ppoll(2).
    pub(super) fn ends_within(&self, time: Duration) -> Result<bool> {
        let end = Instant::now() + time;
        loop {
            let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
            let left = TimeSpec::from_duration(end.saturating_duration_since(Instant::now()));
            match ppoll(&mut fds, Some(left), None) {
                Ok(0) => return Ok(false),
                Ok(_) => return Ok(true),
                Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(errno).context("ppoll()"),
            }
        }
    }

    /// How it ended; it has ended.
    ///
    /// # Errors
    /// Those of wait4(2).
    pub(super) fn status(mut self) -> Result<ExitStatus> {
        let mut own = self.lanes.own();
        let status = self.child.wait().context("wait4()")?;
        own.remove(&pid_of(&self.child));
        Ok(status)
    }
}

fn pid_of(child: &Child) -> i32 {
    Pid::from_child(child).as_raw_nonzero().get()
}

//! A child, as its parent has it.

use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use observation::{ExitStatus, Outcome};
use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::deadline::{Deadline, poll_until};
use crate::error::{Error, Named, Result};
use crate::tether::ParentOnlyFd;

/// How long a dropped child that cannot be killed has to end by itself: it does once its checkpoint is closed.
const FAREWELL: Duration = Duration::from_secs(1);

/// A child of ours. Dropping it kills it.
#[derive(Debug)]
pub struct Child {
    pub(super) label: String,
    pub(super) pid: Pid,
    pub(super) pidfd: ParentOnlyFd,
    /// The reading end of the pipe that it reports to.
    pub(super) reports: ParentOnlyFd,
    /// The writing end of its checkpoint; `None` once it is dropped.
    checkpoint: Option<ParentOnlyFd>,
    /// What was read from the pipe and is no whole line yet, or was not asked for.
    pub(super) unread: RefCell<Vec<u8>>,
    pub(super) hung_up: bool,
    pub(super) status: Option<ExitStatus>,
}

impl Child {
    pub(super) fn new(
        label: String,
        pid: Pid,
        pidfd: ParentOnlyFd,
        reports: ParentOnlyFd,
        checkpoint: ParentOnlyFd,
    ) -> Child {
        Child {
            label,
            pid,
            pidfd,
            reports,
            checkpoint: Some(checkpoint),
            unread: RefCell::default(),
            hung_up: false,
            status: None,
        }
    }

    /// What it is called.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Its process ID in our PID namespace.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Its pidfd, which stays its own when the PID is used again.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// What can be read when it has reported something that is not received yet, or has closed its pipe: for a wait
    /// among others. What is received already is not counted ([`Child::has_message`]).
    pub fn messages(&self) -> BorrowedFd<'_> {
        self.reports.as_fd()
    }

    /// Lets it go on from its [`super::Reporter::checkpoint`], now or when it gets there.
    ///
    /// # Errors
    /// [`Error::Broken`] with what it said when it gave up before it got there; EPIPE when it is gone without a word.
    pub fn wake(&self) -> Result<()> {
        let Some(checkpoint) = &self.checkpoint else { return Ok(()) };
        match nix::unistd::write(checkpoint, b".") {
            Ok(_) => Ok(()),
            Err(errno) => {
                let gone = if errno == Errno::EPIPE { self.why_it_gave_up()? } else { None };
                gone.map_or(Err(errno).named(|| format!("write(checkpoint of {})", self.label)), Err)
            }
        }
    }

    /// Sends it a signal through its pidfd, so that no other process can be hit. Success is no proof of effect: a
    /// signal that the init of a PID namespace does not handle is dropped, and the call still succeeds.
    ///
    /// # Errors
    /// ESRCH when it has been waited for, EPERM when it is not ours to signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let number = rustix::process::Signal::from_named_raw(signal as i32)
            .ok_or_else(|| Error::Input(format!("{signal} cannot be sent")))?;
        let call = || format!("kill({}, {signal})", self.label);
        match rustix::process::pidfd_send_signal(&self.pidfd, number) {
            // A seccomp filter may hide the call. Until it is waited for, its PID is nobody else's, so kill(2) does as
            // well; where EPERM is the kernel's own answer, that gives it too.
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) if self.status.is_none() => {
                kill(self.pid, signal).named(call)
            }
            sent => sent.named(call),
        }
    }

    /// As [`Child::signal`], with the kernel's answer as a value.
    ///
    /// # Errors
    /// Only what is not the kernel's answer.
    pub fn try_signal(&self, signal: Signal) -> Result<Outcome> {
        Outcome::of(self.signal(signal))
    }

    /// A copy of a descriptor that it has open, by the number that it has there: pidfd_getfd(2), since Linux 5.6.
    ///
    /// # Errors
    /// EBADF when it has none of that number; EPERM when the caller may not trace it.
    pub fn take_descriptor(&self, number: RawFd) -> Result<OwnedFd> {
        rustix::process::pidfd_getfd(&self.pidfd, number, rustix::process::PidfdGetfdFlags::empty())
            .named(|| format!("pidfd_getfd({}, {number})", self.label))
    }

    /// Waits until it ends, and says how. What it reported and was not received stays to be received.
    ///
    /// # Errors
    /// [`Error::Deadline`] if it lives on.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        // A pidfd is ready when the process has ended. Waiting for SIGCHLD instead would lose an end that came early.
        let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        Deadline::new().poll(&mut fds, &format!("{} to end", self.label))?;
        let status = waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED)
            .named(|| format!("waitid({})", self.label))?
            .ok_or_else(|| Error::Input(format!("waitid({}): nothing to wait for", self.label)))?;
        let end = match (status.exit_status(), status.terminating_signal()) {
            (Some(status), _) => ExitStatus::Exited(status),
            (None, Some(signal)) => ExitStatus::Killed(Signal::try_from(signal).named(|| "waitid()".into())?),
            (None, None) => {
                return Err(Error::Input(format!(
                    "waitid({}): it has neither exited nor been killed",
                    self.label
                )));
            }
        };
        self.status = Some(end);
        Ok(end)
    }

    /// Lets it live on without us. Only where the end of its PID namespace, or its own, is certain.
    pub fn abandon(self) {
        std::mem::forget(self);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.status.is_some() {
            return;
        }
        if self.signal(Signal::SIGKILL).is_err() {
            // It changed its user, and we may not signal that one: without CAP_KILL, or by a filter. What waits for us
            // ends by itself when there is nobody to wait for. PR_SET_PDEATHSIG would be refused as we are.
            self.checkpoint = None;
            let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
            if !matches!(poll_until(&mut fds, Some(Instant::now() + FAREWELL)), Ok(true)) {
                return;
            }
        }
        let _ = self.wait();
    }
}

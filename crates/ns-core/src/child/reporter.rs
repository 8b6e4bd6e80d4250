//! A child's side of its pipes.

use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};

use observation::{Fact, Value};

use super::message::Record;
use crate::deadline::Deadline;
use crate::error::{Named, Result};
use crate::sys;
use crate::tether::ParentOnlyFd;

/// What a child reports to its parent with, and waits for it at.
#[derive(Debug)]
pub struct Reporter {
    pub(super) label: String,
    pub(super) reports: ParentOnlyFd,
    pub(super) checkpoint: Rc<ParentOnlyFd>,
}

impl Reporter {
    /// What this child is called.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// What hangs up when the parent is gone (poll(2), POLLHUP).
    pub fn parent(&self) -> BorrowedFd<'_> {
        (*self.checkpoint).as_fd()
    }

    /// Reports to the parent that `what` was seen to be `value`.
    ///
    /// # Errors
    /// EPIPE when the parent is gone.
    pub fn report(&mut self, what: impl Into<String>, value: impl Into<Value>) -> Result<()> {
        let fact = Fact::inside(&self.label, what, value);
        self.send(fact)
    }

    /// Sends a fact as it stands, such as one received from a child of this child.
    ///
    /// # Errors
    /// EPIPE when the parent is gone.
    pub fn send(&mut self, fact: Fact) -> Result<()> {
        self.write(&Record::Fact(fact))
    }

    /// Waits for the parent's [`Child::wake`](super::Child::wake).
    ///
    /// # Errors
    /// [`Error::Deadline`](crate::Error::Deadline) if it does not come.
    pub fn checkpoint(&mut self) -> Result<()> {
        let mut fds = [PollFd::new(self.checkpoint.as_fd(), PollFlags::POLLIN)];
        Deadline::new().poll(&mut fds, &format!("{} to be woken", self.label))?;
        match nix::unistd::read(&*self.checkpoint, &mut [0]) {
            Ok(0) => sys::exit_now(0), // the parent is gone, and nobody listens any more
            Ok(_) => Ok(()),
            Err(errno) => Err(errno).named(|| "read(checkpoint)".into()),
        }
    }

    /// Stays until the parent lets it go or is gone: for a child that only has to be there.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn stay(&mut self) -> Result<()> {
        loop {
            match nix::unistd::read(&*self.checkpoint, &mut [0]) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno).named(|| "read(checkpoint)".into()),
            }
        }
    }

    pub(super) fn write(&mut self, record: &Record) -> Result<()> {
        let mut line = serde_json::to_vec(record).unwrap_or_default();
        line.push(b'\n');
        let mut rest = line.as_slice();
        while !rest.is_empty() {
            match nix::unistd::write(&self.reports, rest) {
                Ok(length) => rest = &rest[length..],
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno).named(|| format!("{} reports", self.label)),
            }
        }
        Ok(())
    }
}

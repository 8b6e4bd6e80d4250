//! What a child has to say, and to whom it listens.

use std::os::fd::AsFd;
use std::rc::Rc;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};

use super::Record;
use super::gate::Ours;
use crate::deadline::Deadline;
use crate::error::{Named, Result};
use crate::fact::{Fact, Value};
use crate::sys;

/// What a child tells its parent with.
#[derive(Debug)]
pub struct Witness {
    pub(super) label: String,
    pub(super) tell: Ours,
    pub(super) gate: Rc<Ours>,
}

impl Witness {
    /// What this child is called.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Tells the parent that `what` was seen to be `value`.
    ///
    /// # Errors
    /// EPIPE when the parent is gone.
    pub fn saw(&mut self, what: impl Into<String>, value: impl Into<Value>) -> Result<()> {
        let fact = Fact::inside(&self.label, what, value);
        self.tell(fact)
    }

    /// Tells a fact as it stands, such as one heard from a child of this child.
    ///
    /// # Errors
    /// EPIPE when the parent is gone.
    pub fn tell(&mut self, fact: Fact) -> Result<()> {
        self.write(&Record::Saw(fact))
    }

    /// Waits for the parent's [`Child::release`](super::Child::release).
    ///
    /// # Errors
    /// [`Error::Deadline`](crate::Error::Deadline) if it does not come.
    pub fn pause(&mut self) -> Result<()> {
        let mut fds = [PollFd::new(self.gate.as_fd(), PollFlags::POLLIN)];
        Deadline::new().poll(&mut fds, &format!("{} to be released", self.label))?;
        match nix::unistd::read(&*self.gate, &mut [0]) {
            Ok(0) => sys::exit_now(0), // the parent is gone, and nobody listens any more
            Ok(_) => Ok(()),
            Err(errno) => Err(errno).named(|| "read(gate)".into()),
        }
    }

    /// Stays until the parent lets it go or is gone: for a child that only has to be there.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn stay(&mut self) -> Result<()> {
        loop {
            match nix::unistd::read(&*self.gate, &mut [0]) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno).named(|| "read(gate)".into()),
            }
        }
    }

    pub(super) fn write(&mut self, record: &Record) -> Result<()> {
        let mut line = serde_json::to_vec(record).unwrap_or_default();
        line.push(b'\n');
        let mut rest = line.as_slice();
        while !rest.is_empty() {
            match nix::unistd::write(&self.tell, rest) {
                Ok(length) => rest = &rest[length..],
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno).named(|| format!("{} tells", self.label)),
            }
        }
        Ok(())
    }
}

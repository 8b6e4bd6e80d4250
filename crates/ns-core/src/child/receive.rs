//! What a parent receives from a child, and waits for.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use observation::{ExitStatus, Fact};
use rustix::process::{WaitId, WaitIdOptions, waitid};

use super::message::{Broken, Record};
use super::{Child, Message, Reporter};
use crate::deadline::Deadline;
use crate::error::{Error, Named, Result};

/// What can be received from a child.
enum Received {
    Record(Record),
    Stopped(Signal),
    HungUp,
}

impl Child {
    /// What comes next from it: a fact that it reports, or that a signal stopped it. When it will report no more, it is
    /// how it ended, as often as it is asked.
    ///
    /// # Errors
    /// [`Error::Broken`] if it gave up; [`Error::Deadline`] if it reports nothing and lives on.
    pub fn recv(&mut self) -> Result<Message> {
        match self.next_event()? {
            Received::Record(Record::Fact(fact)) => Ok(Message::Fact(fact)),
            Received::Record(Record::Broken(broken)) => Err(self.broken(broken)),
            Received::Record(Record::Armed) => Err(self.broken(Broken::because("it armed itself twice"))),
            Received::Stopped(signal) => Ok(Message::Stopped(signal)),
            Received::HungUp => Ok(Message::Exited(self.wait()?)),
        }
    }

    /// The next fact that it reports.
    ///
    /// # Errors
    /// As [`Child::recv`]; [`Error::Broken`] too if it ended or was stopped before it reported one.
    pub fn fact(&mut self) -> Result<Fact> {
        let why = match self.recv()? {
            Message::Fact(fact) => return Ok(fact),
            Message::Exited(status) => format!("it ended before it reported: {status}"),
            Message::Stopped(signal) => format!("it did not report: it was stopped by {signal}"),
        };
        Err(self.broken(Broken::because(why)))
    }

    /// The next message, whatever it is, as a fact called `what`: the value that it reported, how it ended, or
    /// `stopped by SIGNAL`. So both arms of an experiment can be asked the same, even when one dies of it.
    ///
    /// # Errors
    /// As [`Child::recv`].
    pub fn next(&mut self, what: impl Into<String>) -> Result<Fact> {
        Ok(match self.recv()? {
            Message::Fact(fact) => Fact { what: what.into(), ..fact },
            Message::Exited(status) => Fact::inside(&self.label, what, status),
            Message::Stopped(signal) => Fact::inside(&self.label, what, format!("stopped by {signal}")),
        })
    }

    /// All that it reports until it ends. How it ended is the last fact, called `end`, unless it came to the end of its
    /// body.
    ///
    /// # Errors
    /// As [`Child::recv`]; [`Error::Broken`] too if it was stopped.
    pub fn facts(&mut self) -> Result<Vec<Fact>> {
        let mut facts = Vec::new();
        loop {
            match self.recv()? {
                Message::Fact(fact) => facts.push(fact),
                Message::Exited(ExitStatus::Exited(0)) => return Ok(facts),
                Message::Exited(status) => {
                    facts.push(Fact::inside(&self.label, "end", status));
                    return Ok(facts);
                }
                Message::Stopped(signal) => {
                    let why = format!("it did not come to its end: it was stopped by {signal}");
                    return Err(self.broken(Broken::because(why)));
                }
            }
        }
    }

    /// All that it reports until it ends, reported by `me`: for a child that reports to the parent of its parent.
    ///
    /// # Errors
    /// As [`Child::facts`]; EPIPE when the parent of `me` is gone.
    pub fn pass_on(&mut self, me: &mut Reporter) -> Result<()> {
        self.facts()?.into_iter().try_for_each(|fact| me.send(fact))
    }

    /// Whether something is there to be received at this moment: a message, or the end of all messages.
    ///
    /// # Errors
    /// None that poll(2) documents for these arguments.
    pub fn has_message(&self) -> Result<bool> {
        Ok(!self.unread.borrow().is_empty() || self.has_more()?)
    }

    /// Returns when the child dies with its parent.
    pub(super) fn wait_until_armed(&mut self) -> Result<()> {
        let why = match self.next_event()? {
            Received::Record(Record::Armed) => return Ok(()),
            Received::Record(Record::Broken(broken)) => broken,
            Received::Record(Record::Fact(_)) | Received::Stopped(_) => {
                Broken::because("it began before it was armed")
            }
            Received::HungUp => Broken::because(format!("it ended before it began: {}", self.wait()?)),
        };
        Err(self.broken(why))
    }

    fn next_event(&mut self) -> Result<Received> {
        let deadline = Deadline::new();
        let mut patience = Duration::from_millis(1);
        loop {
            let unread = self.unread.get_mut();
            if let Some(at) = unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = unread.drain(..=at).collect();
                return serde_json::from_slice(&line).map(Received::Record).map_err(|error| {
                    Error::Unreadable { what: format!("{} reports", self.label), message: error.to_string() }
                });
            }
            if self.hung_up {
                return Ok(Received::HungUp);
            }
            let mut fds = [
                PollFd::new(self.reports.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN),
            ];
            if !deadline.poll_for(patience, &mut fds, &format!("a message from {}", self.label))? {
                // A stop makes no descriptor ready, so it is looked for while nothing else happens. Since the poll(2) it may
                // have reported, and stopped then.
                match self.stopped_by()? {
                    Some(signal) if !self.has_more()? => return Ok(Received::Stopped(signal)),
                    _ => {}
                }
                patience = (patience * 2).min(Duration::from_millis(16));
                continue;
            }
            let reported = fds[0].any().unwrap_or(false);
            if !reported && !self.has_more()? {
                // It ended. A process that it left behind may keep the pipe open, so its end is not waited for.
                self.hung_up = true;
                continue;
            }
            self.hung_up = !self.read_more()?;
        }
    }

    /// Reads what the pipe has, and waits if it has nothing. False at its end.
    fn read_more(&self) -> Result<bool> {
        let mut buffer = [0; 4096];
        loop {
            match nix::unistd::read(&self.reports, &mut buffer) {
                Ok(length) => {
                    self.unread.borrow_mut().extend_from_slice(&buffer[..length]);
                    return Ok(length > 0);
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno).named(|| "read(pipe)".into()),
            }
        }
    }

    /// For a child that is gone: the error with which it gave up, if that is what it said last. What it reported before
    /// stays to be received.
    pub(super) fn why_it_gave_up(&self) -> Result<Option<Error>> {
        while self.has_more()? && self.read_more()? {}
        let unread = self.unread.borrow();
        let last = unread.split(|byte| *byte == b'\n').rev().find(|line| !line.is_empty());
        Ok(match last.map(serde_json::from_slice) {
            Some(Ok(Record::Broken(broken))) => Some(self.broken(broken)),
            _ => None,
        })
    }

    /// Whether the pipe has more. One poll(2) of both descriptors is not enough. It may find the pipe empty, and a
    /// moment later find that the child has ended, which reported and ended in between.
    fn has_more(&self) -> Result<bool> {
        let mut fds = [PollFd::new(self.reports.as_fd(), PollFlags::POLLIN)];
        Ok(poll(&mut fds, PollTimeout::ZERO).named(|| "poll()".into())? > 0)
    }

    fn stopped_by(&self) -> Result<Option<Signal>> {
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = match waitid(WaitId::PidFd(self.pidfd.as_fd()), options) {
            // It ended since we looked: a zombie stops no more, and its end is not asked for here.
            Err(rustix::io::Errno::CHILD) => None,
            other => other.named(|| "waitid(WSTOPPED)".into())?,
        };
        let number = status.and_then(|status| status.stopping_signal());
        number.map(|number| Signal::try_from(number).named(|| "waitid(WSTOPPED)".into())).transpose()
    }

    fn broken(&self, Broken { message, refused }: Broken) -> Error {
        Error::Broken { child: self.label.clone(), message, refused }
    }
}

//! Children that report to us, meet us, and die with us.
//!
//! A child is ordinary Rust: [`Child::spawn`] is clone3(2) without CLONE_VM, and since exactly one thread runs, the
//! child's copy of the process is whole. It never prints. It tells what it saw, one JSON line a fact, down a pipe
//! (`strace -f` shows them), and the parent hears them in that order.
//!
//! A second pipe, whose only writer is the parent, is the *gate*. The parent opens it by a byte; its end-of-file says
//! that the parent died. Together with PR_SET_PDEATHSIG that leaves no child behind, whenever the parent is killed: a
//! dying process closes its files before the kernel tells its children. So a child first drops its copies of the
//! parent's ends, then sets the signal, then looks at the gate: either the signal is armed already, or the gate has
//! hung up. getppid() could not tell, since it is 0 for the first process of a PID namespace.

mod again;
mod flags;
mod gate;
mod life;
mod program;
mod witness;

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, pipe2};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use serde::{Deserialize, Serialize};

use crate::deadline::Deadline;
use crate::error::{Error, Named, Outcome, Result};
use crate::fact::Fact;
use crate::idmap::IdMaps;
use crate::namespace::Namespaces;
use crate::sys::{self, Forked};
use crate::{Kind, host, sabotage};

pub use again::after_exec;
pub use flags::{Call, born_by};
pub(crate) use gate::arm_again;
pub use program::become_program;
pub use witness::Witness;

use gate::Ours;
use life::{Start, begin};

/// A line of the pipe from a child to its parent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Record {
    /// The child dies with its parent from here on.
    Armed,
    /// A fact.
    Saw(Fact),
    /// The child could not do its part. Never to be taken for a refutation.
    Broken(String),
}

/// What a child can be heard to do.
enum Word {
    Record(Record),
    Stopped(Signal),
    HungUp,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal.
    Killed(Signal),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Exited(status) => write!(f, "exited {status}"),
            End::Killed(signal) => write!(f, "killed by {signal}"),
        }
    }
}

/// What a child will be, before it is born.
#[derive(Debug)]
pub struct Spawn<'a> {
    label: String,
    namespaces: Namespaces,
    maps: Option<IdMaps>,
    cgroup: Option<BorrowedFd<'a>>,
    outlives: bool,
    always: Namespaces,
    numbers: Vec<i32>,
}

impl<'a> Spawn<'a> {
    /// An ordinary child called `label`.
    pub fn new(label: impl Into<String>) -> Spawn<'a> {
        let none = Namespaces::NONE;
        Spawn {
            label: label.into(),
            namespaces: none,
            always: none,
            maps: None,
            cgroup: None,
            outlives: false,
            numbers: Vec::new(),
        }
    }

    /// Born into new namespaces.
    #[must_use]
    pub fn namespaces(mut self, namespaces: Namespaces) -> Spawn<'a> {
        self.namespaces = namespaces;
        self
    }

    /// As [`Spawn::namespaces`], but not subject to sabotage: for what surrounds both arms of a trial alike.
    #[must_use]
    pub fn namespaces_always(mut self, namespaces: Namespaces) -> Spawn<'a> {
        self.always = namespaces;
        self
    }

    /// With its user and group IDs mapped by us, the parent, before its body begins. For children born into a new
    /// user namespace.
    #[must_use]
    pub fn maps(mut self, maps: IdMaps) -> Spawn<'a> {
        self.maps = Some(maps);
        self
    }

    /// Born in the cgroup v2 whose directory `cgroup` is (CLONE_INTO_CGROUP, since Linux 5.7): fifty times cheaper
    /// than to be moved there afterwards.
    #[must_use]
    pub fn born_in(mut self, cgroup: BorrowedFd<'a>) -> Spawn<'a> {
        self.cgroup = Some(cgroup);
        self
    }

    /// It does not die with its parent, so that it can become an orphan. Refused in the PID namespace that we were
    /// started in: elsewhere it ends, at the latest, with the namespace.
    #[must_use]
    pub fn outlives_parent(mut self) -> Spawn<'a> {
        self.outlives = true;
        self
    }

    /// With PIDs of our choice, from its own PID namespace upwards (set_tid of clone3(2), since Linux 5.5). Needs
    /// CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN in the user namespaces that own those; refused in the PID namespace that
    /// we were started in. A number that is taken gives EEXIST, and the first of a namespace must be 1.
    #[must_use]
    pub fn numbered(mut self, numbers: &[i32]) -> Spawn<'a> {
        self.numbers = numbers.to_vec();
        self
    }

    /// Makes the child, which runs `body` and then exits with status 0.
    ///
    /// When this returns, the child dies if we do. A value that `body` captures lives on in both processes, each with
    /// its own copy; the child never runs our destructors.
    ///
    /// # Errors
    /// Those of clone3(2): EPERM without the capability that a namespace needs, ENOSPC at a limit of /proc/sys/user,
    /// ENOMEM when the PID namespace that children go to has lost its init. Refused while other threads run.
    pub fn run(self, body: impl FnOnce(&mut Witness) -> Result<()>) -> Result<Child> {
        let Spawn { label, namespaces, maps, cgroup, outlives, always, numbers } = self;
        if outlives {
            host::require_left(Kind::Pid, || format!("spawn({label}) to outlive its parent"))?;
        }
        if !numbers.is_empty() {
            host::require_left(Kind::Pid, || format!("clone3(set_tid = {numbers:?})"))?;
        }
        let namespaces = namespaces.unless_sabotaged() | always;
        let cgroup = if sabotage::on() { None } else { cgroup };
        let maps = if sabotage::on() { None } else { maps };
        let (hear, tell) = pipe2(OFlag::O_CLOEXEC).named(|| "pipe()".into())?;
        let (gate, open) = pipe2(OFlag::O_CLOEXEC).named(|| "pipe()".into())?;
        let (hear, open) = (Ours::new(hear), Ours::new(open));
        match sys::clone3(namespaces.bits(), cgroup, &numbers, || as_typed(namespaces, cgroup))? {
            Forked::Child => {
                begin(label, tell, gate, Start { armed: !outlives, mapped: maps.is_some() }, body)
            }
            Forked::Parent { pid, pidfd } => {
                // Dropped at once: while we held the child's end, its death would be no end-of-file to us.
                drop((tell, gate));
                let pidfd = Ours::new(pidfd);
                let heard = Vec::new();
                let mut child = Child { label, pid, pidfd, hear, open, heard, hung_up: false, end: None };
                match child.next_word()? {
                    Word::Record(Record::Armed) => {}
                    Word::Record(Record::Broken(message)) => return Err(child.broken(message)),
                    Word::Record(Record::Saw(_)) | Word::Stopped(_) => {
                        return Err(child.broken("it began before it was armed"));
                    }
                    Word::HungUp => {
                        let end = child.wait()?;
                        return Err(child.broken(format!("it ended before it began: {end}")));
                    }
                }
                if let Some(maps) = maps {
                    maps.write_for(Some(pid))?;
                    child.release()?;
                }
                Ok(child)
            }
        }
    }
}

fn as_typed(namespaces: Namespaces, cgroup: Option<BorrowedFd<'_>>) -> String {
    match (namespaces.is_empty(), cgroup.is_some()) {
        (false, false) => format!("clone3({})", namespaces.as_typed()),
        (true, false) => "clone3()".into(),
        (true, true) => "clone3(CLONE_INTO_CGROUP)".into(),
        (false, true) => format!("clone3({}|CLONE_INTO_CGROUP)", namespaces.as_typed()),
    }
}

/// A child of ours. Dropping it kills it.
#[derive(Debug)]
pub struct Child {
    label: String,
    pid: Pid,
    pidfd: Ours,
    hear: Ours,
    open: Ours,
    heard: Vec<u8>,
    hung_up: bool,
    end: Option<End>,
}

impl Child {
    /// Makes a child called `label` in new `namespaces`, as [`Spawn::run`] does.
    ///
    /// # Errors
    /// As [`Spawn::run`].
    pub fn spawn(
        label: impl Into<String>,
        namespaces: Namespaces,
        body: impl FnOnce(&mut Witness) -> Result<()>,
    ) -> Result<Child> {
        Spawn::new(label).namespaces(namespaces).run(body)
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

    /// The next fact that it tells; when it will tell no more, how it ended, as the fact `end`; and when a signal
    /// stopped it, that, as the fact `state`.
    ///
    /// So both arms of an experiment can be asked the same, even when one dies of it.
    ///
    /// # Errors
    /// [`Error::Broken`] if it gave up; [`Error::Deadline`] if it says nothing and lives on.
    pub fn hear(&mut self) -> Result<Fact> {
        match self.next_word()? {
            Word::Record(Record::Saw(fact)) => Ok(fact),
            Word::Record(Record::Broken(message)) => Err(self.broken(message)),
            Word::Record(Record::Armed) => Err(self.broken("it armed itself twice")),
            Word::Stopped(signal) => Ok(Fact::inside(&self.label, "state", format!("stopped by {signal}"))),
            Word::HungUp => {
                let end = self.wait()?;
                Ok(Fact::inside(&self.label, "end", end))
            }
        }
    }

    /// All that it tells until it ends. How it ended is the last fact, unless it came to the end of its body.
    ///
    /// # Errors
    /// As [`Child::hear`].
    pub fn hear_all(&mut self) -> Result<Vec<Fact>> {
        let mut facts = Vec::new();
        loop {
            let fact = self.hear()?;
            if fact.what != "end" {
                facts.push(fact);
                continue;
            }
            if self.wait()? != End::Exited(0) {
                facts.push(fact);
            }
            return Ok(facts);
        }
    }

    /// Lets it go on from its [`Witness::pause`], now or when it gets there.
    ///
    /// # Errors
    /// EPIPE when it is gone.
    pub fn release(&self) -> Result<()> {
        nix::unistd::write(&self.open, b".").named(|| format!("write(gate of {})", self.label))?;
        Ok(())
    }

    /// Sends it a signal through its pidfd, so that no other process can be hit. Success is no proof of effect: a
    /// signal that the init of a PID namespace does not handle is dropped, and the call still succeeds.
    ///
    /// # Errors
    /// ESRCH when it has been waited for, EPERM when it is not ours to signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let number = rustix::process::Signal::from_named_raw(signal as i32)
            .ok_or_else(|| Error::Input(format!("{signal} cannot be sent")))?;
        rustix::process::pidfd_send_signal(&self.pidfd, number)
            .named(|| format!("kill({}, {signal})", self.label))
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

    /// Waits until it ends, and says how. What it told and was not heard stays to be heard.
    ///
    /// # Errors
    /// [`Error::Deadline`] if it lives on.
    pub fn wait(&mut self) -> Result<End> {
        if let Some(end) = self.end {
            return Ok(end);
        }
        // A pidfd is ready when the process has ended. Waiting for SIGCHLD instead would lose an end that came early.
        let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        Deadline::new().poll(&mut fds, &format!("{} to end", self.label))?;
        let status = waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED)
            .named(|| format!("waitid({})", self.label))?
            .ok_or_else(|| Error::Input(format!("waitid({}): nothing to wait for", self.label)))?;
        let end = match (status.exit_status(), status.terminating_signal()) {
            (Some(status), _) => End::Exited(status),
            (None, Some(signal)) => End::Killed(Signal::try_from(signal).named(|| "waitid()".into())?),
            (None, None) => {
                return Err(Error::Input(format!("waitid({}): no end in {status:?}", self.label)));
            }
        };
        self.end = Some(end);
        Ok(end)
    }

    /// Lets it live on without us. Only where the end of its PID namespace, or its own, is certain.
    pub fn abandon(self) {
        std::mem::forget(self);
    }

    fn next_word(&mut self) -> Result<Word> {
        let deadline = Deadline::new();
        let mut patience = Duration::from_millis(1);
        loop {
            if let Some(at) = self.heard.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=at).collect();
                return serde_json::from_slice(&line).map(Word::Record).map_err(|error| Error::Unreadable {
                    what: format!("{} tells", self.label),
                    message: error.to_string(),
                });
            }
            if self.hung_up {
                return Ok(Word::HungUp);
            }
            let mut fds = [
                PollFd::new(self.hear.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN),
            ];
            if !deadline.poll_for(patience, &mut fds, &format!("a word from {}", self.label))? {
                // A stop makes no descriptor ready, so it is looked for while nothing else happens.
                if let Some(signal) = self.stopped_by()? {
                    return Ok(Word::Stopped(signal));
                }
                patience = (patience * 2).min(Duration::from_millis(16));
                continue;
            }
            let told = fds[0].any().unwrap_or(false);
            if !told && !self.has_more()? {
                // It ended. A process that it left behind may keep the pipe open, so its end is not waited for.
                self.hung_up = true;
                continue;
            }
            let mut buffer = [0; 4096];
            match nix::unistd::read(&self.hear, &mut buffer) {
                Ok(0) => self.hung_up = true,
                Ok(length) => self.heard.extend_from_slice(&buffer[..length]),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno).named(|| "read(pipe)".into()),
            }
        }
    }

    /// Whether something is there to be heard at this moment: a word, or the end of all words.
    ///
    /// # Errors
    /// None that poll(2) documents for these arguments.
    pub fn has_told(&self) -> Result<bool> {
        Ok(!self.heard.is_empty() || self.has_more()?)
    }

    /// Whether the pipe has more. One poll(2) of both descriptors does not tell: it may find the pipe empty, and a
    /// moment later, the child having spoken and ended in between, find that it has ended.
    fn has_more(&self) -> Result<bool> {
        let mut fds = [PollFd::new(self.hear.as_fd(), PollFlags::POLLIN)];
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

    fn broken(&self, message: impl Into<String>) -> Error {
        Error::Broken { child: self.label.clone(), message: message.into() }
    }
}

/// Makes children that stay, until there are `wanted` of them or the kernel refuses one: fork()'s last answer.
///
/// # Errors
/// What is not the kernel's answer.
pub fn have_children(children: &mut Vec<Child>, wanted: usize) -> Result<Outcome> {
    while children.len() < wanted {
        match Child::spawn("child", Namespaces::NONE, Witness::stay) {
            Ok(child) => children.push(child),
            refused => return Outcome::of(refused),
        }
    }
    Ok(Outcome::Done)
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.end.is_none() {
            let _ = self.signal(Signal::SIGKILL);
            let _ = self.wait();
        }
    }
}

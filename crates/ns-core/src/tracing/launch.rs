//! A program that is traced from its first call on: it stands before its execve(2) until its tracer has it.

use std::ffi::CString;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::unistd::{Pid, execve, getpid};

use super::guardian::{Guardian, Post};
use super::tracee::Tracee;
use crate::error::{Named, Result};
use crate::seccomp::Filter;
use crate::{signals, sys};

/// What is to be launched.
#[derive(Debug)]
pub struct Launch {
    /// The path of its file.
    pub path: CString,
    /// Its arguments, its own name first.
    pub arguments: Vec<CString>,
    /// Its environment.
    pub environment: Vec<CString>,
    /// The signals that are blocked in it.
    pub mask: SigSet,
    /// The filter that it is put behind.
    pub filter: Option<Filter>,
}

/// What was launched, as its parent has it.
#[derive(Debug)]
pub struct Launched {
    /// Its PID.
    pub pid: Pid,
    /// Why it could not become the program. `None` too where it was killed before that.
    pub failure: Option<Errno>,
}

/// What a program says of itself before it is let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// Its PID.
    pub pid: Pid,
    /// Whether it is behind its filter; else why not. `ENOSYS` where it was given none.
    pub filtered: std::result::Result<(), Errno>,
    /// Whether it had to set no_new_privs for that.
    pub no_new_privs: bool,
}

impl Launch {
    /// Starts it, to be traced by `guardian`, and waits until it has become the program. Its parent is the caller.
    ///
    /// # Errors
    /// Refused where more than one thread runs; EAGAIN and its like.
    pub fn start(self, guardian: &Guardian) -> Result<Launched> {
        let mut failure = None;
        // Nothing is copied for it, and what it leaves in our memory needs no pipe.
        let pid = sys::vfork_child(&mut || {
            failure = self.execute(guardian);
            127
        })?;
        Ok(Launched { pid, failure })
    }

    /// Comes back only with what went wrong; with `None` where the tracer says it.
    fn execute(&self, guardian: &Guardian) -> Option<Errno> {
        // EINVAL where there is no Yama, which would want it.
        let _ = sys::allow_tracer(guardian.pid);
        let announced = self.announce();
        match write_and_wait(&guardian.ready, &guardian.go, &announced) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(errno) => return Some(errno),
        }
        let given_back = signals::reset_ignored().is_ok()
            && sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.mask), None).is_ok();
        if !given_back {
            return Some(Errno::EINVAL);
        }
        let Err(errno) = execve(&self.path, &self.arguments, &self.environment);
        Some(errno)
    }

    fn announce(&self) -> [i32; 3] {
        let (filtered, no_new_privs) = match &self.filter {
            None => (Err(Errno::ENOSYS), false),
            Some(filter) => install(filter),
        };
        [getpid().as_raw(), filtered.map_or_else(|errno| errno as i32, |()| 0), no_new_privs.into()]
    }
}

/// Puts the caller behind `filter`: without no_new_privs where it may, since that changes what it may become.
fn install(filter: &Filter) -> (std::result::Result<(), Errno>, bool) {
    let answer = |result: Result<()>| result.map_err(|error| error.errno().unwrap_or(Errno::EINVAL));
    match answer(filter.install()) {
        Err(Errno::EACCES) => {}
        other => return (other, false),
    }
    match nix::sys::prctl::set_no_new_privs() {
        Ok(()) => (answer(filter.install()), true),
        Err(errno) => (Err(errno), false),
    }
}

/// Says that it is ready, and waits until it is let go: false where the tracer cannot trace it. By read(2) and write(2)
/// alone, which no filter stops: nobody may trace us yet.
fn write_and_wait(ready: &OwnedFd, go: &OwnedFd, announced: &[i32; 3]) -> std::result::Result<bool, Errno> {
    let bytes: Vec<u8> = announced.iter().flat_map(|it| it.to_ne_bytes()).collect();
    nix::unistd::write(ready, &bytes)?;
    Ok(nix::unistd::read(go, &mut [0])? != 0)
}

impl Post {
    /// Waits for the program that is launched, and traces it. It still stands before its execve(2), until
    /// [`Post::let_go`].
    ///
    /// # Errors
    /// As [`Tracee::seize`]; ECHILD where none comes.
    pub fn await_program(&mut self) -> Result<(Tracee, Announced)> {
        let mut bytes = [0; 12];
        self.ready.read_exact(&mut bytes).map_err(|_| Errno::ECHILD).named(|| "read(pipe)".into())?;
        let number = |at: usize| i32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap_or_default());
        let filtered = match number(4) {
            0 => Ok(()),
            errno => Err(Errno::from_raw(errno)),
        };
        let announced = Announced { pid: Pid::from_raw(number(0)), filtered, no_new_privs: number(8) != 0 };
        Ok((Tracee::seize(announced.pid)?, announced))
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// EPIPE where it is gone.
    pub fn let_go(&mut self) -> Result<()> {
        self.go.write_all(b".").named(|| "write(pipe)".into())
    }
}

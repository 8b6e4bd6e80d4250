//! The attendant: in the namespaces, it starts the program, waits for it and for every orphan, and ends as it ends.

use std::io::{self, Write};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::kill;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use ns_core::{Errno, Named, Namespaces, Pid, Reporter, Result, Signal, Spawn, poll_until, signals};

use crate::mark::Mark;
use crate::program::Program;
use crate::terminal;

/// What is reported when the program is there.
pub(crate) const STARTED: &str = "started";

/// What attends to a program.
pub struct Attendant<'a> {
    /// The program.
    pub program: &'a Program,
    /// What it bears.
    pub mark: &'a Mark,
    /// In how many PID namespaces more it is, each in the one before, with an attendant as PID 1 of each.
    pub nested: u32,
    /// The signals that PID 1 handles: each is named on standard error when it arrives.
    pub handles: &'a [Signal],
    /// Done by the last attendant, before there is a program.
    pub first: &'a dyn Fn() -> Result<()>,
    /// Done by the program's process, before it becomes the program.
    pub last: &'a dyn Fn() -> Result<()>,
}

/// Starts the program as the last act of `me`: this process ends with its exit status, or with 128 and the number of the
/// signal that killed it. `spawn` is how the program's process is created.
///
/// # Errors
/// What was refused before there was a program.
pub fn attend(me: &mut Reporter, attendant: &Attendant<'_>, spawn: Spawn<'_>) -> Result<()> {
    let is_init = nix::unistd::getpid().as_raw() == 1;
    if is_init {
        // The kernel drops what PID 1 has no handler for. What is blocked would wait instead.
        signals::unblock_all()?;
        signals::block(&[Signal::SIGCHLD])?;
        let _ = nix::sys::prctl::set_name(c"init");
    } else {
        set_child_subreaper(true).named(|| "prctl(PR_SET_CHILD_SUBREAPER)".into())?;
    }
    let mut child = if attendant.nested > 0 {
        let inner = Attendant { nested: attendant.nested - 1, ..*attendant };
        Spawn::new("init").namespaces(Namespaces::PID).run(|me| attend(me, &inner, Spawn::new("program")))?
    } else {
        (attendant.first)()?;
        spawn.run(|me| {
            (attendant.last)()?;
            if attendant.program.is_a_shell() {
                // PID 1 has the signals of its terminal's keys unblocked, and this stops who is in the background.
                signals::block_all()?;
                terminal::take()?;
            }
            me.report(STARTED, true)?;
            me.checkpoint()?; // until the opener can signal it
            match attendant.program.become_it(attendant.mark)? {}
        })?
    };
    // Before it begins to tell what it caught, the program is there.
    let handled = signals::catch(attendant.handles)?;
    let started = child.fact()?;
    me.send(started)?;
    me.checkpoint()?;
    child.wake()?;
    let program = child.pid();
    child.abandon(); // waited for below, with all orphans
    let status = wait_for(program, attendant.program.is_a_shell(), handled)?;
    std::process::exit(status)
}

/// Waits for all children that end until `program` has ended.
fn wait_for(program: Pid, is_a_shell: bool, mut handled: signals::Signals) -> Result<i32> {
    let ended = signals::Waiting::among(&[Signal::SIGCHLD])?;
    loop {
        let mut fds = [ended.as_fd(), handled.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        poll_until(&mut fds, None)?;
        if fds[1].any().unwrap_or(false) {
            let caught = handled.wait()?;
            let _ =
                writeln!(io::stderr(), "init, PID 1: handled {} from PID {}", caught.signal, caught.sender);
        }
        while ended.take()?.is_some() {}
        if let Some(status) = reap(program, is_a_shell)? {
            return Ok(status);
        }
    }
}

/// Waits for all that have ended by now. One SIGCHLD may stand for many.
fn reap(program: Pid, is_a_shell: bool) -> Result<Option<i32>> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
            Ok(WaitStatus::Exited(pid, status)) if pid == program => return Ok(Some(status)),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == program => {
                return Ok(Some(128 + signal as i32));
            }
            // A shell that stops itself would leave the terminal to nobody.
            Ok(WaitStatus::Stopped(pid, _)) if pid == program && is_a_shell => {
                let _ = kill(pid, Signal::SIGCONT);
            }
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(None),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).named(|| "waitpid(-1)".into()),
        }
    }
}

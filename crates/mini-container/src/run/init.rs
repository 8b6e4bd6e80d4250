//! PID 1: an init that reaps and forwards.

use std::ffi::OsString;

use nix::sys::signal::{SigSet, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use ns_core::child::start_program;
use ns_core::{Errno, Named, Pid, Result, Signal};

use super::program::{self, Terminal};
use super::refusal::explain;
use super::surroundings::Surroundings;

/// Starts the command, and ends as it ends.
///
/// Init adopts the orphans that the command leaves, and waits for them, so that no zombies stay. Init forwards signals to
/// the command: the kernel would drop those that init does not handle.
pub(super) fn serve(
    command: &[OsString],
    surroundings: &Surroundings,
    terminal: Option<Terminal>,
) -> Result<i32> {
    // All signals are blocked before there is a child, so that the end of a short command is not missed. Blocked signals
    // stay pending, and are taken one by one below.
    ns_core::signals::block_all()?;
    // The name that ps(1) shows for init. It shows the arguments too.
    nix::sys::prctl::set_name(c"init").named(|| "prctl(PR_SET_NAME)".into())?;
    // So that no process inside can trace init, or open /proc/1/exe, a file of the host (prctl(2), ptrace(2)).
    nix::sys::prctl::set_dumpable(false).named(|| "prctl(PR_SET_DUMPABLE, 0)".into())?;
    let command = start_program(|| {
        let (status, error) = program::become_it(command, surroundings, terminal.as_ref());
        lesson::complain("mini-container", &explain(&error));
        status
    })?;
    // If init kept it open, the terminal would not hang up after its last user.
    drop(terminal);
    reap_and_forward(command)
}

/// Reaps and forwards until `command`, a child of init, has ended. Returns its exit status. All signals must be blocked.
pub(crate) fn reap_and_forward(command: Pid) -> Result<i32> {
    loop {
        match SigSet::all().wait() {
            Ok(Signal::SIGCHLD) => {
                if let Some(status) = reap(command)? {
                    return Ok(status);
                }
            }
            // The command may have ended just now. Then SIGCHLD is next.
            Ok(signal) => drop(kill(command, signal)),
            // A real-time signal, for which nix has no name.
            Err(_) => {}
        }
    }
}

/// Waits for all children that have ended. One SIGCHLD may stand for many, since signals do not queue.
fn reap(command: Pid) -> Result<Option<i32>> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) if pid == command => return Ok(Some(status)),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == command => {
                return Ok(Some(128 + signal as i32));
            }
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(None),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).named(|| "waitpid(-1)".into()),
        }
    }
}

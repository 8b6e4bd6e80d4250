//! PID 1: an init that reaps and forwards.

use std::ffi::OsString;

use nix::sys::signal::{SigSet, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use ns_core::{Child, Errno, Named, Namespaces, Pid, Result, Signal};

use super::layers::Config;
use super::program::{self, Terminal};
use super::refusal::explain;

/// Starts the command, and ends as it ends.
///
/// Everything that the command leaves behind becomes a child of ours: we wait for it, so that it is no zombie for ever.
/// Signals are for the command: init itself would be immune to those that it does not handle.
pub(super) fn serve(
    command: &[OsString],
    hostname: &str,
    config: &Config,
    terminal: Option<Terminal>,
) -> Result<i32> {
    // Blocked, all of them, before there is a child: so the end of a command that ends at once is not missed. What is
    // blocked waits, and is taken one by one below.
    ns_core::signals::block_all()?;
    // What ps(1) shows of us. Our arguments it shows too.
    nix::sys::prctl::set_name(c"init").named(|| "prctl(PR_SET_NAME)".into())?;
    // Nobody inside may look into us, or open /proc/1/exe: we began outside (prctl(2), ptrace(2)).
    nix::sys::prctl::set_dumpable(false).named(|| "prctl(PR_SET_DUMPABLE, 0)".into())?;
    let child = Child::spawn("command", Namespaces::NONE, |_| {
        let (status, error) = program::become_it(command, hostname, config, terminal.as_ref());
        lesson::complain("mini-container", &explain(&error));
        std::process::exit(status)
    })?;
    // Held open here, the terminal would not end with its last user.
    drop(terminal);
    let pid = child.pid();
    child.abandon(); // waited for below, with all others
    reap_and_forward(pid)
}

/// What PID 1 is for, until `command`, a child of ours, has ended; how, as an exit status. All signals are blocked.
pub(crate) fn reap_and_forward(command: Pid) -> Result<i32> {
    loop {
        match SigSet::all().wait() {
            Ok(Signal::SIGCHLD) => {
                if let Some(status) = reap(command)? {
                    return Ok(status);
                }
            }
            // It may have ended this moment. Then SIGCHLD is next.
            Ok(signal) => drop(kill(command, signal)),
            // A real-time signal, for which nix has no name.
            Err(_) => {}
        }
    }
}

/// Waits for all who have ended. One SIGCHLD may stand for many: signals do not queue.
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

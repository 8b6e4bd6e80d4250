//! A shell in the namespaces of a process: by the program beside this one, ns-enter.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags};
use nix::sys::prctl::set_pdeathsig;
use ns_core::child::become_program;
use ns_core::signals::Waiting;
use ns_core::{Child, ExitStatus, Named, Namespaces, Signal, poll_until};

/// The program that enters.
const ENTERS: &str = "ns-enter";
/// What it ends with, and a shell does too: it has written a line that is to be read.
const REFUSED: ExitStatus = ExitStatus::Exited(2);

/// Where the program is.
///
/// # Errors
/// One line that says how to get it, where it is missing.
pub(crate) fn program() -> Result<PathBuf> {
    let own = std::env::current_exe().context("readlink(\"/proc/self/exe\")")?;
    let program = own.with_file_name(ENTERS);
    if !program.is_file() {
        bail!(
            "a shell is opened by {}, which is missing; to get it: cargo build -p {ENTERS}",
            program.display()
        );
    }
    Ok(program)
}

/// Opens a shell in the namespaces of the process `pid`, and waits for its end. Gives the signal that came meanwhile and
/// is to end this program too.
///
/// # Errors
/// Where it cannot be started.
pub(crate) fn open(program: &Path, pid: i32, signals: &Waiting) -> Result<Option<Signal>> {
    let words = [ENTERS.to_string(), pid.to_string()];
    let mut child = Child::spawn(ENTERS, Namespaces::NONE, |_| {
        // One that gets SIGTERM ends the shell, and gives the terminal back.
        set_pdeathsig(Signal::SIGTERM).named(|| "prctl(PR_SET_PDEATHSIG, SIGTERM)".into())?;
        become_program(program, words).map(drop)
    })?;
    let mut ending = None;
    loop {
        let mut fds =
            [PollFd::new(child.pidfd(), PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        poll_until(&mut fds, None)?;
        if fds[0].any().unwrap_or(false) {
            break;
        }
        while let Some(signal) = signals.take()? {
            if matches!(signal, Signal::SIGHUP | Signal::SIGTERM) {
                ending = Some(signal);
                child.signal(Signal::SIGTERM)?;
            }
        }
    }
    // What could not be started has reported that.
    child.recv()?;
    if child.wait()? == REFUSED && ending.is_none() {
        let _ = write!(io::stdout(), "\n{ENTERS} ended with status 2. Enter leads back to the map: ");
        let _ = io::stdout().flush();
        let _ = io::stdin().read_line(&mut String::new());
    }
    Ok(ending)
}

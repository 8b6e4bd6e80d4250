//! The terminal, while a program has it: its settings, and the process group in its foreground.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, tcgetpgrp, tcsetpgrp};
use ns_core::{Errno, Error, Named, Pid, Result};

/// How long the processes that had the terminal from us may take to end with us.
const PATIENCE: Duration = Duration::from_secs(2);

/// The terminal that standard input is, as it was found.
#[derive(Debug, Clone)]
pub(crate) struct Terminal {
    settings: Termios,
    /// Our process group, from which it is lent.
    group: Pid,
}

impl Terminal {
    /// None where standard input is no terminal, or not the one that controls us. In the background it waits for the
    /// foreground, as whatever reads from a terminal does: the kernel stops it (SIGTTIN).
    ///
    /// # Errors
    /// [`Error::Input`] where nobody can bring it to the foreground.
    pub(crate) fn find() -> Result<Option<Terminal>> {
        if !io::stdin().is_terminal() {
            return Ok(None);
        }
        for is_last in [false, true] {
            match tcgetpgrp(io::stdin()) {
                Err(Errno::ENOTTY) => return Ok(None),
                foreground if foreground.named(|| "tcgetpgrp(0)".into())? == getpgrp() => break,
                _ if is_last => {
                    let why = "the terminal belongs to another job; bring this one to the foreground: fg";
                    return Err(Error::Input(why.into()));
                }
                _ => kill(Pid::from_raw(0), Signal::SIGTTIN).named(|| "kill(0, SIGTTIN)".into())?,
            }
        }
        let settings = tcgetattr(io::stdin()).named(|| "tcgetattr(0)".into())?;
        Ok(Some(Terminal { settings, group: getpgrp() }))
    }

    /// Takes it back, with the settings that it had if it was `lent` to a shell. A command has changed them because it was
    /// to, and it may have been moved to the background with us. SIGTTOU is to be blocked.
    pub(crate) fn take_back(&self, lent: bool) {
        let is_dead = |group| killpg(group, None) == Err(Errno::ESRCH);
        if lent || tcgetpgrp(io::stdin()).is_ok_and(is_dead) {
            let _ = tcsetpgrp(io::stdin(), self.group);
        }
        if lent {
            let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.settings);
        }
    }

    /// For the keeper, when the opener is gone: gives the terminal back to its process group, where nobody else has it.
    /// A shell that has started the opener may have taken it, and made it what it is to be.
    pub(crate) fn give_back(&self) {
        let end = Instant::now() + PATIENCE;
        loop {
            match tcgetpgrp(io::stdin()) {
                // Its session has ended.
                Err(Errno::ENOTTY) => break,
                Err(_) => return,
                Ok(group) if killpg(group, None) == Err(Errno::ESRCH) => break,
                Ok(_) if Instant::now() > end => return,
                Ok(_) => {}
            }
            // No event reports a group's end.
            let _ = ns_core::poll_until(&mut [], Some(Instant::now() + Duration::from_millis(5)));
        }
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.settings);
        let _ = tcsetpgrp(io::stdin(), self.group);
    }
}

/// In the program's process: a process group of its own, in the foreground. All signals are to be blocked, SIGTTOU among
/// them, or this would stop us.
///
/// # Errors
/// Those of setpgid(2) and tcsetpgrp(3).
pub(crate) fn take() -> Result<()> {
    nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0)).named(|| "setpgid(0, 0)".into())?;
    tcsetpgrp(io::stdin(), getpgrp()).named(|| "tcsetpgrp(0)".into())
}

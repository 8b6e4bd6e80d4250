//! The keeper: outside of the namespaces, it ends what is left when the program has ended, or the opener is gone.

use nix::poll::{PollFd, PollFlags};
use nix::sys::prctl::set_child_subreaper;
use ns_core::{Child, ExitStatus, Message, Named, Pid, Reporter, Result, poll_until, process};

use crate::family::end_all_but;
use crate::mark::Mark;
use crate::terminal::Terminal;

/// Keeps the attendant that `start` creates, and what comes from it. Returns the exit status, or 128 and the number of the
/// signal that killed it. `depth` attendants stand one below the other, and then the program.
///
/// # Errors
/// Those of `start`, and what the attendant was refused.
pub(crate) fn keep(
    me: &mut Reporter,
    mark: &Mark,
    terminal: Option<&Terminal>,
    depth: u32,
    start: impl FnOnce() -> Result<Child>,
) -> Result<i32> {
    set_child_subreaper(true).named(|| "prctl(PR_SET_CHILD_SUBREAPER)".into())?;
    // Called once more under the opener's name, it could be taken for it.
    let _ = nix::sys::prctl::set_name(c"keeper");
    let mut attendant = start()?;
    // What kills the opener's process group spares us. The attendant was created in that group, and a command stays in
    // it, as the jobs of a shell do.
    leave_group(terminal.is_some())?;
    let ended = follow(me, &mut attendant, depth);
    let is_alone = matches!(ended, Ok(None));
    drop(attendant);
    end_all_but(&[], mark)?;
    if let Some(terminal) = terminal.filter(|_| is_alone) {
        terminal.give_back();
    }
    Ok(match ended? {
        Some(ExitStatus::Exited(status)) => status,
        Some(ExitStatus::Killed(signal)) => 128 + signal as i32,
        None => 0, // and nobody asks
    })
}

/// Into another process group, to be able to give the terminal back; or else into a session too. In the same session, the end
/// of a child in the opener's group could leave that group orphaned. Then the kernel would hang it up, if one of it was
/// stopped (setpgid(2)).
fn leave_group(has_terminal: bool) -> Result<()> {
    if has_terminal {
        nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0)).named(|| "setpgid(0, 0)".into())
    } else {
        nix::unistd::setsid().named(|| "setsid()".into()).map(drop)
    }
}

/// Passes on that the program is there, and back that it may begin. `None` if the opener is gone.
fn follow(me: &mut Reporter, attendant: &mut Child, depth: u32) -> Result<Option<ExitStatus>> {
    loop {
        while attendant.has_message()? {
            match attendant.recv()? {
                Message::Fact(started) => {
                    let program = (0..depth).try_fold(attendant.pid(), |pid, _| first_child(pid));
                    me.report(started.what, program.map_or(0, Pid::as_raw))?;
                    me.checkpoint()?;
                    attendant.wake()?;
                }
                Message::Exited(status) => return Ok(Some(status)),
                Message::Stopped(_) => attendant.signal(ns_core::Signal::SIGCONT)?,
            }
        }
        let mut fds = [
            PollFd::new(me.parent(), PollFlags::empty()), // that it hangs up is always reported
            PollFd::new(attendant.messages(), PollFlags::POLLIN),
            PollFd::new(attendant.pidfd(), PollFlags::POLLIN),
        ];
        poll_until(&mut fds, None)?;
        if fds[0].any().unwrap_or(false) {
            return Ok(None);
        }
    }
}

/// The one child that an attendant has when the program has just started.
fn first_child(of: Pid) -> Option<Pid> {
    process::children(of).ok()?.first().copied()
}

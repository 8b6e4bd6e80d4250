//! The opener: what the person has started. It lends the terminal, and waits.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};

use nix::poll::{PollFd, PollFlags};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, killpg, sigprocmask};
use nix::unistd::getpid;
use ns_core::signals::{self, Waiting};
use ns_core::{Child, Error, ExitStatus, Message, Named, Pid, Result, Spawn, pids, poll_until, process};

use crate::family::end_all_but;
use crate::keeper::keep;
use crate::mark::{Mark, sweep};
use crate::program::Program;
use crate::terminal::Terminal;

/// The signals that the opener takes, and does not die of.
const TAKEN: [Signal; 7] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGTSTP,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The program ended, with this exit status, or with 128 and the number of the signal that killed it.
    Status(u8),
    /// This signal came to end us, or the terminal hung up, and the program was ended.
    Signal(Signal),
}

/// Has `program` run, as a person calls it `name`, by an attendant that `start` creates, and waits for its end. Nothing of
/// it is left then. `depth` attendants stand one below the other.
///
/// # Errors
/// [`Error::Input`] where a shell has no terminal; those of `start`; what the attendant was refused.
pub fn hold(
    program: &Program,
    name: &str,
    depth: u32,
    start: impl FnOnce(&Mark) -> Result<Child>,
) -> Result<Ended> {
    let terminal = Terminal::find()?;
    if program.is_a_shell() && (terminal.is_none() || !io::stdout().is_terminal()) {
        let why =
            "a shell wants a terminal, and standard input or output is none; give a command: … -- COMMAND";
        return Err(Error::Input(why.into()));
    }
    sweep();
    let mark = Mark::new(name)?;
    let mut unmasked = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut unmasked))
        .named(|| "sigprocmask()".into())?;
    let before = process::children(getpid())?;
    // What the keeper leaves when it is killed becomes ours.
    let adopting = set_child_subreaper(true).named(|| "prctl(PR_SET_CHILD_SUBREAPER)".into());
    let ended = adopting.and_then(|()| {
        let keeper = Spawn::new("keeper").watches_parent().run(|me| {
            let status = keep(me, &mark, terminal.as_ref(), depth, || start(&mark))?;
            std::process::exit(status)
        })?;
        wait_for(keeper, program, terminal.is_some())
    });
    let cleaned = end_all_but(&before, &mark);
    let _ = set_child_subreaper(false);
    if let Some(terminal) = &terminal {
        terminal.take_back(program.is_a_shell());
    }
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&unmasked), None);
    let ended = ended?;
    cleaned.map(|()| ended)
}

fn wait_for(mut keeper: Child, program: &Program, has_terminal: bool) -> Result<Ended> {
    let taken = Waiting::among(&TAKEN)?;
    let stdin = io::stdin();
    let mut pidfd = None;
    loop {
        while keeper.has_message()? {
            match keeper.recv()? {
                Message::Fact(started) => {
                    let pid = started.value.as_i64().and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0);
                    pidfd = pids::open(Pid::from_raw(pid)).ok().map(|fd| (Pid::from_raw(pid), fd));
                    // Now it can be signalled, and may begin.
                    keeper.wake()?;
                }
                Message::Exited(ExitStatus::Exited(status)) => {
                    return Ok(Ended::Status(u8::try_from(status).unwrap_or(u8::MAX)));
                }
                Message::Exited(ExitStatus::Killed(signal)) => return Ok(Ended::Status(128 + signal as u8)),
                Message::Stopped(_) => keeper.signal(Signal::SIGCONT)?,
            }
        }
        // A terminal that hangs up signals its foreground, and that is not us. A shell that was about to start a program
        // when the signal came may wait for that for ever. No event is asked for, since a hang-up is always reported.
        let mut fds = vec![
            PollFd::new(keeper.messages(), PollFlags::POLLIN),
            PollFd::new(keeper.pidfd(), PollFlags::POLLIN),
            PollFd::new(taken.as_fd(), PollFlags::POLLIN),
        ];
        if has_terminal && program.is_a_shell() {
            fds.push(PollFd::new(stdin.as_fd(), PollFlags::empty()));
        }
        poll_until(&mut fds, None)?;
        let hung_up = fds.get(3).is_some_and(|fd| fd.any().unwrap_or(false));
        let mut ending = hung_up.then_some(Signal::SIGHUP);
        while let Some((signal, by_a_key)) = taken.take_with_origin()? {
            if program.is_a_shell() {
                ending = [Signal::SIGHUP, Signal::SIGTERM].contains(&signal).then_some(signal).or(ending);
            } else {
                ending = pass_on(signal, by_a_key, pidfd.as_ref())?.or(ending);
            }
        }
        if let Some(signal) = ending {
            // A shell that is hung up tells its jobs.
            if let Some((shell, _)) = pidfd.filter(|_| program.is_a_shell()) {
                let _ = killpg(shell, Signal::SIGHUP);
                let _ = killpg(shell, Signal::SIGCONT);
            }
            return Ok(Ended::Signal(signal));
        }
    }
}

/// Passes a signal on to a command, which is in our process group: what a key sent, it has got itself. Returns the signal
/// if it is to end us, since there is no command yet.
fn pass_on(signal: Signal, by_a_key: bool, command: Option<&(Pid, OwnedFd)>) -> Result<Option<Signal>> {
    match command {
        None if signal != Signal::SIGTSTP => return Ok(Some(signal)),
        Some((_, pidfd)) if !by_a_key || signal == Signal::SIGHUP => {
            let _ = pids::signal(pidfd.as_fd(), signal);
        }
        _ => {}
    }
    if signal == Signal::SIGTSTP {
        // The kernel stops the job, unless nobody could bring it back (setpgid(2), orphaned process groups).
        nix::sys::signal::raise(signal).named(|| "raise(SIGTSTP)".into())?;
        signals::unblock(&[signal])?;
        signals::block(&[signal])?;
    }
    Ok(None)
}

/// What went wrong in the process that gave up, without who passed it on.
pub fn innermost(error: &Error) -> String {
    let text = error.to_string();
    let passed_on = ["keeper: ", "attendant: ", "init: ", "program: "];
    let mut rest = text.as_str();
    while let Some(inner) = passed_on.iter().find_map(|who| rest.strip_prefix(who)) {
        rest = inner;
    }
    rest.into()
}

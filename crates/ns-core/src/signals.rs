//! Signals as values: handled ones can be waited for, in the order in which they arrive.
//!
//! signal(7). The handler writes what it caught to a pipe, so that receiving a later signal proves that an earlier one
//! was dropped.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, pipe2};

use crate::deadline::Deadline;
use crate::error::{Named, Result};
use crate::{Kind, host, sys};
use observation::Outcome;

/// A signal that was handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caught {
    /// Which.
    pub signal: Signal,
    /// The sender's PID as this process's PID namespace numbers it: 0 if it has none there (pid_namespaces(7)).
    pub sender: Pid,
}

/// The handled signals of this process, in order of arrival.
#[derive(Debug)]
pub struct Signals {
    arrived: OwnedFd,
    handler_writes: OwnedFd,
}

/// Installs a handler for each of `signals`.
///
/// # Errors
/// EINVAL for SIGKILL and SIGSTOP, which cannot be handled.
pub fn catch(signals: &[Signal]) -> Result<Signals> {
    let (arrived, write) = pipe2(OFlag::O_CLOEXEC).named(|| "pipe()".into())?;
    for signal in signals {
        sys::handle_signal(*signal, write.as_fd())?;
    }
    Ok(Signals { arrived, handler_writes: write })
}

impl Signals {
    /// Waits for the next signal that is handled.
    ///
    /// # Errors
    /// [`Deadline`](crate::Error::Deadline) if none comes.
    pub fn wait(&mut self) -> Result<Caught> {
        let mut fds = [PollFd::new(self.arrived.as_fd(), PollFlags::POLLIN)];
        Deadline::new().poll(&mut fds, "a signal")?;
        let mut record = [0; 8];
        // The handler writes a record in one piece, so it is read in one piece (pipe(7)).
        while let Err(errno) = nix::unistd::read(&self.arrived, &mut record) {
            if errno != Errno::EINTR {
                return Err(errno).named(|| "read(pipe)".into());
            }
        }
        let [a, b, c, d, e, f, g, h] = record;
        let signal = Signal::try_from(i32::from_ne_bytes([a, b, c, d])).named(|| "read(pipe)".into())?;
        Ok(Caught { signal, sender: Pid::from_raw(i32::from_ne_bytes([e, f, g, h])) })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.arrived.as_fd()
    }
}

impl Drop for Signals {
    /// The handlers stay, and tell nobody.
    fn drop(&mut self) {
        sys::forget_handled(self.handler_writes.as_fd());
    }
}

/// Sends `signal` (`None`: no signal, only the question whether it could be sent) to `process`, with the kernel's
/// answer as a value. Process -1 is everyone whom the caller may signal.
///
/// # Errors
/// To send to -1 is refused in the PID namespace that we were started in ([`crate::Error::WouldChangeHost`]).
pub fn send(process: Pid, signal: Option<Signal>) -> Result<Outcome> {
    let name = signal.map_or("0", Signal::as_str);
    if process.as_raw() == -1 {
        host::require_left(Kind::Pid, || format!("kill(-1, {name})"))?;
    }
    Outcome::of(nix::sys::signal::kill(process, signal).named(|| format!("kill({process}, {name})")))
}

/// Asks for SIGIO whenever `file`, a pipe, a socket or a terminal, can be read or written: F_SETOWN and O_ASYNC in fcntl(2).
/// It is asked of the open file, so others who have it make the kernel send the signal.
///
/// # Errors
/// Those of fcntl(2).
pub fn ask_for_sigio(file: BorrowedFd<'_>) -> Result<()> {
    sys::send_sigio(file, nix::unistd::getpid())
}

/// Blocks `signals` in this process: they stay pending until they are unblocked.
///
/// # Errors
/// None that sigprocmask(2) documents for valid arguments.
pub fn block(signals: &[Signal]) -> Result<()> {
    change_mask(SigmaskHow::SIG_BLOCK, signals)
}

/// Blocks every signal that can be blocked: all but SIGKILL and SIGSTOP.
///
/// # Errors
/// As [`block`].
pub fn block_all() -> Result<()> {
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None).named(|| "sigprocmask()".into())
}

/// Unblocks every signal; what was pending arrives before this returns.
///
/// # Errors
/// As [`block`].
pub fn unblock_all() -> Result<()> {
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).named(|| "sigprocmask()".into())
}

/// Unblocks `signals`; what was pending arrives before this returns.
///
/// # Errors
/// As [`block`].
pub fn unblock(signals: &[Signal]) -> Result<()> {
    change_mask(SigmaskHow::SIG_UNBLOCK, signals)
}

/// Blocked signals, to be taken as data instead of doing what they do: signalfd(2). Its descriptor is ready while one waits.
#[derive(Debug)]
pub struct Waiting(SignalFd);

impl Waiting {
    /// For `signals`, which the caller has blocked, or does before it takes the first.
    ///
    /// # Errors
    /// EMFILE and its like.
    pub fn among(signals: &[Signal]) -> Result<Waiting> {
        let mask: SigSet = signals.iter().copied().collect();
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        SignalFd::with_flags(&mask, flags).map(Waiting).named(|| "signalfd()".into())
    }

    /// Whether one waits, which stays where it is.
    ///
    /// # Errors
    /// None that poll(2) documents for these arguments.
    pub fn has_one(&self) -> Result<bool> {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).named(|| "poll(signalfd)".into()).map(|ready| ready > 0)
    }

    /// Takes one that waits; `None` if none does.
    ///
    /// # Errors
    /// None that signalfd(2) documents for such a descriptor.
    pub fn take(&self) -> Result<Option<Signal>> {
        Ok(self.take_with_origin()?.map(|(signal, _)| signal))
    }

    /// As [`Waiting::take`], with whether the kernel itself sent it, as for a key of a terminal (SI_KERNEL in
    /// sigaction(2)). Then all of the terminal's foreground process group got it.
    ///
    /// # Errors
    /// As [`Waiting::take`].
    pub fn take_with_origin(&self) -> Result<Option<(Signal, bool)>> {
        let call = || "read(signalfd)".into();
        let Some(info) = self.0.read_signal().named(call)? else { return Ok(None) };
        let signal = Signal::try_from(info.ssi_signo as i32).named(call)?;
        Ok(Some((signal, info.ssi_code == libc::SI_KERNEL)))
    }
}

impl AsFd for Waiting {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Whether `signal` is blocked and waits (`SigPnd` and `ShdPnd` in proc_pid_status(5)).
///
/// # Errors
/// When /proc is no procfs.
pub fn is_pending(signal: Signal) -> Result<bool> {
    let status = crate::process::status(None)?;
    let bit = 1_u64 << (signal as i32 - 1);
    Ok((status.sigpnd | status.shdpnd) & bit != 0)
}

/// Lets the signals that this program ignores do what they do by default: for what becomes another program, since
/// execve(2) would pass that on.
///
/// # Errors
/// None that sigaction(2) documents for these arguments.
pub fn reset_ignored() -> Result<()> {
    [Signal::SIGPIPE, Signal::SIGXFSZ].into_iter().try_for_each(sys::default_signal)
}

/// Lets `signal` do what it does by default.
///
/// # Errors
/// EINVAL for SIGKILL and SIGSTOP.
pub fn reset(signal: Signal) -> Result<()> {
    sys::default_signal(signal)
}

/// What a program wants of its signals at its start, whatever its parent and its runtime left: none blocked, children
/// waited for, and no handler that nobody here installed.
///
/// # Errors
/// None that sigaction(2) documents for these arguments.
pub fn start_afresh() -> Result<()> {
    unblock_all()?;
    // An inherited SIG_IGN would make the kernel reap our children before we ask how they ended.
    sys::default_signal(Signal::SIGCHLD)?;
    // Rust's runtime handles these to report a stack that overflowed. A SIGSEGV that is sent would then be handled,
    // and the sender would believe that the kernel had dropped it.
    sys::default_signal(Signal::SIGSEGV)?;
    sys::default_signal(Signal::SIGBUS)?;
    // At a limit on file sizes it would end us. Ignored, write(2) gives EFBIG (setrlimit(2), RLIMIT_FSIZE), which has a
    // name and a call.
    sys::ignore_signal(Signal::SIGXFSZ)
}

/// Gives every signal its default back, but SIGPIPE and SIGXFSZ, which stay ignored, so that a write that fails says
/// why. It is for a child, which begins with no handler of its parent's. The child ignores nothing else, although a
/// shell that starts its jobs by `&` has SIGINT ignored.
pub(crate) fn default_all() -> Result<()> {
    let fixed = [Signal::SIGKILL, Signal::SIGSTOP, Signal::SIGPIPE, Signal::SIGXFSZ];
    Signal::iterator().filter(|signal| !fixed.contains(signal)).try_for_each(sys::default_signal)
}

/// A real fault: a load that the processor refuses, for which the kernel sends this process SIGSEGV.
///
/// # Errors
/// ENOMEM. Otherwise it returns only where SIGSEGV is handled and the handler comes back.
pub fn fault() -> Result<()> {
    sys::fault()
}

fn change_mask(how: SigmaskHow, signals: &[Signal]) -> Result<()> {
    let set: SigSet = signals.iter().copied().collect();
    sigprocmask(how, Some(&set), None).named(|| "sigprocmask()".into())
}

impl std::fmt::Display for Caught {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} from {}", self.signal, self.sender)
    }
}

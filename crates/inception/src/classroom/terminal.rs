//! Single keys from a terminal, whose settings are put back on every way out.

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, raise, sigprocmask};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use nix::unistd::Pid;
use ns_core::signals;
use pages::write_now;

use super::watchdog::Watchdog;

/// Moves to the first line of a terminal and clears it: ECMA-48, CUP and ED.
pub(super) const CLEAR: &str = "\x1b[H\x1b[2J";
/// What ends a pause for good.
const ENDINGS: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];

/// What came while a key was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pressed {
    /// A key; Enter is `'\n'`.
    Key(char),
    /// A key that is no character.
    Unknown,
    /// Ctrl-C.
    Interrupt,
    /// The terminal hung up, or this signal came to end us.
    Ended(Signal),
    /// The experiment has ended meanwhile.
    Gone,
}

/// The terminal that standard input and output are.
#[derive(Debug)]
pub(super) struct Terminal {
    /// Keys that were read together with one before.
    ahead: VecDeque<Pressed>,
    watchdog: Watchdog,
}

impl Terminal {
    /// `option` is what asks for it, and `or` what could be done instead.
    pub(super) fn open(option: &str, or: &str) -> Result<Terminal> {
        for (is_one, name) in [(io::stdin().is_terminal(), "input"), (io::stdout().is_terminal(), "output")] {
            if !is_one {
                bail!("{option} wants a terminal, and standard {name} is none{or}");
            }
        }
        Ok(Terminal { ahead: VecDeque::new(), watchdog: Watchdog::start()? })
    }

    /// Shows a prompt by `show`, and waits for a key, or for the process of the pidfd `process` to end.
    pub(super) fn key(
        &mut self,
        show: impl FnMut() -> Result<()>,
        process: Option<BorrowedFd<'_>>,
    ) -> Result<Pressed> {
        self.keys(show, process, |pressed| Ok(Some(pressed)))
    }

    /// Shows a prompt by `show`, again after each stop, and hands one key after another to `take` until that makes
    /// something of them, which it must of an end. In between the terminal echoes nothing, however fast keys come.
    pub(super) fn keys<T>(
        &mut self,
        mut show: impl FnMut() -> Result<()>,
        process: Option<BorrowedFd<'_>>,
        mut take: impl FnMut(Pressed) -> Result<Option<T>>,
    ) -> Result<T> {
        loop {
            let stop = {
                // Before the prompt is to be seen, so that a key that answers it is not echoed.
                let (signals, _keys) = (Watched::signals()?, Keys::begin(&mut self.watchdog)?);
                show()?;
                loop {
                    let pressed = match self.ahead.pop_front() {
                        Some(STOP) => break Stop::Job,
                        Some(pressed) => pressed,
                        None => match wait(&signals.arrive, process)? {
                            Waited::Bytes(bytes) => {
                                self.ahead.extend(parse(&bytes));
                                continue;
                            }
                            Waited::HungUp => Pressed::Ended(Signal::SIGHUP),
                            Waited::Gone => Pressed::Gone,
                            Waited::Arrived(Signal::SIGTSTP) => break Stop::This,
                            Waited::Arrived(signal) if ENDINGS.contains(&signal) => Pressed::Ended(signal),
                            // After a stop: the shell had the terminal meanwhile.
                            Waited::Arrived(_) => break Stop::Over,
                        },
                    };
                    if let Some(taken) = take(pressed)? {
                        return Ok(taken);
                    }
                }
            };
            match stop {
                // As the terminal would, were it not for us: the whole job stops.
                Stop::Job => kill(Pid::from_raw(0), Signal::SIGTSTP).context("kill(0, SIGTSTP)")?,
                Stop::This => raise(Signal::SIGTSTP).context("raise(SIGTSTP)")?,
                Stop::Over => {}
            }
            write_now(b"\n")?;
        }
    }
}

/// Ctrl-Z.
const STOP: Pressed = Pressed::Key('\u{1a}');

/// What interrupts the wait for keys.
enum Stop {
    /// Ctrl-Z.
    Job,
    /// A signal that stops this process.
    This,
    /// It has been stopped, and goes on.
    Over,
}

enum Waited {
    Bytes(Vec<u8>),
    HungUp,
    Gone,
    Arrived(Signal),
}

fn wait(signals: &signals::Waiting, process: Option<BorrowedFd<'_>>) -> Result<Waited> {
    let stdin = io::stdin();
    loop {
        let watched = [Some(stdin.as_fd()), Some(signals.as_fd()), process];
        let mut fds: Vec<_> =
            watched.into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        ns_core::poll_until(&mut fds, None)?;
        let ready = |at: usize| fds.get(at).is_some_and(|fd| fd.any().unwrap_or(false));
        let (keys, signal, end) = (ready(0), ready(1), ready(2));
        if signal {
            if let Some(arrived) = signals.take()? {
                return Ok(Waited::Arrived(arrived));
            }
        }
        if keys {
            let mut buffer = [0; 64];
            return match nix::unistd::read(&stdin, &mut buffer) {
                // EIO: the terminal is not ours any more.
                Ok(0) | Err(Errno::EIO) => Ok(Waited::HungUp),
                Ok(length) => Ok(Waited::Bytes(buffer[..length].to_vec())),
                Err(Errno::EINTR) => continue,
                Err(errno) => Err(errno).context("read(terminal)"),
            };
        }
        if end {
            return Ok(Waited::Gone);
        }
    }
}

/// The keys in what a terminal sent.
fn parse(bytes: &[u8]) -> Vec<Pressed> {
    // An arrow or a function key is several bytes, the first of which is Escape.
    if bytes.first() == Some(&0x1b) {
        return vec![Pressed::Unknown];
    }
    let key = |c| match c {
        '\r' => Pressed::Key('\n'),
        '\u{3}' => Pressed::Interrupt,
        '\u{4}' => Pressed::Key('q'),
        char::REPLACEMENT_CHARACTER => Pressed::Unknown,
        c => Pressed::Key(c),
    };
    String::from_utf8_lossy(bytes).chars().map(key).collect()
}

/// Signals that come as data; dropping it lets them do again what they do.
struct Watched {
    arrive: signals::Waiting,
    before: SigSet,
}

impl Watched {
    fn signals() -> Result<Watched> {
        let watched = [&ENDINGS[..], &[Signal::SIGTSTP, Signal::SIGCONT]].concat();
        let arrive = signals::Waiting::among(&watched)?;
        let mask: SigSet = watched.into_iter().collect();
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), Some(&mut before)).context("sigprocmask()")?;
        Ok(Watched { arrive, before })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}

/// The terminal gives keys one by one; dropping it puts its settings back.
struct Keys<'a> {
    before: Termios,
    watchdog: &'a mut Watchdog,
}

impl Keys<'_> {
    fn begin(watchdog: &mut Watchdog) -> Result<Keys<'_>> {
        let before = tcgetattr(io::stdin()).context("tcgetattr()")?;
        let mut keys = before.clone();
        keys.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG);
        keys.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        keys.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        watchdog.keys(&before, &keys);
        // First, so that what follows is undone if it fails.
        let held = Keys { before, watchdog };
        tcsetattr(io::stdin(), SetArg::TCSANOW, &keys).context("tcsetattr()")?;
        Ok(held)
    }
}

impl Drop for Keys<'_> {
    fn drop(&mut self) {
        // One that hung up has no settings any more.
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
        self.watchdog.as_found();
    }
}

/// Ends this process as `signal` would have.
pub(super) fn die_of(signal: Signal) -> anyhow::Error {
    let _ = signals::reset(signal);
    let _ = raise(signal);
    anyhow::anyhow!("{signal} came")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_keys() {
        assert_eq!(parse(b"nb"), [Pressed::Key('n'), Pressed::Key('b')]);
        assert_eq!(parse(b"\r"), [Pressed::Key('\n')]);
        assert_eq!(parse(b"\x1b[A"), [Pressed::Unknown], "an arrow is one key");
        assert_eq!(parse(b"\x03"), [Pressed::Interrupt]);
        assert_eq!(parse("ä".as_bytes()), [Pressed::Key('ä')]);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_keys(bytes: Vec<u8>) {
            proptest::prop_assert!(parse(&bytes).len() <= bytes.len());
            proptest::prop_assert_eq!(parse(&bytes).is_empty(), bytes.is_empty());
        }
    }
}

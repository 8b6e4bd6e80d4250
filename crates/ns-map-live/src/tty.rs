//! The terminal: taken for the interface, lent to others, and given back however this ends.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ns_core::Signal;
use ns_core::signals::{self, Waiting};
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{self, Event, KeyEvent, KeyEventKind};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::{DefaultTerminal, Frame};

/// The signals that are taken as data: those that end or stop this program, and those after which it draws anew.
const TAKEN: [Signal; 7] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGTSTP,
    Signal::SIGCONT,
    Signal::SIGWINCH,
];

/// The terminal.
#[derive(Debug)]
pub(crate) struct Tty {
    terminal: DefaultTerminal,
    signals: Waiting,
}

impl Tty {
    /// Takes it. A panic gives it back before it says why.
    ///
    /// # Errors
    /// Those of the terminal.
    pub(crate) fn take() -> Result<Tty> {
        signals::block(&TAKEN)?;
        let signals = Waiting::among(&TAKEN)?;
        let terminal = ratatui::try_init().context("the terminal cannot be set up")?;
        Ok(Tty { terminal, signals })
    }

    /// What becomes ready when a key is pressed, and when a signal waits.
    pub(crate) fn waits_for(&self) -> [BorrowedFd<'_>; 2] {
        [STDIN.as_fd(), self.signals.as_fd()]
    }

    /// The signals that came.
    ///
    /// # Errors
    /// Those of signalfd(2).
    pub(crate) fn signals(&self) -> Result<Vec<Signal>> {
        let mut all = Vec::new();
        while let Some(signal) = self.signals.take()? {
            all.push(signal);
        }
        Ok(all)
    }

    /// The keys that were pressed. `None` once the terminal has hung up.
    ///
    /// # Errors
    /// Those of the terminal.
    pub(crate) fn keys(&self) -> Result<Option<Vec<KeyEvent>>> {
        let mut fds = [PollFd::new(STDIN.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).context("poll(0)")?;
        if fds[0].revents().is_some_and(|it| it.intersects(PollFlags::POLLHUP | PollFlags::POLLERR)) {
            return Ok(None);
        }
        let mut keys = Vec::new();
        while event::poll(std::time::Duration::ZERO).context("poll(0)")? {
            match event::read().context("read(0)")? {
                Event::Key(key) if key.kind != KeyEventKind::Release => keys.push(key),
                _ => {}
            }
        }
        Ok(Some(keys))
    }

    /// Draws; all of it, if the size of the terminal is another now.
    ///
    /// # Errors
    /// Those of write(2).
    pub(crate) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<()> {
        self.terminal.draw(draw).context("write(1)")?;
        Ok(())
    }

    /// All is to be drawn anew.
    ///
    /// # Errors
    /// Those of write(2).
    pub(crate) fn clear(&mut self) -> Result<()> {
        self.terminal.clear().context("write(1)")
    }

    /// Lends the terminal, as it was found, while `body` runs.
    ///
    /// # Errors
    /// Those of the terminal and of `body`.
    pub(crate) fn lend<T>(&mut self, body: impl FnOnce(&Waiting) -> Result<T>) -> Result<T> {
        give_back();
        let done = body(&self.signals);
        enable_raw_mode().context("the terminal cannot be set up")?;
        execute!(io::stdout(), EnterAlternateScreen).context("write(1)")?;
        self.clear()?;
        done
    }

    /// Stops this process, as Ctrl-Z does; it goes on when a shell has it go on.
    ///
    /// # Errors
    /// Those of the terminal.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.lend(|_| {
            // The kernel stops it here, unless nobody could bring it back (setpgid(2), orphaned process groups).
            nix::sys::signal::raise(Signal::SIGTSTP).context("raise(SIGTSTP)")?;
            signals::unblock(&[Signal::SIGTSTP])?;
            Ok(signals::block(&[Signal::SIGTSTP])?)
        })
    }
}

impl Drop for Tty {
    /// In a panic that is done, and why has been said: to do it again would set the cursor back to before that.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            give_back();
        }
    }
}

/// Standard input, for as long as this program runs.
static STDIN: std::sync::LazyLock<io::Stdin> = std::sync::LazyLock::new(io::stdin);

/// The terminal as it was found. Where it is gone, nobody wants it back.
fn give_back() {
    let _ = disable_raw_mode();
    let mut stdout = io::stdout();
    let _ = execute!(stdout, LeaveAlternateScreen, Show);
    let _ = stdout.flush();
}

/// Ends this process by `signal`, as if it had not been taken.
///
/// # Errors
/// None that is expected.
pub(crate) fn end_by(signal: Signal) -> Result<()> {
    signals::reset(signal)?;
    nix::sys::signal::raise(signal).with_context(|| format!("raise({signal})"))?;
    Ok(signals::unblock(&TAKEN)?)
}

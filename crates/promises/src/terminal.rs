//! A user at a terminal: types when a text has appeared, and waits for the next text.

use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, Termios, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use crate::ensure::PATIENCE;

/// A terminal, and a program for which it is the controlling terminal.
#[derive(Debug)]
pub struct Terminal {
    screen: OwnedFd,
    program: Child,
    /// As the program found it.
    settings_before: String,
    /// The output so far, and the position after the last text that was waited for.
    text: String,
    seen: usize,
}

impl Terminal {
    /// Starts a program at a new terminal of 24 lines of 200 columns.
    ///
    /// # Panics
    /// When there is no terminal to be had.
    pub fn with(command: &[&str]) -> Terminal {
        // setsid(1) executes the program without a fork, since it is not a process group leader.
        let mut at = Command::new("setsid");
        at.arg("--ctty").args(command).env("PS1", "$ ");
        Terminal::of(&mut at)
    }

    /// The same of `setsid --ctty PROGRAM`, with whatever environment.
    ///
    /// # Panics
    /// When there is no terminal to be had.
    pub fn of(program: &mut Command) -> Terminal {
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let end = ioctl_tiocgptpeer(&screen, flags).unwrap();
        let size = Winsize { ws_row: 24, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&screen, size).unwrap();
        // At Ctrl-C the kernel sends the signal, and then discards what was written meanwhile: an answer to the signal is
        // lost if it comes early (NOFLSH in termios(3)).
        let mut settings = tcgetattr(&end).unwrap();
        settings.local_modes.insert(LocalModes::NOFLSH);
        tcsetattr(&end, OptionalActions::Now, &settings).unwrap();
        let settings_before = settings_of(&end);
        let copy = || end.try_clone().unwrap();
        let program = program.stdin(copy()).stdout(copy()).stderr(copy()).spawn().unwrap();
        Terminal { screen, program, settings_before, text: String::new(), seen: 0 }
    }

    /// Types keys.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn types(&mut self, keys: &str) {
        let mut rest = keys.as_bytes();
        while !rest.is_empty() {
            let written = rustix::io::write(&self.screen, rest).unwrap();
            rest = &rest[written..];
        }
    }

    /// Types more than all buffers hold, and stops when the terminal accepts no more.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn pastes(&mut self, keys: &str) {
        rustix::io::ioctl_fionbio(&self.screen, true).unwrap();
        let mut rest = keys.as_bytes();
        loop {
            let mut fds = [PollFd::new(self.screen.as_fd(), PollFlags::POLLIN | PollFlags::POLLOUT)];
            // Nothing was accepted for a second: it is full.
            if poll(&mut fds, 1000_u16).unwrap() == 0 || rest.is_empty() {
                return;
            }
            let mut echo = [0; 4096];
            let read = rustix::io::read(&self.screen, &mut echo);
            let written = rustix::io::write(&self.screen, rest);
            assert!(read.is_ok() || written.is_ok() || fds[0].revents().is_some(), "the terminal is gone");
            rest = &rest[written.unwrap_or(0)..];
        }
    }

    /// Types a command repeatedly until its output contains `text`.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn asks_until(&mut self, command: &str, text: &str) {
        let late = Instant::now() + PATIENCE;
        loop {
            let from = self.seen;
            self.types(&format!("{command}; echo answered $((6*7))\n"));
            self.shows("answered 42\r\n");
            if self.text[from..self.seen].contains(text) {
                return;
            }
            assert!(Instant::now() < late, "'{text}' did not appear: {}", &self.text[from..]);
        }
    }

    /// What a command prints, at a shell that does not edit its line.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn answers(&mut self, command: &str) -> String {
        self.types(&format!("{command}; echo answered $((6*7))\n"));
        self.shows("$((6*7))\r\n");
        let from = self.seen;
        self.shows("answered 42\r\n");
        self.text[from..self.seen].trim_end_matches("answered 42\r\n").into()
    }

    /// Waits until `text` has appeared, after the text that was waited for last.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn shows(&mut self, text: &str) {
        let late = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.text[self.seen..].find(text) {
                self.seen += at + text.len();
                return;
            }
            let mut fds = [PollFd::new(self.screen.as_fd(), PollFlags::POLLIN)];
            let patience = late.saturating_duration_since(Instant::now());
            let ready = poll(&mut fds, PollTimeout::try_from(patience).unwrap()).unwrap();
            let mut bytes = [0; 4096];
            let read = if ready == 0 { Ok(0) } else { rustix::io::read(&self.screen, &mut bytes) };
            let Ok(length @ 1..) = read else { panic!("'{text}' did not appear: {}", self.text) };
            self.text.push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
    }

    /// Changes the size, as a person does who drags the window's corner.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.screen, size).unwrap();
    }

    /// The settings of the terminal, as stty(1) shows them.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn settings(&self) -> String {
        settings_of(&self.screen)
    }

    /// Its settings before the program began.
    pub fn settings_before(&self) -> String {
        self.settings_before.clone()
    }

    /// The program's process ID.
    pub fn pid(&self) -> u32 {
        self.program.id()
    }

    /// The exit status of the program, and the settings of the terminal after it.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn ends(self) -> (Option<i32>, String) {
        let (status, settings, _) = self.ends_showing();
        (status, settings)
    }

    /// As [`Terminal::ends`], with the whole output.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn ends_showing(mut self) -> (Option<i32>, String, String) {
        // Keep reading: a process blocks after much output if nobody reads the terminal.
        let late = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.program.try_wait().unwrap() {
                return (status.code(), self.settings(), self.text);
            }
            assert!(Instant::now() < late, "it does not end: {}", self.text);
            let mut fds = [PollFd::new(self.screen.as_fd(), PollFlags::POLLIN)];
            if poll(&mut fds, 10_u8).unwrap() > 0 {
                let mut bytes = [0; 4096];
                let length = rustix::io::read(&self.screen, &mut bytes).unwrap_or(0);
                self.text.push_str(&String::from_utf8_lossy(&bytes[..length]));
            }
        }
    }

    /// Closes the terminal, and returns the program.
    #[must_use]
    pub fn hangs_up(self) -> Child {
        self.program
    }
}

fn settings_of(terminal: &OwnedFd) -> String {
    let Termios { input_modes, output_modes, control_modes, local_modes, .. } = tcgetattr(terminal).unwrap();
    format!("{input_modes:?} {output_modes:?} {control_modes:?} {local_modes:?}")
}

//! A new terminal for the container, if the launcher has one.
//!
//! With the launcher's terminal, the command could read its keys, change its settings, or type into it. So the container
//! gets a new terminal. One end is a device in the container's devpts, the other is a descriptor of the launcher, which
//! forwards both ways. Keys are forwarded only if standard input is the launcher's terminal.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::poll::PollFlags;
use ns_core::mount::Tree;
use ns_core::resolve::openat2;
use ns_core::{Child, Error, Named, Reporter, Result};
use rustix::fs::{FileType, OFlags, ResolveFlags, fcntl_getfl, fcntl_setfl, fstat, major};
use rustix::io::Errno;
use rustix::process::getpgrp;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::{
    OptionalActions, OutputModes, Termios, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, tcsetwinsize,
};

use super::place;

/// The major device numbers of devpts terminals.
const UNIX98_TERMINALS: std::ops::RangeInclusive<u32> = 136..=143;

/// In init: creates the terminal, mounts it at /dev/console, and passes the other end to the launcher.
pub(super) fn make(me: &mut Reporter, dev: BorrowedFd<'_>, pts: BorrowedFd<'_>) -> Result<OwnedFd> {
    // From the descriptor of the new devpts, not by a path: /dev/ptmx or /dev/pts/0 could be links (CVE-2025-52565).
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let master = openat2(pts, "ptmx", flags, resolve).named(|| "open(\"/dev/pts/ptmx\")".into())?;
    unlockpt(&master).named(|| "ioctl(TIOCSPTLCK)".into())?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let terminal = ioctl_tiocgptpeer(&master, flags).named(|| "ioctl(TIOCGPTPEER)".into())?;
    must_be_a_terminal(terminal.as_fd())?;
    let console = Tree::copy_of_open(&terminal, "dev/console")?;
    console.attach_to(place::empty_file(dev, "console")?, "dev/console")?;
    me.report("console", i64::from(master.as_raw_fd()))?;
    me.checkpoint()?;
    Ok(terminal)
}

fn must_be_a_terminal(fd: BorrowedFd<'_>) -> Result<()> {
    let stat = fstat(fd).named(|| "fstat(console)".into())?;
    let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    if is_device && UNIX98_TERMINALS.contains(&major(stat.st_rdev)) {
        return Ok(());
    }
    Err(Error::Input("the console is not a terminal of devpts".into()))
}

/// The launcher's end. Dropping it restores the launcher's terminal, and hangs up the container's.
pub(super) struct Console {
    master: OwnedFd,
    /// The other end, kept open, since processes inside may close theirs and open it again.
    _open: Option<OwnedFd>,
    /// The descriptor that its output is written to.
    screen: BorrowedFd<'static>,
    /// The old settings of the launcher's terminal, if its keys are forwarded.
    keyboard: Option<Termios>,
    /// Whether each key is forwarded as it is typed.
    passes_keys: bool,
    /// Keys that were typed, and not yet accepted by the inner terminal.
    typed: Vec<u8>,
}

impl Console {
    /// Takes the end that init has open as descriptor `number`. `terminals`: which of standard input, output and error of
    /// the launcher are terminals; at least one is.
    pub(super) fn take(init: &Child, number: i64, terminals: [bool; 3]) -> Result<Console> {
        let number = i32::try_from(number).unwrap_or(-1);
        let master = init.take_descriptor(number)?;
        // So that no process inside can block the launcher, by writing without end or by reading nothing.
        fcntl_getfl(&master)
            .and_then(|flags| fcntl_setfl(&master, flags | OFlags::NONBLOCK))
            .named(|| "fcntl(O_NONBLOCK)".into())?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let open = ioctl_tiocgptpeer(&master, flags).ok();
        let [keys, out, error] = terminals;
        let screen = if out {
            stdout()
        } else if error {
            stderr()
        } else {
            stdin()
        };
        let keyboard = keys.then(|| tcgetattr(stdin())).transpose().named(|| "tcgetattr(0)".into())?;
        let mut console =
            Console { master, _open: open, screen, keyboard, passes_keys: false, typed: Vec::new() };
        console.resize();
        if console.keyboard.is_some() {
            console.pass_every_key();
        } else {
            console.leave_newlines().named(|| "tcsetattr(console)".into())?;
        }
        init.wake()?;
        Ok(console)
    }

    /// The launcher's terminal turns each newline into carriage return and newline, so the inner one must not.
    fn leave_newlines(&self) -> rustix::io::Result<()> {
        let mut termios = tcgetattr(&self.master)?;
        termios.output_modes.remove(OutputModes::OPOST);
        tcsetattr(&self.master, OptionalActions::Now, &termios)
    }

    /// Whether the launcher is in the foreground. In the background, using the terminal would stop it (SIGTTIN, SIGTTOU).
    fn is_foreground() -> bool {
        tcgetpgrp(stdin()).is_ok_and(|group| group == getpgrp())
    }

    /// Forwards each byte as it is typed, if the launcher is in the foreground. So ^C goes to the command and not to the
    /// launcher.
    pub(super) fn pass_every_key(&mut self) {
        let Some(before) = &self.keyboard else { return };
        if Console::is_foreground() {
            let mut raw = before.clone();
            raw.make_raw();
            self.passes_keys = tcsetattr(stdin(), OptionalActions::Now, &raw).is_ok();
        }
    }

    /// As [`Console::pass_every_key`], if that was not possible at the start, since a shell had the terminal.
    pub(super) fn begin_to_pass_keys(&mut self) {
        if !self.passes_keys {
            self.pass_every_key();
        }
    }

    /// Gives the container's terminal the size of the launcher's.
    pub(super) fn resize(&self) {
        if let Ok(size) = tcgetwinsize(self.screen) {
            let _ = tcsetwinsize(&self.master, size);
        }
    }

    /// Whether keys are to be forwarded and the launcher is in the background. No event reports when that ends.
    pub(super) fn waits_for_keyboard(&self) -> bool {
        self.keyboard.is_some() && !Console::is_foreground()
    }

    /// The keyboard to wait for, unless the launcher is in the background or earlier keys are left.
    pub(super) fn keys(&self) -> Option<BorrowedFd<'static>> {
        (self.keyboard.is_some() && self.typed.is_empty() && Console::is_foreground()).then(stdin)
    }

    /// The inner terminal, and the events to wait for.
    pub(super) fn inner(&self) -> (BorrowedFd<'_>, PollFlags) {
        let writes = if self.typed.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
        (self.master.as_fd(), PollFlags::POLLIN | writes)
    }

    /// Writes the output of the inner terminal to the screen: some of it, or all.
    #[inline(never)] // A caller without a terminal would fill its stack with pages for the buffer.
    pub(super) fn show(&self, all: bool) {
        let mut bytes = [0; 16384];
        while let Ok(length @ 1..) = rustix::io::read(&self.master, &mut bytes) {
            let mut rest = &bytes[..length];
            while !rest.is_empty() {
                match rustix::io::write(self.screen, rest) {
                    Ok(written) => rest = &rest[written..],
                    Err(Errno::INTR) => {}
                    Err(_) => return,
                }
            }
            if !all {
                return;
            }
        }
    }

    /// Reads typed keys. Returns whether the launcher's terminal has hung up.
    #[inline(never)] // As above.
    pub(super) fn read_typed(&mut self) -> bool {
        let mut bytes = [0; 4096];
        match rustix::io::read(stdin(), &mut bytes) {
            Ok(0) => true,
            Ok(length) => {
                self.typed.extend_from_slice(&bytes[..length]);
                false
            }
            Err(errno) => !matches!(errno, Errno::INTR | Errno::AGAIN),
        }
    }

    /// Writes the keys to the inner terminal, as far as it accepts them. Returns whether it has hung up.
    pub(super) fn type_on(&mut self) -> bool {
        while !self.typed.is_empty() {
            match rustix::io::write(&self.master, &self.typed) {
                Ok(written) => drop(self.typed.drain(..written)),
                Err(Errno::INTR) => {}
                Err(errno) => return errno != Errno::AGAIN,
            }
        }
        false
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // In the background, the shell has set the terminal, and setting it would stop the launcher.
        if let Some(before) = self.keyboard.as_ref().filter(|_| Console::is_foreground()) {
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}

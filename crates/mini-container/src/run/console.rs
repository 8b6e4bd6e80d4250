//! A terminal of the container's own, if we are at one.
//!
//! The command could do with our terminal what we can: read its keys, have it pass them unprocessed for good, type into
//! it. So it gets another, whose two ends are a device in the container's devpts and a descriptor in the launcher's
//! hands, which passes on what goes in and out. Keys go in where standard input is our terminal, and in no other case.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::poll::PollFlags;
use ns_core::mount::Tree;
use ns_core::{Child, Error, Named, Reporter, Result};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fcntl_getfl, fcntl_setfl, fstat, major, openat2};
use rustix::io::Errno;
use rustix::process::getpgrp;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::{
    OptionalActions, OutputModes, Termios, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, tcsetwinsize,
};

use super::place;

/// The first device numbers of terminals that devpts makes.
const UNIX98_TERMINALS: std::ops::RangeInclusive<u32> = 136..=143;

/// In init: makes the terminal, mounts it at /dev/console, and hands the other end to the launcher.
pub(super) fn make(me: &mut Reporter, dev: BorrowedFd<'_>, pts: BorrowedFd<'_>) -> Result<OwnedFd> {
    // From the devpts that we have mounted, not by a name: /dev/ptmx or /dev/pts/0 could be links (CVE-2025-52565).
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master =
        openat2(pts, "ptmx", flags, Mode::empty(), resolve).named(|| "open(\"/dev/pts/ptmx\")".into())?;
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

/// The launcher's end. Dropped, our own terminal is as it was, and the other has hung up.
pub(super) struct Console {
    master: OwnedFd,
    /// Its other end, so that it never counts as closed: whoever is inside may close it, and open it again.
    _open: Option<OwnedFd>,
    /// Where it is shown.
    screen: BorrowedFd<'static>,
    /// How our terminal was set before, if its keys are for whoever is inside.
    keyboard: Option<Termios>,
    /// Whether each of its keys is passed on.
    passes_keys: bool,
    /// What was typed, and not taken yet by who is inside.
    typed: Vec<u8>,
}

impl Console {
    /// Takes the end that init holds under this `number`. `terminals`: which of our standard input, output and error are
    /// terminals; one is.
    pub(super) fn take(init: &Child, number: i64, terminals: [bool; 3]) -> Result<Console> {
        let number = i32::try_from(number).unwrap_or(-1);
        let master = init.take_descriptor(number)?;
        // Nobody inside can have us wait: not by writing without end, and not by reading nothing.
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
            console.leave_lines_to_ours().named(|| "tcsetattr(console)".into())?;
        }
        init.wake()?;
        Ok(console)
    }

    /// Our terminal goes on making a carriage return and a newline of each newline. Twice would be once too often.
    fn leave_lines_to_ours(&self) -> rustix::io::Result<()> {
        let mut termios = tcgetattr(&self.master)?;
        termios.output_modes.remove(OutputModes::OPOST);
        tcsetattr(&self.master, OptionalActions::Now, &termios)
    }

    /// Whether we are in the foreground. In the background we would be stopped for reading or setting our terminal.
    fn is_ours() -> bool {
        tcgetpgrp(stdin()).is_ok_and(|group| group == getpgrp())
    }

    /// Has each byte passed on as it is typed, if our terminal is ours at this moment: ^C is for whoever is inside, not
    /// for us.
    pub(super) fn pass_every_key(&mut self) {
        let Some(before) = &self.keyboard else { return };
        if Console::is_ours() {
            let mut raw = before.clone();
            raw.make_raw();
            self.passes_keys = tcsetattr(stdin(), OptionalActions::Now, &raw).is_ok();
        }
    }

    /// As [`Console::pass_every_key`], where that was not possible before: a shell had our terminal when we began.
    pub(super) fn begin_to_pass_keys(&mut self) {
        if !self.passes_keys {
            self.pass_every_key();
        }
    }

    /// Has the container's terminal as large as ours.
    pub(super) fn resize(&self) {
        if let Ok(size) = tcgetwinsize(self.screen) {
            let _ = tcsetwinsize(&self.master, size);
        }
    }

    /// Whether keys are for whoever is inside, and our terminal is another's at this moment: no event tells when that
    /// ends.
    pub(super) fn waits_for_keyboard(&self) -> bool {
        self.keyboard.is_some() && !Console::is_ours()
    }

    /// The keyboard, to be waited for, unless it is another's or something is left of before.
    pub(super) fn keys(&self) -> Option<BorrowedFd<'static>> {
        (self.keyboard.is_some() && self.typed.is_empty() && Console::is_ours()).then(stdin)
    }

    /// The inner terminal, and what to wait for there.
    pub(super) fn inner(&self) -> (BorrowedFd<'_>, PollFlags) {
        let writes = if self.typed.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
        (self.master.as_fd(), PollFlags::POLLIN | writes)
    }

    /// Shows what was written inside: some, or all that there is.
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

    /// Takes what was typed. Whether our terminal has hung up: at one there is no other end of what is typed.
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

    /// Types it inside, as far as it is taken. Whether that is no terminal any more.
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
        // In the background it is set as the shell wants it, and we would be stopped.
        if let Some(before) = self.keyboard.as_ref().filter(|_| Console::is_ours()) {
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}

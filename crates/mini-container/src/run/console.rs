//! A terminal of the container's own, if we are at one.
//!
//! The command could do with our terminal what we can: type into it, for one. So it gets another, whose two ends are a
//! device in the container's devpts and a descriptor in the launcher's hands, which passes on what goes in and out.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::poll::PollFlags;
use ns_core::mount::Tree;
use ns_core::{Child, Error, Named, Result, Witness};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fcntl_getfl, fcntl_setfl, fstat, major, openat2};
use rustix::io::Errno;
use rustix::process::getpgrp;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::stdio::{stdin, stdout};
use rustix::termios::{
    OptionalActions, Termios, isatty, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, tcsetwinsize,
};

use super::place;

/// The first device numbers of terminals that devpts makes.
const UNIX98_TERMINALS: std::ops::RangeInclusive<u32> = 136..=143;

/// Whether we are at a terminal, with both hands.
pub(super) fn is_wanted() -> bool {
    isatty(stdin()) && isatty(stdout())
}

/// In init: makes the terminal, mounts it at /dev/console, and hands the other end to the launcher.
pub(super) fn make(me: &mut Witness, dev: BorrowedFd<'_>, pts: BorrowedFd<'_>) -> Result<OwnedFd> {
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
    me.saw("console", i64::from(master.as_raw_fd()))?;
    me.pause()?;
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
    /// Its other end, so that it never counts as closed: whoever is in there may close it, and open it again.
    _open: Option<OwnedFd>,
    before: Termios,
    /// What was typed, and not taken yet by who is in there.
    typed: Vec<u8>,
}

impl Console {
    /// Takes the end that init holds under this `number`.
    pub(super) fn take(init: &Child, number: i64) -> Result<Console> {
        let number = i32::try_from(number).unwrap_or(-1);
        let master = init.take_descriptor(number)?;
        init.release()?;
        // Nobody in there can have us wait: not by writing without end, and not by reading nothing.
        fcntl_getfl(&master)
            .and_then(|flags| fcntl_setfl(&master, flags | OFlags::NONBLOCK))
            .named(|| "fcntl(O_NONBLOCK)".into())?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let open = ioctl_tiocgptpeer(&master, flags).ok();
        let before = tcgetattr(stdin()).named(|| "tcgetattr(0)".into())?;
        let console = Console { master, _open: open, before, typed: Vec::new() };
        console.resize();
        console.set(&console.raw()).named(|| "tcsetattr(0)".into())?;
        Ok(console)
    }

    /// Each byte is passed on as it is typed: ^C is for whoever is in there, not for us.
    fn raw(&self) -> Termios {
        let mut raw = self.before.clone();
        raw.make_raw();
        raw
    }

    fn set(&self, termios: &Termios) -> rustix::io::Result<()> {
        tcsetattr(stdin(), OptionalActions::Now, termios)
    }

    /// Again, if our terminal is ours at this moment. In the background we would be stopped for asking.
    pub(super) fn pass_every_key(&self) {
        if tcgetpgrp(stdin()).is_ok_and(|group| group == getpgrp()) {
            let _ = self.set(&self.raw());
        }
    }

    /// Has the container's terminal as large as ours.
    pub(super) fn resize(&self) {
        if let Ok(size) = tcgetwinsize(stdin()) {
            let _ = tcsetwinsize(&self.master, size);
        }
    }

    /// What to wait for: what is typed here, unless something is left of before (then `nothing`), and the inner terminal.
    pub(super) fn awaited<'a>(
        &'a self,
        nothing: BorrowedFd<'a>,
    ) -> (BorrowedFd<'a>, BorrowedFd<'a>, PollFlags) {
        if self.typed.is_empty() {
            (stdin(), self.master.as_fd(), PollFlags::POLLIN)
        } else {
            (nothing, self.master.as_fd(), PollFlags::POLLIN | PollFlags::POLLOUT)
        }
    }

    /// Shows what was written in there: some, or all that there is.
    pub(super) fn show(&self, all: bool) {
        let mut bytes = [0; 16384];
        while let Ok(length @ 1..) = rustix::io::read(&self.master, &mut bytes) {
            let mut rest = &bytes[..length];
            while !rest.is_empty() {
                match rustix::io::write(stdout(), rest) {
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
        // Then it was not our terminal that was waited for.
        if !self.typed.is_empty() {
            return false;
        }
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

    /// Types it in there, as far as it is taken. Whether that is no terminal any more.
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
        let _ = self.set(&self.before);
    }
}

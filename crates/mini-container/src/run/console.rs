//! A terminal of the container's own, if we are at one.
//!
//! The command could do with our terminal what we can: type into it, for one. So it gets another, whose two ends are a
//! device in the container's devpts and a descriptor in the launcher's hands, which passes on what goes in and out.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use ns_core::{Child, Error, Named, Result, Witness};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, major, openat2};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

use super::place;

/// The first device numbers of terminals that devpts makes.
const UNIX98_TERMINALS: std::ops::RangeInclusive<u32> = 136..=143;

/// Whether we are at a terminal, with both hands.
pub(super) fn is_wanted() -> bool {
    isatty(rustix::stdio::stdin()) && isatty(rustix::stdio::stdout())
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
    let copy = place::copy_of_open(terminal.as_fd())?;
    place::attach(&copy, place::empty_file(dev, "console")?, "dev/console")?;
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

/// The launcher's end. Dropped, our own terminal is as it was.
pub(super) struct Console {
    pub(super) master: OwnedFd,
    before: Termios,
}

impl Console {
    /// Takes the end that init holds under this `number`.
    pub(super) fn take(init: &Child, number: i64) -> Result<Console> {
        let number = i32::try_from(number).unwrap_or(-1);
        let master = init.take_descriptor(number)?;
        init.release()?;
        let before = tcgetattr(rustix::stdio::stdin()).named(|| "tcgetattr(0)".into())?;
        let console = Console { master, before };
        console.resize();
        // Each byte is passed on as it is typed: ^C is for whoever is in there, not for us.
        let mut raw = console.before.clone();
        raw.make_raw();
        tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &raw).named(|| "tcsetattr(0)".into())?;
        Ok(console)
    }

    /// Has the container's terminal as large as ours.
    pub(super) fn resize(&self) {
        if let Ok(size) = tcgetwinsize(rustix::stdio::stdin()) {
            let _ = tcsetwinsize(&self.master, size);
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &self.before);
    }
}

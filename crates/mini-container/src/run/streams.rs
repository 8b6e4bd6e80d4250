//! What the command has as its standard input, output and error.
//!
//! Never a file of the host's. A descriptor is more than what is read from it. A command opens `/proc/self/fd/0` anew
//! and writes to what it was to read. It gives what it was to write a set-user-ID bit by fchmod(2), or goes up from a
//! directory. At a terminal it reads the caller's keyboard, even through standard error. So a terminal is replaced by
//! one of the container's own ([`super::console`]), and a file by a pipe, through which the launcher passes on.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::poll::PollFlags;
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};
use ns_core::{Error, Named, Result};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat, major, minor};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::isatty;

use super::devices::HARMLESS;

const NAMES: [&str; 3] = ["standard input", "standard output", "standard error"];

/// The three of this process.
fn standard() -> [BorrowedFd<'static>; 3] {
    [stdin(), stdout(), stderr()]
}

/// Makes `fd` standard input (0), output (1) or error (2).
pub(super) fn put_at(fd: BorrowedFd<'_>, number: usize) -> Result<()> {
    let put = match number {
        0 => dup2_stdin(fd),
        1 => dup2_stdout(fd),
        _ => dup2_stderr(fd),
    };
    put.named(|| format!("dup2(fd, {number})"))
}

/// What the command gets in the place of the caller's three, before there is anybody to get it.
pub(super) struct Streams {
    /// Which of them are terminals.
    terminals: [bool; 3],
    /// The pipes that stand for the others, but those that may be passed on as they are.
    pipes: Vec<Pipe>,
}

struct Pipe {
    /// For which of the three: two for standard output and error that are one file.
    numbers: Vec<usize>,
    /// The caller's file, by its device and number.
    file: (u64, u64),
    ours: OwnedFd,
    theirs: OwnedFd,
}

impl Streams {
    /// Looks at the caller's three, and makes the pipes.
    ///
    /// # Errors
    /// [`Error::Input`] for a directory.
    pub(super) fn prepare() -> Result<Streams> {
        let mut streams = Streams { terminals: standard().map(isatty), pipes: Vec::new() };
        for (number, fd) in standard().into_iter().enumerate() {
            if streams.terminals[number] {
                continue;
            }
            let stat = fstat(fd).named(|| format!("fstat({number})"))?;
            let device = (major(stat.st_rdev), minor(stat.st_rdev));
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Fifo | FileType::Socket => continue,
                FileType::CharacterDevice if HARMLESS.iter().any(|(_, a, b)| (*a, *b) == device) => continue,
                FileType::Directory => {
                    return Err(Error::Input(format!(
                        "{} is a directory, by which a command would leave its root; give a file or a pipe",
                        NAMES[number]
                    )));
                }
                _ => {}
            }
            // By two pipes what is written to one file would change its order.
            let file = (stat.st_dev, stat.st_ino);
            let same =
                streams.pipes.iter_mut().find(|pipe| number == 2 && pipe.numbers == [1] && pipe.file == file);
            if let Some(pipe) = same {
                pipe.numbers.push(number);
                continue;
            }
            let (read, write) = pipe_with(PipeFlags::CLOEXEC).named(|| "pipe2(O_CLOEXEC)".into())?;
            let (ours, theirs) = if number == 0 { (write, read) } else { (read, write) };
            streams.pipes.push(Pipe { numbers: vec![number], file, ours, theirs });
        }
        Ok(streams)
    }

    /// Which of the three are terminals, and are to be one of the container's own.
    pub(super) fn terminals(&self) -> [bool; 3] {
        self.terminals
    }

    /// In init, which has a copy of all: takes the pipes on, and leaves the launcher's ends to it.
    pub(super) fn take_on(&self) -> Result<()> {
        for Pipe { numbers, ours, theirs, .. } in &self.pipes {
            for number in numbers {
                put_at(theirs.as_fd(), *number)?;
            }
            // Init drops no value, so these are closed once.
            for fd in [ours.as_raw_fd(), theirs.as_raw_fd()] {
                nix::unistd::close(fd).named(|| "close(pipe)".into())?;
            }
        }
        Ok(())
    }

    /// In the launcher, once there is somebody at the other end.
    pub(super) fn pass_on(self) -> Result<Passed> {
        let mut passed = Vec::new();
        for Pipe { numbers, ours, .. } in self.pipes {
            // Nobody inside can have us wait.
            fcntl_getfl(&ours)
                .and_then(|flags| fcntl_setfl(&ours, flags | OFlags::NONBLOCK))
                .named(|| "fcntl(O_NONBLOCK)".into())?;
            passed.push(Stream { number: numbers[0], end: Some(ours), unread: Vec::new(), failed: None });
        }
        Ok(Passed(passed))
    }
}

/// The launcher's ends of the pipes.
pub(super) struct Passed(Vec<Stream>);

struct Stream {
    number: usize,
    /// Until there is nothing more to pass on.
    end: Option<OwnedFd>,
    /// What was read here, and not yet there.
    unread: Vec<u8>,
    /// Why what came out could not be written.
    failed: Option<Errno>,
}

impl Passed {
    /// What to wait for, each with the number by which [`Passed::move_on`] knows it.
    pub(super) fn awaited(&self) -> Vec<(usize, BorrowedFd<'_>, PollFlags)> {
        let mut awaited = Vec::new();
        for (at, stream) in self.0.iter().enumerate() {
            let Some(end) = &stream.end else { continue };
            awaited.push(match (stream.number, stream.unread.is_empty()) {
                (0, true) => (at, stdin(), PollFlags::POLLIN),
                (0, false) => (at, end.as_fd(), PollFlags::POLLOUT),
                _ => (at, end.as_fd(), PollFlags::POLLIN),
            });
        }
        awaited
    }

    /// Passes on what there is, of one that is ready.
    pub(super) fn move_on(&mut self, at: usize) {
        let stream = &mut self.0[at];
        if stream.number == 0 {
            stream.feed();
        } else {
            stream.drain_some();
        }
    }

    /// Passes on all that was written, once nobody is left who could write more.
    ///
    /// # Errors
    /// What could not be written, since the command itself can have ended well.
    pub(super) fn finish(&mut self) -> Result<()> {
        for stream in self.0.iter_mut().filter(|stream| stream.number != 0) {
            while stream.drain_some() {}
            if let Some(errno) = stream.failed.take() {
                return Err(errno).named(|| format!("write to {}", NAMES[stream.number]));
            }
        }
        Ok(())
    }
}

impl Stream {
    /// Reads our standard input, unless something is left of it, and writes it to the container as far as it is taken.
    fn feed(&mut self) {
        let Some(end) = &self.end else { return };
        let mut is_over = false;
        if self.unread.is_empty() {
            let mut bytes = [0; 1 << 16];
            match rustix::io::read(stdin(), &mut bytes) {
                Ok(0) => is_over = true,
                Ok(length) => self.unread.extend_from_slice(&bytes[..length]),
                Err(Errno::INTR | Errno::AGAIN) => return,
                Err(_) => is_over = true,
            }
        }
        while !self.unread.is_empty() && !is_over {
            match rustix::io::write(end, &self.unread) {
                Ok(written) => drop(self.unread.drain(..written)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // Nobody reads any more.
                Err(_) => is_over = true,
            }
        }
        if is_over {
            self.end = None;
        }
    }

    /// Writes some of what came out. Whether there may be more.
    fn drain_some(&mut self) -> bool {
        let Some(end) = &self.end else { return false };
        let mut bytes = [0; 1 << 16];
        match rustix::io::read(end, &mut bytes) {
            Ok(0) => {}
            Ok(length) => match write_all(standard()[self.number], &bytes[..length]) {
                Ok(()) => return true,
                Err(errno) => self.failed = Some(errno),
            },
            Err(Errno::INTR) => return true,
            Err(Errno::AGAIN) => return false,
            Err(_) => {}
        }
        // With our end gone, who writes gets SIGPIPE.
        self.end = None;
        false
    }
}

fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

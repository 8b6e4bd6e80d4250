//! The standard input, output and error of the command.
//!
//! They are never files of the host, since a descriptor gives more than reading or writing. With one for reading, a
//! command can open `/proc/self/fd/0` again for writing. With one for writing, it can set the set-user-ID bit by
//! fchmod(2). From a directory, it can go up. At a terminal, it can read the caller's keyboard, even through standard
//! error. So a new terminal ([`super::console`]) replaces a terminal, and a pipe to the launcher replaces a file.

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

/// The three standard descriptors of this process.
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

/// The replacements for the caller's three standard descriptors, before init exists.
pub(super) struct Streams {
    /// Which of them are terminals.
    terminals: [bool; 3],
    /// The pipes that replace the others, except those that may be inherited.
    pipes: Vec<Pipe>,
}

struct Pipe {
    /// Which of the three it replaces: two, if standard output and error are one file.
    numbers: Vec<usize>,
    /// The device and inode of the caller's file.
    file: (u64, u64),
    launcher: OwnedFd,
    container: OwnedFd,
}

impl Streams {
    /// Checks the caller's three descriptors, and creates the pipes.
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
                        "{} is a directory, by which the command could leave its root; give a file or a pipe",
                        NAMES[number]
                    )));
                }
                _ => {}
            }
            // With two pipes, the order of the output to one file would change.
            let file = (stat.st_dev, stat.st_ino);
            let same =
                streams.pipes.iter_mut().find(|pipe| number == 2 && pipe.numbers == [1] && pipe.file == file);
            if let Some(pipe) = same {
                pipe.numbers.push(number);
                continue;
            }
            let (read, write) = pipe_with(PipeFlags::CLOEXEC).named(|| "pipe2(O_CLOEXEC)".into())?;
            let (launcher, container) = if number == 0 { (write, read) } else { (read, write) };
            streams.pipes.push(Pipe { numbers: vec![number], file, launcher, container });
        }
        Ok(streams)
    }

    /// Which of the three are terminals, to be replaced by a new one.
    pub(super) fn terminals(&self) -> [bool; 3] {
        self.terminals
    }

    /// In init, which has inherited all: makes the pipes its standard descriptors, and closes the launcher's ends.
    pub(super) fn install(&self) -> Result<()> {
        for Pipe { numbers, launcher, container, .. } in &self.pipes {
            for number in numbers {
                put_at(container.as_fd(), *number)?;
            }
            // Init does not drop these values, so each is closed only once.
            for fd in [launcher.as_raw_fd(), container.as_raw_fd()] {
                nix::unistd::close(fd).named(|| "close(pipe)".into())?;
            }
        }
        Ok(())
    }

    /// In the launcher, after init exists.
    pub(super) fn pass_on(self) -> Result<Passed> {
        let mut passed = Vec::new();
        for Pipe { numbers, launcher, .. } in self.pipes {
            // So that no process inside can block the launcher.
            fcntl_getfl(&launcher)
                .and_then(|flags| fcntl_setfl(&launcher, flags | OFlags::NONBLOCK))
                .named(|| "fcntl(O_NONBLOCK)".into())?;
            passed.push(Stream { number: numbers[0], end: Some(launcher), unread: Vec::new(), failed: None });
        }
        Ok(Passed(passed))
    }
}

/// The launcher's ends of the pipes.
pub(super) struct Passed(Vec<Stream>);

struct Stream {
    number: usize,
    /// The launcher's end, until all is forwarded.
    end: Option<OwnedFd>,
    /// Input that the launcher has read, and not yet written to the pipe.
    unread: Vec<u8>,
    /// The errno if output could not be written.
    failed: Option<Errno>,
}

impl Passed {
    /// The descriptors and events to wait for, each with its index for [`Passed::move_on`].
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

    /// Forwards the data of one stream that is ready.
    pub(super) fn move_on(&mut self, at: usize) {
        let stream = &mut self.0[at];
        if stream.number == 0 {
            stream.feed();
        } else {
            stream.drain_some();
        }
    }

    /// Forwards the rest of the output, after all processes inside have ended.
    ///
    /// # Errors
    /// If output could not be written. The command itself may have succeeded.
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
    /// Reads standard input, unless some is left, and writes it to the pipe as far as the pipe accepts it.
    #[inline(never)] // A caller that passes nothing on would fill its stack with pages for the buffer.
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
                // No process reads any more.
                Err(_) => is_over = true,
            }
        }
        if is_over {
            self.end = None;
        }
    }

    /// Writes some of the output. Returns whether there may be more.
    #[inline(never)] // As above.
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
        // When the launcher's end is closed, a process that writes gets SIGPIPE.
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

//! Standard output that makes no experiment wait.
//!
//! A reader may be slow (`inception run | less`) while an experiment has children that wait for it with a deadline.
//! So what is to be written waits here, and goes out when the reader takes it; the experiment's own pipe is emptied
//! meanwhile.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

use anstream::{AutoStream, ColorChoice};
use anyhow::{Context, Result};
use lesson::Screen;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use ns_core::poll_until;

/// A pipe that is ready takes this much without making us wait (pipe(7), PIPE_BUF).
const CHUNK: usize = 4096;
/// With this much unread, the experiment has to wait after all.
const FULL: usize = 64 << 20;

/// What waits to be written to standard output.
#[derive(Debug, Clone)]
pub(crate) struct BufferedStdout {
    waiting: Rc<RefCell<VecDeque<u8>>>,
    color: ColorChoice,
}

impl BufferedStdout {
    /// Standard output as `screen` has it.
    ///
    /// # Errors
    /// When standard output was closed.
    pub(crate) fn open(screen: &Screen) -> Result<BufferedStdout> {
        Ok(BufferedStdout { waiting: Rc::default(), color: screen.stdout()?.current_choice() })
    }

    /// Takes styled text, and strips it where colour is not wanted.
    pub(crate) fn styled(&self) -> AutoStream<Box<dyn Write>> {
        AutoStream::new(Box::new(self.clone()), self.color)
    }

    /// Takes styled text to be written now.
    ///
    /// # Errors
    /// Those of write(2).
    pub(crate) fn show(&self, text: &str) -> Result<()> {
        self.styled().write_all(text.as_bytes())?;
        self.write_out()
    }

    /// Writes all that waits.
    ///
    /// # Errors
    /// Those of write(2).
    pub(crate) fn write_out(&self) -> Result<()> {
        while !self.waiting.borrow().is_empty() {
            let stdout = io::stdout();
            let mut fds = [PollFd::new(stdout.as_fd(), PollFlags::POLLOUT)];
            poll_until(&mut fds, None)?;
            self.write_some()?;
        }
        Ok(())
    }

    /// Waits until one of `sources` has something to read or was hung up, and writes meanwhile. Says of each whether it
    /// is so.
    ///
    /// # Errors
    /// Those of write(2); EPIPE as soon as the reader is gone.
    pub(crate) fn wait(&self, sources: &[BorrowedFd<'_>]) -> Result<Vec<bool>> {
        loop {
            let waiting = self.waiting.borrow().len();
            let write = if waiting > 0 { PollFlags::POLLOUT } else { PollFlags::empty() };
            let read = if waiting < FULL { PollFlags::POLLIN } else { PollFlags::empty() };
            let stdout = io::stdout();
            let mut fds = vec![PollFd::new(stdout.as_fd(), write)];
            fds.extend(sources.iter().map(|source| PollFd::new(*source, read)));
            poll_until(&mut fds, None)?;
            let mut events = fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
            let to_stdout = events.next().unwrap_or(PollFlags::empty());
            if to_stdout.contains(PollFlags::POLLOUT) {
                self.write_some()?;
            } else if !to_stdout.is_empty() {
                return Err(io::Error::from(io::ErrorKind::BrokenPipe)).context("cannot write the output");
            }
            let ready: Vec<bool> = events.map(|events| !events.is_empty()).collect();
            if ready.contains(&true) {
                return Ok(ready);
            }
        }
    }

    fn write_some(&self) -> Result<()> {
        let mut waiting = self.waiting.borrow_mut();
        let (front, _) = waiting.as_slices();
        let chunk = &front[..front.len().min(CHUNK)];
        // Past the buffer of std's stdout, which nothing else here writes to.
        match nix::unistd::write(io::stdout(), chunk) {
            Ok(length) => waiting.drain(..length),
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(()),
            Err(errno) => return Err(io::Error::from(errno)).context("cannot write the output"),
        };
        Ok(())
    }
}

impl Write for BufferedStdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

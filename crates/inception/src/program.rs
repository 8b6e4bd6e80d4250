//! The experiments' binaries: where they are, and what they write.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{AccessFlags, access, dup2_stdin, dup2_stdout, pipe2};
use ns_core::child::become_program;
use ns_core::{Child, End, Named, Namespaces};

use crate::outbox::Outbox;

/// No line that an experiment writes is as long as this.
pub(crate) const LONGEST_LINE: usize = 16 << 20;

/// Finds the binary called `name`: beside this program, then on PATH.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let beside = beside().map(|folder| folder.join(name));
    beside.filter(|path| is_program(path)).or_else(|| on_path(name))
}

/// What to say when [`find`] found none of `names`: where it looked, and what helps.
pub(crate) fn not_found(names: &[&str]) -> anyhow::Error {
    let beside = beside().map_or("beside this program".into(), |folder| format!("in {}", folder.display()));
    anyhow!("no binary called {}: looked {beside}, then on PATH; to get it: cargo build", names.join(", "))
}

/// The folder that this program is in.
fn beside() -> Option<PathBuf> {
    std::env::current_exe().ok()?.parent().map(Path::to_path_buf)
}

/// Finds a program on PATH.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // An empty part of PATH means the current directory, which may be anyone's.
    let folders = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(name)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, AccessFlags::X_OK).is_ok()
}

/// A program that runs, whose lines we read. It dies with us; dropping this kills it.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    lines: File,
    read: Vec<u8>,
    finished: bool,
}

impl Running {
    /// Starts `program` with nothing to read on standard input, and a pipe to us as standard output.
    ///
    /// # Errors
    /// Those of clone3(2) and pipe(2). Those of execve(2) are told by [`Running::end`].
    pub(crate) fn start(program: &Path, arguments: &[&str]) -> Result<Running> {
        let words = [program.as_os_str()].into_iter().chain(arguments.iter().map(OsStr::new));
        let (lines, write) = pipe2(OFlag::O_CLOEXEC)?;
        let label = program.file_name().unwrap_or_default().to_string_lossy();
        let child = Child::spawn(label, Namespaces::NONE, |_| {
            let null = open("/dev/null", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
            dup2_stdin(null.named(|| "open(\"/dev/null\")".into())?).named(|| "dup2(null, 0)".into())?;
            dup2_stdout(&write).named(|| "dup2(pipe, 1)".into())?;
            become_program(program, words).map(drop)
        })?;
        drop(write); // or its pipe would never end
        Ok(Running { child, lines: lines.into(), read: Vec::new(), finished: false })
    }

    /// The next line that it writes, without its end. What waits in `outbox` is written meanwhile.
    ///
    /// # Errors
    /// Those of the outbox.
    pub(crate) fn line(&mut self, outbox: &Outbox) -> Result<Option<Vec<u8>>> {
        loop {
            if let Some(at) = self.read.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.read.drain(..=at).collect();
                line.pop();
                return Ok(Some(line));
            }
            if self.finished || self.read.len() > LONGEST_LINE {
                return Ok((!self.read.is_empty()).then(|| std::mem::take(&mut self.read)));
            }
            // Once it has ended and its pipe is empty, that is all: what it left behind may hold the pipe open.
            let length = if outbox.wait(self.lines.as_fd(), self.child.pidfd())? {
                let mut buffer = [0; 65536];
                let length = self.lines.read(&mut buffer)?;
                self.read.extend_from_slice(&buffer[..length]);
                length
            } else {
                0
            };
            self.finished = length == 0;
        }
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// When it could not be started, or does not end though it has closed its standard output.
    pub(crate) fn end(mut self) -> Result<End> {
        // What could not be started has told so down the pipe of its own.
        self.child.hear()?;
        Ok(self.child.wait()?)
    }
}

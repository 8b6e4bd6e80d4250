//! The experiments' binaries: where they are, and what they write.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use nix::fcntl::OFlag;
use nix::unistd::{AccessFlags, access, dup2_stdout, pipe2};
use ns_core::child::become_program;
use ns_core::{Child, ExitStatus, Named, Namespaces, process};

use crate::cargo::Target;
use crate::stdout::BufferedStdout;
use transcript::LONGEST_LINE;

/// What the package calls the folder of what is not a program.
const SHARED: &str = "inception-lab";

/// Finds the binary called `name`: beside this program, then on PATH.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let beside = beside().map(|folder| folder.join(name));
    beside.filter(|path| is_program(path)).or_else(|| on_path(name))
}

/// Where cargo built this program, it builds those of `names` that do not stand beside it. Elsewhere it does nothing.
///
/// # Errors
/// When they cannot be built.
pub(crate) fn build(names: &[&str]) -> Result<()> {
    let Some(target) = std::env::current_exe().ok().and_then(|program| Target::around(&program)) else {
        return Ok(());
    };
    let is_there = |name: &&&str| beside().is_some_and(|folder| is_program(&folder.join(name)));
    let missing: Vec<&str> = names.iter().filter(|name| !is_there(name)).copied().collect();
    target.build(&missing)
}

/// What to say when [`find`] found none of `names`: where it looked, and what helps.
pub(crate) fn not_found(names: &[&str]) -> anyhow::Error {
    let beside = beside().map_or("beside this program".into(), |folder| format!("in {}", folder.display()));
    let remedy = match names {
        [name] => format!("cargo build -p {name}"),
        _ => "cargo build".into(),
    };
    anyhow!("no binary called {}: looked {beside}, then on PATH; to get it: {remedy}", names.join(", "))
}

/// Finds the script of the walkthrough called `stem`: in the checkout that this program was built from, or where the
/// package puts it.
///
/// # Errors
/// One line that says where it was looked for, and what helps.
pub(crate) fn walkthrough(stem: &str) -> Result<PathBuf> {
    let file = Path::new("demos").join(format!("{stem}.sh"));
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let checkout = Target::around(&program).and_then(|target| target.checkout(&file));
    let prefix = program.parent().and_then(Path::parent);
    // Beside bin/, or in /usr/share where this program is in /usr/bin.
    let installed = prefix.map(|prefix| [prefix.into(), prefix.join("share").join(SHARED)]);
    let folders: Vec<_> = checkout.into_iter().chain(installed.into_iter().flatten()).collect();
    folders.iter().map(|folder| folder.join(&file)).find(|path| is_program(path)).with_context(|| {
        let looked: Vec<_> = folders.iter().map(|it| it.display().to_string()).collect();
        format!(
            "no walkthrough {}: looked in {}; to get it: run the inception that cargo builds in a checkout",
            file.display(),
            looked.join(", ")
        )
    })
}

/// The folder that this program is in.
pub(crate) fn beside() -> Option<PathBuf> {
    std::env::current_exe().ok()?.parent().map(Path::to_path_buf)
}

/// Finds a program on PATH.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    folders_on_path().into_iter().map(|folder| folder.join(name)).find(|path| is_program(path))
}

/// The folders of PATH. An empty part of it means the current directory, which may be anyone's, and is left out.
pub(crate) fn folders_on_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect()
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, AccessFlags::X_OK).is_ok()
}

/// A program that runs, whose lines we read. It dies with us; dropping this kills it.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    pipe: File,
    /// What it has written, and nobody has taken yet.
    lines: VecDeque<Vec<u8>>,
    /// The beginning of the next line.
    rest: Vec<u8>,
    finished: bool,
}

impl Running {
    /// Starts `program` with nothing to read on standard input, and a pipe to us as standard output.
    ///
    /// # Errors
    /// Those of clone3(2) and pipe(2). Those of execve(2) are returned by [`Running::end`].
    pub(crate) fn start(program: &Path, arguments: &[&str]) -> Result<Running> {
        let words = [program.as_os_str()].into_iter().chain(arguments.iter().map(OsStr::new));
        let (pipe, write) = pipe2(OFlag::O_CLOEXEC)?;
        let label = program.file_name().unwrap_or_default().to_string_lossy();
        let child = Child::spawn(label, Namespaces::NONE, |_| {
            process::empty_stdin()?;
            dup2_stdout(&write).named(|| "dup2(pipe, 1)".into())?;
            become_program(program, words).map(drop)
        })?;
        drop(write); // or its pipe would never end
        Ok(Running { child, pipe: pipe.into(), lines: VecDeque::new(), rest: Vec::new(), finished: false })
    }

    /// The next line that it writes, without its end. What waits in `stdout` is written meanwhile.
    ///
    /// # Errors
    /// Those of write(2).
    pub(crate) fn line(&mut self, stdout: &BufferedStdout) -> Result<Option<Vec<u8>>> {
        loop {
            match self.take_line() {
                None if !self.finished => self.read(stdout.wait(&self.sources())?[0])?,
                line => return Ok(line),
            }
        }
    }

    /// A line that it has written already.
    pub(crate) fn take_line(&mut self) -> Option<Vec<u8>> {
        let last = || (self.finished && !self.rest.is_empty()).then(|| std::mem::take(&mut self.rest));
        self.lines.pop_front().or_else(last)
    }

    /// Whether it has written its last line.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// What to wait for before [`Running::read`]: its pipe, and its end.
    pub(crate) fn sources(&self) -> [BorrowedFd<'_>; 2] {
        [self.pipe.as_fd(), self.child.pidfd()]
    }

    /// Reads what it has written, if its pipe is `readable`. If it is not though the program has ended, that was all:
    /// what the program left behind may hold the pipe open.
    ///
    /// # Errors
    /// Those of read(2).
    pub(crate) fn read(&mut self, readable: bool) -> Result<()> {
        let mut buffer = [0; 65536];
        let length = if readable { self.pipe.read(&mut buffer)? } else { 0 };
        for part in buffer[..length].split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(part);
            if self.rest.last() == Some(&b'\n') {
                self.rest.pop();
                self.lines.push_back(std::mem::take(&mut self.rest));
            }
        }
        // A line without an end is no transcript's.
        self.finished = length == 0 || self.rest.len() > LONGEST_LINE;
        Ok(())
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// When it could not be started, or does not end though it has closed its standard output.
    pub(crate) fn end(mut self) -> Result<ExitStatus> {
        // What could not be started has reported that down a pipe of its own.
        self.child.recv()?;
        Ok(self.child.wait()?)
    }
}

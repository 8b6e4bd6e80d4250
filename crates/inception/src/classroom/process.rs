//! The experiment that a class looks at: a process of its own that writes events and waits after each step.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use transcript::{Event, Reader, Run, next_line};

use anyhow::{Context, Result, anyhow};
use nix::fcntl::OFlag;
use nix::unistd::{dup2_stdin, dup2_stdout, pipe2};
use ns_core::child::become_program;
use ns_core::{Child, ExitStatus, Named, Namespaces, Pid};

use crate::demos::Demo;
use crate::program;

/// A run of an experiment. Dropping it ends it.
#[derive(Debug)]
pub(super) struct ExperimentProcess {
    child: Child,
    lines: BufReader<File>,
    reader: Reader,
    go: Option<OwnedFd>,
}

impl ExperimentProcess {
    /// Starts it in fresh namespaces, which it makes itself.
    pub(super) fn start(demo: &Demo, options: &[String]) -> Result<ExperimentProcess> {
        let options = options.iter().map(String::as_str);
        let words: Vec<_> =
            [demo.name, "--format", "jsonl", "--lockstep"].into_iter().chain(options).collect();
        let program = program::find(demo.name).ok_or_else(|| program::not_found(&[demo.name]))?;
        let (hear_go, go) = pipe2(OFlag::O_CLOEXEC).context("pipe()")?;
        let (lines, tell) = pipe2(OFlag::O_CLOEXEC).context("pipe()")?;
        let child = Child::spawn(demo.name, Namespaces::NONE, |_| {
            dup2_stdin(&hear_go).named(|| "dup2(pipe, 0)".into())?;
            dup2_stdout(&tell).named(|| "dup2(pipe, 1)".into())?;
            become_program(&program, words).map(drop)
        })?;
        let (lines, reader) = (BufReader::new(lines.into()), Reader::default());
        Ok(ExperimentProcess { child, lines, reader, go: Some(go) })
    }

    pub(super) fn pid(&self) -> Pid {
        self.child.pid()
    }

    /// Ready to be read when it has ended.
    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.child.pidfd()
    }

    /// What happens next; `None` when nothing does any more. After a step nothing does until
    /// [`ExperimentProcess::go_on`].
    pub(super) fn next(&mut self) -> Result<Option<Event>> {
        let line = next_line(&mut self.lines).context("cannot read the experiment's events")?;
        line.map(|line| self.reader.take(&line)).transpose()
    }

    /// What it has said so far; `None` until it begins.
    pub(super) fn run(&self) -> Option<&Run> {
        self.reader.run()
    }

    /// Lets it do the step that it has announced.
    pub(super) fn go_on(&self) -> Result<()> {
        let Some(go) = &self.go else { return Ok(()) };
        // Whether it has gone shows in what it says next.
        let _ = File::from(go.try_clone()?).write_all(b"\n");
        Ok(())
    }

    /// Sends it home: it stops where it is, cleans up, and is waited for.
    pub(super) fn dismiss(mut self) -> Result<()> {
        drop(self.go.take());
        // It may have much to say still, and would wait for us to read it.
        let _ = io::copy(&mut self.lines, &mut io::sink());
        self.child.wait()?;
        Ok(())
    }

    /// Waits for its end: an error unless it came with its last word.
    pub(super) fn end(mut self, said: Option<u8>) -> Result<u8> {
        // What could not be started has reported that down a pipe of its own.
        self.child.recv()?;
        match (self.child.wait()?, said) {
            (ExitStatus::Exited(status), Some(said)) if status == i32::from(said) => Ok(said),
            (end, _) => Err(anyhow!("the experiment ended without its last word: {end}")),
        }
    }
}

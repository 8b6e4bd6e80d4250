//! The experiment that a class looks at: this program again, as a process of its own that speaks events and waits
//! after each step.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{BorrowedFd, OwnedFd};

use anyhow::{Context, Result, anyhow, ensure};
use nix::fcntl::OFlag;
use nix::unistd::{dup2_stdin, dup2_stdout, pipe2};
use ns_core::child::become_program;
use ns_core::{Child, End, Named, Namespaces, Pid};

use crate::cli::Settings;
use crate::event::{Event, SCHEMA};

/// A run of the experiment. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Subject {
    child: Child,
    events: BufReader<File>,
    go: Option<OwnedFd>,
}

impl Subject {
    /// Starts it in fresh namespaces, which it makes itself.
    pub(super) fn start(name: &str, settings: &Settings) -> Result<Subject> {
        let mut words = vec![name, "--format", "jsonl", "--lockstep"];
        words.extend(settings.sabotage.then_some("--sabotage"));
        words.extend(settings.must_run.then_some("--must-run"));
        let program = std::env::current_exe().ok().filter(|path| path.exists());
        let program = program.unwrap_or_else(|| "/proc/self/exe".into());
        let (hear_go, go) = pipe2(OFlag::O_CLOEXEC).context("pipe()")?;
        let (events, tell) = pipe2(OFlag::O_CLOEXEC).context("pipe()")?;
        let child = Child::spawn(name, Namespaces::NONE, |_| {
            dup2_stdin(&hear_go).named(|| "dup2(pipe, 0)".into())?;
            dup2_stdout(&tell).named(|| "dup2(pipe, 1)".into())?;
            become_program(&program, words).map(drop)
        })?;
        Ok(Subject { child, events: BufReader::new(events.into()), go: Some(go) })
    }

    pub(super) fn pid(&self) -> Pid {
        self.child.pid()
    }

    /// Ready to be read when it has ended.
    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.child.pidfd()
    }

    /// What happens next; `None` when nothing does any more. After a step nothing does until [`Subject::go_on`].
    pub(super) fn next(&mut self) -> Result<Option<Event>> {
        let mut line = String::new();
        if self.events.read_line(&mut line).context("cannot read the experiment's events")? == 0 {
            return Ok(None);
        }
        let event = serde_json::from_str(&line).context("the experiment wrote no event")?;
        if let Event::Begin { schema, .. } = event {
            ensure!(schema == SCHEMA, "the experiment's events are of version {schema}, and not {SCHEMA}");
        }
        Ok(Some(event))
    }

    /// Lets it do the step that it has told.
    pub(super) fn go_on(&self) -> Result<()> {
        let Some(go) = &self.go else { return Ok(()) };
        // That it has gone is told by what it says, or does not, next.
        let _ = File::from(go.try_clone()?).write_all(b"\n");
        Ok(())
    }

    /// Sends it home: it stops where it is, cleans up, and is waited for.
    pub(super) fn dismiss(mut self) -> Result<()> {
        drop(self.go.take());
        // It may have much to say still, and would wait for us to read it.
        while self.next().is_ok_and(|event| event.is_some()) {}
        self.child.wait()?;
        Ok(())
    }

    /// Waits for its end: an error unless it came with its last word.
    pub(super) fn end(mut self, said: Option<u8>) -> Result<u8> {
        // What could not be started has told so down the pipe of its own.
        self.child.hear()?;
        match (self.child.wait()?, said) {
            (End::Exited(status), Some(said)) if status == i32::from(said) => Ok(said),
            (end, _) => Err(anyhow!("the experiment ended without its last word: {end}")),
        }
    }
}

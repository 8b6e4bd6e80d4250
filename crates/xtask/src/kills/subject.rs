//! A program that is to be killed.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::calls::{Call, recorded};
use super::lanes::Lanes;
use super::mode::Mode;
use residue::{Token, VARIABLE};

/// The longest that a program may take, which strace slows down.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A program, with its arguments.
#[derive(Debug)]
pub(super) struct Subject {
    /// What it is called in tables.
    pub(super) name: String,
    words: Vec<OsString>,
    /// Another process than the cleanup worker ends what it leaves, and the next start what both leave.
    has_a_keeper: bool,
    duration: OnceLock<Duration>,
    calls: OnceLock<(Vec<Call>, Vec<Call>)>,
}

impl Subject {
    pub(super) fn new(name: impl Into<String>, words: Vec<OsString>) -> Subject {
        let (duration, calls) = (OnceLock::new(), OnceLock::new());
        Subject { name: name.into(), words, has_a_keeper: false, duration, calls }
    }

    /// The shell of an experiment.
    pub(super) fn shell(experiment: &str, words: Vec<OsString>) -> Subject {
        Subject { has_a_keeper: true, ..Subject::new(format!("{experiment} shell"), words) }
    }

    /// How it is killed where `mode` is asked for. At a call of any process, each is killed that comes to a call of that
    /// number: a keeper together with whom it is to outlive.
    pub(super) fn mode(&self, mode: Mode) -> Mode {
        if self.has_a_keeper && mode == Mode::AnyCall { Mode::OwnCall } else { mode }
    }

    /// A command that runs it by way of `before` (strace and its options), in a process group of its own.
    pub(super) fn command(&self, before: &[&str], token: &Token, temporary: &Path) -> Command {
        let before = before.iter().map(OsString::from);
        let words: Vec<OsString> = before.chain(self.words.iter().cloned()).collect();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env(VARIABLE, &token.0).env("TMPDIR", temporary);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command
    }

    /// How long it usually takes; found out by running it the first time that this is asked.
    ///
    /// # Errors
    /// When it cannot be started, or does not come to an end.
    pub(super) fn duration(&self, lanes: &Lanes, temporary: &Path) -> Result<Duration> {
        if let Some(known) = self.duration.get() {
            return Ok(*known);
        }
        let began = Instant::now();
        let started = lanes.start(&mut self.command(&[], &Token::new()?, temporary), None)?;
        ensure!(started.ends_within(PATIENCE)?, "{} has not ended after {PATIENCE:?}", self.name);
        started.status()?;
        Ok(*self.duration.get_or_init(|| began.elapsed()))
    }

    /// Its own system calls, and those of any of its processes; recorded the first time that this is asked.
    ///
    /// # Errors
    /// As [`Subject::duration`].
    pub(super) fn calls(&self, lanes: &Lanes, temporary: &Path) -> Result<&(Vec<Call>, Vec<Call>)> {
        if let Some(known) = self.calls.get() {
            return Ok(known);
        }
        let file = tempfile::NamedTempFile::new().context("a temporary file")?;
        let path = file.path().to_string_lossy().into_owned();
        let strace = ["strace", "-f", "-qq", "-o", &path];
        let started = lanes.start(&mut self.command(&strace, &Token::new()?, temporary), None)?;
        ensure!(started.ends_within(PATIENCE)?, "{} has not ended after {PATIENCE:?}, traced", self.name);
        started.status()?;
        let recording = std::fs::read(&path).context("strace's recording")?;
        let recording = String::from_utf8_lossy(&recording).into_owned();
        Ok(self.calls.get_or_init(|| recorded(&recording)))
    }
}

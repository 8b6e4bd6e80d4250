//! The program under test, and a run of it as data.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use libtest_mimic::Failed;
use transcript::{Claim, ClaimHead, ClaimResult, Event, Reader, Run, Verdict};

use crate::ensure::ensure;

/// An experiment's program.
#[derive(Debug)]
pub(crate) struct Experiment {
    program: PathBuf,
    plain: OnceLock<Result<Transcript, Failed>>,
}

impl Experiment {
    pub(crate) fn new(program: &Path) -> Experiment {
        Experiment { program: program.into(), plain: OnceLock::new() }
    }

    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// A command that runs it, with nothing on standard input.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).stdin(Stdio::null()).env_remove("LAB_MUST_RUN").env_remove("CLICOLOR_FORCE");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Result<Output, Failed> {
        Ok(self.command(arguments).output()?)
    }

    /// A run that asks every claim, as data.
    pub(crate) fn transcript(&self, arguments: &[&str]) -> Result<Transcript, Failed> {
        self.transcript_of(&[&["--all"], arguments].concat())
    }

    /// A run as data.
    pub(crate) fn transcript_of(&self, arguments: &[&str]) -> Result<Transcript, Failed> {
        Transcript::read(&self.run(&[&["--format", "jsonl"], arguments].concat())?)
    }

    /// A run of every claim. It is made once, and what reads no more than its events shares it.
    pub(crate) fn plain(&self) -> Result<&Transcript, Failed> {
        let plain = self.plain.get_or_init(|| self.transcript(&[]));
        plain.as_ref().map_err(Failed::clone)
    }

    /// The claims that it lists, without a run.
    pub(crate) fn claims(&self) -> Result<Vec<ClaimHead>, Failed> {
        let output = self.run(&["--list-claims", "--format", "jsonl"])?;
        ensure(output.status.success(), || String::from_utf8_lossy(&output.stderr).into_owned())?;
        Ok(String::from_utf8(output.stdout)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
    }
}

/// A run as data.
#[derive(Debug)]
pub(crate) struct Transcript {
    pub(crate) status: Option<i32>,
    pub(crate) run: Run,
}

impl Transcript {
    pub(crate) fn read(output: &Output) -> Result<Transcript, Failed> {
        let mut reader = Reader::default();
        for line in output.stdout.split_inclusive(|byte| *byte == b'\n') {
            reader.take(line).map_err(|why| format!("{why:#}"))?;
        }
        let error = String::from_utf8_lossy(&output.stderr);
        let run = reader.into_run().ok_or_else(|| format!("no transcript; on standard error: {error}"))?;
        let said = run.end.as_ref().map(|end| i32::from(end.status));
        let status = output.status.code();
        ensure(said == status, || {
            format!("says status {said:?}, exits {status:?}; on standard error: {error}")
        })?;
        Ok(Transcript { status, run })
    }

    /// What became of each claim, without what was seen.
    pub(crate) fn verdicts(&self) -> Vec<(&str, Option<Verdict>)> {
        let verdict = |claim: &Claim| claim.result.as_ref().map(ClaimResult::verdict);
        self.run.claims.iter().map(|claim| (claim.head.id.as_str(), verdict(claim))).collect()
    }

    /// The claims that hold.
    pub(crate) fn holds(&self) -> Vec<&str> {
        let holds = self.verdicts().into_iter().filter(|(_, verdict)| *verdict == Some(Verdict::Holds));
        holds.map(|(id, _)| id).collect()
    }

    /// The exit status that is due where nothing is unexpected: another one where every claim was skipped.
    pub(crate) fn status_or_skipped(&self, status: i32) -> Option<i32> {
        let is_skipped = |verdict: &Option<Verdict>| *verdict == Some(Verdict::Skipped);
        let all_skipped = self.verdicts().iter().all(|(_, verdict)| is_skipped(verdict));
        Some(if all_skipped { 77 } else { status })
    }

    pub(crate) fn has_skips(&self) -> bool {
        self.verdicts().iter().any(|(_, verdict)| *verdict == Some(Verdict::Skipped))
    }

    /// What both arms of a claim reported.
    pub(crate) fn seen(&self, id: &str) -> String {
        let arms = |event: &Event| match event {
            Event::Judged { claim, control, treatment, .. } if claim == id => {
                Some(format!("{control:?} | {treatment:?}"))
            }
            _ => None,
        };
        self.run.steps().flatten().find_map(arms).unwrap_or_default()
    }
}

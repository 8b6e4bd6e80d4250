//! The program under test, and a run of it as data.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use transcript::{Claim, ClaimHead, ClaimResult, Event, Reader, Run, Verdict};

use crate::ensure::ensure;

/// An experiment's program.
#[derive(Debug)]
pub(crate) struct Experiment {
    program: PathBuf,
    plain: Made,
    sabotaged: Made,
    core: Made,
    sabotaged_core: Made,
    takes: OnceLock<Duration>,
}

/// Every claim is asked, and every event is reported.
pub(crate) const WHOLE: &[&str] = &["--all", "--format", "jsonl"];

/// A run that is made once: what reads no more than its events shares it.
type Made = OnceLock<Result<Transcript, Failed>>;

impl Experiment {
    pub(crate) fn new(program: &Path) -> Experiment {
        let (plain, sabotaged, core, sabotaged_core) = Default::default();
        let takes = OnceLock::new();
        Experiment { program: program.into(), plain, sabotaged, core, sabotaged_core, takes }
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

    /// A run of every claim.
    pub(crate) fn plain(&self) -> Result<&Transcript, Failed> {
        made(&self.plain, || self.transcript(&[]))
    }

    /// A run of every claim without its factor.
    pub(crate) fn sabotaged(&self) -> Result<&Transcript, Failed> {
        made(&self.sabotaged, || self.transcript(&["--sabotage"]))
    }

    /// A run of the core.
    pub(crate) fn core(&self) -> Result<&Transcript, Failed> {
        made(&self.core, || self.transcript_of(&[]))
    }

    /// A run of the core without its factors.
    pub(crate) fn sabotaged_core(&self) -> Result<&Transcript, Failed> {
        made(&self.sabotaged_core, || self.transcript_of(&["--sabotage"]))
    }

    /// How long a run of every claim takes while nobody else runs the experiment.
    pub(crate) fn takes(&self) -> Result<Duration, Failed> {
        if let Some(takes) = self.takes.get() {
            return Ok(*takes);
        }
        let began = Instant::now();
        self.run(WHOLE)?;
        Ok(*self.takes.get_or_init(|| began.elapsed()))
    }

    /// Gives the runs of every claim, with its factor and without, to those who would make them, and says how long the
    /// first `took`.
    pub(crate) fn share(&self, plain: Transcript, sabotaged: Transcript, took: Duration) {
        // What was made before is as good.
        let _ = (self.plain.set(Ok(plain)), self.sabotaged.set(Ok(sabotaged)), self.takes.set(took));
    }

    /// The claims that it lists, without a run.
    pub(crate) fn claims(&self) -> Result<Vec<ClaimHead>, Failed> {
        let output = self.run(&["--list-claims", "--format", "jsonl"])?;
        ensure(output.status.success(), || String::from_utf8_lossy(&output.stderr).into_owned())?;
        Ok(String::from_utf8(output.stdout)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
    }
}

fn made(run: &Made, make: impl FnOnce() -> Result<Transcript, Failed>) -> Result<&Transcript, Failed> {
    run.get_or_init(make).as_ref().map_err(Failed::clone)
}

/// A run as data.
#[derive(Debug)]
pub(crate) struct Transcript {
    pub(crate) status: Option<i32>,
    pub(crate) events: Vec<Event>,
    pub(crate) run: Run,
}

impl Transcript {
    pub(crate) fn read(output: &Output) -> Result<Transcript, Failed> {
        let (mut reader, mut events) = (Reader::default(), Vec::new());
        for line in output.stdout.split_inclusive(|byte| *byte == b'\n') {
            events.push(reader.take(line).map_err(|why| format!("{why:#}"))?);
        }
        let error = String::from_utf8_lossy(&output.stderr);
        let run = reader.into_run().ok_or_else(|| format!("no transcript; on standard error: {error}"))?;
        let said = run.end.as_ref().map(|end| i32::from(end.status));
        let status = output.status.code();
        ensure(said == status, || {
            format!("says status {said:?}, exits {status:?}; on standard error: {error}")
        })?;
        Ok(Transcript { status, events, run })
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

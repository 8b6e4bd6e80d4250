//! One experiment, run and read: from its events to an account of it.

use std::time::{Duration, Instant};
use transcript::{Claim, Event, Reader, Run};

use anyhow::{Result, bail, ensure};
use clap::Args;
use lesson::status;
use ns_core::ExitStatus;

use crate::demos::Demo;
use crate::program::{self, Running};
use crate::stdout::BufferedStdout;

/// What became of an experiment.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) demo: &'static Demo,
    /// What it said; `None` if it has not even begun.
    pub(crate) run: Option<Run>,
    /// The status with which it exited.
    pub(crate) status: u8,
    /// Why it broke, if it did.
    pub(crate) broken: Option<String>,
    pub(crate) elapsed: Duration,
}

impl Account {
    /// Of an experiment that has said its last word, and is believed.
    pub(crate) fn of(demo: &'static Demo, run: Run) -> Account {
        let (status, elapsed) = run.end.as_ref().map_or((0, Duration::ZERO), |end| (end.status, end.elapsed));
        let broken = run.broken().map(String::from);
        Account { demo, run: Some(run), status, broken, elapsed }
    }

    /// Its claims, in the order in which it declares them.
    pub(crate) fn claims(&self) -> &[Claim] {
        self.run.as_ref().map_or(&[], |run| &run.claims)
    }
}

/// What is left out or asked for, in all experiments of a run.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Conditions {
    /// Leave the factors out: no claim may hold then
    #[arg(long)]
    pub(crate) sabotage: bool,

    /// Count a skipped claim as a failure (also LAB_MUST_RUN=1)
    #[arg(long)]
    must_run: bool,

    /// Whose run it is: it stands in what is exported
    #[arg(long, value_name = "NAME")]
    student: Option<String>,
}

impl Conditions {
    /// As options of an experiment.
    pub(crate) fn options(&self) -> Vec<String> {
        let options = [(self.sabotage, "--sabotage"), (self.must_run, "--must-run")];
        let options = options.into_iter().filter(|(on, _)| *on).map(|(_, option)| option.to_string());
        options.chain(self.student.iter().map(|name| format!("--student={name}"))).collect()
    }
}

/// Runs a demo's experiment with `options` besides `--format jsonl`. Each event is given to `show`, with the line that
/// it came in; for an experiment that breaks without a last word, one is made.
///
/// # Errors
/// When the output cannot be written. That the experiment broke is no error, but stands in the account.
pub(crate) fn run(
    demo: &'static Demo,
    options: &[String],
    stdout: &BufferedStdout,
    mut show: impl FnMut(&Event, &[u8]) -> Result<()>,
) -> Result<Account> {
    let began = Instant::now();
    let mut reader = Reader::default();
    let faults = match start(demo, options) {
        Err(error) => Err(error),
        Ok(mut running) => loop {
            let Some(line) = running.line(stdout)? else {
                break last(reader.run(), running);
            };
            match reader.take(&line) {
                Ok(event) => show(&event, &line)?,
                Err(error) => break Err(error),
            }
        },
    };
    let mut run = reader.into_run();
    let broken = match faults {
        Ok(()) => run.as_ref().and_then(Run::broken).map(String::from),
        Err(error) => Some(format!("{error:#}")),
    };
    let elapsed = began.elapsed();
    let said = run.as_ref().and_then(|run| run.end.as_ref()).map(|end| end.status);
    if let (Some(why), Some(run), None) = (&broken, &mut run, said) {
        let event = run.break_off(why, status::BROKEN, elapsed);
        show(&event, &serde_json::to_vec(&event)?)?;
    }
    stdout.write_out()?;
    let status = if broken.is_some() { status::BROKEN } else { said.unwrap_or_default() };
    Ok(Account { demo, run, status, broken, elapsed })
}

fn start(demo: &Demo, options: &[String]) -> Result<Running> {
    let options = options.iter().map(String::as_str);
    let arguments: Vec<_> = ["--format", "jsonl"].into_iter().chain(options).collect();
    let program = program::find(demo.name).ok_or_else(|| program::not_found(&[demo.name]))?;
    Running::start(&program, &arguments)
}

/// It will say no more: it has to have ended as it said.
fn last(run: Option<&Run>, running: Running) -> Result<()> {
    let end = running.end()?;
    let Some((run, said)) = run.and_then(|run| Some((run, run.end.as_ref()?.status))) else {
        bail!("it ended without its last word: {end}");
    };
    ensure!(end == ExitStatus::Exited(i32::from(said)), "it said that it would exit with {said}: {end}");
    run.all_settled()
}

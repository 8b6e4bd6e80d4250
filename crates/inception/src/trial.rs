//! What became of an experiment, and what is left out or asked for in all of a run.

use std::time::Duration;

use clap::Args;
use transcript::{Claim, Run};

use crate::demos::Demo;

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

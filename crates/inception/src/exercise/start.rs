//! `inception exercise start`: the task, with the learner's values.

use anyhow::{Result, ensure};
use clap::Args;
use exercise::{Attempt, Need};
use lesson::{Screen, status};

use super::desk::Desk;
use super::learner::Who;
use super::library::Library;
use super::screen;
use crate::stdout::BufferedStdout;

/// What to begin.
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// The exercise's name
    name: String,

    #[command(flatten)]
    who: Who,

    #[command(flatten)]
    library: Library,

    #[command(flatten)]
    screen: Screen,
}

impl Start {
    /// Begins an attempt, and shows its task.
    pub(super) fn run(&self) -> Result<u8> {
        let (stdout, layout) = (BufferedStdout::open(&self.screen)?, self.screen.layout());
        let exercise = self.library.named(&self.name)?;
        let desk = Desk::open()?;
        let learner = self.who.learner(&desk.user)?;
        let _only = desk.store.lock()?;
        let state = desk.store.state()?;
        let last = state.of_exercise(&exercise.name);
        ensure!(
            last.is_none_or(|open| open.done.is_some()),
            "{0} is begun already: inception exercise check {0} looks, and reset {0} begins anew",
            exercise.name
        );
        if let Some(lacking) = Need::lacking(&exercise.needs)? {
            stdout.show(&screen::lacking(&exercise.name, &lacking, layout))?;
            return Ok(status::NOTHING_ASKED);
        }
        // What a finished attempt left would be taken for the next one's.
        let cleared = match last {
            Some(open) => desk.clear(&desk.attempt(&exercise, open)?)?,
            None => Vec::new(),
        };
        let cleared: String = cleared.iter().map(|line| layout.wrap(line, "", "  ")).collect();
        let attempt = desk.begin(&exercise, &learner)?;
        stdout.show(&(cleared + &begun(&attempt, layout)))?;
        Ok(status::AS_EXPECTED)
    }
}

/// The task, and what is to be typed afterwards.
pub(super) fn begun(attempt: &Attempt, layout: lesson::render::Layout) -> String {
    let lines = format!(
        "\nUse any shell and any tool, about {} minutes. What counts is what the kernel shows: inception exercise check. \
         More help: inception exercise hint.",
        attempt.exercise.minutes
    );
    screen::task(attempt, layout) + &screen::faint(&lines, layout)
}

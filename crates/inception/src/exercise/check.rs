//! `inception exercise check`: what of the task is met.

use anyhow::Result;
use clap::Args;
use exercise::{Event, Look};
use lesson::render::Layout;
use lesson::{Screen, status};

use super::desk::{Desk, Work};
use super::library::Library;
use super::screen;
use crate::stdout::BufferedStdout;

/// What to look at.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The exercise's name [default: the one that is open]
    name: Option<String>,

    #[command(flatten)]
    library: Library,

    #[command(flatten)]
    screen: Screen,
}

impl Check {
    /// Looks once, keeps what was found, and shows it.
    pub(super) fn run(&self) -> Result<u8> {
        let stdout = BufferedStdout::open(&self.screen)?;
        let desk = Desk::open()?;
        let mut work = desk.work(&self.library, self.name.as_deref())?;
        let look = work.attempt.look()?;
        keep(&desk, &work, &look, "check")?;
        stdout.show(&page(&work, &look, self.screen.layout()))?;
        Ok(if look.is_done() { status::AS_EXPECTED } else { status::UNEXPECTED })
    }
}

/// The screen of one look.
pub(super) fn page(work: &Work, look: &Look, layout: Layout) -> String {
    let Work { attempt, open } = work;
    let (task, found) = (screen::task(attempt, layout), screen::found(look, layout));
    format!("{task}\n{found}\n{}", screen::next(attempt, look, open, layout))
}

/// Keeps what a look `by` a command found, and that the attempt is done.
///
/// # Errors
/// Those of write(2).
pub(super) fn keep(desk: &Desk, work: &Work, look: &Look, by: &str) -> Result<()> {
    let Work { attempt, open } = work;
    let checked = Event::Checked {
        met: look.names(true),
        unmet: look.names(false),
        said: look.requirements.iter().map(|judged| judged.sentence.clone()).collect(),
        by: by.into(),
        shown: look.shown.clone(),
        trace: look.trace.clone(),
    };
    desk.store.log(attempt, checked)?;
    if look.is_done() && open.done.is_none() {
        desk.store.log(attempt, Event::Done)?;
    }
    Ok(())
}

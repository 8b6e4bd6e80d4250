//! `inception exercise reset`: ends what was started, and begins anew.

use anyhow::Result;
use clap::Args;
use exercise::Event;
use lesson::{Screen, status};

use super::desk::{Desk, Work};
use super::library::Library;
use super::screen;
use super::start::begun;
use crate::stdout::BufferedStdout;

/// What to begin anew.
#[derive(Debug, Args)]
pub(crate) struct Reset {
    /// The exercise's name [default: the one that is open]
    name: Option<String>,

    /// End what was started, and begin nothing
    #[arg(long)]
    end: bool,

    #[command(flatten)]
    library: Library,

    #[command(flatten)]
    screen: Screen,
}

impl Reset {
    /// Takes away what the attempt made, says what was left alone and why, and begins the next.
    pub(super) fn run(&self) -> Result<u8> {
        let (stdout, layout) = (BufferedStdout::open(&self.screen)?, self.screen.layout());
        let desk = Desk::open()?;
        let _only = desk.store.lock()?;
        let Work { attempt, open } = desk.work(&self.library, self.name.as_deref())?;
        let mut text: String = desk.clear(&attempt)?.iter().map(|line| layout.wrap(line, "", "  ")).collect();
        desk.store.log(&attempt, Event::Reset)?;
        if self.end {
            text += &screen::faint(&format!("{} is closed.", open.exercise), layout);
        } else {
            let exercise = self.library.named(&open.exercise)?;
            text += if text.is_empty() { "" } else { "\n" };
            text += &begun(&desk.begin(&exercise, &open.learner)?, layout);
        }
        stdout.show(&text)?;
        Ok(status::AS_EXPECTED)
    }
}

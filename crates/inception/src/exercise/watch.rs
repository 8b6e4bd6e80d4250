//! `inception exercise watch`: looks again whenever something may have changed, until the task is done.

use anyhow::Result;
use clap::Args;
use exercise::{Look, Wake};
use lesson::{Screen, status};
use pages::write_now;

use super::check::{keep, page};
use super::desk::{Desk, Work};
use super::library::Library;
use super::screen;
use crate::stdout::BufferedStdout;

/// What to wait for.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The exercise's name [default: the one that is open]
    name: Option<String>,

    #[command(flatten)]
    library: Library,

    #[command(flatten)]
    screen: Screen,
}

impl Watch {
    /// Looks until all is met, keeps each change, and shows it.
    pub(super) fn run(&self) -> Result<u8> {
        let stdout = BufferedStdout::open(&self.screen)?;
        let desk = Desk::open()?;
        let mut work = desk.work(&self.library, self.name.as_deref())?;
        let mut shown: Option<(Look, usize)> = None;
        // Before the first look, so that no change comes between.
        let mut wake = Wake::new();
        loop {
            let look = work.attempt.look()?;
            let before = shown.as_ref().map(|(before, _)| before);
            if before.is_none_or(|before| before.requirements != look.requirements) {
                keep(&desk, &work, &look, "watch")?;
                let lines = shown.as_ref().map(|(_, lines)| *lines);
                shown = Some((look.clone(), self.show(&stdout, &work, &look, lines)?));
            }
            if look.is_done() {
                return Ok(status::AS_EXPECTED);
            }
            let subjects: Vec<_> = look.requirements.iter().filter_map(|judged| judged.subject).collect();
            wake.follow(&subjects);
            wake.wait(&[], None)?;
        }
    }

    /// Shows a look in the place of the one before, which had so many `lines`; below it where no text may be cleared. Says
    /// how many lines it has.
    fn show(&self, stdout: &BufferedStdout, work: &Work, look: &Look, lines: Option<usize>) -> Result<usize> {
        let layout = self.screen.layout();
        let clears = self.screen.can_clear();
        let text = match lines {
            Some(_) if !clears => {
                screen::found(look, layout) + &screen::next(&work.attempt, look, &work.open, layout)
            }
            _ => page(work, look, layout),
        };
        if let Some(lines) = lines.filter(|_| clears) {
            // Up so many lines, and nothing from there on (console_codes(4)).
            write_now(format!("\x1b[{lines}A\x1b[J").as_bytes())?;
        }
        stdout.show(&text)?;
        Ok(text.lines().count())
    }
}

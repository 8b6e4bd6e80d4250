//! `inception exercise solution`: one way to do it, and why it works.

use anyhow::{Result, ensure};
use clap::Args;
use exercise::Event;
use lesson::render::tone;
use lesson::{Screen, status};
use ns_core::printable;
use owo_colors::OwoColorize;

use super::desk::{Desk, Work};
use super::library::Library;
use super::screen;
use crate::stdout::BufferedStdout;

/// Of what.
#[derive(Debug, Args)]
pub(crate) struct Solution {
    /// The exercise's name [default: the one that is open]
    name: Option<String>,

    #[command(flatten)]
    library: Library,

    #[command(flatten)]
    screen: Screen,
}

impl Solution {
    /// Shows what to type, and keeps that it was read.
    pub(super) fn run(&self) -> Result<u8> {
        let (stdout, layout) = (BufferedStdout::open(&self.screen)?, self.screen.layout());
        let desk = Desk::open()?;
        let Work { open, .. } = desk.work(&self.library, self.name.as_deref())?;
        let name = &open.exercise;
        ensure!(open.checks > 0, "try it first, and look: inception exercise check {name}");
        let full = self.library.with_solution(name)?;
        let attempt = desk.attempt(&full, &open)?;
        let exercise = &attempt.exercise;
        let mut text = format!("{}\n", format!("{name}: {}", exercise.title).style(tone::strong()));
        for line in exercise.solution.iter().flat_map(|steps| steps.trim().lines()) {
            // As it is typed: a command that is cut in two cannot be copied.
            text += &format!("    {}\n", printable(line));
        }
        text += &screen::flowing(&exercise.explanation, layout);
        desk.store.log(&attempt, Event::Solution)?;
        stdout.show(&text)?;
        Ok(status::AS_EXPECTED)
    }
}

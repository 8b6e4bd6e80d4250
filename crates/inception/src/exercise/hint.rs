//! `inception exercise hint`: the next hint on the first requirement that is not met.

use anyhow::{Context, Result, ensure};
use clap::Args;
use exercise::Event;
use lesson::render::tone;
use lesson::{Screen, status};
use owo_colors::OwoColorize;

use super::desk::{Desk, Work};
use super::library::Library;
use super::screen;
use crate::stdout::BufferedStdout;

/// On what.
#[derive(Debug, Args)]
pub(crate) struct Hint {
    /// The exercise's name [default: the one that is open]
    name: Option<String>,

    #[command(flatten)]
    library: Library,

    #[command(flatten)]
    screen: Screen,
}

impl Hint {
    /// Shows the hints up to the next, and keeps that it was read.
    pub(super) fn run(&self) -> Result<u8> {
        let (stdout, layout) = (BufferedStdout::open(&self.screen)?, self.screen.layout());
        let desk = Desk::open()?;
        let Work { attempt, open } = desk.work(&self.library, self.name.as_deref())?;
        let name = &attempt.exercise.name;
        ensure!(open.done.is_none(), "{name} is done; inception exercise solution {name} shows another way");
        let mut all = attempt.exercise.requirements.iter();
        let requirement = all.find(|it| open.unmet.is_empty() || open.unmet.contains(&it.name));
        let requirement = requirement.with_context(|| format!("{name} asks for nothing that is not met"))?;
        let of = requirement.hints.len();
        ensure!(of > 0, "{name} has no hint on {}; inception exercise solution {name}", requirement.name);
        let level =
            usize::from(open.hints.get(&requirement.name).copied().unwrap_or(0)).saturating_add(1).min(of);
        let mut text = format!("{}\n", format!("{name}: {}", requirement.name).style(tone::strong()));
        for (at, hint) in requirement.hints.iter().take(level).enumerate() {
            text += &layout.wrap(hint.trim(), &format!("{}. ", at + 1), "   ");
        }
        let more = match of - level {
            0 => format!("That is all. After a check: inception exercise solution {name}"),
            left => format!("{left} more: inception exercise hint {name}"),
        };
        text += &screen::faint(&more, layout);
        let level = u8::try_from(level).unwrap_or(u8::MAX);
        desk.store.log(&attempt, Event::Hint { level, requirement: requirement.name.clone() })?;
        stdout.show(&text)?;
        Ok(status::AS_EXPECTED)
    }
}

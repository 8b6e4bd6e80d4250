//! A run as people read it, at any width, without another run: a renderer is a function of its events.

use std::io;

use lesson::render::{OneScreen, Renderer, Text};
use libtest_mimic::Failed;

use crate::experiment::Transcript;

/// How the program is asked for text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// One screen, of the core.
    Screen,
    /// The same, for screen readers: `--plain`.
    Plain,
    /// Step by step: `--all`.
    Steps,
}

impl View {
    /// The options that ask for it.
    pub(crate) const fn options(self) -> &'static [&'static str] {
        match self {
            View::Screen => &[],
            View::Plain => &["--plain"],
            View::Steps => &["--all"],
        }
    }
}

/// What the program prints of this run, `width` columns wide and without colour; `stable` as `--stable` has it.
pub(crate) fn rendered(
    transcript: &Transcript,
    view: View,
    width: usize,
    stable: bool,
) -> Result<String, Failed> {
    let mut printed = Vec::new();
    match view {
        View::Steps => show(Text::new(&mut printed, width, stable, false), transcript)?,
        View::Screen | View::Plain => {
            show(OneScreen::new(&mut printed, width, stable, view == View::Plain), transcript)?;
        }
    }
    Ok(String::from_utf8(anstream::adapter::strip_bytes(&printed).into_vec())?)
}

fn show(mut renderer: impl Renderer, transcript: &Transcript) -> io::Result<()> {
    transcript.events.iter().try_for_each(|event| renderer.show(event))?;
    renderer.finish()
}

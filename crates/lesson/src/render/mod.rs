//! A renderer is a function from one event to bytes. It computes nothing: where it wants to, a field is missing.

mod grid;
mod jsonl;
mod stable;
mod text;

use std::io;

use anyhow::Result;

pub use grid::grid;
pub use jsonl::Jsonl;
pub use text::{Text, claim_head, wrap};

use crate::cli::{Format, Settings};
use crate::event::Event;

/// Shows events, one after another.
pub trait Renderer {
    /// Shows the next event.
    ///
    /// # Errors
    /// Those of the writer beneath.
    fn show(&mut self, event: &Event) -> io::Result<()>;
}

/// The renderer that the settings ask for, on standard output.
///
/// # Errors
/// When standard output was closed.
pub fn new(settings: &Settings) -> Result<Box<dyn Renderer>> {
    let out = settings.stdout()?;
    Ok(match settings.format {
        Format::Text => Box::new(Text::new(out, settings.columns(), settings.stable, settings.verbose)),
        Format::Jsonl => Box::new(Jsonl::new(out)),
    })
}

/// Shows nothing: for when the reader has gone.
pub(crate) struct Nobody;

impl Renderer for Nobody {
    fn show(&mut self, _: &Event) -> io::Result<()> {
        Ok(())
    }
}

//! A renderer is a function from one event to bytes. It computes nothing: where it wants to, a field is missing.

mod account;
mod grid;
mod jsonl;
mod junit;
mod stable;
mod tap;
mod text;

use std::io;

use anyhow::Result;

pub use grid::grid;
pub use jsonl::Jsonl;
pub use junit::Junit;
pub use tap::Tap;
pub use text::{Text, claim_head, wrap};

use crate::cli::{Settings, Transcript};
use crate::event::Event;

/// Shows events, one after another.
pub trait Renderer {
    /// Shows the next event.
    ///
    /// # Errors
    /// Those of the writer beneath.
    fn show(&mut self, event: &Event) -> io::Result<()>;

    /// Shows that there is nothing more to come: after the last event of the last experiment.
    ///
    /// # Errors
    /// Those of the writer beneath.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The renderer that the settings ask for, on standard output.
///
/// # Errors
/// When standard output was closed.
pub fn new(settings: &Settings) -> Result<Box<dyn Renderer>> {
    let out = settings.stdout()?;
    Ok(match settings.format {
        Transcript::Text => Box::new(Text::new(out, settings.columns(), settings.stable, settings.verbose)),
        Transcript::Jsonl => Box::new(Jsonl::new(out)),
        Transcript::Tap => Box::new(Tap::new(out)),
        Transcript::Junit => Box::new(Junit::new(out)),
    })
}

/// Shows nothing: for when the reader has gone.
pub(crate) struct Nobody;

impl Renderer for Nobody {
    fn show(&mut self, _: &Event) -> io::Result<()> {
        Ok(())
    }
}

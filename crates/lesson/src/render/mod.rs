//! A renderer is a function from one event to bytes. It computes nothing: where it wants to, a field is missing.

mod account;
mod cast;
mod command;
mod evidence;
mod grid;
mod jsonl;
mod junit;
mod lines;
mod lockstep;
mod stable;
mod tap;
mod text;

use std::fs::File;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};

pub use cast::Cast;
pub use grid::grid;
pub use jsonl::Jsonl;
pub use junit::Junit;
pub use lines::wrap;
pub(crate) use lockstep::{Dismissed, Lockstep};
pub use stable::Shown;
pub use tap::Tap;
pub use text::{Text, claim_head};

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
    let shown: Box<dyn Renderer> = match settings.format {
        Transcript::Text => Box::new(Text::new(out, settings.columns(), settings.stable, settings.verbose)),
        Transcript::Jsonl => Box::new(Jsonl::new(out)),
        Transcript::Tap => Box::new(Tap::new(out)),
        Transcript::Junit => Box::new(Junit::new(out)),
    };
    if settings.lockstep {
        return Ok(Box::new(Lockstep::new(shown)?));
    }
    let Some(path) = &settings.record else { return Ok(shown) };
    let recording = Box::new(cast(path, settings.columns(), settings.stable, settings.verbose)?);
    Ok(Box::new(Recorded { shown, recording }))
}

/// A recording in a file, which is made anew.
///
/// # Errors
/// When it cannot be written.
pub fn cast(path: &Path, columns: usize, stable: bool, verbose: bool) -> Result<Cast<File>> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Cast::new(file, columns, stable, verbose))
}

/// Shows what happens, and records it.
pub struct Recorded {
    /// For those who watch.
    pub shown: Box<dyn Renderer>,
    /// For those who will.
    pub recording: Box<dyn Renderer>,
}

impl Recorded {
    /// The recording is whole even when nobody watches any more.
    fn or_go_on(&mut self, shown: io::Result<()>) -> io::Result<()> {
        match shown {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.shown = Box::new(Nobody);
                Ok(())
            }
            other => other,
        }
    }
}

impl Renderer for Recorded {
    fn show(&mut self, event: &Event) -> io::Result<()> {
        self.recording.show(event)?;
        let shown = self.shown.show(event);
        self.or_go_on(shown)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.recording.finish()?;
        let shown = self.shown.finish();
        self.or_go_on(shown)
    }
}

/// Shows nothing: for when the reader has gone.
pub(crate) struct Nobody;

impl Renderer for Nobody {
    fn show(&mut self, _: &Event) -> io::Result<()> {
        Ok(())
    }
}

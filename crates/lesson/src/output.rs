//! The renderer that the command line asks for.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};

use crate::render::{Cast, Jsonl, Junit, Lockstep, Recorded, Renderer, Tap};
use crate::settings::{Settings, Transcript};
use crate::steps::Steps;

/// The renderer that the settings ask for, on standard output: for events that are no run of an experiment.
///
/// # Errors
/// When standard output was closed.
pub fn open(settings: &Settings) -> Result<Box<dyn Renderer>> {
    open_for(settings, &Steps::all())
}

/// The renderer that the settings ask for, on standard output: for a run of these steps.
///
/// # Errors
/// When standard output was closed.
pub(crate) fn open_for(settings: &Settings, steps: &Steps) -> Result<Box<dyn Renderer>> {
    let out = settings.stdout()?;
    let shown: Box<dyn Renderer> = match settings.format {
        Transcript::Text => settings.look.renderer(steps, out, settings.screen.layout()),
        Transcript::Jsonl => Box::new(Jsonl::new(out)),
        Transcript::Tap => Box::new(Tap::new(out)),
        Transcript::Junit => Box::new(Junit::new(out)),
    };
    if settings.lockstep {
        return Ok(Box::new(Lockstep::new(shown)?));
    }
    let Some(path) = &settings.record else { return Ok(shown) };
    let recording = Box::new(cast(path, settings.columns(), settings.look.stable, settings.look.verbose)?);
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

//! One step at a time: whoever reads the events says when the next step is done.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::fd::AsFd;

use anyhow::{Context, Result};
use ns_core::process;

use super::renderer::Renderer;
use transcript::Event;

/// Shows events, and waits after each step that is announced, and after the end, for a line on what was standard input
/// at the start. So what a step has kept is there to be looked at until the next begins, or all is over.
pub(crate) struct Lockstep {
    shown: Box<dyn Renderer>,
    go: BufReader<File>,
}

/// Nobody says any more when to go on.
#[derive(Debug)]
pub(crate) struct Dismissed;

impl Lockstep {
    /// Shows by `shown`. From here on standard input is empty: what the experiment starts must not read the lines.
    pub(crate) fn new(shown: Box<dyn Renderer>) -> Result<Lockstep> {
        let go = io::stdin().as_fd().try_clone_to_owned().context("cannot keep standard input")?;
        process::empty_stdin().context("cannot empty standard input")?;
        ns_core::take_all_day();
        Ok(Lockstep { shown, go: BufReader::new(go.into()) })
    }
}

impl Renderer for Lockstep {
    fn show(&mut self, event: &Event) -> io::Result<()> {
        self.shown.show(event)?;
        if matches!(event, Event::Step { .. } | Event::End { .. })
            && self.go.read_line(&mut String::new())? == 0
        {
            return Err(io::Error::other(Dismissed));
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.shown.finish()
    }
}

impl Dismissed {
    /// Whether an error says so.
    pub(crate) fn is_why(error: &(dyn Error + 'static)) -> bool {
        let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        matches!(within, Some(within) if within.is::<Dismissed>())
    }
}

impl fmt::Display for Dismissed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody says any more when to go on")
    }
}

impl Error for Dismissed {}

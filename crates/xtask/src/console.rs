//! Where a command says what it found.

use std::fmt::Display;
use std::io::Write;

use anyhow::{Context, Result};

/// Standard output and standard error, or what a test has in their place.
pub(crate) struct Console<'a> {
    name: &'static str,
    out: Box<dyn Write + 'a>,
    err: Box<dyn Write + 'a>,
}

impl<'a> Console<'a> {
    /// `name` begins each complaint.
    pub(crate) fn new(name: &'static str, out: impl Write + 'a, err: impl Write + 'a) -> Console<'a> {
        Console { name, out: Box::new(out), err: Box::new(err) }
    }

    /// Says a line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn say(&mut self, line: impl Display) -> Result<()> {
        writeln!(self.out, "{line}").context("cannot write the output")
    }

    /// Says text that has its own ends of lines.
    ///
    /// # Errors
    /// As [`Console::say`].
    pub(crate) fn show(&mut self, text: &str) -> Result<()> {
        self.out.write_all(text.as_bytes()).context("cannot write the output")
    }

    /// Says in a line on standard error what is wrong. Where that is closed, the exit status has to say it alone.
    pub(crate) fn complain(&mut self, line: impl Display) {
        let _ = writeln!(self.err, "{}: {line}", self.name);
    }
}

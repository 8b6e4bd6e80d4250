//! The Test Anything Protocol, for graders: <https://testanything.org>. Version 13 is the last that prove(1) reads.

use std::io::{self, Write};

use super::account::{Account, Result, named};
use super::renderer::Renderer;
use ns_core::printable;
use transcript::Event;

/// Writes a test a claim. Those of several experiments are counted through.
#[derive(Debug)]
pub struct Tap<W> {
    out: W,
    account: Account,
    tests: usize,
    begun: bool,
}

impl<W: Write> Tap<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Tap<W> {
        Tap { out, account: Account::default(), tests: 0, begun: false }
    }

    fn begin(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            writeln!(self.out, "TAP version 13")?;
        }
        Ok(())
    }

    /// What stands below a test that failed: YAML, of which JSON is a part.
    fn explain(&mut self, message: &str, seen: &[String]) -> io::Result<()> {
        let text = |it: &str| serde_json::to_string(it).map_err(io::Error::from);
        writeln!(self.out, "  ---\n  message: {}", text(message)?)?;
        if !seen.is_empty() {
            writeln!(self.out, "  seen:")?;
        }
        for line in seen {
            writeln!(self.out, "    - {}", text(line)?)?;
        }
        writeln!(self.out, "  ...")
    }
}

impl<W: Write> Renderer for Tap<W> {
    fn show(&mut self, event: &Event) -> io::Result<()> {
        self.begin()?;
        if let Event::Begin { experiment, question, kernel, origin, .. } = event {
            let head = printable(&format!("{experiment}: {question} Linux {kernel}"));
            writeln!(self.out, "# {}", one_line(&head))?;
            for (name, value) in named(origin) {
                writeln!(self.out, "# {name}: {}", one_line(&value))?;
            }
        }
        let Some((name, result)) = self.account.follow(event) else { return self.out.flush() };
        self.tests += 1;
        let test = format!("{} - {} {}", self.tests, self.account.experiment, one_line(&name));
        match result {
            Result::Passed => writeln!(self.out, "ok {test}")?,
            Result::Skipped(why) => writeln!(self.out, "ok {test} # SKIP {}", one_line(&why))?,
            Result::Failed(why, seen) => {
                writeln!(self.out, "not ok {test}")?;
                self.explain(&why, &seen)?;
            }
            Result::Broken(why) => {
                writeln!(self.out, "not ok {test}")?;
                self.explain(&why, &[])?;
            }
        }
        self.out.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.begin()?;
        writeln!(self.out, "1..{}", self.tests)?;
        self.out.flush()
    }
}

/// A description has no newline, and a # begins a directive.
fn one_line(text: &str) -> String {
    text.replace('#', "\\#").replace('\n', " ")
}

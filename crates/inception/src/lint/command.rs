//! The command: which exercises are tried, and what is said of each.

use std::time::Instant;

use anyhow::Result;
use clap::Args;
use exercise::{Exercise, Need};
use lesson::render::{Layout, tone};
use lesson::{Format, Screen, status, unmet};
use ns_core::printable;
use owo_colors::OwoColorize;
use serde::Serialize;

use super::texts;
use super::trial::{Case, attempt};
use crate::exercise::Library;
use crate::stdout::BufferedStdout;

/// What to try.
#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// Exercises; none means all
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    #[command(flatten)]
    library: Library,

    /// What to write: text for people, or jsonl: one JSON object an exercise
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    #[command(flatten)]
    screen: Screen,
}

/// What came of an exercise.
#[derive(Debug, Serialize)]
struct Report {
    exercise: String,
    result: Verdict,
    seconds: f64,
    requirements: usize,
    near_misses: usize,
    /// What is wrong, or why it was skipped.
    said: Vec<String>,
    /// The last lines on the terminals, if anything is wrong.
    terminal: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Failed,
    Skipped,
}

impl Lint {
    /// Tries them. The exit status is 1 if something is wrong with one, and 77 if all were skipped.
    pub(crate) fn run(&self) -> Result<u8> {
        let stdout = BufferedStdout::open(&self.screen)?;
        let names = if self.names.is_empty() { self.library.names()? } else { self.names.clone() };
        let mut statuses = Vec::new();
        for name in &names {
            // A name that nobody has is a misuse, and no exercise.
            self.library
                .named(name)
                .map(drop)
                .or_else(|error| error.downcast::<exercise::Fault>().map(drop))?;
            let report = self.report(name)?;
            statuses.push(match report.result {
                Verdict::Ok => status::AS_EXPECTED,
                Verdict::Failed => status::UNEXPECTED,
                Verdict::Skipped => status::NOTHING_ASKED,
            });
            stdout.show(&match self.format {
                Format::Text => report.text(self.screen.layout()),
                Format::Jsonl => serde_json::to_string(&report)? + "\n",
            })?;
        }
        if self.format == Format::Text {
            stdout.show(&closing(&statuses))?;
        }
        Ok(status::worst(&statuses))
    }

    fn report(&self, name: &str) -> Result<Report> {
        let began = Instant::now();
        let mut report = Report::new(name);
        if let Err(error) = self.library.named(name) {
            report.fail(vec![format!("{error:#}")], Vec::new());
            return Ok(report);
        }
        match self.library.with_solution(name) {
            Err(error) => report.skip(format!("{error:#}")),
            Ok(exercise) => report.fill(&exercise)?,
        }
        report.seconds = began.elapsed().as_secs_f64();
        Ok(report)
    }
}

/// The last line, as that of the project's other tests.
fn closing(statuses: &[u8]) -> String {
    let number = |of| statuses.iter().filter(|status| **status == of).count();
    let [passed, failed, skipped] =
        [status::AS_EXPECTED, status::UNEXPECTED, status::NOTHING_ASKED].map(number);
    format!("{passed} passed, {failed} failed, {skipped} skipped\n")
}

impl Report {
    fn new(name: &str) -> Report {
        Report {
            exercise: name.into(),
            result: Verdict::Ok,
            seconds: 0.0,
            requirements: 0,
            near_misses: 0,
            said: Vec::new(),
            terminal: Vec::new(),
        }
    }

    fn fill(&mut self, exercise: &Exercise) -> Result<()> {
        (self.requirements, self.near_misses) = (exercise.requirements.len(), exercise.near_misses.len());
        self.fail(texts::faults(exercise), Vec::new());
        if let Some(lacking) = Need::lacking(&exercise.needs)? {
            self.skip(unmet::in_words(&lacking));
            return Ok(());
        }
        for case in [Case::Solution].into_iter().chain((0..self.near_misses).map(Case::NearMiss)) {
            match attempt(exercise, case) {
                Ok(outcome) => self.fail(outcome.faults, outcome.terminal),
                Err(error) => self.fail(vec![format!("cannot be tried: {error:#}")], Vec::new()),
            }
        }
        Ok(())
    }

    fn fail(&mut self, faults: Vec<String>, terminal: Vec<String>) {
        if !faults.is_empty() {
            self.result = Verdict::Failed;
            self.terminal = terminal;
        }
        self.said.extend(faults);
    }

    /// Not, if something is wrong with its texts.
    fn skip(&mut self, why: String) {
        if self.result == Verdict::Ok {
            self.result = Verdict::Skipped;
            self.said.push(why);
        }
    }

    /// A line, and for what is wrong one each.
    fn text(&self, layout: Layout) -> String {
        let Report { exercise, seconds, .. } = self;
        let count = |count: usize, one: &str, more: &str| match count {
            1 => format!("1 {one}"),
            count => format!("{count} {more}"),
        };
        let requirements = count(self.requirements, "requirement", "requirements");
        let near_misses = count(self.near_misses, "near miss", "near misses");
        let said: Vec<_> = self.said.iter().map(|line| printable(line)).collect();
        let (word, tone, rest) = match self.result {
            Verdict::Ok => {
                ("ok", tone::good(), format!("{exercise} {seconds:.1} s ({requirements}, {near_misses})"))
            }
            Verdict::Skipped => ("skip", tone::note(), format!("{exercise}: {}", said.join("; "))),
            Verdict::Failed => ("FAILED", tone::bad(), format!("{exercise} {seconds:.1} s")),
        };
        let head = layout.wrap(&format!("{word} {rest}"), "", "  ");
        let head = head.replacen(word, &word.style(tone).to_string(), 1);
        if self.result != Verdict::Failed {
            return head;
        }
        let faults = said.iter().map(|line| layout.wrap(line, "  ", "    "));
        let terminal = self.terminal.iter().map(|line| format!("  | {line}\n"));
        head + &faults.chain(terminal).collect::<String>()
    }
}

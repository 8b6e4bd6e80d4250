//! Where the story goes, and in which form.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use lesson::Screen;
use lesson::render::{Layout, tone};
use owo_colors::OwoColorize;
use pages::Replacement;

use crate::fold::Fold;
use crate::model::Record;
use crate::page::Page;
use crate::perfetto::Perfetto;
use crate::sink::{All, Sink};
use crate::story::Story;

/// A form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// For people
    Text,
    /// One JSON object a line (docs/ns-trace.md)
    Jsonl,
    /// A trace for Perfetto's viewer, ui.perfetto.dev
    Perfetto,
}

/// Lines, as soon as there are any.
struct Lines<W> {
    out: W,
}

/// Sentences. Runs of the same wait until they end.
struct Sentences<W> {
    out: W,
    fold: Fold,
    story: Story,
}

impl<W: Write> Sink for Lines<W> {
    fn take(&mut self, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        self.out.write_all(&line)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W: Write> Sentences<W> {
    fn tell(&mut self, records: &[Record]) -> io::Result<()> {
        for record in records {
            self.out.write_all(painted(&self.story.lines(record)).as_bytes())?;
        }
        self.out.flush()
    }
}

impl<W: Write> Sink for Sentences<W> {
    fn take(&mut self, record: &Record) -> io::Result<()> {
        let records = self.fold.add(record);
        self.tell(&records)
    }

    fn finish(&mut self) -> io::Result<()> {
        let records = self.fold.rest();
        self.tell(&records)
    }
}

/// What stands out repeats what words say: a refusal, and where to read more.
fn painted(lines: &str) -> String {
    let lines = lines.replace(": refused, ", &format!(": {}, ", "refused".style(tone::bad())));
    match lines.rsplit_once("→ ") {
        Some((before, lesson)) => format!("{before}{}", format!("→ {lesson}").style(tone::faint())),
        None => lines,
    }
}

/// Where to, and how.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) form: Form,
    pub(crate) file: Option<&'a Path>,
    pub(crate) page: Option<&'a Path>,
    pub(crate) screen: &'a Screen,
    /// Whether standard output is ours: nothing that is traced writes to it.
    pub(crate) to_stdout: bool,
}

/// Opens all that is wanted, before anything is started.
///
/// # Errors
/// When a file cannot be made, or standard output is closed.
pub(crate) fn open(wanted: &Wanted<'_>) -> Result<All> {
    let mut sinks = vec![lines(wanted)?];
    if let Some(path) = wanted.page {
        sinks.push(Box::new(Page::new(Replacement::open(path)?)));
    }
    Ok(All(sinks))
}

fn lines(wanted: &Wanted<'_>) -> Result<Box<dyn Sink>> {
    let choice = wanted.screen.color.into();
    Ok(match wanted.file {
        Some(path) => form(wanted, anstream::AutoStream::new(create(path)?, choice), 80),
        None if wanted.to_stdout => {
            let layout = wanted.screen.layout();
            form(wanted, wanted.screen.stdout()?, layout.width)
        }
        None => {
            const READABLE: u16 = 100;
            let columns = terminal_size::terminal_size_of(io::stderr());
            let width = columns.map_or(80, |(width, _)| width.0.clamp(20, READABLE));
            form(wanted, anstream::AutoStream::new(io::stderr(), choice), width.into())
        }
    })
}

fn form<W: Write + 'static>(wanted: &Wanted<'_>, out: W, width: usize) -> Box<dyn Sink> {
    let width = wanted.screen.width.map_or(width, usize::from);
    let layout = Layout { width, plain: wanted.screen.layout().plain };
    match wanted.form {
        Form::Text => Box::new(Sentences { out, fold: Fold::default(), story: Story::new(layout) }),
        Form::Jsonl => Box::new(Lines { out }),
        Form::Perfetto => Box::new(Perfetto::new(out)),
    }
}

fn create(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}

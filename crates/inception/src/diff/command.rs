//! The command: what is compared, and how it is shown.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use lesson::{Screen, status};

use super::comparison::{Comparison, rows};
use super::transcript::{Transcript, columns};
use crate::format::Format;
use crate::stdout::BufferedStdout;

/// What to compare, and how to show it.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// Transcripts, as inception run --format jsonl writes them
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Show every claim, not only those whose verdicts differ
    #[arg(long)]
    all: bool,

    /// What to write: text for people, jsonl: one JSON object a claim, or markdown: every claim, as a document
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    #[command(flatten)]
    screen: Screen,
}

impl Diff {
    /// Compares the transcripts. A difference that no claim explains gives 1.
    pub(crate) fn run(&self) -> Result<u8> {
        let alone = self.files.len() == 1 && !self.all && self.format != Format::Markdown;
        ensure!(!alone, "one transcript differs from nothing; name another, or show it with --all");
        let transcripts = self.files.iter().map(|file| Transcript::read(file)).collect::<Result<Vec<_>>>()?;
        let stdout = BufferedStdout::open(&self.screen)?;
        let comparison = Comparison {
            // A document may lose or gain a column, and the others shall keep their names.
            columns: columns(&transcripts, if self.format == Format::Markdown { 2 } else { 1 }),
            rows: rows(&transcripts),
        };
        let text = match self.format {
            Format::Text => comparison.text(self.all, self.screen.layout()),
            Format::Markdown => comparison.markdown(),
            Format::Jsonl => comparison.json_lines(self.all, &transcripts)?,
        };
        stdout.show(&text)?;
        Ok(if comparison.unexplained() > 0 { status::UNEXPECTED } else { status::AS_EXPECTED })
    }
}

//! `inception read`: a demo's doc, in the terminal.

use std::ffi::OsString;

use anyhow::{Context, Result, ensure};
use clap::Args;
use lesson::{Screen, page, status};

use crate::demos;
use crate::markdown;
use crate::stdout::BufferedStdout;

/// What to read.
#[derive(Debug, Args)]
pub(crate) struct Read {
    /// A number or a name
    #[arg(value_name = "NN|NAME")]
    demo: OsString,

    /// What the doc leaves out: reasons for the further steps, every claim, and a whole run
    #[arg(long)]
    reference: bool,

    /// One section alone, by its heading
    #[arg(long, value_name = "HEADING")]
    section: Option<String>,

    #[command(flatten)]
    screen: Screen,
}

impl Read {
    /// Shows the doc.
    pub(crate) fn run(&self) -> Result<u8> {
        let demo = demos::named(&self.demo)?;
        let (text, file) = if self.reference {
            (demo.reference, format!("docs/reference/{}.md", demo.stem()))
        } else {
            (demo.doc, format!("docs/{}.md", demo.stem()))
        };
        ensure!(!text.is_empty(), "{file} is not written yet");
        if let Some(status) = page(&self.screen)? {
            return Ok(status);
        }
        let stdout = BufferedStdout::open(&self.screen)?;
        let text = match &self.section {
            None => text,
            Some(heading) => markdown::section(text, heading)
                .with_context(|| format!("{file} has no section '{heading}'"))?,
        };
        stdout.show(&markdown::render(text, self.screen.layout()))?;
        Ok(status::AS_EXPECTED)
    }
}

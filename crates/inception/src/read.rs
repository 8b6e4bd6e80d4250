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
        ensure!(!demo.doc.is_empty(), "docs/{}.md is not written yet", demo.stem());
        if let Some(status) = page(&self.screen)? {
            return Ok(status);
        }
        let stdout = BufferedStdout::open(&self.screen)?;
        let text = match &self.section {
            None => demo.doc,
            Some(heading) => markdown::section(demo.doc, heading)
                .with_context(|| format!("docs/{}.md has no section '{heading}'", demo.stem()))?,
        };
        stdout.show(&markdown::render(text, self.screen.layout()))?;
        Ok(status::AS_EXPECTED)
    }
}

//! `inception list`: the numbered list.

use anyhow::Result;
use clap::Args;
use lesson::render::{tone, wrap};
use lesson::{Format, Screen, status};
use ns_core::printable;
use owo_colors::OwoColorize;

use crate::demos;
use crate::stdout::BufferedStdout;

/// How to list.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// What to write: text for people, or jsonl: one JSON object a demo
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    #[command(flatten)]
    screen: Screen,
}

impl List {
    /// Lists all demos.
    pub(crate) fn run(&self) -> Result<u8> {
        let stdout = BufferedStdout::open(&self.screen)?;
        let chosen = demos::chosen(&[])?;
        let mut text = String::new();
        if self.format == Format::Jsonl {
            for demo in chosen {
                text += &(serde_json::to_string(demo)? + "\n");
            }
        } else {
            let layout = self.screen.layout();
            let row = |demo: &&demos::Demo| {
                vec![
                    format!("{:02}", demo.number),
                    demo.name.to_string(),
                    layout.words(&printable(demo.question)),
                ]
            };
            let rows: Vec<_> = chosen.iter().map(row).collect();
            text += &layout.table(&["NN", "demo", "question"], &rows);
            let number = chosen[0].number;
            let line = format!("inception run {number} runs one, inception read {number} explains it.");
            text += &format!("{}\n", wrap(&line, layout.width, "", "").trim_end().style(tone::faint()));
        }
        stdout.show(&text)?;
        Ok(status::AS_EXPECTED)
    }
}

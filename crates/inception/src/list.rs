//! `inception list`: the demos in the order in which to take them, and which are done.

use std::collections::BTreeSet;

use anyhow::Result;
use clap::Args;
use lesson::render::{tone, wrap};
use lesson::{Format, Screen, complain, page, status};
use ns_core::printable;
use owo_colors::OwoColorize;
use serde::Serialize;

use crate::claims::declared;
use crate::classroom::Score;
use crate::demos::{self, Demo};
use crate::exercise::Progress;
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

/// A demo, as it is listed.
#[derive(Debug, Serialize)]
struct Entry {
    #[serde(flatten)]
    demo: &'static Demo,
    /// Whether every question of its core was predicted.
    done: bool,
    /// How many were, and of how many, where that can be told.
    #[serde(skip)]
    predicted: (usize, Option<usize>),
    /// How many of its exercises are done, and of how many.
    exercises: Progress,
}

impl List {
    /// Lists all demos.
    pub(crate) fn run(&self) -> Result<u8> {
        if self.format == Format::Text {
            if let Some(status) = page(&self.screen)? {
                return Ok(status);
            }
        }
        let stdout = BufferedStdout::open(&self.screen)?;
        let path = demos::path()?;
        // What cannot be read keeps nobody from the list.
        let score = Score::so_far_kept().inspect_err(|error| complain("inception", error)).ok().flatten();
        let progress =
            Progress::by_lesson().inspect_err(|error| complain("inception", error)).unwrap_or_default();
        let entry = |demo: &&'static Demo| {
            let exercises = progress.get(demo.name).copied().unwrap_or_default();
            Entry::of(demo, score.as_ref(), exercises, &stdout)
        };
        let entries: Vec<_> = path.iter().map(entry).collect();
        let text = match self.format {
            Format::Jsonl => {
                let lines = entries.iter().map(|entry| Ok(serde_json::to_string(entry)? + "\n"));
                lines.collect::<Result<String>>()?
            }
            Format::Text => self.text(&entries),
        };
        stdout.show(&text)?;
        Ok(status::AS_EXPECTED)
    }

    fn text(&self, entries: &[Entry]) -> String {
        let layout = self.screen.layout();
        let row = |entry: &Entry| {
            let first: Vec<_> = entry.demo.needs.iter().map(|number| format!("{number:02}")).collect();
            vec![
                entry.demo.title(),
                // Without commas it fits 60 columns.
                first.join(" "),
                entry.how_far(),
                layout.words(&printable(entry.demo.question)),
            ]
        };
        let rows: Vec<_> = entries.iter().map(row).collect();
        let mut text = layout.table(&["demo", "first", "done", "question"], &rows);
        let next = entries.iter().find(|entry| !entry.done);
        let next = next.map_or("All are done.".into(), |entry| {
            let number = format!("{:02}", entry.demo.number);
            format!("Next: inception walk {number}, run {number} --predict, read {number}.")
        });
        let exercises = Progress::sum(entries.iter().map(|entry| entry.exercises));
        let exercises =
            format!("Exercises: {} of {} done. inception exercise list.", exercises.done, exercises.of);
        for line in [
            "Take them from top to bottom. first: the demos that one builds on. done: every question of its core was predicted.",
            &next,
            &exercises,
        ] {
            text += &format!("{}\n", wrap(line, layout.width, "", "").trim_end().style(tone::faint()));
        }
        text
    }
}

impl Entry {
    fn of(demo: &'static Demo, score: Option<&Score>, exercises: Progress, stdout: &BufferedStdout) -> Entry {
        let answered = score.map(|score| score.predicted(demo.name)).unwrap_or_default();
        // One that is not built, or breaks, says so where it is run.
        let claims = if answered.is_empty() { None } else { declared(demo, stdout).ok() };
        let Some(claims) = claims else {
            return Entry { demo, done: false, predicted: (answered.len(), None), exercises };
        };
        let asked = claims.iter().filter(|claim| claim.head.core && claim.head.question.is_some());
        let core: BTreeSet<&str> = asked.map(|claim| claim.head.id.as_str()).collect();
        let predicted = (core.intersection(&answered).count(), Some(core.len()));
        Entry { demo, done: predicted.0 == core.len(), predicted, exercises }
    }

    /// In a word or two.
    fn how_far(&self) -> String {
        match self.predicted {
            _ if self.done => "done".into(),
            (0, _) => String::new(),
            (answered, None) => answered.to_string(),
            (answered, Some(of)) => format!("{answered} of {of}"),
        }
    }
}

//! `inception exercise list`: the exercises, and which are done.

use anyhow::{Result, anyhow};
use clap::Args;
use exercise::{Exercise, State};
use lesson::render::Layout;
use lesson::{Format, Screen, complain, page, status};
use ns_core::printable;
use serde::Serialize;

use super::desk::Desk;
use super::library::Library;
use super::screen;
use crate::stdout::BufferedStdout;

/// How to list.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// What to write: text for people, or jsonl: one JSON object an exercise
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// A row for each exercise, with its title, lesson and needs
    #[arg(short, long)]
    long: bool,

    #[command(flatten)]
    library: Library,

    #[command(flatten)]
    screen: Screen,
}

/// An exercise, as it is listed.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    name: &'a str,
    title: &'a str,
    level: u8,
    lesson: &'a str,
    minutes: u32,
    needs: Vec<String>,
    done: bool,
    open: bool,
    attempts: usize,
}

impl List {
    /// Lists all exercises; a file that is none is named on standard error.
    pub(super) fn run(&self) -> Result<u8> {
        if self.format == Format::Text {
            if let Some(status) = page(&self.screen)? {
                return Ok(status);
            }
        }
        let stdout = BufferedStdout::open(&self.screen)?;
        let (exercises, faults) = self.library.all()?;
        for fault in &faults {
            complain("inception", &anyhow!("{fault}"));
        }
        // What cannot be read keeps nobody from the list.
        let state = Desk::so_far().inspect_err(|error| complain("inception", error)).unwrap_or_default();
        let entries: Vec<_> = exercises.iter().map(|exercise| Entry::of(exercise, &state)).collect();
        let text = match self.format {
            Format::Jsonl => {
                let lines = entries.iter().map(|entry| Ok(serde_json::to_string(entry)? + "\n"));
                lines.collect::<Result<String>>()?
            }
            Format::Text => self.text(&entries),
        };
        stdout.show(&text)?;
        Ok(if faults.is_empty() { status::AS_EXPECTED } else { status::BROKEN })
    }

    fn text(&self, entries: &[Entry<'_>]) -> String {
        let layout = self.screen.layout();
        let body = if self.long { table(entries, layout) } else { levels(entries, layout) };
        let done = entries.iter().filter(|entry| entry.done).count();
        let next = entries.iter().find(|entry| !entry.done).map_or("All are done.".into(), |entry| {
            let command = if entry.open { "check" } else { "start" };
            format!(
                "{done} of {} are done. Next: inception exercise {command} {}.",
                entries.len(),
                entry.name
            )
        });
        body + &screen::faint(&next, layout)
    }
}

/// The names of each level, and which are done.
fn levels(entries: &[Entry<'_>], layout: Layout) -> String {
    let mut text = String::new();
    for level in entries.chunk_by(|a, b| a.level == b.level) {
        let names: Vec<String> = level.iter().map(Entry::marked).collect();
        let first = format!("level {:<3}", level[0].level);
        let indent = " ".repeat(first.len());
        text += &layout.wrap(&names.join("  "), &first, &indent);
    }
    text
}

fn table(entries: &[Entry<'_>], layout: Layout) -> String {
    let row = |entry: &Entry<'_>| {
        let title = printable(entry.title);
        let needs = layout.words(&printable(&entry.needs.join(", ")));
        let (title, lesson) = (layout.words(&title), printable(entry.lesson));
        vec![entry.level.to_string(), entry.name.into(), entry.word().into(), title, lesson, needs]
    };
    let rows: Vec<_> = entries.iter().map(row).collect();
    layout.table(&["level", "exercise", "done", "title", "lesson", "needs"], &rows)
}

impl<'a> Entry<'a> {
    /// Whether it is done or open, in a word.
    fn word(&self) -> &'static str {
        match (self.done, self.open) {
            (true, _) => "done",
            (false, true) => "open",
            (false, false) => "",
        }
    }

    /// Its name, and a word if it is done or open.
    fn marked(&self) -> String {
        match self.word() {
            "" => self.name.into(),
            word => format!("{} ({word})", self.name),
        }
    }

    fn of(exercise: &'a Exercise, state: &State) -> Entry<'a> {
        let open = state.of_exercise(&exercise.name);
        Entry {
            name: &exercise.name,
            title: &exercise.title,
            level: exercise.level,
            lesson: &exercise.lesson,
            minutes: exercise.minutes,
            needs: exercise.needs.iter().map(ToString::to_string).collect(),
            done: state.is_done(&exercise.name),
            open: open.is_some_and(|open| open.done.is_none()),
            attempts: state.attempts.iter().filter(|it| it.exercise == exercise.name).count(),
        }
    }
}

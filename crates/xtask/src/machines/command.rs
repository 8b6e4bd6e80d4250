//! The runs that are kept, and the pages that are written of them.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use lesson::Help;

use super::data::{self, Row, Run};
use super::page::{self, Numbered};
use super::pages::{self, PAGES};
use crate::console::Console;
use crate::difference;
use crate::project::{self, Project};
use crate::reliability::lines;

const INDEX: &str = "docs/machines.md";
const FOLDER: &str = "docs/machines";
/// What the runs on emulated machines said, which is committed.
const RUNS: &str = "docs/machines/runs.jsonl";
/// The runs of Debian's kernels.
const KERNELS: &str = "docs/kernels.md";

pub(crate) const HELP: Help = Help {
    name: "cargo xtask machines",
    about: "write the numbers of docs/machines.md and docs/machines/",
    examples: &[
        ("cargo xtask machines", "write them, of the runs that are kept"),
        ("cargo xtask machines --from target/reliability/machines.jsonl", "keep new runs, and write them"),
        ("cargo xtask machines --check", "compare, change nothing; exit 1 and show what is stale"),
    ],
    after: "The runs are kept in docs/machines/runs.jsonl. FILE is written by\n\
\x20 MACHINES=all MACHINES_JSON=FILE cargo test -p machines\n\
for all machines, or by the same with `-- --exact NAME` for one. The numbers of\n\
Debian's kernels are those of docs/kernels.md. Nothing is run here.\n\
\n\
Exit status: 0 written, or as it should be; 1 stale, or a page is larger than a\n\
screen; 2 misused, or a run is missing.",
};

#[derive(Debug, clap::Args)]
pub(crate) struct Machines {
    /// Compare, and change nothing
    #[arg(long, conflicts_with = "from")]
    check: bool,
    /// Keep the runs of this file
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

impl Machines {
    pub(crate) fn run(&self, project: &Project, console: &mut Console<'_>) -> Result<u8> {
        if let Some(from) = &self.from {
            let runs = taken(&project::read(from)?, &from.display().to_string())?;
            let text =
                runs.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?.join("\n") + "\n";
            project::write(&project.root.join(RUNS), &text)?;
            console.say(format!("{RUNS}: written, {} machines", runs.len()))?;
        }
        let mut status = 0;
        let pages = written(project)?;
        for (file, text) in &pages {
            let before = project.read(file)?;
            if file != INDEX {
                for fault in page::too_large(text) {
                    console.complain(format!("{file}: {fault}"));
                    status = 1;
                }
            }
            if !self.check {
                project::write(&project.root.join(file), text)?;
            } else if let Some(shown) = difference::between((file, &before), ("as the runs say", text))? {
                console.show(&shown)?;
                console.complain(format!("stale: {file}; run: {}", HELP.name));
                status = 1;
            }
        }
        for file in strays(project)? {
            console.complain(format!("{file} is no page of crates/xtask/src/machines/pages.rs"));
            status = 1;
        }
        let what = if self.check { "as the runs say" } else { "written" };
        if status == 0 {
            console.say(format!("{INDEX} and {} pages: {what}", pages.len() - 1))?;
        }
        Ok(status)
    }
}

/// The runs of all machines that pages name, from the rows of the table.
fn taken(text: &str, name: &str) -> Result<Vec<Run>> {
    let rows: Vec<Row> = lines(name, text)?;
    let made = project::conditions()?;
    pages::emulated()
        .into_iter()
        .map(|(machine, beneath)| data::run(&rows, machine, beneath, &made))
        .collect()
}

/// Each file with its text, the index first.
fn written(project: &Project) -> Result<Vec<(String, String)>> {
    let runs: Vec<Run> = lines(RUNS, &project.read(RUNS)?)?;
    let kernels = project.read(KERNELS)?;
    let numbered = Numbered::new(&runs, &kernels)?;
    let with = |file: String, block: String| -> Result<(String, String)> {
        let text = page::with(&project.read(&file)?, &block).with_context(|| file.clone())?;
        Ok((file, text))
    };
    let mut all = vec![with(INDEX.into(), numbered.index()?)?];
    for page in PAGES {
        all.push(with(format!("{FOLDER}/{}.md", page.name), numbered.block(page)?)?);
    }
    ensure!(numbered.claims()? > 0, "no run has a claim");
    Ok(all)
}

/// The pages in the folder that nothing writes.
fn strays(project: &Project) -> Result<Vec<String>> {
    let mut strays = Vec::new();
    for entry in fs::read_dir(project.root.join(FOLDER)).with_context(|| format!("cannot list {FOLDER}"))? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        let name = file.strip_suffix(".md");
        if name.is_some_and(|name| !PAGES.iter().any(|page| page.name == name)) {
            strays.push(format!("{FOLDER}/{file}"));
        }
    }
    strays.sort();
    Ok(strays)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_are_as_the_runs_say_and_one_screen_each() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut console = Console::new("machines", &mut out, &mut err);
        let status =
            Machines { check: true, from: None }.run(&Project::of_this_checkout(), &mut console).unwrap();
        drop(console);
        assert_eq!(status, 0, "{}{}", String::from_utf8_lossy(&out), String::from_utf8_lossy(&err));
    }
}

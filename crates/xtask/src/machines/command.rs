//! The runs that are kept, and the pages that are written of them.

use std::fs::{self, File};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use lesson::Help;
use transcript::Runs;

use super::data::{self, Row, Run};
use super::page::{self, Numbered};
use super::pages::{self, PAGES, VMS};
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
for all machines, or by the same with `-- --exact NAME` for one. DIRECTORY has\n\
transcripts of virtual machines, called as crates/xtask/src/machines/pages.rs\n\
says. A run that is in neither stays as it was. The numbers of Debian's kernels\n\
are those of docs/kernels.md. Nothing is run here.\n\
\n\
Exit status: 0 written, or as it should be; 1 stale, or a page is larger than a\n\
screen; 2 misused, or a run is missing.",
};

#[derive(Debug, clap::Args)]
pub(crate) struct Machines {
    /// Compare, and change nothing
    #[arg(long, conflicts_with_all = ["from", "vm"])]
    check: bool,
    /// Keep the runs of this file
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Keep the transcripts of this directory
    #[arg(long, value_name = "DIRECTORY")]
    vm: Option<PathBuf>,
}

impl Machines {
    pub(crate) fn run(&self, project: &Project, console: &mut Console<'_>) -> Result<u8> {
        if self.from.is_some() || self.vm.is_some() {
            let runs = self.taken(project)?;
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

    /// The runs of all machines that pages name: those that are given, and of the others what is kept.
    fn taken(&self, project: &Project) -> Result<Vec<Run>> {
        let mut rows: Vec<Row> = match &self.from {
            Some(from) => lines(&from.display().to_string(), &project::read(from)?)?,
            None => Vec::new(),
        };
        for vm in VMS {
            let Some(path) = self.vm.as_ref().map(|directory| directory.join(vm.file)) else { continue };
            if path.exists() {
                let name = path.display().to_string();
                let runs =
                    Runs::read(&name, File::open(&path).with_context(|| name.clone())?, |_, _| Ok(()))?;
                rows.push(Row::of(vm.name, vm.how, &runs)?);
            }
        }
        let kept: Vec<Run> = match project.root.join(RUNS).exists() {
            true => lines(RUNS, &project.read(RUNS)?)?,
            false => Vec::new(),
        };
        let made = project::conditions()?;
        let of = |(machine, beneath): (&str, &str)| {
            if rows.iter().any(|row| row.machine() == machine) {
                return data::run(&rows, machine, beneath, &made);
            }
            let kept = kept.iter().find(|run| run.machine == machine && run.beneath == beneath);
            kept.cloned().with_context(|| format!("there is no run on the machine '{machine}'"))
        };
        pages::compared().into_iter().map(of).collect()
    }
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
        let status = Machines { check: true, from: None, vm: None }
            .run(&Project::of_this_checkout(), &mut console)
            .unwrap();
        drop(console);
        assert_eq!(status, 0, "{}{}", String::from_utf8_lossy(&out), String::from_utf8_lossy(&err));
    }
}

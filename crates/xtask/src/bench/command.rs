//! The command: what is measured, what is shown of it, and what is kept.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lesson::Help;
use observation::printable;

use super::data::Measured;
use super::document;
use super::measure::{self, Bench as Measuring, Wanted};
use super::rows::{self, TABLES};
use super::view;
use crate::console::Console;
use crate::difference;
use crate::project::{self, Project};

const DOCUMENT: &str = "docs/performance.md";
const KEPT: &str = "docs/performance.json";

pub(crate) const HELP: Help = Help {
    name: "scripts/bench",
    about: "how long everything takes, beside its peers",
    examples: &[
        ("scripts/bench", "all tables, in about five minutes; writes docs/performance.md"),
        ("scripts/bench --only lsns", "the tables with 'lsns' in their name or in a row's"),
        ("scripts/bench --only where", "where the time of the longest programs goes"),
        ("scripts/bench --only container --seconds 900", "with more runs"),
        ("scripts/bench --build --only Building", "how long building takes"),
        ("scripts/bench --list", "the tables and their rows"),
        ("cargo xtask bench --check", "has docs/performance.md the rows that are measured?"),
    ],
    after: "The rows of a table run by turns, and a ratio is to a row of the same table. With\n\
--only nothing is written. scripts/bench builds all programs and peers first, the\n\
first time in some minutes. What is missing (crun, runc, bwrap, cc) is skipped,\n\
with the remedy. Nothing is asserted.\n\
\n\
What was measured is kept in docs/performance.json; docs/performance.md is made\n\
of it. The check looks at the rows and at the frame of the page. Figures differ\n\
from machine to machine.\n\
\n\
Exit status: 0 measured, or as it should be; 1 the page is stale; 2 misused.",
};

#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    /// The tables with this word in their name or in a row's, and write nothing
    #[arg(long, value_name = "WORD")]
    only: Option<String>,

    /// For all tables together, builds apart
    #[arg(long, value_name = "N", default_value_t = 280)]
    seconds: u64,

    /// Runs of each row, at most
    #[arg(long, value_name = "N", default_value_t = 200)]
    runs: usize,

    /// Building too
    #[arg(long)]
    build: bool,

    /// The tables and their rows; measure nothing
    #[arg(long, conflicts_with_all = ["only", "build"])]
    list: bool,

    /// Write docs/performance.md of what was measured before
    #[arg(long, conflicts_with_all = ["only", "build", "list"])]
    page: bool,

    /// Compare, and change nothing
    #[arg(long, conflicts_with_all = ["only", "build", "list", "page"])]
    check: bool,

    /// Say what is wrong with the arguments, and do nothing
    #[arg(long, hide = true)]
    parse: bool,

    /// A directory for what runs leave behind
    #[arg(long, value_name = "DIRECTORY", hide = true)]
    scratch: Option<PathBuf>,
}

impl Bench {
    pub(crate) fn run(&self, project: &Project, console: &mut Console<'_>) -> Result<u8> {
        ensure!((10..=86_400).contains(&self.seconds), "--seconds takes 10 to 86400");
        ensure!((2..=100_000).contains(&self.runs), "--runs takes 2 to 100000");
        if let Some(word) = &self.only {
            ensure!(!word.is_empty(), "--only takes a word");
            let experiments = project.experiments()?;
            let is_any = measure::WHERE.contains(word.as_str())
                || TABLES.iter().any(|table| table.is_called(word, &rows::rows(table, &experiments)));
            ensure!(is_any, "no table and no row has '{}' in its name; --list shows them", printable(word));
        }
        if self.parse {
            return Ok(0);
        }
        if self.list {
            return list(project, console);
        }
        if self.check {
            return check(project, console);
        }
        if self.page {
            return write(project, &kept(project)?, console);
        }
        // Commands name scripts of the project.
        std::env::set_current_dir(&project.root)
            .with_context(|| format!("chdir({})", project.root.display()))?;
        let own = tempfile::Builder::new().prefix("inception-bench-").tempdir()?;
        let scratch = self.scratch.clone().unwrap_or_else(|| own.path().into());
        let wanted = Wanted {
            only: self.only.clone(),
            build: self.build,
            time: Duration::from_secs(self.seconds),
            runs: self.runs,
        };
        let measured = Measuring::new(project, &scratch, wanted)?.run(console)?;
        if self.only.is_some() {
            return Ok(0);
        }
        let text = serde_json::to_string_pretty(&measured)? + "\n";
        project::write(&project.root.join(KEPT), &text)?;
        console.say("")?;
        write(project, &measured, console)
    }
}

fn list(project: &Project, console: &mut Console<'_>) -> Result<u8> {
    let experiments = project.experiments()?;
    for table in TABLES {
        console.say(format!("{}: {}", table.id, table.title))?;
        for row in rows::rows(table, &experiments) {
            console.say(format!("    {}", row.name))?;
        }
    }
    Ok(0)
}

fn write(project: &Project, measured: &Measured, console: &mut Console<'_>) -> Result<u8> {
    project::write(&project.root.join(DOCUMENT), &document::of(measured))?;
    console.say(format!("{DOCUMENT}: written"))?;
    Ok(0)
}

fn check(project: &Project, console: &mut Console<'_>) -> Result<u8> {
    let measured = kept(project)?;
    let experiments = project.experiments()?;
    let faults = view::strays(&measured.tables, |table| rows::rows(table, &experiments));
    for fault in &faults {
        console.complain(format!("{KEPT}: {fault}; run: scripts/bench"));
    }
    let text = document::of(&measured);
    let shown = difference::between((DOCUMENT, &project.read(DOCUMENT)?), ("as it was measured", &text))?;
    if let Some(shown) = &shown {
        console.show(shown)?;
        console.complain(format!("stale: {DOCUMENT}; run: cargo xtask bench --page"));
    }
    if faults.is_empty() && shown.is_none() {
        console.say(format!("{DOCUMENT}: {} tables, as they were measured", measured.tables.len()))?;
        return Ok(0);
    }
    Ok(1)
}

fn kept(project: &Project) -> Result<Measured> {
    serde_json::from_str(&project.read(KEPT)?)
        .with_context(|| format!("{KEPT} is of another form; run: scripts/bench"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_the_rows_that_are_measured() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut console = Console::new("bench", &mut out, &mut err);
        let status = check(&Project::of_this_checkout(), &mut console).unwrap();
        drop(console);
        assert_eq!(status, 0, "{}{}", String::from_utf8_lossy(&out), String::from_utf8_lossy(&err));
    }
}

//! The command: what is reported on, and where to.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;
use lesson::render::Shown;
use lesson::{Screen, Steps};
use ns_core::printable;
use pages::{Replacement, Target};

use super::accounts;
use super::page::{self, Page};
use super::steps::{self, Part};
use crate::demos;
use crate::run::{complain_if_broken, provide};
use crate::series::{Jobs, Series};
use crate::stdout::BufferedStdout;
use crate::summary;
use crate::trial::{Account, Conditions};

/// What to report on, and where to.
#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Numbers or names; none means all
    #[arg(value_name = "NN|NAME|all")]
    demos: Vec<OsString>,

    /// The page to write, in HTML; - is standard output
    #[arg(short, long, value_name = "FILE", required_unless_present = "pictures")]
    output: Option<PathBuf>,

    /// A directory for the pictures, each as an SVG file of its own: 09-veth-pair-1.svg
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,

    /// Run nothing, and report on a transcript that inception run --format jsonl wrote; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sabotage", "must_run"])]
    from: Option<PathBuf>,

    #[command(flatten)]
    screen: Screen,

    /// Names in the place of what differs from run to run.
    // Not in the comment above, where rustdoc would take it for HTML.
    #[arg(long, help = "Show <pid A>, <name B> and the like for what differs from run to run")]
    stable: bool,

    #[command(flatten)]
    jobs: Jobs,

    #[command(flatten)]
    conditions: Conditions,
}

impl Report {
    /// Runs what was chosen, or reads what was said, and writes the page. The exit status is that of the run.
    pub(crate) fn run(&self) -> Result<u8> {
        let chosen = demos::chosen(&self.demos)?;
        let stdout = BufferedStdout::open(&self.screen)?;
        // What cannot be written shall be known before the experiments run.
        let target = self.output.as_deref().map(Target::open).transpose()?;
        self.pictures.as_deref().map(is_directory).transpose()?;
        let began = Instant::now();
        let accounts = match &self.from {
            Some(file) => accounts::read(file, &chosen)?,
            None => {
                provide(&chosen)?;
                let options = [self.conditions.options(), Steps::all().options()].concat();
                Series::new(&chosen, &options, &self.jobs, &stdout).accounts()?
            }
        };
        let elapsed = began.elapsed();
        accounts.iter().for_each(complain_if_broken);
        let status = summary::status(&accounts);
        if let Some(directory) = &self.pictures {
            self.draw(directory, &accounts)?;
        }
        let Some(target) = target else { return Ok(status) };
        let html = Page::of(&accounts, self.stable).html()?;
        match target {
            Target::Stdout => {
                // Not as styled text: nothing may be stripped from it.
                stdout.clone().write_all(html.as_bytes())?;
                stdout.write_out()?;
            }
            Target::File(file) => {
                let (path, length) = (printable(&file.path().to_string_lossy()), html.len());
                file.replace(html.as_bytes())?;
                let sabotage = page::is_sabotaged(&accounts);
                let elapsed = (!self.stable).then_some(elapsed);
                stdout.show(&summary::text(&accounts, elapsed, sabotage, self.screen.layout()))?;
                stdout.show(&format!("inception: written: {path} ({} KiB)\n", length.div_ceil(1024)))?;
            }
        }
        Ok(status)
    }

    /// Each picture as a file.
    fn draw(&self, directory: &Path, accounts: &[Account]) -> Result<()> {
        for account in accounts {
            let Some(run) = &account.run else { continue };
            let steps = steps::of(run, account.demo.name, Shown::new(self.stable));
            let pictures = steps.iter().flat_map(|step| &step.parts).filter_map(Part::picture);
            for (at, picture) in pictures.enumerate() {
                let path = directory.join(format!("{}-{}.svg", account.demo.stem(), at + 1));
                let file = Replacement::open(&path)?;
                file.replace(picture.standalone().as_bytes())?;
            }
        }
        Ok(())
    }
}

fn is_directory(path: &Path) -> Result<()> {
    let about = std::fs::metadata(path).with_context(|| format!("cannot write into {}", path.display()))?;
    ensure!(about.is_dir(), "{} is not a directory: name one for the pictures", path.display());
    Ok(())
}

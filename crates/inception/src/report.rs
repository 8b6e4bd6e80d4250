//! `inception report`: a page that shows what experiments saw, with pictures, from their events alone.

mod page;
mod pictures;
mod steps;
mod target;
mod told;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use lesson::Screen;
use lesson::render::Shown;
use ns_core::fact::printable;

use crate::demos;
use crate::outbox::Outbox;
use crate::run::{complain_if_broken, require_any};
use crate::summary;
use crate::trial::Conditions;
use page::Page;
use steps::Part;
use target::Target;
use told::Told;

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
    conditions: Conditions,
}

impl Report {
    /// Runs what was chosen, or reads what was said, and writes the page. The exit status is that of the run.
    pub(crate) fn run(&self) -> Result<u8> {
        let chosen = demos::chosen(&self.demos)?;
        let outbox = Outbox::open(&self.screen)?;
        // What cannot be written shall be known before the experiments run.
        let target = self.output.as_deref().map(Target::open).transpose()?;
        self.pictures.as_deref().map(is_directory).transpose()?;
        let told = match &self.from {
            Some(file) => told::read(file, &chosen)?,
            None => {
                require_any(&chosen)?;
                told::run(&chosen, &self.conditions.options(), &outbox)?
            }
        };
        told.accounts.iter().for_each(complain_if_broken);
        let status = summary::status(&told.accounts);
        if let Some(directory) = &self.pictures {
            self.draw(directory, &told)?;
        }
        let Some(target) = target else { return Ok(status) };
        let html = Page::of(&told, self.stable).html()?;
        match target {
            Target::Stdout => {
                // Not as styled text: nothing may be stripped from it.
                outbox.clone().write_all(html.as_bytes())?;
                outbox.write_out()?;
            }
            Target::File(file) => {
                let (path, length) = (printable(&file.path().to_string_lossy()), html.len());
                file.replace(html.as_bytes())?;
                let sabotage = page::is_sabotaged(&told);
                let summary = summary::text(&told.accounts, sabotage, self.stable, self.screen.columns());
                outbox.show(&summary)?;
                outbox.show(&format!("inception: written: {path} ({} KiB)\n", length.div_ceil(1024)))?;
            }
        }
        Ok(status)
    }

    /// Each picture as a file.
    fn draw(&self, directory: &Path, told: &Told) -> Result<()> {
        for (account, events) in told.each() {
            let steps = steps::of(events, Shown::new(self.stable));
            let pictures = steps.iter().flat_map(|step| &step.parts).filter_map(Part::picture);
            for (at, picture) in pictures.enumerate() {
                let path = directory.join(format!("{}-{}.svg", account.demo.stem(), at + 1));
                let file = target::Replacement::open(&path)?;
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

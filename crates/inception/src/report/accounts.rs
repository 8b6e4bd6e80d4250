//! What experiments said: as they run, or as a transcript has it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::demos::{self, Demo};
use crate::trial::Account;
use transcript::Runs;

/// Reads of a transcript what is of the demos `chosen`.
///
/// # Errors
/// One line that names the file, and the line of it, when it cannot be read, is no transcript, is cut short, or has
/// nothing of these demos.
pub(super) fn read(file: &Path, chosen: &[&'static Demo]) -> Result<Vec<Account>> {
    let is_stdin = file.as_os_str() == "-";
    let name = if is_stdin { "standard input".into() } else { file.display().to_string() };
    let input: Box<dyn Read> = if is_stdin {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(file).with_context(|| format!("cannot open {name}"))?)
    };
    let runs = Runs::read(&name, input, |run, _| demo(&run.begin.experiment).map(drop))?;
    let mut accounts = Vec::new();
    for run in runs.all {
        let demo = demo(&run.begin.experiment)?;
        if chosen.contains(&demo) {
            accounts.push(Account::of(demo, run));
        }
    }
    ensure!(!accounts.is_empty(), "{name}: nothing in it is of the demos that were asked for");
    Ok(accounts)
}

/// The demo whose experiment is called so.
fn demo(experiment: &str) -> Result<&'static Demo> {
    let demo = demos::ALL.iter().find(|demo| demo.name == experiment);
    demo.with_context(|| format!("no demo is called '{experiment}'"))
}

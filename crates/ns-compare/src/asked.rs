//! What may be asked instead of the experiment: of the processes of this machine.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use anyhow::{Context, Result};
use lesson::Settings;
use lesson::render::Renderer;
use lesson::status::AS_EXPECTED;
use transcript::Event;

use crate::{census, compare};

/// Of which processes.
#[derive(Debug, clap::Args)]
pub(crate) struct Processes {
    /// Compare these processes; one alone is compared with ns-compare itself. The exit status is then 0 if they share
    /// every namespace, 1 if not, 2 in trouble
    #[arg(value_name = "PID", allow_negative_numbers = true)]
    pids: Vec<OsString>,

    /// List every namespace that a process is a member of
    #[arg(long, conflicts_with = "pids")]
    list: bool,

    /// Read this directory as if it were /proc
    #[arg(long, value_name = "DIR", default_value = "/proc", hide = true)]
    proc: PathBuf,
}

/// Answers for the processes of this machine, if they are asked for.
pub(crate) fn instead(asked: &Processes, settings: &Settings) -> Option<Result<u8>> {
    (asked.list || !asked.pids.is_empty()).then(|| answer(asked, settings))
}

fn answer(Processes { pids, list, proc }: &Processes, settings: &Settings) -> Result<u8> {
    let (events, status) =
        if *list { (census::of(proc)?, AS_EXPECTED) } else { compare::compare(pids, proc)? };
    show(lesson::open(settings)?, &events)?;
    Ok(status)
}

/// Shows events that are no transcript. Who reads them may go before the end.
fn show(mut renderer: Box<dyn Renderer>, events: &[Event]) -> Result<()> {
    for event in events {
        match renderer.show(event) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            shown => shown.context("cannot write the output")?,
        }
    }
    Ok(())
}
